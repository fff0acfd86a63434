"""Large outputs, beside the journal."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from parley_coordinator.store.columns import TEXT

revision: str = "0006"
down_revision: str | None = "0005"


def upgrade() -> None:
    op.create_table(
        "artifact",
        sa.Column("digest", TEXT, primary_key=True),
        sa.Column("json", TEXT, nullable=False),
    )
    op.create_table(
        "artifact_use",
        sa.Column("digest", TEXT, primary_key=True),
        sa.Column("run_id", TEXT, primary_key=True),
    )
    op.create_index("artifact_use_by_run", "artifact_use", ["run_id"])
