from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from parley_wire.database import Database, Prepared
from parley_wire.errors import DatabaseUnusableError
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    event,
    func,
    insert,
    select,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

pytestmark = pytest.mark.anyio

metadata = MetaData()
things = Table(
    "things",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("parent", ForeignKey("things.id")),
)


def add(number: int, name: str = "x") -> Callable[[Connection], int]:
    def write(connection: Connection) -> int:
        connection.execute(insert(things).values(id=number, name=name))
        return number

    return write


def count(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(things)).scalar_one())


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that is empty: each test runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/t.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url, metadata)
    yield database
    await database.aclose()


async def test_what_was_written_is_read_afterwards_and_by_the_next_owner(
    database: Database, url: str
) -> None:
    assert await database.write(add(1)) == 1
    assert await database.read(count) == 1
    other = Database(url, metadata)
    assert await other.read(count) == 1
    await other.aclose()


async def test_a_file_has_a_write_ahead_log(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/t.db", metadata)
    await database.write(add(1))
    await database.aclose()
    with sqlite3.connect(tmp_path / "t.db") as other:
        assert other.execute("select id from things").fetchall() == [(1,)]
        assert other.execute("pragma journal_mode").fetchone() == ("wal",)
    other.close()


async def test_writes_that_queue_up_share_a_commit_and_keep_their_order(
    database: Database,
) -> None:
    held, release = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        held.set()
        release.wait(5)

    order: list[int] = []

    def noting(number: int) -> Callable[[Connection], None]:
        def write(connection: Connection) -> None:
            order.append(number)
            connection.execute(insert(things).values(id=number, name="x"))

        return write

    first = database.write_soon(hold)
    await asyncio.to_thread(held.wait, 5)
    commits = 0

    def committed(_: object) -> None:
        nonlocal commits
        commits += 1

    event.listen(Engine, "commit", committed)
    try:
        soon = [database.write_soon(noting(n)) for n in range(50)]
        release.set()
        await asyncio.gather(first, *soon)
    finally:
        event.remove(Engine, "commit", committed)

    assert order == list(range(50))
    assert commits == 2
    assert await database.read(count) == 50


async def test_one_that_fails_takes_none_of_its_batch_with_it(database: Database) -> None:
    outcomes = await asyncio.gather(
        *(database.write(add(number)) for number in (1, 2, 2, 3, 1, 4)), return_exceptions=True
    )

    assert [isinstance(each, IntegrityError) for each in outcomes] == [
        False,
        False,
        True,
        False,
        True,
        False,
    ]
    assert await database.read(count) == 4


async def test_a_write_that_raises_half_way_leaves_nothing(database: Database) -> None:
    def half(connection: Connection) -> None:
        connection.execute(insert(things).values(id=1, name="x"))
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(half)

    assert await database.read(count) == 0


async def test_foreign_keys_hold(database: Database) -> None:
    def orphan(connection: Connection) -> None:
        connection.execute(insert(things).values(id=1, name="x", parent=7))

    with pytest.raises(IntegrityError):
        await database.write(orphan)


async def test_what_was_to_be_stored_is_not_in_the_words_of_a_failure(database: Database) -> None:
    await database.write(add(1))

    with pytest.raises(IntegrityError) as failed:
        await database.write(add(1, "a secret"))

    assert "a secret" not in str(failed.value)


async def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(DBAPIError, match=r"readonly|read-only"):
        await database.read(add(1))

    assert await database.read(count) == 0


async def test_a_read_is_one_snapshot_and_does_not_stop_the_writer(database: Database) -> None:
    await database.write(add(1))
    begun, go_on = threading.Event(), threading.Event()

    def twice(connection: Connection) -> tuple[int, int]:
        before = count(connection)
        begun.set()
        go_on.wait(5)
        return before, count(connection)

    reading = asyncio.create_task(database.read(twice))
    await asyncio.to_thread(begun.wait, 5)
    await database.write(add(2))
    go_on.set()

    assert await reading == (1, 1)
    assert await database.read(count) == 2


async def test_a_cancelled_caller_does_not_undo_the_write(database: Database) -> None:
    writing = asyncio.create_task(database.write(add(1)))
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing

    await database.write(add(2))
    assert await database.read(count) == 2


async def test_several_event_loops_may_use_it(database: Database) -> None:
    def elsewhere(start: int) -> None:
        async def work() -> None:
            await asyncio.gather(*(database.write(add(n)) for n in range(start, start + 20)))

        asyncio.run(work())

    await asyncio.gather(*(asyncio.to_thread(elsewhere, start) for start in (100, 200, 300)))

    assert await database.read(count) == 60


async def test_closing_commits_what_was_enqueued_and_refuses_the_rest(url: str) -> None:
    database = Database(url, metadata)
    soon = [database.write_soon(add(n)) for n in range(20)]
    await database.aclose()
    await database.aclose()
    await asyncio.gather(*soon)

    with pytest.raises(DatabaseUnusableError):
        await database.write(add(21))
    with pytest.raises(DatabaseUnusableError):
        await database.read(count)
    again = Database(url, metadata)
    assert await again.read(count) == 20
    await again.aclose()


async def test_a_file_of_another_schema_version_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/t.db"
    newer = MetaData(info={"schema_version": 7})
    await Database(url, newer).aclose()

    with pytest.raises(DatabaseUnusableError, match="version 7"):
        Database(url, metadata)


@pytest.mark.parametrize(
    "wrong",
    ["sqlite://", "nonsense", "mysql://u:geheim@h/d", "sqlite:////no/such/directory/t.db"],
)
async def test_what_is_no_usable_database_is_refused(wrong: str) -> None:
    with pytest.raises(DatabaseUnusableError) as refused:
        Database(wrong, metadata)

    assert "geheim" not in refused.value.message


async def test_a_check_comes_before_every_write_and_what_it_refuses_is_not_written(
    database: Database,
) -> None:
    allowed = True

    def check(connection: Connection) -> None:
        connection.execute(select(things.c.id).limit(1))
        if not allowed:
            raise PermissionError

    database.guard(check)
    await database.write(add(1))
    allowed = False
    refused = await asyncio.gather(
        *(database.write(add(number)) for number in (2, 3, 4)), return_exceptions=True
    )

    assert [type(each) for each in refused] == [PermissionError] * 3
    assert await database.read(count) == 1


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.db").write_text("this is not a database, but long enough to be read as one" * 9)

    with pytest.raises(DatabaseUnusableError, match="not a database"):
        Database(f"sqlite:///{tmp_path}/t.db", metadata)


async def test_a_prepared_statement_gives_what_the_statement_gives(database: Database) -> None:
    adding = Prepared(insert(things))
    finding = Prepared(
        select(things.c.name).where(things.c.id >= bindparam("least"), things.c.name != "b")
    )

    def write(connection: Connection) -> list[str]:
        adding.run(connection, id=1, name="a", parent=None)
        adding.run_many(
            connection,
            [{"id": 2, "name": "b", "parent": 1}, {"id": 3, "name": "c", "parent": None}],
        )
        return [row.name for row in finding.run(connection, least=1)]

    assert await database.write(write) == ["a", "c"]
    with pytest.raises(KeyError):
        await database.read(finding.run)


async def test_a_file_that_one_service_owns_is_refused_to_another_until_it_is_closed(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'owned.db'}"
    first = Database(url, MetaData(), sole=True)

    with pytest.raises(DatabaseUnusableError, match="another process is using"):
        Database(url, MetaData(), sole=True)

    await first.aclose()
    await Database(url, MetaData(), sole=True).aclose()
