"""Advances runs in this process as soon as there is something to do; the queue stays behind (ADR-0022).

What it keeps is a hint that a crash may take: a run's row, its journal and its row of the queue say
the same durably. So it may also say no: then the queue brings the run, a second or two later.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

AT_ONCE: Final = 256
"""So many runs advance here; each may hold a connection to an agent. The others wait in order."""
MAX_WAITING: Final = 10_000
MAX_TIMERS: Final = 1_000
"""Never one for each parked run: those beyond it are the queue's alone."""
HORIZON_S: Final = 120.0
"""Whoever waits for longer does not notice the second that the queue takes."""


class Dispatcher:
    """At most one advance of a run at a time, and a bounded number of them.

    Args:
        advance: Carries a run as far as it goes; raises nothing but CancelledError.
    """

    def __init__(
        self,
        advance: Callable[[str, int], Coroutine[Any, Any, None]],
        *,
        at_once: int = AT_ONCE,
        max_waiting: int = MAX_WAITING,
        max_timers: int = MAX_TIMERS,
    ) -> None:
        self._advance = advance
        self._at_once = at_once
        self._max_waiting = max_waiting
        self._max_timers = max_timers
        self._waiting: OrderedDict[str, int] = OrderedDict()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._following: dict[str, int] = {}
        """What to do next with a run that is running."""
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._closed = False

    def go(self, run_id: str, segment: int) -> bool:
        """Advance a run now, or when its turn comes; False: too many wait, or this is closed."""
        self._disarm(run_id)
        if self._closed:
            return False
        if run_id in self._running:
            self._following[run_id] = max(segment, self._following.get(run_id, 0))
            return True
        if run_id not in self._waiting and len(self._waiting) >= self._max_waiting:
            return False
        self._waiting[run_id] = max(segment, self._waiting.get(run_id, 0))
        self._fill()
        return True

    def later(self, run_id: str, segment: int, delay_s: float) -> None:
        """Advance a run after `delay_s`, if that is soon and there are not too many such; `go` is sooner."""
        self._disarm(run_id)
        if self._closed or delay_s > HORIZON_S or len(self._timers) >= self._max_timers:
            return
        loop = asyncio.get_running_loop()
        self._timers[run_id] = loop.call_later(max(delay_s, 0), self.go, run_id, segment)

    def has(self, run_id: str) -> bool:
        """Tell whether a run advances here, or waits for its turn."""
        return run_id in self._running or run_id in self._waiting

    async def close(self) -> None:
        """Stop everything, in the middle of what it does; what is durable is taken up by the next launch."""
        self._closed = True
        for run_id in list(self._timers):
            self._disarm(run_id)
        self._waiting.clear()
        self._following.clear()
        tasks = set(self._running.values())
        for task in tasks:
            task.cancel("the coordinator stops")
        if tasks:
            await asyncio.wait(tasks)

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self._at_once and not self._closed:
            run_id, segment = self._waiting.popitem(last=False)
            # Nothing of the request that woke the run may be seen by what the run does.
            task = asyncio.create_task(
                self._advance(run_id, segment), context=contextvars.Context()
            )
            self._running[run_id] = task
            task.add_done_callback(functools.partial(self._ended, run_id))

    def _ended(self, run_id: str, task: asyncio.Task[None]) -> None:
        del self._running[run_id]
        if not task.cancelled():
            task.exception()  # logged where it was raised; seen, so that asyncio does not log it again
        following = self._following.pop(run_id, None)
        if following is not None:
            self.go(run_id, following)
        self._fill()

    def _disarm(self, run_id: str) -> None:
        timer = self._timers.pop(run_id, None)
        if timer is not None:
            timer.cancel()
