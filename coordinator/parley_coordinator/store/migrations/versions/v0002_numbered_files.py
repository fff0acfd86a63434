"""The tables as they were when files had a number instead of a revision: schema version 2."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from parley_coordinator.store.columns import NUMBER, TEXT

revision: str = "0002"
down_revision: str | None = None

ABOUT_WORKFLOWS: Final = "json LIKE '%io.serverlessworkflow.%'"


def upgrade() -> None:
    _workflows()
    _runs()
    _events()


def _workflows() -> None:
    op.create_table(
        "current_version",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "deployment",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("deployed_by", TEXT, nullable=False),
        sa.Column("deployed_at", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name", "version"),
        sa.UniqueConstraint("name", "number", name="deployment_order"),
    )
    op.create_table(
        "deployment_log",
        sa.Column("seq", NUMBER, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("at", TEXT, nullable=False),
        sa.Column("by", TEXT, nullable=False),
        sa.Column("act", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("from_version", TEXT, nullable=True),
        sa.Column("to_version", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("deployment_log_by_name", "deployment_log", ["name", "seq"])
    op.create_table(
        "document",
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("json", TEXT, nullable=False),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("stored_at", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index(
        "document_about_workflows",
        "document",
        ["digest"],
        sqlite_where=sa.text(ABOUT_WORKFLOWS),
        postgresql_where=sa.text(ABOUT_WORKFLOWS),
    )


def _runs() -> None:
    op.create_table(
        "candidate",
        sa.Column("item_id", TEXT, nullable=False),
        sa.Column("title", TEXT, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("item_id", "title"),
    )
    op.create_index("candidate_by_title", "candidate", ["title", "run_id"])
    op.create_table(
        "item",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("workflow", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("attempt", TEXT, nullable=False),
        sa.Column("question", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.Column("decide_by", TEXT, nullable=True),
        sa.Column("decision", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("item_by_run", "item", ["run_id"])
    op.create_index("item_by_state", "item", ["state", "created_at"])
    op.create_table(
        "journal",
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("attempt", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", TEXT, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "path", "attempt", "kind"),
        sa.UniqueConstraint("run_id", "seq", name="journal_order"),
    )
    op.create_table(
        "request",
        sa.Column("caller", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("at", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("caller", "key"),
    )
    op.create_table(
        "run",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("workflow", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("context_id", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("segment", sa.Integer(), nullable=False),
        sa.Column("input", TEXT, nullable=False),
        sa.Column("output", TEXT, nullable=True),
        sa.Column("error", TEXT, nullable=True),
        sa.Column("waiting_for", TEXT, nullable=False),
        sa.Column("parent", TEXT, nullable=True),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("requested_by", TEXT, nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.Column("updated_at", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("run_by_age", "run", ["created_at", "id"])
    op.create_index("run_by_context", "run", ["context_id"])
    op.create_index("run_by_state", "run", ["state", "created_at"])


def _events() -> None:
    op.create_table(
        "event",
        sa.Column("seq", NUMBER, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("event", TEXT, nullable=False),
        sa.Column("received_at", TEXT, nullable=False),
        sa.Column("received_from", TEXT, nullable=False),
        sa.Column("delivered", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("source", "id", name="event_once"),
    )
    op.create_index("event_by_age", "event", ["received_at"])
    op.create_index("event_by_type", "event", ["type", "seq"])
    op.create_index("event_undelivered", "event", ["delivered", "seq"])
    op.create_table(
        "gathered",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("workflow", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("set_id", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("heard", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("workflow", "source", "id", name="gathered_once"),
    )
    op.create_index("gathered_by_set", "gathered", ["workflow", "set_id"])
    op.create_index("gathered_by_state", "gathered", ["state", "workflow", "number"])
    op.create_table(
        "listener",
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("attempt", TEXT, nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("filters", TEXT, nullable=False),
        sa.Column("expected", TEXT, nullable=False),
        sa.Column("after", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "path", "attempt", "type"),
    )
    op.create_index("listener_by_type", "listener", ["type"])
    op.create_table(
        "schedule",
        sa.Column("workflow", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("json", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("types", TEXT, nullable=False),
        sa.Column("since", TEXT, nullable=False),
        sa.Column("due", TEXT, nullable=True),
        sa.Column("last_at", TEXT, nullable=True),
        sa.Column("last_run", TEXT, nullable=True),
        sa.Column("problem", TEXT, nullable=True),
        sa.Column("problem_at", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("workflow"),
    )
    op.create_index("schedule_by_due", "schedule", ["due"])
