"""The tables of one service, behind one writer thread that commits whatever has queued up.

A durable commit costs a sync of the disk, however many rows it holds. So writes from all coroutines go
to one thread; while it commits, the next ones queue up and share the next commit. Readers run beside
it on their own connections and snapshots: they never block the writer, nor it them.

Source: ADR-0002, ADR-0014.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from sqlalchemy import URL, Connection, MetaData, make_url
from sqlalchemy.exc import ArgumentError

from parley_wire.database.batching import Backend, Job, Writer
from parley_wire.database.postgres import PostgresServer
from parley_wire.database.schema import Prepare, creating
from parley_wire.database.sqlite import SqliteFile
from parley_wire.errors import DatabaseUnusableError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_READERS: Final = 4
_POSTGRES: Final = frozenset({"postgresql", "postgres"})


class Database:
    """The tables of one service. Usable from several event loops.

    In a SQLite file: WAL, `synchronous=FULL`, `foreign_keys=ON`, one process writes at a time. On
    Postgres: writers of all processes take turns, so a write sees every write before it, as in a file.

    Args:
        url: `sqlite:///relative.db` or `sqlite:////absolute.db`, whose directory must exist; or
            `postgresql://USER@HOST/NAME`, a database that exists.
        schema: The tables, created where they are missing; or what creates and migrates them.
        sole: Refuse a file that another owner has, and keep others away until closed. For services
            that take up unfinished work when they start: two of them would both do it. SQLite only.

    Raises:
        DatabaseUnusableError: If the database cannot be opened, is none, is of another version, or is
            somebody else's.
    """

    def __init__(self, url: str, schema: MetaData | Prepare, *, sole: bool = False) -> None:
        prepare = creating(schema) if isinstance(schema, MetaData) else schema
        self._closed = False
        self._backend = _open(url, prepare, sole=sole)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="db-read")
        self._writer = Writer(self._backend)

    def guard(self, check: Callable[[Connection], None]) -> None:
        """From now on, run `check` first in every write's transaction; what it raises undoes that."""
        self._writer.check = check

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` on one consistent snapshot; writing in it fails. It may run twice.

        Every `write` that returned before this call is visible.
        """
        if self._closed:
            raise DatabaseUnusableError("the database is closed")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._backend.read, fn)

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` in a transaction and return once that is durable.

        `fn` may run twice: when another write of the same batch raises, or the connection is lost, the
        batch is rolled back and each is run again in a transaction of its own. So `fn` must depend on
        nothing but the connection and must change nothing else. A commit whose answer was lost is looked
        up before anything runs again. Writes are applied in the order of the calls. Cancelling the caller
        does not undo the write.

        Raises:
            DatabaseUnreachableError: If the database did not come back in time. If the connection was lost
                at the commit, whether `fn` was applied is not known then.
        """
        return await self.write_soon(fn)

    def write_soon(self, fn: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Like `write`, but enqueued when this returns; await the future for durability."""
        if self._closed:
            raise DatabaseUnusableError("the database is closed")
        loop = asyncio.get_running_loop()
        job: Job[T] = Job(fn, loop.create_future(), loop)
        self._writer.put(job)
        return job.future

    async def aclose(self) -> None:
        """Commit what was enqueued, then close every connection. Calling it twice is harmless."""
        if self._closed:
            return
        self._closed = True
        self._writer.stop()
        self._backend.give_up()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.join()
        self._readers.shutdown(wait=True)
        self._backend.close()


def _open(url: str, prepare: Prepare, *, sole: bool) -> Backend:
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        return SqliteFile(parsed, prepare, sole=sole)
    if sole:
        raise DatabaseUnusableError("this service keeps its tables in a SQLite file of its own")
    return PostgresServer(parsed, prepare)


def _parsed(url: str) -> URL:
    # What cannot be read as a URL is not repeated: there may be a password in it.
    try:
        parsed = make_url(url)
        name = parsed.drivername.partition("+")[0]
    except (ArgumentError, ValueError):
        name = ""
    if name in _POSTGRES:
        return parsed.set(drivername="postgresql+psycopg")
    if name != "sqlite":
        raise DatabaseUnusableError(
            "this is no URL of a database; use sqlite:///FILE or postgresql://USER@HOST/NAME"
        )
    return parsed
