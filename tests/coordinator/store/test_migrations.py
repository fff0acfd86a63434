"""The tables that migrations make, on both databases."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from parley_coordinator.store.migrations import HEAD, migrate, revision, upgrade
from parley_coordinator.store.opening import open_database
from parley_coordinator.store.runs import orphans, stalled
from parley_coordinator.store.tables import METADATA, from_text
from parley_wire.database import Database
from parley_wire.errors import DatabaseUnusableError
from sqlalchemy import Connection, create_engine, inspect, text

from tests.postgres import Server

pytestmark = pytest.mark.anyio

OLD = Path(__file__).with_name("version-2.sql")
"""What a coordinator made before there were revisions."""


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'coordinator.db'}"
    return str(request.getfixturevalue("postgres_url"))


def tables(connection: Connection) -> dict[str, Any]:
    """Return all that is known of the coordinator's tables, by name, in no order of columns."""
    look = inspect(connection)
    return {
        name: {
            "columns": {
                each["name"]: (str(each["type"]), each["nullable"], bool(each.get("autoincrement")))
                for each in look.get_columns(name)
            },
            "key": look.get_pk_constraint(name)["constrained_columns"],
            "unique": {
                each["name"]: each["column_names"] for each in look.get_unique_constraints(name)
            },
            "indexes": {
                each["name"]: (each["column_names"], each["unique"], _where(each))
                for each in look.get_indexes(name)
            },
        }
        for name in METADATA.tables
    }


def _where(index: Any) -> str:
    options = index.get("dialect_options", {})
    return str(options.get("sqlite_where", options.get("postgresql_where", "")))


async def test_migrations_make_the_tables_that_the_program_knows(
    url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    other = (
        f"sqlite:///{tmp_path / 'other.db'}"
        if url.startswith("sqlite")
        else request.getfixturevalue("postgres_server").create()
    )
    migrated, created = Database(url, upgrade), open_database(other)

    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_name": _ours}
        )
        return list(compare_metadata(context, METADATA))

    assert await migrated.read(tables) == await created.read(tables)
    assert await migrated.read(differences) == []
    assert await migrated.read(revision) == HEAD
    await migrated.aclose()
    await created.aclose()


def _ours(name: str | None, kind: str, _: Any) -> bool:
    return kind != "table" or name in METADATA.tables


async def test_opening_again_changes_nothing(url: str) -> None:
    for _ in range(2):
        database = open_database(url)
        assert await database.read(revision) == HEAD
        await database.aclose()


async def test_coordinators_that_start_at_once_migrate_once(url: str) -> None:
    opened = await asyncio.gather(*(asyncio.to_thread(open_database, url) for _ in range(4)))

    for database in opened:
        assert await database.read(revision) == HEAD
        await database.aclose()


async def test_a_file_from_before_there_were_revisions_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "coordinator.db"
    waits = [
        {"kind": "timer", "path": "a", "since": "2026-01-01T00:00:00+00:00", "until": None},
        {
            "kind": "timer",
            "path": "b",
            "since": "2026-01-01T00:00:00+00:00",
            "until": "2026-01-02T03:04:05+01:00",
        },
    ]
    with closing(sqlite3.connect(path)) as old:
        old.executescript(OLD.read_text())
        old.execute("PRAGMA user_version=2")
        for run, state, parent in (
            ("done", "completed", None),
            ("child", "waiting", {"run": "done", "path": "p", "attempt": "", "waits": True}),
            ("free", "running", {"run": "done", "path": "q", "attempt": "", "waits": False}),
        ):
            old.execute(
                "INSERT INTO run (id, workflow, version, digest, context_id, state, segment, input,"
                " waiting_for, parent, depth, requested_by, created_at, updated_at)"
                " VALUES (?, 'w', '1', 'd', 'c', ?, 3, '1', ?, ?, 0, 'me', ?, ?)",
                (
                    run,
                    state,
                    json.dumps(waits if state == "waiting" else []),
                    None if parent is None else json.dumps(parent),
                    *["2026-01-01T00:00:00.000000Z"] * 2,
                ),
            )
        old.commit()

    database = open_database(f"sqlite:///{path}")

    assert await database.read(orphans) == ["child"]
    late = from_text("2026-01-02T02:04:06.000000Z")
    found = await database.read(lambda c: stalled(c, late))
    assert {each.id: (each.segment, each.overdue) for each in found} == {
        "child": (3, True),
        "free": (3, False),
    }
    await database.aclose()
    created = create_engine("sqlite://")
    migrated = create_engine(f"sqlite:///{path}")
    with created.connect() as new, migrated.connect() as taken_over:
        METADATA.create_all(new)
        assert tables(taken_over) == tables(new)
        # A program from before there were revisions refuses it by this.
        number = taken_over.exec_driver_sql("PRAGMA user_version").scalar_one()
        assert number == int(HEAD)
    created.dispose()
    migrated.dispose()


@pytest.mark.parametrize("number", [1, 3, int(HEAD), 9999])
async def test_a_file_of_a_version_that_is_not_known_is_refused_as_it_is(
    tmp_path: Path, number: int
) -> None:
    path = tmp_path / "coordinator.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA user_version={number}")
    before = path.read_bytes()

    with pytest.raises(DatabaseUnusableError, match=f"schema version {number}"):
        open_database(f"sqlite:///{path}")

    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
        assert other.execute("PRAGMA user_version").fetchone() == (number,)
    assert len(before) == path.stat().st_size


@pytest.mark.parametrize("unknown", ["0999", "0001", "abc"])
async def test_a_revision_that_is_not_known_is_refused(url: str, unknown: str) -> None:
    await open_database(url).aclose()

    def newer(connection: Connection) -> None:
        connection.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": unknown})

    database = Database(url, migrate)
    await database.write(newer)
    await database.aclose()

    with pytest.raises(DatabaseUnusableError, match="this program needs"):
        open_database(url)


async def test_tables_of_another_program_are_left_alone(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("CREATE TABLE run (distance integer)")

    with pytest.raises(DatabaseUnusableError, match="another program"):
        open_database(postgres_url)

    with psycopg.connect(postgres_url) as other:
        assert other.execute("SELECT to_regclass('journal')").fetchone() == (None,)


async def test_a_role_that_may_not_create_tables_is_told_so(
    postgres_server: Server, postgres_url: str
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS reader")
        admin.execute("CREATE ROLE reader LOGIN")
    try:
        with pytest.raises(DatabaseUnusableError, match="permission denied"):
            open_database(postgres_url.replace("postgres:@", "reader@"))
    finally:
        with psycopg.connect(postgres_server.url, autocommit=True) as admin:
            admin.execute("DROP ROLE reader")
