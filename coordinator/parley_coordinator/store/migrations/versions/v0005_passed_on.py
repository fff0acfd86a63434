"""Agents that are reached through the coordinator: whose tasks there are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from parley_coordinator.store.columns import TEXT

revision: str = "0005"
down_revision: str | None = "0004"


def upgrade() -> None:
    op.create_table(
        "passed_on",
        sa.Column("agent", TEXT, primary_key=True),
        sa.Column("task_id", TEXT, primary_key=True),
        sa.Column("caller", TEXT, nullable=False),
        sa.Column("context_id", TEXT, nullable=False),
        sa.Column("at", TEXT, nullable=False),
    )
    op.create_index("passed_on_by_caller", "passed_on", ["agent", "caller", "at"])
    op.create_index("passed_on_by_context", "passed_on", ["agent", "context_id"])
