"""Lists of a workflow's runs, by their age and by their last change."""

from __future__ import annotations

from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"


def upgrade() -> None:
    op.create_index("run_by_workflow", "run", ["workflow", "created_at", "id"])
    op.create_index("run_by_change", "run", ["workflow", "updated_at", "id"])
