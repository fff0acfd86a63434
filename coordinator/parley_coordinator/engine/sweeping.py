"""Looks for runs that should be going on and are not, and has them go on.

A crash between a run's row and the queue leaves such runs, and so does a database that failed twice in
a row. Those whose rows say so are found each time. Whether the queue has those that wait as they should
is asked for a few of them each time, so that thousands which wait cost next to nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from parley_coordinator.engine.durable import Segment, Standing
from parley_coordinator.store import runs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from datetime import datetime

    from parley_wire.database import Database

    from parley_coordinator.engine.claims import Claims
    from parley_coordinator.engine.durable import Durable
    from parley_coordinator.store.runs import Unfinished

logger = logging.getLogger(__name__)

LATE: Final = timedelta(seconds=5)
"""By so much may the queue be late with a run that waited for a time."""
PAGE: Final = 500
"""So many waiting runs are held against the queue each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """How the engine has a run go on; all take a run and a segment."""

    is_here: Callable[[str], bool]
    is_at: Callable[[str, int], Awaitable[bool]]
    """Whether a run has not ended, and this segment is the next."""
    take_up: Callable[[str, int], None]
    """Advance a run that was interrupted."""
    wake: Callable[[str, int], Awaitable[None]]
    """Advance a run that the queue has."""
    go: Callable[[str, int], Awaitable[None]]
    """Advance a run that the queue does not have."""
    try_again: Callable[[str, int], Awaitable[None]]
    """Park a run anew, for a moment."""


class Sweep:
    def __init__(
        self,
        database: Database,
        durable: Durable,
        means: Means,
        *,
        now: Callable[[], datetime],
        claims: Claims,
        page: int = PAGE,
    ) -> None:
        self._database = database
        self._durable = durable
        self._means = means
        self._now = now
        self._claims = claims
        self._page = page
        self._next = runs.FIRST
        self._suspects: set[Segment] = set()
        self._former: set[Segment] = set()

    async def look(self, *, whole: bool = False) -> int:
        """Have every run go on that is found; return how many.

        Args:
            whole: Hold all that wait against the queue.
        """
        before, by = self._now() - LATE, self._claims.holder
        stalled = await self._database.read(lambda c: runs.stalled(c, before, by))
        found = await self._have_go_on(stalled)
        seen = {each.id for each in stalled}
        if whole:
            self._next = runs.FIRST
        while True:
            page = await self._turn_page(before)
            found += await self._have_go_on(each for each in page if each.id not in seen)
            if not whole or self._next == runs.FIRST:
                return found

    async def _turn_page(self, before: datetime) -> list[Unfinished]:
        after = self._next
        if after == runs.FIRST:
            # What is suspected in one round is looked at again in the next.
            self._former, self._suspects = self._suspects, set()
        page, self._next = await self._database.read(
            lambda c: runs.waiting(c, before, after=after, limit=self._page)
        )
        return page

    async def _have_go_on(self, unfinished: Iterable[Unfinished]) -> int:
        away = [each for each in unfinished if not self._means.is_here(each.id)]
        standings = await self._durable.standings([(each.id, each.segment) for each in away])
        found = 0
        for each in away:
            if self._means.is_here(each.id):
                continue
            if each.interrupted:
                self._means.take_up(each.id, each.segment)
            elif await self._put_back(each, standings[each.id, each.segment]):
                logger.warning("run %s was not on its way, it goes on", each.id)
            else:
                continue
            found += 1
        return found

    async def _put_back(self, run: Unfinished, standing: Standing) -> bool:
        """Let a run go on if the queue will not bring it; False if it will, or may be about to."""
        segment = (run.id, run.segment)
        late = standing is Standing.LIVE and run.overdue and not run.has_news
        doubtful = standing is Standing.RUNNING or late
        if doubtful and segment not in self._suspects | self._former:
            # It may be just about to begin; one that is found so twice is not.
            self._suspects.add(segment)
            return False
        if standing is Standing.LIVE:
            if run.has_news or run.overdue:
                await self._means.wake(*segment)
            return run.has_news or run.overdue
        # Since it was read, it may have parked anew.
        if not await self._means.is_at(*segment):
            return False
        if standing is Standing.UNKNOWN:
            await self._means.go(*segment)
        else:
            await self._means.try_again(*segment)
        return True
