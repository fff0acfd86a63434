"""One SQLite file behind one writer thread that commits whatever has queued up.

A commit in SQLite costs one fsync, however many rows it holds. So writes from all coroutines go to
one thread; while it commits, the next ones queue up and share the next commit. Readers run beside
it on their own connections (WAL: they never block the writer, nor it them).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, TYPE_CHECKING, Any, Final, Generic, TypeVar

from sqlalchemy import (
    ClauseElement,
    Connection,
    CursorResult,
    Engine,
    MetaData,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from parley_wire.errors import DatabaseUnusableError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_READERS: Final = 4
_BATCH: Final = 256
"""So many writes share one commit at most: a bound on the latency of the first of them."""
_BUSY_TIMEOUT_MS: Final = 15_000


class Prepared:
    """A statement that is compiled once, for the hot paths: a third of the usual cost.

    Parameters and columns must be strings, integers or NULL, which nothing converts. No `in_`: the
    number of its values is part of the SQL.
    """

    def __init__(self, statement: ClauseElement) -> None:
        compiled: Any = statement.compile(dialect=sqlite.dialect())
        self._sql = str(compiled)
        self._names: tuple[str, ...] = tuple(compiled.positiontup or ())
        self._constants = {
            name: value for name, value in compiled.params.items() if value is not None
        }

    def run(self, connection: Connection, **values: str | int | None) -> CursorResult[Any]:
        return connection.exec_driver_sql(self._sql, self._row(values))

    def run_many(self, connection: Connection, rows: list[dict[str, str | int | None]]) -> None:
        connection.exec_driver_sql(self._sql, [self._row(row) for row in rows])

    def _row(self, values: dict[str, str | int | None]) -> tuple[Any, ...]:
        constants = self._constants
        return tuple(values[name] if name in values else constants[name] for name in self._names)


@dataclass(slots=True)
class _Job(Generic[T]):
    fn: Callable[[Connection], T]
    future: asyncio.Future[T]
    loop: asyncio.AbstractEventLoop
    result: T | None = None
    error: BaseException | None = None

    def settle(self) -> None:
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]


class Database:
    """The tables of `metadata` in one SQLite file. Usable from several event loops.

    WAL, `synchronous=FULL`, `foreign_keys=ON`. `metadata.info["schema_version"]` (default 1) is kept
    in the file as `user_version`; a file of another version is refused.

    Args:
        url: `sqlite:///relative.db` or `sqlite:////absolute.db`; the directory must exist.
        sole: Refuse a file that another owner has, and keep others away until closed. For services
            that take up unfinished work when they start: two of them would both do it.

    Raises:
        DatabaseUnusableError: If the file cannot be opened, is no database, is of another version,
            or is somebody else's.
    """

    def __init__(self, url: str, metadata: MetaData, *, sole: bool = False) -> None:
        self._engine = _engine(url)
        self._lock = _lock(self._engine) if sole else None
        self._closed = False
        self._jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._local = threading.local()
        self._reader_connections: list[Connection] = []
        try:
            self._writer = self._engine.connect().execution_options(parley_write=True)
            _prepare(self._writer, metadata)
        except DBAPIError as exc:
            self._engine.dispose()
            self._unlock()
            raise DatabaseUnusableError(f"{url} cannot be used: {exc.orig}") from exc
        except DatabaseUnusableError:
            self._writer.close()
            self._unlock()
            raise
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="db-read")
        self._thread = threading.Thread(target=self._work, name="db-write", daemon=True)
        self._thread.start()

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` on one consistent snapshot; writing in it fails.

        Every `write` that returned before this call is visible.
        """
        if self._closed:
            raise DatabaseUnusableError("the database is closed")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, fn)

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` in a transaction and return once that is durable.

        `fn` may run twice: when another write of the same batch raises, the batch is rolled back and
        each is run again in a transaction of its own. So `fn` must depend on nothing but the connection
        and must change nothing else. Writes are applied in the order of the calls. Cancelling the
        caller does not undo the write.
        """
        return await self.write_soon(fn)

    def write_soon(self, fn: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Like `write`, but enqueued when this returns; await the future for durability."""
        if self._closed:
            raise DatabaseUnusableError("the database is closed")
        loop = asyncio.get_running_loop()
        job: _Job[T] = _Job(fn, loop.create_future(), loop)
        self._jobs.put(job)
        return job.future

    async def aclose(self) -> None:
        """Commit what was enqueued, then close every connection. Calling it twice is harmless."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._thread.join()
        self._readers.shutdown(wait=True)
        for connection in self._reader_connections:
            connection.close()
        self._writer.close()
        self._engine.dispose()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()

    def _read(self, fn: Callable[[Connection], T]) -> T:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._engine.connect()
            with connection.begin():
                connection.exec_driver_sql("PRAGMA query_only=ON")
            self._local.connection = connection
            self._reader_connections.append(connection)
        transaction = connection.begin()
        try:
            return fn(connection)
        finally:
            transaction.rollback()

    def _work(self) -> None:
        closing = False
        while not closing:
            batch: list[_Job[Any]] = []
            first = self._jobs.get()
            if first is None:
                return
            batch.append(first)
            with contextlib.suppress(Empty):
                while len(batch) < _BATCH:
                    job = self._jobs.get_nowait()
                    if job is None:
                        closing = True
                        break
                    batch.append(job)
            if not self._together(batch):
                for job in batch:
                    self._alone(job)
            _announce(batch)

    def _together(self, batch: list[_Job[Any]]) -> bool:
        """Run all in one transaction; False if that failed and none of it is left."""
        if len(batch) == 1:
            return False
        try:
            with self._writer.begin():
                for job in batch:
                    job.result = job.fn(self._writer)
        except Exception:  # noqa: BLE001 - whatever it is, `_alone` finds whose it is
            return False
        return True

    def _alone(self, job: _Job[Any]) -> None:
        try:
            with self._writer.begin():
                job.result = job.fn(self._writer)
        except BaseException as exc:  # noqa: BLE001 - raised where the caller awaits it
            job.error = exc


def _announce(batch: list[_Job[Any]]) -> None:
    """Wake the callers, with one wake-up per event loop."""
    per_loop: dict[asyncio.AbstractEventLoop, list[_Job[Any]]] = {}
    for job in batch:
        per_loop.setdefault(job.loop, []).append(job)
    for loop, jobs in per_loop.items():
        # A loop that was closed meanwhile has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, jobs)


def _settle(jobs: list[_Job[Any]]) -> None:
    for job in jobs:
        job.settle()


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


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError as exc:
        raise DatabaseUnusableError(
            f"{url[:200]!r} is not a database URL; use sqlite:///FILE"
        ) from exc
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise DatabaseUnusableError(f"{parsed!r} is not a SQLite file; use sqlite:///FILE")
    # Each thread keeps its connection for good, so a pool would only add locks.
    engine = create_engine(
        parsed, poolclass=NullPool, connect_args={"check_same_thread": False, "timeout": 15}
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
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get("parley_write", False)
        driver: Any = connection.connection.dbapi_connection
        driver.execute("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _prepare(connection: Connection, metadata: MetaData) -> None:
    expected = int(metadata.info.get("schema_version", 1))
    with connection.begin():
        found = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
        if found not in {0, expected}:
            raise DatabaseUnusableError(
                f"{connection.engine.url.database} has schema version {found}, this program needs"
                f" {expected}; use the program that wrote it, or another file",
                found=found,
                expected=expected,
            )
        metadata.create_all(connection)
        if not found:
            connection.exec_driver_sql(f"PRAGMA user_version={expected}")
