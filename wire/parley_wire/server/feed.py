"""Who follows which task, inside this process.

Publishing happens after the commit. A follower subscribes first and reads its snapshot afterwards, so
whatever is missing in the snapshot is still to come in the queue; numbers tell what is in both.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType

    from parley_wire.server.texts import Event

MAX_BACKLOG: Final = 256
"""A follower slower than this reads the rest from the database."""


class BrokenOffError(Exception):
    """The stream ends although the task has not: ask for the task again."""


class Feed:
    """The followers of every task."""

    def __init__(self, events_after: Callable[[str, int], Awaitable[list[Event]]]) -> None:
        self._events_after = events_after
        self._followers: dict[str, set[Follower]] = {}

    def follow(self, task_id: str) -> Follower:
        """Subscribe; use it as a context manager, or it stays."""
        follower = Follower(self, task_id)
        self._followers.setdefault(task_id, set()).add(follower)
        return follower

    def publish(self, task_id: str, events: Sequence[Event]) -> None:
        for follower in self._followers.get(task_id, ()):
            follower.offer(events)

    def break_off(self, task_id: str) -> None:
        """End the streams of a task that nobody works on any more."""
        for follower in self._followers.get(task_id, ()):
            follower.break_off()

    def close(self) -> None:
        """End every stream: there will be no more events in this process."""
        for task_id in self._followers:
            self.break_off(task_id)

    def leave(self, follower: Follower) -> None:
        followers = self._followers.get(follower.task_id)
        if followers is not None:
            followers.discard(follower)
            if not followers:
                del self._followers[follower.task_id]

    async def missed(self, task_id: str, after: int) -> list[Event]:
        return await self._events_after(task_id, after)

    @property
    def followed(self) -> int:
        """How many followers there are."""
        return sum(map(len, self._followers.values()))


class Follower:
    """One stream's place in one task's log."""

    def __init__(self, feed: Feed, task_id: str) -> None:
        self.task_id = task_id
        self._feed = feed
        self._queue: deque[Event] = deque()
        self._lost = False
        self._broken = False
        self._ready = asyncio.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._feed.leave(self)

    def offer(self, events: Sequence[Event]) -> None:
        if self._lost or len(self._queue) + len(events) > MAX_BACKLOG:
            self._queue.clear()
            self._lost = True
        else:
            self._queue.extend(events)
        self._ready.set()

    def break_off(self) -> None:
        self._broken = True
        self._ready.set()

    async def after(self, seq: int) -> list[Event]:
        """Wait for events with higher numbers than `seq`; return them in order, without gaps.

        Raises:
            BrokenOffError: If there will be none.
        """
        while True:
            if self._lost:
                self._lost = False
                return await self._feed.missed(self.task_id, seq)
            fresh = [event for event in self._queue if event.seq > seq]
            self._queue.clear()
            if fresh:
                whole = all(event.seq == place for place, event in enumerate(fresh, seq + 1))
                # Published out of turn, or by a publisher that was cancelled: the log has them all.
                return fresh if whole else await self._feed.missed(self.task_id, seq)
            if self._broken:
                raise BrokenOffError
            self._ready.clear()
            await self._ready.wait()
