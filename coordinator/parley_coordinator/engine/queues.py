"""Where the durable queue is: a file that one coordinator owns, or a Postgres that several share."""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

import sqlalchemy
from parley_cards.errors import Kind
from sqlalchemy import event

from parley_coordinator.errors import CoordinatorError

if TYPE_CHECKING:
    from pathlib import Path

    from dbos import DBOSConfig

SCHEMA: Final = "parley_queue"
_POOL: Final = 8
_IDLE_S: Final = 5.0
"""The server ends the transaction of a process that has stopped in the middle of it."""


class DatabaseInUseError(CoordinatorError):
    """Another coordinator has this home; with SQLite there can be one."""

    code: ClassVar[str] = "database_in_use"
    kind: ClassVar[Kind] = Kind.CONFLICT


class Queue(Protocol):
    """What the engine has to know of a queue."""

    def open(self) -> DBOSConfig:
        """Return what DBOS is told of it."""
        ...

    def close(self) -> None: ...


class QueueFile:
    """A SQLite file. One process has it, so that what it was doing is its own to take up again.

    Args:
        path: Its directory must exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine: sqlalchemy.Engine | None = None
        self._lock = contextlib.ExitStack()

    def open(self) -> DBOSConfig:
        """Implement `Queue.open`.

        Raises:
            DatabaseInUseError: If another process has the file.
        """
        self._take_lock()
        self._engine = _engine(self._path)
        return {
            "system_database_url": f"sqlite:///{self._path}",
            "system_database_engine": self._engine,
            "executor_id": "local",
        }

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
        self._lock.close()

    def _take_lock(self) -> None:
        handle = self._lock.enter_context(self._path.with_suffix(".lock").open("w"))
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            self._lock.close()
            raise DatabaseInUseError(
                f"another coordinator is running on {self._path.parent}; stop it or use another home"
            ) from exc


class QueueServer:
    """A schema in a Postgres.

    Args:
        executor: The id of this coordinator, which no other ever had: whoever had the same would run
            again at its start what the others are running.
    """

    def __init__(self, url: str, executor: str) -> None:
        url_ = sqlalchemy.make_url(url).set(drivername="postgresql")
        self._url = url_.render_as_string(hide_password=False)
        self._executor = executor

    def open(self) -> DBOSConfig:
        return {
            "system_database_url": self._url,
            "dbos_system_schema": SCHEMA,
            "executor_id": self._executor,
            "sys_db_pool_size": _POOL,
            "sys_db_idle_transaction_timeout_sec": _IDLE_S,
            "use_listen_notify": False,  # nobody here waits for DBOS's messages
        }

    def close(self) -> None:
        return


def _engine(path: Path) -> sqlalchemy.Engine:
    """WAL, which DBOS does not set, and FULL: a commit survives a loss of power."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    engine = sqlalchemy.create_engine(
        f"sqlite:///{path}", pool_size=4, max_overflow=2, pool_timeout=60
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = "IMMEDIATE"  # writers queue instead of deadlocking
        # 512 KiB of pages a connection: the system has them in its cache too.
        for pragma in ("busy_timeout=30000", "synchronous=FULL", "cache_size=-512"):
            connection.execute(f"PRAGMA {pragma}")

    return engine
