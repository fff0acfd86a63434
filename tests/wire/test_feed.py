"""Whoever follows a log sees it once and whole, however slow, late or out of turn things happen."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parley_wire.server.feed import MAX_BACKLOG, BrokenOffError, Feed
from parley_wire.server.texts import Event

from tests.wire.support import PATIENT

pytestmark = pytest.mark.anyio


class Log:
    """A log that commits first and publishes later, maybe never or out of order."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.feed = Feed(self.after)
        self.reads = 0

    async def after(self, _: str, seq: int) -> list[Event]:
        self.reads += 1
        return self.events[seq:]

    def commit(self, count: int) -> list[Event]:
        start = len(self.events) + 1
        added = [Event(seq, "status", str(seq), "s") for seq in range(start, start + count)]
        self.events += added
        return added


async def test_events_in_both_the_snapshot_and_the_queue_are_told_once() -> None:
    log = Log()
    with log.feed.follow("t") as follower:
        added = log.commit(3)
        snapshot = 2  # read between the commit and the publication
        log.feed.publish("t", added)

        assert [event.seq for event in await follower.after(snapshot)] == [3]
    assert log.reads == 0


async def test_what_was_not_published_is_read_when_the_next_is() -> None:
    log = Log()
    with log.feed.follow("t") as follower:
        log.commit(2)
        log.feed.publish("t", log.commit(1))

        assert [event.seq for event in await follower.after(0)] == [1, 2, 3]


async def test_a_follower_that_is_too_slow_reads_the_rest_from_the_log() -> None:
    log = Log()
    with log.feed.follow("t") as follower:
        for _ in range(MAX_BACKLOG + 50):
            log.feed.publish("t", log.commit(1))

        assert len(follower._queue) <= MAX_BACKLOG
        assert len(await follower.after(0)) == MAX_BACKLOG + 50
        log.feed.publish("t", log.commit(1))
        assert len(await follower.after(MAX_BACKLOG + 50)) == 1


async def test_breaking_off_wakes_who_waits_but_not_before_what_is_there_was_told() -> None:
    log = Log()
    with log.feed.follow("t") as follower:
        waiting = asyncio.create_task(follower.after(0))
        await asyncio.sleep(0)
        log.feed.publish("t", log.commit(1))
        log.feed.break_off("t")

        assert [event.seq for event in await waiting] == [1]
        with pytest.raises(BrokenOffError):
            await follower.after(1)


async def test_nobody_is_left_behind() -> None:
    log = Log()
    with log.feed.follow("t"), log.feed.follow("t"), log.feed.follow("u"):
        assert log.feed.followed == 3
    assert log.feed.followed == 0
    assert log.feed._followers == {}


@settings(PATIENT, max_examples=200)
@given(
    st.lists(
        st.tuples(st.sampled_from(["publish", "hold", "release", "read"]), st.integers(1, 200)),
        max_size=40,
    )
)
def test_every_interleaving_gives_the_log(steps: list[tuple[str, int]]) -> None:
    async def scenario() -> None:
        log = Log()
        held: list[list[Event]] = []
        seen: list[int] = []
        with log.feed.follow("t") as follower:
            for what, count in [*steps, ("publish", 1), ("read", 1)]:
                if what == "publish":
                    log.feed.publish("t", log.commit(count))
                elif what == "hold":
                    held.append(log.commit(count))
                elif what == "release" and held:
                    log.feed.publish("t", held.pop())
                elif what == "read":
                    reading = asyncio.ensure_future(follower.after(len(seen)))
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                    if reading.done():
                        seen += [event.seq for event in reading.result()]
                    else:
                        reading.cancel()
                assert seen == list(range(1, len(seen) + 1))
            while len(seen) < len(log.events):
                seen += [event.seq for event in await follower.after(len(seen))]
        assert seen == list(range(1, len(log.events) + 1))

    asyncio.run(asyncio.wait_for(scenario(), 60))
