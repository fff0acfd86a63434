"""So many at once, in the order in which they came."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parley_coordinator.delegation.limits import Turnstile

pytestmark = pytest.mark.anyio


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_waits_goes_in_first_come_first_served() -> None:
    turnstile, order = Turnstile(1), []

    async def visit(name: str) -> None:
        await turnstile.enter(name)
        order.append(name)

    async with asyncio.TaskGroup() as group:
        for name in "abcd":
            group.create_task(visit(name))
            await settled()
        for _ in range(4):
            await settled()
            turnstile.leave()

    assert order == list("abcd")
    assert (turnstile.inside, turnstile.waiting) == (0, 0)


async def test_who_gives_up_and_comes_back_has_kept_its_place() -> None:
    turnstile, order = Turnstile(1), []
    await turnstile.enter("first")

    async def visit(name: str) -> None:
        await turnstile.enter(name)
        order.append(name)

    parked = asyncio.create_task(visit("early"))
    await settled()
    parked.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await parked
    late = asyncio.create_task(visit("late"))
    await settled()
    early = asyncio.create_task(visit("early"))
    await settled()
    turnstile.leave()
    await early
    turnstile.leave()
    await late

    assert order == ["early", "late"]


async def test_a_turn_that_comes_too_late_goes_to_the_next() -> None:
    turnstile = Turnstile(1)
    await turnstile.enter("first")
    gone = asyncio.create_task(turnstile.enter("gone"))
    following = asyncio.create_task(turnstile.enter("following"))
    await settled()
    turnstile.leave()  # the turn is given to one who is cancelled before it can take it
    gone.cancel()
    await asyncio.wait({gone})

    assert await asyncio.wait_for(following, 60)
    assert turnstile.inside == 1


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_never_more_than_the_limit_are_inside_and_nobody_waits_for_nothing(
    data: st.DataObject,
) -> None:
    async def play() -> None:
        limit = data.draw(st.integers(1, 3))
        turnstile, tasks = Turnstile(limit), {}
        for number in range(data.draw(st.integers(1, 25))):
            match data.draw(st.sampled_from(["come", "leave", "give up"])):
                case "come":
                    tasks[number] = asyncio.create_task(turnstile.enter(number))
                case "leave" if turnstile.inside:
                    turnstile.leave()
                case "give up" if tasks:
                    tasks[data.draw(st.sampled_from(sorted(tasks)))].cancel()
            if data.draw(st.booleans()):
                await settled()
        await settled()
        assert turnstile.inside <= limit
        assert turnstile.waiting == 0 or turnstile.inside == limit
        assert turnstile.waiting == sum(not task.done() for task in tasks.values())
        for task in tasks.values():
            task.cancel()
        if tasks:
            await asyncio.wait(tasks.values())

    asyncio.run(play())
