"""The coordinator's tables.

Times are text, ISO 8601 in UTC with microseconds and `Z`, so that they sort. JSON is text. The
statements are plain SQL that SQLite and Postgres both speak.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Column, Index, Integer, MetaData, Table, Text, UniqueConstraint

METADATA = MetaData(info={"schema_version": 1})

DOCUMENT = Table(
    "document",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("json", Text, nullable=False),
    Column("stored_at", Text, nullable=False),
)
"""Every workflow document that a run was ever pinned to."""

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


def from_text(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
