"""What should be going on is found at once; what waits is held against the queue a page at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from parley_coordinator.engine.claims import Sole
from parley_coordinator.engine.durable import Durable, Segment, Standing
from parley_coordinator.engine.sweeping import Means, Sweep
from parley_coordinator.model import Place, Run, RunState
from parley_coordinator.store import journal, runs
from parley_coordinator.store.opening import open_database
from parley_wire.database import Database

pytestmark = pytest.mark.anyio

AT = datetime(2026, 1, 2, tzinfo=UTC)
WAITING = 10
PAGE = 4


class Queue:
    """Answers for the queue: what it knows, and how much it was asked."""

    def __init__(self) -> None:
        self.knows: dict[Segment, Standing] = {}
        self.asked: list[Segment] = []

    async def standings(self, segments: Sequence[Segment]) -> dict[Segment, Standing]:
        self.asked += segments
        return {each: self.knows.get(each, Standing.LIVE) for each in segments}


class Ground:
    """A sweep over a database with runs that wait for `AT` + a day, all of them on the queue."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = AT + timedelta(hours=1)
        self.queue = Queue()
        self.went_on: list[tuple[str, str]] = []
        means = Means(
            is_here=lambda _: False,
            is_at=self._is_at,
            take_up=lambda run, _: self.went_on.append(("taken up", run)),
            wake=self._means("woken"),
            go=self._means("put back"),
            try_again=self._means("tried again"),
        )
        self.sweep = Sweep(
            database,
            cast("Durable", self.queue),
            means,
            now=lambda: self.now,
            claims=Sole(),
            page=PAGE,
        )

    async def looked(self, *, whole: bool = False) -> list[tuple[str, str]]:
        self.went_on.clear()
        self.queue.asked.clear()
        found = await self.sweep.look(whole=whole)
        assert found == len(self.went_on)
        return list(self.went_on)

    async def _is_at(self, run: str, segment: int) -> bool:
        found = await self.database.read(lambda c: runs.get(c, run))
        return found is not None and found.segment == segment

    def _means(self, word: str) -> Any:
        async def means(run: str, _: int) -> None:
            self.went_on.append((word, run))

        return means


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    database = open_database(f"sqlite:///{tmp_path / 'coordinator.db'}")
    waits = [
        {"kind": "timer", "path": "a", "since": "", "until": (AT + timedelta(days=1)).isoformat()}
    ]

    def fill(connection: Any) -> None:
        for number in range(WAITING):
            run = Run(
                id=f"r{number}",
                workflow="w",
                version="1",
                digest="d",
                state=RunState.RUNNING,
                input=1,
                output=None,
                error=None,
                waiting_for=[],
                requested_by="me",
                context_id="c",
                parent=None,
                created_at=AT,
                updated_at=AT,
                depth=0,
            )
            runs.insert(connection, run)
            journal.append(connection, run.id, Place(path=""), "started", AT, {})
            runs.park(connection, run.id, 1, waits, AT)

    await database.write(fill)
    yield Ground(database)
    await database.aclose()


async def test_a_look_asks_the_queue_for_a_page_and_the_next_look_for_the_next(
    ground: Ground,
) -> None:
    asked = []
    for _ in range(4):
        assert await ground.looked() == []
        asked.append([run for run, _ in ground.queue.asked])

    assert [len(each) for each in asked] == [PAGE, PAGE, WAITING - 2 * PAGE, PAGE]
    assert sorted(asked[0] + asked[1] + asked[2]) == sorted(f"r{n}" for n in range(WAITING))
    assert asked[3] == asked[0]


async def test_at_a_start_all_that_wait_are_held_against_the_queue(ground: Ground) -> None:
    ground.queue.knows["r9", 1] = Standing.UNKNOWN

    assert await ground.looked(whole=True) == [("put back", "r9")]
    assert len(ground.queue.asked) == WAITING


async def test_what_has_news_or_is_interrupted_is_found_at_once_wherever_it_is(
    ground: Ground,
) -> None:
    later = AT + timedelta(minutes=1)
    await ground.database.write(
        lambda c: journal.append(c, "r8", Place(path="a"), "decided", later, {}) and None
    )
    await ground.database.write(lambda c: runs.resume(c, "r9", later))

    assert sorted(await ground.looked()) == [("taken up", "r9"), ("woken", "r8")]


async def test_what_is_late_is_woken_when_it_is_found_so_twice(ground: Ground) -> None:
    ground.now = AT + timedelta(days=2)

    assert await ground.looked() == []
    assert sorted(await ground.looked()) == [("woken", f"r{n}") for n in range(WAITING)]


async def test_what_the_queue_says_that_it_runs_is_tried_again_in_the_next_round(
    ground: Ground,
) -> None:
    ground.queue.knows["r1", 1] = Standing.RUNNING
    went_on = [await ground.looked() for _ in range(4)]

    assert went_on == [[], [], [], [("tried again", "r1")]]
