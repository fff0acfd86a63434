"""What the sweep looks for, in columns: the run that waits for another, and the time a run waits for."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa
from alembic import op

from parley_coordinator.store.columns import TEXT

revision: str = "0003"
down_revision: str | None = "0002"

_AWAITED: Final = "awaited_by IS NOT NULL"
_UNDER_WAY: Final = sa.text(
    "SELECT id, parent, waiting_for FROM run WHERE state IN ('running', 'waiting')"
)
_FILL: Final = sa.text("UPDATE run SET awaited_by = :awaited_by, wake_at = :wake_at WHERE id = :id")


def upgrade() -> None:
    op.add_column("run", sa.Column("awaited_by", TEXT))
    op.add_column("run", sa.Column("wake_at", TEXT))
    op.create_index(
        "run_by_parent",
        "run",
        ["awaited_by"],
        sqlite_where=sa.text(_AWAITED),
        postgresql_where=sa.text(_AWAITED),
    )
    connection = op.get_bind()
    for row in connection.execute(_UNDER_WAY).all():
        parent = json.loads(row.parent) if row.parent else {}
        filled = {
            "id": row.id,
            "awaited_by": parent["run"] if parent.get("waits") else None,
            "wake_at": _first(row.waiting_for),
        }
        connection.execute(_FILL, filled)


def _first(waiting_for: str) -> str | None:
    """Return the first time that a run waits for, as text of the database."""
    times = [
        datetime.fromisoformat(each["until"]).astimezone(UTC)
        for each in json.loads(waiting_for)
        if each.get("until")
    ]
    return min(times).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if times else None
