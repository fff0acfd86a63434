"""What runs have left at agents and do not need any more; what ended runs left open is owed at once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from parley_coordinator.store.columns import TEXT

revision: str = "0008"
down_revision: str | None = "0007"


def upgrade() -> None:
    op.create_table(
        "call_back",
        sa.Column("run_id", TEXT, primary_key=True),
        sa.Column("path", TEXT, primary_key=True),
        sa.Column("attempt", TEXT, primary_key=True),
        sa.Column("since", TEXT, nullable=False),
        sa.Column("due_at", TEXT, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
    )
    op.create_index("call_back_by_due", "call_back", ["due_at"])
    op.execute(
        """
        INSERT INTO call_back (run_id, path, attempt, since, due_at, tries)
        SELECT begun.run_id, begun.path, begun.attempt, run.updated_at, run.updated_at, 0
        FROM run JOIN journal AS begun ON begun.run_id = run.id
        WHERE run.state IN ('completed', 'faulted', 'cancelled') AND begun.kind = 'intended'
          AND NOT EXISTS (
            SELECT 1 FROM journal AS ended
            WHERE ended.run_id = begun.run_id AND ended.path = begun.path
              AND ended.attempt = begun.attempt
              AND ended.kind IN ('observed', 'failed', 'cancelled'))
        """
    )
