"""Advancing in this process: one advance of a run at a time, so many at once, and no more kept than that."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parley_coordinator.engine.dispatching import Dispatcher

from tests.coordinator.world import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.anyio


class Advances:
    """Counts advances, and holds them until they are let."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, int]] = []
        self.under_way: Counter[str] = Counter()
        self.most = 0
        self.go = asyncio.Event()

    async def __call__(self, run_id: str, segment: int) -> None:
        self.begun.append((run_id, segment))
        self.under_way[run_id] += 1
        self.most = max(self.most, self.under_way.total())
        assert self.under_way[run_id] == 1, "two advances of one run"
        try:
            await self.go.wait()
        finally:
            self.under_way[run_id] -= 1

    def number(self, wanted: int) -> Callable[[], Awaitable[bool]]:
        async def reached() -> bool:
            return len(self.begun) >= wanted

        return reached


async def settled(dispatcher: Dispatcher, *runs: str) -> None:
    async def none() -> bool:
        return not any(dispatcher.has(run) for run in runs)

    await until(none)


async def test_thousands_of_wakes_advance_a_few_at_a_time_and_all_in_the_end() -> None:
    advances = Advances()
    dispatcher = Dispatcher(advances, at_once=16)
    runs = [f"run-{n}" for n in range(3000)]
    assert all(dispatcher.go(run, 1) for run in runs)
    await until(advances.number(16))
    advances.go.set()
    await settled(dispatcher, *runs)

    assert advances.most == 16
    assert advances.begun == [(run, 1) for run in runs]


async def test_when_too_many_wait_the_next_one_is_left_to_the_queue() -> None:
    advances = Advances()
    dispatcher = Dispatcher(advances, at_once=1, max_waiting=2)

    assert [dispatcher.go(run, 1) for run in "abcd"] == [True, True, True, False]
    assert dispatcher.go("c", 2), "one that waits already takes no more room"
    await dispatcher.close()


async def test_a_wake_in_the_middle_of_an_advance_comes_after_it() -> None:
    advances = Advances()
    dispatcher = Dispatcher(advances)
    dispatcher.go("run", 1)
    await asyncio.sleep(0)
    for segment in (2, 4, 3):
        dispatcher.go("run", segment)
    advances.go.set()
    await settled(dispatcher, "run")

    assert advances.begun == [("run", 1), ("run", 4)]


async def test_a_timer_goes_off_once_and_a_wake_before_it_replaces_it() -> None:
    advances = Advances()
    advances.go.set()
    dispatcher = Dispatcher(advances)
    dispatcher.later("timed", 1, 0.01)
    dispatcher.later("woken", 1, 0.01)
    dispatcher.go("woken", 1)
    await until(advances.number(2))

    assert sorted(advances.begun) == [("timed", 1), ("woken", 1)]


async def test_no_more_timers_are_armed_than_allowed_and_none_for_long_waits() -> None:
    advances = Advances()
    advances.go.set()
    dispatcher = Dispatcher(advances, max_timers=2)
    dispatcher.later("long", 1, 3600)
    for run in "abc":
        dispatcher.later(run, 1, 0.001)
    await until(advances.number(2))
    await dispatcher.close()

    assert advances.begun == [("a", 1), ("b", 1)]


async def test_closing_stops_what_advances_and_begins_nothing_more() -> None:
    advances = Advances()
    dispatcher = Dispatcher(advances, at_once=1)
    dispatcher.go("one", 1)
    dispatcher.go("two", 1)
    await asyncio.sleep(0)
    await dispatcher.close()

    assert advances.begun == [("one", 1)]
    assert not advances.under_way.total()
    assert not dispatcher.go("three", 1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5), st.booleans()), max_size=30))
def test_the_latest_segment_asked_for_is_never_left_out(
    asked: list[tuple[str, int, bool]],
) -> None:
    async def check() -> None:
        advances = Advances()
        advances.go.set()
        dispatcher = Dispatcher(advances, at_once=2)
        for run, segment, pause in asked:
            dispatcher.go(run, segment)
            if pause:
                await asyncio.sleep(0)
        await settled(dispatcher, *"abc")
        done: dict[str, int] = {}
        for run, segment in advances.begun:
            done[run] = max(segment, done.get(run, 0))
        wanted: dict[str, int] = {}
        for run, segment, _ in asked:
            wanted[run] = max(segment, wanted.get(run, 0))
        assert done == wanted

    asyncio.run(check())
