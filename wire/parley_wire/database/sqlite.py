"""SQLite files: WAL, `synchronous=FULL`, one writer per file."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from parley_wire.errors import DatabaseUnusableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import URL

    from parley_wire.database.schema import Prepare

T = TypeVar("T")

_BUSY_TIMEOUT_MS: Final = 15_000
_CACHE_KIB: Final = 512
"""Of each connection, instead of 2000: the pages are in the cache of the system anyway."""


class SqliteFile:
    """Implements `Backend`."""

    def __init__(self, url: URL, prepare: Prepare, *, sole: bool) -> None:
        if not url.database:
            raise DatabaseUnusableError(f"{url!r} is not a SQLite file; use sqlite:///FILE")
        self._engine = _engine(url)
        self._lock = _lock(self._engine) if sole else None
        self._local = threading.local()
        self._readers: list[Connection] = []
        try:
            self._writer = self._engine.connect().execution_options(parley_write=True)
        except DBAPIError as exc:
            self._unlock()
            raise DatabaseUnusableError(f"{url!r} cannot be used: {exc.orig}") from exc
        try:
            with self._writer.begin():
                prepare(self._writer)
        except DBAPIError as exc:
            self.close()
            raise DatabaseUnusableError(f"{url!r} cannot be used: {exc.orig}") from exc
        except BaseException:
            self.close()
            raise

    def write(self, work: Callable[[Connection], T]) -> T:
        with self._writer.begin():
            return work(self._writer)

    def read(self, work: Callable[[Connection], T]) -> T:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._engine.connect()
            with connection.begin():
                connection.exec_driver_sql("PRAGMA query_only=ON")
            self._local.connection = connection
            self._readers.append(connection)
        transaction = connection.begin()
        try:
            return work(connection)
        finally:
            transaction.rollback()

    def give_up(self) -> None:
        """Implement `Backend.give_up`: a file is there, or fails at once."""

    def close(self) -> None:
        for connection in self._readers:
            connection.close()
        self._writer.close()
        self._engine.dispose()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()


def _lock(engine: Engine) -> IO[str]:
    """Take the lock file beside the database; the kernel gives it back when the process dies."""
    path = Path(f"{engine.url.database}.lock")
    try:
        handle = path.open("w")
    except OSError as exc:
        raise DatabaseUnusableError(f"cannot write {path}: {exc.strerror}") from exc
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        handle.close()
        raise DatabaseUnusableError(
            f"another process is using {engine.url.database}; stop it, or use another home"
        ) from exc
    return handle


def _engine(url: URL) -> Engine:
    # Each thread keeps its connection for good, so a pool would only add locks.
    engine = create_engine(
        url,
        poolclass=NullPool,
        connect_args={"check_same_thread": False, "timeout": 15},
        # What is stored stays out of the log when a statement fails.
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _set_up(dbapi_connection: Any, _: Any) -> None:
        # None: the driver sends no BEGIN of its own, ours below are the only ones.
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        for pragma in (
            f"busy_timeout={_BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"cache_size=-{_CACHE_KIB}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get("parley_write", False)
        driver: Any = connection.connection.dbapi_connection
        driver.execute("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine
