"""Webhooks of runs, which runs have something to tell them (ADR-0024), and who had agents do what."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from parley_coordinator.store.columns import NUMBER, TEXT

revision: str = "0007"
down_revision: str | None = "0006"

_TO_TELL: Final = "to_tell = 1"
_DUE: Final = "due_at IS NOT NULL"


def upgrade() -> None:
    op.add_column("run", sa.Column("to_tell", sa.Integer))
    op.create_index(
        "run_to_tell",
        "run",
        ["id"],
        sqlite_where=sa.text(_TO_TELL),
        postgresql_where=sa.text(_TO_TELL),
    )
    op.create_table(
        "run_webhook",
        sa.Column("run_id", TEXT, primary_key=True),
        sa.Column("owner", TEXT, primary_key=True),
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("url", TEXT, nullable=False),
        sa.Column("token", TEXT, nullable=False),
        sa.Column("scheme", TEXT, nullable=False),
        sa.Column("credentials", TEXT, nullable=False),
        sa.Column("told", TEXT, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("body", TEXT),
        sa.Column("news", sa.Integer, nullable=False),
        sa.Column("due_at", TEXT),
        sa.Column("holder", TEXT),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("failing_since", TEXT),
        sa.Column("given_up", TEXT, nullable=False),
    )
    op.create_index(
        "run_webhook_due",
        "run_webhook",
        ["due_at"],
        sqlite_where=sa.text(_DUE),
        postgresql_where=sa.text(_DUE),
    )
    op.create_table(
        "relayed",
        sa.Column("seq", NUMBER, primary_key=True),
        sa.Column("at", TEXT, nullable=False),
        sa.Column("by", TEXT, nullable=False),
        sa.Column("agent", TEXT, nullable=False),
        sa.Column("operation", TEXT, nullable=False),
        sa.Column("task_id", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
    )
    op.create_index("relayed_by_agent", "relayed", ["agent", "seq"])
