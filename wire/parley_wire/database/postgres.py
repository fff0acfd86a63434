"""Postgres: the writers of all processes take turns, and a lost connection is no lost write.

Each write's transaction takes one advisory lock first, so it sees everything that was committed before
and nobody else writes meanwhile: what `BEGIN IMMEDIATE` is in a SQLite file. Each also writes its number
into a row of its own. When the answer to a COMMIT is lost, that row tells whether it happened; it is
read under the same lock, which the lost session holds for as long as it may still commit.

Source: ADR-0014.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import uuid4

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from parley_wire.errors import (
    DatabaseUnreachableError,
    DatabaseUnusableError,
    UnstorableTextError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import URL

    from parley_wire.database.schema import Prepare

T = TypeVar("T")

LOCKS: Final = 0x5041524C
"""The first half of the number of every advisory lock of ours; the second half tells what for."""
TURN_LOCK: Final = 1
SCHEMA_LOCK: Final = 2
PATIENCE_S: Final = 30.0
"""So long does a read or a write wait for a server that restarts."""
IDLE_MS: Final = 3_000
"""The server ends a transaction whose process has stopped, so that it cannot keep the others waiting."""
_TURN_MS: Final = 30_000
_PREPARING_MS: Final = 120_000
"""So long may a migration think between two statements, and wait for that of another process."""
_CONNECT_S: Final = 5
_OLDEST_S: Final = 7 * 24 * 3600
_PAUSES_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0)
_AGAIN: Final = frozenset({"40001", "40P01"})
"""Serialization failure, deadlock: the server has undone it and asks for it again."""

_MARKERS: Final = text(
    """
    CREATE TABLE IF NOT EXISTS parley_writer (
        id text PRIMARY KEY, number bigint NOT NULL, at timestamptz NOT NULL
    )
    """
)
_FORGET_OLD: Final = text(
    "DELETE FROM parley_writer WHERE at < now() - make_interval(secs => :oldest)"
)
_FORGET: Final = text("DELETE FROM parley_writer WHERE id = :id")
_TAKE_TURN: Final = text("SELECT pg_advisory_xact_lock(:locks, :turn)")
_MARK: Final = text(
    """
    INSERT INTO parley_writer (id, number, at) VALUES (:id, :number, now())
    ON CONFLICT (id) DO UPDATE SET number = excluded.number, at = excluded.at
    """
)
_MARKED: Final = text("SELECT number FROM parley_writer WHERE id = :id")


class _LostError(Exception):
    """The connection is gone, and with it whatever was not committed."""


class PostgresServer:
    """Implements `Backend`."""

    def __init__(self, url: URL, prepare: Prepare) -> None:
        self._where = describe(url)
        self._engine = _engine(url)
        self._id = str(uuid4())
        self._number = 0
        self._closing = threading.Event()
        self._local = threading.local()
        self._held: list[_Held] = []
        self._writer = self._hold(writing=True)
        try:
            with self._writer.open().begin():
                _prepare(self._writer.open(), prepare)
        except _LostError as exc:
            self.close()
            raise DatabaseUnreachableError(
                f"the database {self._where} cannot be reached: {_reason(exc.__cause__)}"
            ) from exc
        except DBAPIError as exc:
            self.close()
            raise DatabaseUnusableError(
                f"the database {self._where} cannot be used: {_reason(exc)}"
            ) from exc
        except BaseException:
            self.close()
            raise

    def write(self, work: Callable[[Connection], T]) -> T:
        return self._patiently(lambda: self._transaction(work))

    def read(self, work: Callable[[Connection], T]) -> T:
        held: _Held | None = getattr(self._local, "held", None)
        if held is None:
            held = self._local.held = self._hold(writing=False)
        reader = held

        def snapshot() -> T:
            connection = reader.open()
            transaction = connection.begin()
            try:
                return work(connection)
            finally:
                transaction.rollback()

        return self._patiently(lambda: reader.guarding(snapshot))

    def give_up(self) -> None:
        self._closing.set()

    def close(self) -> None:
        for held in self._held:
            held.close()
        self._engine.dispose()

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        """Run `work` once.

        Raises:
            _LostError: If nothing of it is left.
        """
        self._number += 1
        number = self._number
        connection = self._writer.open()
        result: list[T] = []

        def body() -> None:
            transaction = connection.begin()
            try:
                self._take_turn(connection)
                connection.execute(_MARK, {"id": self._id, "number": number})
                result.append(work(connection))
            except BaseException:
                transaction.rollback()
                raise

        self._writer.guarding(body)
        try:
            self._writer.guarding(connection.commit)
        except _LostError:
            self._writer.close()
            if not self._patiently(lambda: self._committed(number)):
                raise
        except BaseException:
            self._writer.close()
            raise
        return result[-1]

    def _committed(self, number: int) -> bool:
        """Whether a transaction has happened to whose commit there was no answer."""

        def look() -> bool:
            connection = self._writer.open()
            with connection.begin():
                self._take_turn(connection)
                found = connection.execute(_MARKED, {"id": self._id}).scalar_one_or_none()
            return bool(found == number)

        return self._writer.guarding(look)

    def _take_turn(self, connection: Connection) -> None:
        connection.execute(_TAKE_TURN, {"locks": LOCKS, "turn": TURN_LOCK})

    def _patiently(self, attempt: Callable[[], T]) -> T:
        """Repeat an attempt for as long as the server may be restarting.

        Raises:
            DatabaseUnreachableError: If it was not there in time.
        """
        deadline = time.monotonic() + PATIENCE_S
        pauses = 0
        while True:
            try:
                return attempt()
            except _LostError as exc:
                pause = _PAUSES_S[min(pauses, len(_PAUSES_S) - 1)]
                pauses += 1
                late = time.monotonic() + pause > deadline
                if late or self._closing.wait(pause):
                    raise DatabaseUnreachableError(
                        f"the database {self._where} cannot be reached: {_reason(exc.__cause__)}"
                    ) from exc

    def _hold(self, *, writing: bool) -> _Held:
        held = _Held(self._engine, writing=writing)
        self._held.append(held)
        return held


class _Held:
    """A connection that one thread keeps, and opens anew after it was lost."""

    def __init__(self, engine: Engine, *, writing: bool) -> None:
        self._engine = engine
        self._options: dict[str, Any] = (
            {"isolation_level": "READ COMMITTED", "preserve_rowcount": True}
            if writing
            else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        )
        self._connection: Connection | None = None

    def open(self) -> Connection:
        """Return the connection.

        Raises:
            _LostError: If there is none now.
        """
        if self._connection is None:
            try:
                self._connection = self._engine.connect().execution_options(**self._options)
            except DBAPIError as exc:
                raise _LostError from exc
        return self._connection

    def guarding(self, work: Callable[[], T]) -> T:
        """Run `work` on the connection.

        Raises:
            _LostError: If the connection broke, or the server has undone the transaction.
        """
        try:
            return work()
        except DBAPIError as exc:
            if exc.connection_invalidated:
                self.close()
            elif _has_nul(exc.params):
                raise UnstorableTextError from exc
            elif getattr(exc.orig, "sqlstate", None) not in _AGAIN:
                raise
            raise _LostError from exc

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def describe(url: URL) -> str:
    """Return where a database is, without anything that is secret."""
    host = url.host or url.query.get("host") or "localhost"
    port = f":{url.port}" if url.port else ""
    return f"{url.database or ''} at {host}{port}"


def _reason(exc: BaseException | None) -> str:
    """Return the first line of what the driver says; it names host, user and database at most."""
    said = str(exc.orig if isinstance(exc, DBAPIError) else exc).strip()
    return said.splitlines()[0] if said else "it closed the connection"


def _has_nul(parameters: Any) -> bool:
    """Whether a text among the parameters of a statement, or of several, has the one character."""
    if isinstance(parameters, str):
        return "\x00" in parameters
    if isinstance(parameters, Mapping):
        return any(map(_has_nul, parameters.values()))
    return isinstance(parameters, list | tuple) and any(map(_has_nul, parameters))


def _engine(url: URL) -> Engine:
    own = f"-c idle_in_transaction_session_timeout={IDLE_MS} -c lock_timeout={_TURN_MS}"
    given = url.query.get("options", "")
    options = f"{given if isinstance(given, str) else ' '.join(given)} {own}"
    # Each thread keeps its connection for good, so a pool would only add locks.
    engine = create_engine(
        url,
        poolclass=NullPool,
        # What is stored stays out of the log when a statement fails.
        hide_parameters=True,
        connect_args={
            "client_encoding": "utf8",
            "connect_timeout": _CONNECT_S,
            "options": options.strip(),
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 20_000,
        },
    )

    @event.listens_for(engine, "connect")
    def _durable(dbapi_connection: Any, _: Any) -> None:
        # What was acknowledged is on disk, whatever the server does for others.
        dbapi_connection.autocommit = True
        dbapi_connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') = 'off'"
        )
        dbapi_connection.autocommit = False

    return engine


def _prepare(connection: Connection, prepare: Prepare) -> None:
    for setting in ("idle_in_transaction_session_timeout", "lock_timeout"):
        connection.exec_driver_sql(f"SET LOCAL {setting} = {_PREPARING_MS:d}")
    connection.execute(_TAKE_TURN, {"locks": LOCKS, "turn": SCHEMA_LOCK})
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        raise DatabaseUnusableError(
            f"the database has the encoding {encoding}; create it with ENCODING 'UTF8'"
        )
    connection.execute(_MARKERS)
    connection.execute(_FORGET_OLD, {"oldest": _OLDEST_S})
    prepare(connection)
