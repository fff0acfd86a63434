"""Several coordinators on one database: who they are, and which of them advances a run."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from parley_coordinator.store.columns import NUMBER, TEXT

revision: str = "0004"
down_revision: str | None = "0003"

_HELD: Final = "holder IS NOT NULL"


def upgrade() -> None:
    op.add_column("run", sa.Column("holder", TEXT))
    op.create_index(
        "run_by_holder",
        "run",
        ["holder"],
        sqlite_where=sa.text(_HELD),
        postgresql_where=sa.text(_HELD),
    )
    op.create_table(
        "coordinator",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("host", TEXT, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("started_ms", NUMBER, nullable=False),
        sa.Column("beat_ms", NUMBER, nullable=False),
        sa.Column("reaped_ms", NUMBER),
        sa.Column("reaped_by", TEXT),
    )
