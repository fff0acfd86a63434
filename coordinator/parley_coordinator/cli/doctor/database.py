"""Opens a coordinator's database, for reading alone, and has it checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from parley_wire.database.postgres import describe
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from parley_coordinator.cli.doctor import file, server, tables, webhooks
from parley_coordinator.cli.doctor.findings import Finding, ok, problem
from parley_coordinator.engine.queues import SCHEMA
from parley_coordinator.store import coordinators

if TYPE_CHECKING:
    from sqlalchemy import URL

_CONNECT_S = 5
_TABLE = "workflow_status"


def examine(url: str, home: Path) -> list[Finding]:
    """Make every check of a database; one that cannot be opened is a problem."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        do = "use sqlite:///FILE or postgresql://USER@HOST/NAME"
        return [problem("database", "the database URL cannot be read", do)]
    if parsed.get_backend_name() == "sqlite":
        return _file(Path(parsed.database or ""), home)
    return _server(parsed)


def _file(path: Path, home: Path) -> list[Finding]:
    findings = file.holder(home / "queue.lock")
    if not path.exists():
        return [*findings, ok("database", f"{path} is not there yet; the first start makes it")]
    try:
        with _reading(path) as connection:
            findings += [ok("database", f"{path} can be read"), *file.integrity(connection)]
            findings += tables.schema(connection)
            if not tables.is_current(connection):
                return findings
            findings += _tables(connection)
            findings += tables.newest(connection, tables.now())
            waiting = tables.waiting(connection)
    except DBAPIError as exc:
        return [*findings, _unusable(str(path), exc)]
    return [*findings, *_queue_file(home / "queue.db", waiting)]


def _queue_file(path: Path, waiting: list[tuple[str, int]]) -> list[Finding]:
    try:
        queued: set[str] = set()
        if path.exists():
            with _reading(path) as connection:
                queued = tables.queued(connection, _TABLE)
    except DBAPIError as exc:
        return [_unusable(str(path), exc)]
    return tables.unqueued(waiting, queued)


def _server(url: URL) -> list[Finding]:
    where = describe(url)
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        poolclass=NullPool,
        connect_args={"connect_timeout": _CONNECT_S, "client_encoding": "utf8"},
        isolation_level="REPEATABLE READ",
    )
    try:
        with engine.connect().execution_options(postgresql_readonly=True) as connection:
            before = tables.now()
            there = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
            findings = [ok("database", f"{where} can be reached")]
            found = server.look(connection)
            for check in server.CHECKS:
                findings += check(found)
            findings += tables.clock(before, there)
            findings += tables.schema(connection)
            if tables.is_current(connection):
                findings += _tables(connection)
                known = coordinators.listed(connection)
                findings += tables.leases(known, tables.held_by_nobody(connection))
                findings += _queue(connection)
    except DBAPIError as exc:
        return [_unusable(where, exc)]
    finally:
        engine.dispose()
    return findings


def _queue(connection: Connection) -> list[Finding]:
    table = f"{SCHEMA}.{_TABLE}"
    known = connection.execute(text("SELECT to_regclass(:table)"), {"table": table}).scalar_one()
    queued = set() if known is None else tables.queued(connection, table)
    return tables.unqueued(tables.waiting(connection), queued)


def _tables(connection: Connection) -> list[Finding]:
    now = tables.now()
    return [
        *tables.stuck(connection, now),
        *tables.overdue(connection, now),
        *webhooks.given_up(connection),
    ]


def _reading(path: Path) -> Connection:
    # Opened so, SQLite makes no file and changes none.
    engine = create_engine(f"sqlite:///file:{path.absolute()}?mode=ro&uri=true", poolclass=NullPool)
    return engine.connect()


def _unusable(where: str, exc: DBAPIError) -> Finding:
    said = str(exc.orig).strip().splitlines() or [""]
    do = "see that the server runs, and that host, name, user and password are right"
    if where.endswith(".db"):
        do = "let this user read it; if it is damaged, restore a backup"
    return problem("database", f"{where} cannot be used: {said[0]}", do)
