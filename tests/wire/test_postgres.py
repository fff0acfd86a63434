"""What a database does that is a server: it restarts, it loses answers, and others write to it too."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from uuid import uuid4

import psycopg
import pytest
from parley_wire.database import Database, postgres
from parley_wire.errors import (
    DatabaseUnreachableError,
    DatabaseUnusableError,
    UnstorableTextError,
)
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, insert, select

from tests.postgres import Server, server
from tests.wire.postgres_proxy import Cut, proxy

pytestmark = pytest.mark.anyio

metadata = MetaData()
notes = Table(
    "notes",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("words", Text, nullable=False),
)


def note(words: str) -> Callable[[Connection], None]:
    """Add a row; nothing in the database keeps it from being there twice."""

    def write(connection: Connection) -> None:
        connection.execute(insert(notes).values(words=words))

    return write


def told(connection: Connection) -> list[str]:
    return list(connection.execute(select(notes.c.words).order_by(notes.c.number)).scalars())


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """One that these tests may stop."""
    with server() as started:
        yield started


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    database = Database(postgres_url, metadata)
    yield database
    await database.aclose()


async def test_writers_of_several_processes_take_turns(
    database: Database, postgres_url: str
) -> None:
    others = [Database(postgres_url, metadata) for _ in range(2)]

    def count_up(connection: Connection) -> None:
        seen = told(connection)
        connection.execute(insert(notes).values(words=str(len(seen) + 1)))

    writers = [database, *others]
    # Alone and in batches: what was read is still so when the row is written.
    await asyncio.gather(*(each.write(count_up) for _ in range(30) for each in writers))

    assert await database.read(told) == [str(n) for n in range(1, 91)]
    for each in others:
        await each.aclose()


async def test_rows_become_visible_in_the_order_of_their_numbers(
    database: Database, postgres_url: str
) -> None:
    other = Database(postgres_url, metadata)
    seen: list[int] = []

    def numbers(connection: Connection) -> list[int]:
        return list(connection.execute(select(notes.c.number).order_by(notes.c.number)).scalars())

    async def watch() -> None:
        while len(seen) < 200:
            found = await database.read(numbers)
            # A reader that goes on from the highest number it has seen misses nothing.
            assert found[: len(seen)] == seen
            seen[:] = found

    writing = [each.write(note("x")) for _ in range(100) for each in (database, other)]
    await asyncio.gather(watch(), *writing)
    await other.aclose()


@pytest.mark.crash
@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_restart_loses_and_doubles_no_write_and_fails_no_read(
    own_server: Server, mode: str
) -> None:
    database = Database(own_server.create(), metadata)
    written: list[str] = []
    more, stop = asyncio.Event(), asyncio.Event()

    async def write_on() -> None:
        while not stop.is_set():
            words = str(uuid4())
            await database.write(note(words))
            written.append(words)
            if len(written) % 20 == 0:
                more.set()

    async def read_on() -> None:
        while not stop.is_set():
            before = len(written)
            assert len(await database.read(told)) >= before

    going = [asyncio.create_task(each()) for each in (write_on, write_on, write_on, read_on)]
    await more.wait()
    await asyncio.to_thread(own_server.restart, mode=mode)
    more.clear()
    await asyncio.wait_for(more.wait(), 60)
    stop.set()
    await asyncio.gather(*going)

    assert sorted(await database.read(told)) == sorted(written)
    await database.aclose()


@pytest.mark.parametrize("cut", Cut)
@pytest.mark.parametrize("together", [1, 5])
async def test_a_commit_without_an_answer_is_looked_up_before_anything_is_written_again(
    postgres_url: str, cut: Cut, together: int
) -> None:
    with proxy(postgres_url) as line:
        database = Database(line.url, metadata)
        held, release = threading.Event(), threading.Event()

        def hold(_: Connection) -> None:
            held.set()
            release.wait(5)

        first = database.write_soon(hold)
        await asyncio.to_thread(held.wait, 5)
        soon = [database.write_soon(note(str(n))) for n in range(together)]
        release.set()
        await first
        line.cut = cut
        await asyncio.gather(*soon)
        await database.write(note("later"))

        assert line.cuts == 1
        assert await database.read(told) == [*(str(n) for n in range(together)), "later"]
        await database.aclose()


async def test_a_process_that_stops_in_a_transaction_does_not_hold_up_the_others(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "IDLE_MS", 200)
    stopped, other = (Database(postgres_url, metadata) for _ in range(2))
    held, release = threading.Event(), threading.Event()
    runs = 0

    def stops(connection: Connection) -> None:
        nonlocal runs
        runs += 1
        note("stopped")(connection)
        held.set()
        if runs == 1:
            release.wait(10)

    slow = stopped.write_soon(stops)
    await asyncio.to_thread(held.wait, 5)
    await asyncio.wait_for(other.write(note("other")), 60)
    release.set()
    await slow

    # Nothing was left of its first transaction, so it was run again.
    assert (runs, await other.read(told)) == (2, ["other", "stopped"])
    await stopped.aclose()
    await other.aclose()


@pytest.mark.crash
async def test_a_server_that_stays_away_is_an_error_that_says_where_and_no_secret(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "PATIENCE_S", 0.3)
    url = own_server.create().replace("postgres:@", "postgres:geheim@")
    database = Database(url, metadata)
    own_server.stop()
    try:
        for each in (database.write(note("x")), database.read(told)):
            with pytest.raises(DatabaseUnreachableError) as raised:
                await each
            assert "geheim" not in raised.value.message
            assert "cannot be reached" in raised.value.message
    finally:
        own_server.start()

    await database.write(note("back"))
    assert await database.read(told) == ["back"]
    await database.aclose()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:geheim@127.0.0.1:1/parley",
        "postgresql://me@127.0.0.1:1/parley?password=geheim",
        "postgres://me:geheim@no-such-host.invalid/parley",
        "postgresql://me:geheim@127.0.0.1:port/parley",
        "postgresql://me@127.0.0.1:1/parley?nonsense=geheim",
    ],
)
async def test_what_cannot_be_reached_or_read_is_refused_without_telling_the_password(
    url: str,
) -> None:
    with pytest.raises(DatabaseUnusableError) as refused:
        Database(url, metadata)

    assert "geheim" not in refused.value.message


async def test_a_database_that_cannot_hold_every_text_is_refused(
    postgres_server: Server, postgres_url: str
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"
        )

    with pytest.raises(DatabaseUnusableError, match="SQL_ASCII"):
        Database(str(postgres_server.handle.get_uri(database="ascii")), metadata)


async def test_a_text_that_postgres_cannot_store_is_refused_and_no_other_of_its_batch(
    database: Database,
) -> None:
    found = await asyncio.gather(
        *(database.write(note(words)) for words in ("one", "t\x00wo", "three")),
        return_exceptions=True,
    )
    with pytest.raises(UnstorableTextError):
        await database.read(lambda c: c.execute(select(notes).where(notes.c.words == "\x00")).all())

    assert [type(each) for each in found] == [type(None), UnstorableTextError, type(None)]
    assert await database.read(told) == ["one", "three"]


async def test_a_migration_may_take_longer_than_a_write(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "IDLE_MS", 50)

    def slow(connection: Connection) -> None:
        metadata.create_all(connection)
        threading.Event().wait(0.3)  # it imports, or computes: the server sees nobody
        connection.execute(select(notes)).all()

    database = Database(postgres_url, slow)
    assert await database.read(told) == []
    await database.aclose()


async def test_a_service_that_must_be_alone_is_told_to_use_a_file(postgres_url: str) -> None:
    with pytest.raises(DatabaseUnusableError, match="SQLite file"):
        Database(postgres_url, metadata, sole=True)
