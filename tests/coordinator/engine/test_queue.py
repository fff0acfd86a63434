"""The durable queue keeps what is still to be done, and not for ever what is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from parley_coordinator.engine.durable import Durable, Standing
from parley_coordinator.engine.queues import QueueFile

from tests.coordinator.ready_made import lay_databases
from tests.coordinator.world import until

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
RAN, LATE, SLEEPS, RUNS = ("ran", 0), ("ran", 1), ("sleeps", 1), ("runs", 0)


class Done:
    """Advances at once, but for `RUNS`, which goes on until it is told."""

    def __init__(self) -> None:
        self.segments: list[tuple[str, int]] = []
        self.released = asyncio.Event()

    async def advance(self, run_id: str, segment: int) -> None:
        if run_id == RUNS[0]:
            await self.released.wait()
        self.segments.append((run_id, segment))


@pytest.fixture
async def done() -> Done:
    return Done()


@pytest.fixture
async def queue(tmp_path: Path, done: Done) -> AsyncIterator[Durable]:
    await lay_databases(tmp_path)
    opened = Durable(QueueFile(tmp_path / "queue.db"))
    await opened.launch(done.advance)
    yield opened
    done.released.set()
    await opened.close()


async def test_what_is_done_is_forgotten_and_what_waits_or_runs_is_not(queue: Durable) -> None:
    async def has_run() -> bool:
        return (await queue.standings([RAN]))[RAN] is Standing.OVER

    await queue.start(*RAN)
    await queue.start(*RUNS)
    await queue.park(*SLEEPS, delay_s=3600)
    await until(has_run)

    now = datetime.now(UTC)
    assert await queue.forget(now - HOUR) == 0
    assert await queue.forget(now + HOUR) == 1
    assert await queue.forget(now + HOUR) == 0
    assert await queue.standings([RAN, SLEEPS, RUNS]) == {
        RAN: Standing.UNKNOWN,
        SLEEPS: Standing.LIVE,
        RUNS: Standing.RUNNING,
    }


async def test_what_sleeps_is_still_woken_after_what_was_before_it_is_forgotten(
    queue: Durable, done: Done
) -> None:
    async def has_run() -> bool:
        return LATE in done.segments

    await queue.start(*RAN)
    await queue.park(*LATE, delay_s=3600)
    await until(lambda: queue.forget(datetime.now(UTC) + HOUR))
    await queue.wake(*LATE)

    await until(has_run)
