"""The tables of a task server. `events` is the truth; `tasks` is an index over it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, ForeignKey, Index, Integer, MetaData, String, Table, Text, text

metadata: Final = MetaData(info={"schema_version": 1})

tasks: Final = Table(
    "tasks",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("context_id", String(256), nullable=False),
    Column("caller", String(256), nullable=False),
    Column("skill", String(256)),
    Column("state", String(32), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("updated_at", String(32), nullable=False),
    Index("tasks_newest", "caller", "updated_at", "id"),
    Index("tasks_of_context", "caller", "context_id", "updated_at"),
    Index(
        "tasks_running",
        "state",
        sqlite_where=text("state IN ('TASK_STATE_SUBMITTED', 'TASK_STATE_WORKING')"),
    ),
)

events: Final = Table(
    "events",
    metadata,
    Column("task_id", ForeignKey("tasks.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(32), nullable=False),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)

messages: Final = Table(
    "messages",
    metadata,
    Column("caller", String(256), primary_key=True),
    Column("message_id", String(256), primary_key=True),
    Column("digest", String(80), nullable=False),
    # Checked at the commit: the message is stored first, to see whether it is new.
    Column(
        "task_id", ForeignKey("tasks.id", deferrable=True, initially="DEFERRED"), nullable=False
    ),
    Column("seq", Integer, nullable=False),
    Column("runs", Integer, nullable=False),
    Index("messages_of_task", "task_id", "seq"),
    sqlite_with_rowid=False,
)
"""What arrived, for de-duplication; `runs`: how often the executor was started for it."""
