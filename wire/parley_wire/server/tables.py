"""The tables of a task server, in one SQLite file. `events` is the truth; `tasks` is an index over it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from parley_wire.database.schema import set_user_version, user_version
from parley_wire.errors import DatabaseUnusableError

VERSION: Final = 2
"""1 had no `push_configs`."""
metadata: Final = MetaData()

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

push_configs: Final = Table(
    "push_configs",
    metadata,
    Column("task_id", ForeignKey("tasks.id"), primary_key=True),
    Column("id", String(256), primary_key=True),
    Column("url", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("scheme", String(64), nullable=False),
    Column("credentials", Text, nullable=False),
    Column("sent_seq", Integer, nullable=False),
    Column("due_at", String(32)),
    Column("attempts", Integer, nullable=False),
    Column("failing_since", String(32)),
    Column("given_up", String(200), nullable=False),
    Index("push_configs_due", "due_at", sqlite_where=text("due_at IS NOT NULL")),
    sqlite_with_rowid=False,
)
"""The outbox: what comes after `sent_seq` in the task's log is still to be sent, not before `due_at`.
`due_at` is set in the transaction that adds events, and NULL when all is sent or `given_up`."""


def prepare(connection: Connection) -> None:
    """Make the tables, or those that an older file lacks.

    Raises:
        DatabaseUnusableError: If the file is of a later version.
    """
    found = user_version(connection)
    if not 0 <= found <= VERSION:
        raise DatabaseUnusableError(
            f"{connection.engine.url.database} has schema version {found}, this program knows"
            f" {VERSION}; use the program that wrote it, or another file",
            found=found,
            expected=VERSION,
        )
    metadata.create_all(connection)
    if found != VERSION:
        set_user_version(connection, VERSION)
