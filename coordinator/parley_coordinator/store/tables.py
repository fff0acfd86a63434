"""The coordinator's tables.

Times are text, ISO 8601 in UTC with microseconds and `Z`, so that they sort. JSON is text. The
statements are plain SQL that SQLite and Postgres both speak.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Column, Index, Integer, MetaData, Table, Text, UniqueConstraint, text

ABOUT_WORKFLOWS: Final = "json LIKE '%io.serverlessworkflow.%'"
"""Holds for documents that speak of events about workflows; there is an index of just these."""

METADATA = MetaData(info={"schema_version": 2})

DOCUMENT = Table(
    "document",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("json", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("stored_at", Text, nullable=False),
    Index(
        "document_about_workflows",
        "digest",
        sqlite_where=text(ABOUT_WORKFLOWS),
        postgresql_where=text(ABOUT_WORKFLOWS),
    ),
)
"""Every workflow document that was ever deployed; `text` is what people wrote, `json` what runs."""

DEPLOYMENT = Table(
    "deployment",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("digest", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("deployed_by", Text, nullable=False),
    Column("deployed_at", Text, nullable=False),
    UniqueConstraint("name", "number", name="deployment_order"),
)
"""The versions of a workflow; `number` counts them in the order in which they were deployed."""

CURRENT = Table(
    "current_version",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("version", Text, nullable=False),
)
"""The version that a run gets that names none: one row per workflow."""

DEPLOYMENT_LOG = Table(
    "deployment_log",
    METADATA,
    Column("seq", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("from_version", Text),
    Column("to_version", Text, nullable=False),
    Index("deployment_log_by_name", "name", "seq"),
)
"""Append-only: who did what to which version, and which one was current before and after."""

RUN = Table(
    "run",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("workflow", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("context_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("segment", Integer, nullable=False),
    Column("input", Text, nullable=False),
    Column("output", Text),
    Column("error", Text),
    Column("waiting_for", Text, nullable=False),
    Column("parent", Text),
    Column("depth", Integer, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    Index("run_by_age", "created_at", "id"),
    Index("run_by_state", "state", "created_at"),
    Index("run_by_context", "context_id"),
)

JOURNAL = Table(
    "journal",
    METADATA,
    Column("run_id", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("attempt", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("at", Text, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("run_id", "seq", name="journal_order"),
)
"""Append-only: what a run resumes from and what `why` is read from (ADR-0004)."""

ITEM = Table(
    "item",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("attempt", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("decide_by", Text),
    Column("decision", Text),
    Index("item_by_state", "state", "created_at"),
    Index("item_by_run", "run_id"),
)
"""`question` is the JSON of what never changes: title, summary, proposal, form, candidates ..."""

CANDIDATE = Table(
    "candidate",
    METADATA,
    Column("item_id", Text, primary_key=True),
    Column("title", Text, primary_key=True),
    Column("run_id", Text, nullable=False),
    Index("candidate_by_title", "title", "run_id"),
)
"""Who may decide an item: one row per `role:...` or `user:...`."""

EVENT = Table(
    "event",
    METADATA,
    Column("seq", Integer, primary_key=True),
    Column("source", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("received_at", Text, nullable=False),
    Column("received_from", Text, nullable=False),
    Column("delivered", Integer, nullable=False),
    UniqueConstraint("source", "id", name="event_once"),
    Index("event_by_age", "received_at"),
    Index("event_by_type", "type", "seq"),
    Index("event_undelivered", "delivered", "seq"),
)
"""Every CloudEvent that came in or that a run has emitted, in order; `received_from` is a subject,
or `run:ID`."""

LISTENER = Table(
    "listener",
    METADATA,
    Column("run_id", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("attempt", Text, primary_key=True),
    Column("type", Text, primary_key=True),
    Column("filters", Text, nullable=False),
    Column("expected", Text, nullable=False),
    Column("after", Integer, nullable=False),
    Index("listener_by_type", "type"),
)
"""Which place of which run listens: one row for each type it can hear, or one with an empty type.
Events up to `after` were offered to it when it began; later ones are delivered."""

SCHEDULE = Table(
    "schedule",
    METADATA,
    Column("workflow", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("json", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("types", Text, nullable=False),
    Column("since", Text, nullable=False),
    Column("due", Text),
    Column("last_at", Text),
    Column("last_run", Text),
    Column("problem", Text),
    Column("problem_at", Text),
    Index("schedule_by_due", "due"),
)
"""The schedule of each current version that has one; `digest` and `json` are of the schedule alone.
`types` is the JSON array of the types that it listens for, `[]`: any."""

GATHERED = Table(
    "gathered",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("workflow", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("set_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("heard", Integer, nullable=False),
    UniqueConstraint("workflow", "source", "id", name="gathered_once"),
    Index("gathered_by_state", "state", "workflow", "number"),
    Index("gathered_by_set", "workflow", "set_id"),
)
"""The events that start runs of a workflow: each belongs to one set, and each set starts one run.
`state` is that of the set; `heard` tells whether the event is part of the input."""

REQUEST = Table(
    "request",
    METADATA,
    Column("caller", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("at", Text, nullable=False),
)
"""Idempotency keys: the same caller, key and request get the same run."""


def to_text(at: datetime) -> str:
    """UTC with microseconds, so that text order is time order."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_text(written: str) -> datetime:
    return datetime.strptime(written, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
