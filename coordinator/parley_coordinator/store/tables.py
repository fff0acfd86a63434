"""The coordinator's tables.

Times are text, ISO 8601 in UTC with microseconds and `Z`, so that they sort. JSON is text. The
statements are plain SQL that SQLite and Postgres both speak. `migrations` makes these tables, a revision
for each change (ADR-0014).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Column, Index, Integer, MetaData, Table, UniqueConstraint, text

from parley_coordinator.store.columns import NUMBER, TEXT

ABOUT_WORKFLOWS: Final = "json LIKE '%io.serverlessworkflow.%'"
"""Holds for documents that speak of events about workflows; there is an index of just these."""

AWAITED: Final = "awaited_by IS NOT NULL"
"""Holds for the runs that another one waits for; there is an index of just these."""

HELD: Final = "holder IS NOT NULL"
"""Holds for the runs that are being advanced; there is an index of just these."""

TO_TELL: Final = "to_tell = 1"
"""Holds for the runs whose webhooks have to be looked at; there is an index of just these."""

TO_SEND: Final = "due_at IS NOT NULL"
"""Holds for the webhooks that have something to send; there is an index of just these."""

METADATA = MetaData()

DOCUMENT = Table(
    "document",
    METADATA,
    Column("digest", TEXT, primary_key=True),
    Column("name", TEXT, nullable=False),
    Column("version", TEXT, nullable=False),
    Column("json", TEXT, nullable=False),
    Column("text", TEXT, nullable=False),
    Column("stored_at", TEXT, nullable=False),
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
    Column("name", TEXT, primary_key=True),
    Column("version", TEXT, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("digest", TEXT, nullable=False),
    Column("state", TEXT, nullable=False),
    Column("deployed_by", TEXT, nullable=False),
    Column("deployed_at", TEXT, nullable=False),
    UniqueConstraint("name", "number", name="deployment_order"),
)
"""The versions of a workflow; `number` counts them in the order in which they were deployed."""

CURRENT = Table(
    "current_version",
    METADATA,
    Column("name", TEXT, primary_key=True),
    Column("version", TEXT, nullable=False),
)
"""The version that a run gets that names none: one row per workflow."""

DEPLOYMENT_LOG = Table(
    "deployment_log",
    METADATA,
    Column("seq", NUMBER, primary_key=True),
    Column("name", TEXT, nullable=False),
    Column("at", TEXT, nullable=False),
    Column("by", TEXT, nullable=False),
    Column("act", TEXT, nullable=False),
    Column("version", TEXT, nullable=False),
    Column("from_version", TEXT),
    Column("to_version", TEXT, nullable=False),
    Index("deployment_log_by_name", "name", "seq"),
)
"""Append-only: who did what to which version, and which one was current before and after."""

RUN = Table(
    "run",
    METADATA,
    Column("id", TEXT, primary_key=True),
    Column("workflow", TEXT, nullable=False),
    Column("version", TEXT, nullable=False),
    Column("digest", TEXT, nullable=False),
    Column("context_id", TEXT, nullable=False),
    Column("state", TEXT, nullable=False),
    Column("segment", Integer, nullable=False),
    Column("input", TEXT, nullable=False),
    Column("output", TEXT),
    Column("error", TEXT),
    Column("waiting_for", TEXT, nullable=False),
    Column("parent", TEXT),
    Column("awaited_by", TEXT),
    Column("wake_at", TEXT),
    Column("depth", Integer, nullable=False),
    Column("requested_by", TEXT, nullable=False),
    Column("created_at", TEXT, nullable=False),
    Column("updated_at", TEXT, nullable=False),
    Column("holder", TEXT),
    Column("to_tell", Integer),
    Index("run_by_age", "created_at", "id"),
    Index("run_by_state", "state", "created_at"),
    Index("run_by_context", "context_id"),
    Index("run_by_workflow", "workflow", "created_at", "id"),
    Index("run_by_change", "workflow", "updated_at", "id"),
    Index(
        "run_by_parent",
        "awaited_by",
        sqlite_where=text(AWAITED),
        postgresql_where=text(AWAITED),
    ),
    Index(
        "run_by_holder",
        "holder",
        sqlite_where=text(HELD),
        postgresql_where=text(HELD),
    ),
    Index(
        "run_to_tell",
        "id",
        sqlite_where=text(TO_TELL),
        postgresql_where=text(TO_TELL),
    ),
)
"""`awaited_by` is the run that waits for the end of this one; `wake_at` the first time that it waits for,
and NULL if that is none. `holder` is the coordinator that advances it now, if several share the database.
`to_tell` is NULL if it never had a webhook, otherwise whether it has changed since they were looked at."""

COORDINATOR = Table(
    "coordinator",
    METADATA,
    Column("id", TEXT, primary_key=True),
    Column("host", TEXT, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", TEXT, nullable=False),
    Column("started_ms", NUMBER, nullable=False),
    Column("beat_ms", NUMBER, nullable=False),
    Column("reaped_ms", NUMBER),
    Column("reaped_by", TEXT),
)
"""The coordinators that share the database; times are milliseconds since 1970 by its clock.
`reaped_by` is who has found it dead, or itself if it has stopped."""

JOURNAL = Table(
    "journal",
    METADATA,
    Column("run_id", TEXT, primary_key=True),
    Column("path", TEXT, primary_key=True),
    Column("attempt", TEXT, primary_key=True),
    Column("kind", TEXT, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("at", TEXT, nullable=False),
    Column("body", TEXT, nullable=False),
    UniqueConstraint("run_id", "seq", name="journal_order"),
)
"""Append-only: what a run resumes from and what `why` is read from (ADR-0004)."""

CALL_BACK = Table(
    "call_back",
    METADATA,
    Column("run_id", TEXT, primary_key=True),
    Column("path", TEXT, primary_key=True),
    Column("attempt", TEXT, primary_key=True),
    Column("since", TEXT, nullable=False),
    Column("due_at", TEXT, nullable=False),
    Column("tries", Integer, nullable=False),
    Index("call_back_by_due", "due_at"),
)
"""What runs have left at agents and do not need any more; a row goes when its end is known."""

ITEM = Table(
    "item",
    METADATA,
    Column("id", TEXT, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("state", TEXT, nullable=False),
    Column("run_id", TEXT, nullable=False),
    Column("workflow", TEXT, nullable=False),
    Column("path", TEXT, nullable=False),
    Column("attempt", TEXT, nullable=False),
    Column("question", TEXT, nullable=False),
    Column("digest", TEXT, nullable=False),
    Column("created_at", TEXT, nullable=False),
    Column("decide_by", TEXT),
    Column("decision", TEXT),
    Index("item_by_state", "state", "created_at"),
    Index("item_by_run", "run_id"),
)
"""`question` is the JSON of what never changes: title, summary, proposal, form, candidates ..."""

CANDIDATE = Table(
    "candidate",
    METADATA,
    Column("item_id", TEXT, primary_key=True),
    Column("title", TEXT, primary_key=True),
    Column("run_id", TEXT, nullable=False),
    Index("candidate_by_title", "title", "run_id"),
)
"""Who may decide an item: one row per `role:...` or `user:...`."""

EVENT = Table(
    "event",
    METADATA,
    Column("seq", NUMBER, primary_key=True),
    Column("source", TEXT, nullable=False),
    Column("id", TEXT, nullable=False),
    Column("type", TEXT, nullable=False),
    Column("event", TEXT, nullable=False),
    Column("received_at", TEXT, nullable=False),
    Column("received_from", TEXT, nullable=False),
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
    Column("run_id", TEXT, primary_key=True),
    Column("path", TEXT, primary_key=True),
    Column("attempt", TEXT, primary_key=True),
    Column("type", TEXT, primary_key=True),
    Column("filters", TEXT, nullable=False),
    Column("expected", TEXT, nullable=False),
    Column("after", NUMBER, nullable=False),
    Index("listener_by_type", "type"),
)
"""Which place of which run listens: one row for each type it can hear, or one with an empty type.
Events up to `after` were offered to it when it began; later ones are delivered."""

SCHEDULE = Table(
    "schedule",
    METADATA,
    Column("workflow", TEXT, primary_key=True),
    Column("version", TEXT, nullable=False),
    Column("digest", TEXT, nullable=False),
    Column("json", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("types", TEXT, nullable=False),
    Column("since", TEXT, nullable=False),
    Column("due", TEXT),
    Column("last_at", TEXT),
    Column("last_run", TEXT),
    Column("problem", TEXT),
    Column("problem_at", TEXT),
    Index("schedule_by_due", "due"),
)
"""The schedule of each current version that has one; `digest` and `json` are of the schedule alone.
`types` is the JSON array of the types that it listens for, `[]`: any."""

GATHERED = Table(
    "gathered",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    Column("workflow", TEXT, nullable=False),
    Column("source", TEXT, nullable=False),
    Column("id", TEXT, nullable=False),
    Column("digest", TEXT, nullable=False),
    Column("set_id", TEXT, nullable=False),
    Column("state", TEXT, nullable=False),
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
    Column("caller", TEXT, primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("digest", TEXT, nullable=False),
    Column("run_id", TEXT, nullable=False),
    Column("at", TEXT, nullable=False),
)
"""Idempotency keys: the same caller, key and request get the same run."""

PASSED_ON = Table(
    "passed_on",
    METADATA,
    Column("agent", TEXT, primary_key=True),
    Column("task_id", TEXT, primary_key=True),
    Column("caller", TEXT, nullable=False),
    Column("context_id", TEXT, nullable=False),
    Column("at", TEXT, nullable=False),
    Index("passed_on_by_caller", "agent", "caller", "at"),
    Index("passed_on_by_context", "agent", "context_id"),
)
"""Whose tasks of agents those are that were asked for through the coordinator (ADR-0019)."""


RELAYED = Table(
    "relayed",
    METADATA,
    Column("seq", NUMBER, primary_key=True),
    Column("at", TEXT, nullable=False),
    Column("by", TEXT, nullable=False),
    Column("agent", TEXT, nullable=False),
    Column("operation", TEXT, nullable=False),
    Column("task_id", TEXT, nullable=False),
    Column("outcome", TEXT, nullable=False),
    Index("relayed_by_agent", "agent", "seq"),
)
"""What people have had agents do through the coordinator; rows are added before, and told how it ended.
An `outcome` that is empty is not known: the process ended, or it is under way."""

RUN_WEBHOOK = Table(
    "run_webhook",
    METADATA,
    Column("run_id", TEXT, primary_key=True),
    Column("owner", TEXT, primary_key=True),
    Column("id", TEXT, primary_key=True),
    Column("url", TEXT, nullable=False),
    Column("token", TEXT, nullable=False),
    Column("scheme", TEXT, nullable=False),
    Column("credentials", TEXT, nullable=False),
    Column("told", TEXT, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("body", TEXT),
    Column("news", Integer, nullable=False),
    Column("due_at", TEXT),
    Column("holder", TEXT),
    Column("attempts", Integer, nullable=False),
    Column("failing_since", TEXT),
    Column("given_up", TEXT, nullable=False),
    Index(
        "run_webhook_due",
        "due_at",
        sqlite_where=text(TO_SEND),
        postgresql_where=text(TO_SEND),
    ),
)
"""Where somebody wants to be told of a run, and what comes next there (ADR-0024). `body` is a
notification under way, with the number `seq`; `told` says what has been put into notifications, that one
included; `news` counts how often the run had something to tell; `holder` is the coordinator that sends.
`due_at` and `failing_since` are RFC 3339 with milliseconds; `due_at` is NULL if there is nothing to send."""

ARTIFACT = Table(
    "artifact",
    METADATA,
    Column("digest", TEXT, primary_key=True),
    Column("json", TEXT, nullable=False),
)
"""Large outputs of steps; never changed. `digest` is `sha256:` of `json`."""

ARTIFACT_USE = Table(
    "artifact_use",
    METADATA,
    Column("digest", TEXT, primary_key=True),
    Column("run_id", TEXT, primary_key=True),
    Index("artifact_use_by_run", "run_id"),
)
"""The runs that have an artifact: who may see one of them may see it."""


def to_text(at: datetime) -> str:
    """UTC with microseconds, so that text order is time order."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_text(written: str) -> datetime:
    return datetime.strptime(written, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
