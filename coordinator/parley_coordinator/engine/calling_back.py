"""Has agents stop what no run needs any more, until they have, or a person is told that they have not.

What is owed is in the table `call_back`; what came of it is in the journal of the run, as `cancelled`,
`cancelled.2` and so on: the first answer, and later the one that settles it. Several coordinators share
the work: what one has taken is not due for the others until it should be done.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from parley_coordinator.delegation import calling_back
from parley_coordinator.store import calls_back, journal
from parley_coordinator.store.log import RunLog

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from parley_wire.database import Database
    from sqlalchemy import Connection

    from parley_coordinator.delegation.delegation import Delegation
    from parley_coordinator.model import Place, Stopped
    from parley_coordinator.protocols.open_tasks import OpenTasks
    from parley_coordinator.store.calls_back import Owed

logger = logging.getLogger(__name__)

AT_ONCE: Final = 32
"""So many agents are asked to stop something at the same time."""
TAKEN: Final = timedelta(seconds=30)
"""So long is what somebody asks about not due for anybody else."""
OFTEN: Final = 2
"""What only another coordinator can stop is due as often as after so many tries."""
LOOK_S: Final = 5.0
"""What others have left is found so soon after it is due."""


class CallingBack:
    """Of all runs.

    Args:
        changed: Tells whoever watches a run that its journal has grown.
        draw: Random numbers from 0 to 1, evenly distributed.
    """

    def __init__(
        self,
        database: Database,
        delegation: Delegation,
        open_tasks: OpenTasks,
        *,
        now: Callable[[], datetime],
        changed: Callable[[str], None],
        draw: Callable[[], float],
    ) -> None:
        self._database = database
        self._delegation = delegation
        self._open_tasks = open_tasks
        self._now = now
        self._changed = changed
        self._draw = draw
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Look for what is due at once."""
        self._news.set()

    async def stop(self, log: RunLog, place: Place) -> None:
        """Have something stopped that nobody needs any more; what came of it is in the journal.

        What does not work now is owed.
        """
        stopped = await self._ask(log, place)
        number = len(log.cancellations_at(place)) + 1

        def note(connection: Connection) -> None:
            if stopped.settled:
                calls_back.settle(connection, log.run_id, place)
            else:
                at = self._now()
                due = at + timedelta(seconds=calling_back.pause_s(0, self._draw))
                calls_back.owe(connection, log.run_id, place, at=at, due=due)

        again = {} if stopped.settled else {"again": True}
        body = {"outcome": stopped.outcome, **again}
        await log.append(place, _nth(number), body, also=note)
        if not stopped.settled:
            self.wake()

    async def run(self) -> None:
        """Look for what is due, for ever. A process edge: nothing that fails ends it."""
        everything = True  # whoever had taken it may have died with us
        while True:
            try:
                await self.round(everything=everything)
                everything = False
                await self._until_due()
            except Exception:
                logger.exception("could not call back what runs have left, trying again")
                await asyncio.sleep(1)

    async def round(self, *, everything: bool = False) -> None:
        """Ask about what is due now.

        Args:
            everything: And about what is not, but for what this process asks about.
        """
        self._news.clear()
        now = self._now()
        before = now + 2 * calling_back.GIVE_UP if everything else now
        owed = await self._database.write(
            lambda c: calls_back.take(c, before=before, until=now + TAKEN, limit=AT_ONCE * 4)
        )
        at_once = asyncio.Semaphore(AT_ONCE)

        async def look(each: Owed) -> None:
            async with at_once:
                try:
                    await self._again(each)
                except Exception:
                    # Of one place only, and a process edge as `run` is: it is due again.
                    logger.exception("run %s %s: not called back", each.run_id, each.place.path)

        async with asyncio.TaskGroup() as group:
            for each in owed:
                group.create_task(look(each))

    async def _until_due(self) -> None:
        due = await self._database.read(calls_back.next_due)
        left = LOOK_S if due is None else (due - self._now()).total_seconds()
        try:
            async with asyncio.timeout(min(max(left, 0.05), LOOK_S)):
                await self._news.wait()
        except TimeoutError:
            return

    async def _again(self, owed: Owed) -> None:
        # In turn with the writes: what an advance that was stopped has handed over comes before.
        entries = await self._database.write(lambda c: journal.read(c, owed.run_id))
        log = RunLog(owed.run_id, entries, self._database, self._now, self._changed)
        place = owed.place
        if log.recall(place, "observed") is not None:
            await self._database.write(lambda c: calls_back.settle(c, owed.run_id, place))
            return
        stopped = await self._ask(log, place)
        now = self._now()
        told = log.cancellations_at(place)
        body: dict[str, Any] | None = None
        if stopped.settled:
            body = {"outcome": stopped.outcome}
        elif now - owed.since >= calling_back.GIVE_UP:
            body = {"outcome": stopped.outcome, "givenUp": True}
            logger.warning("run %s %s: %s, given up", owed.run_id, place.path, stopped.outcome)
        elif not told and log.recall(place, "failed") is None:
            body = {"outcome": stopped.outcome, "again": True}
        tries = owed.tries + 1
        if stopped.elsewhere:
            tries = min(tries, OFTEN)  # so that it comes to whoever can
        due = now + timedelta(seconds=calling_back.pause_s(tries, self._draw))

        def write(connection: Connection) -> None:
            if body is not None:
                journal.append(connection, owed.run_id, place, _nth(len(told) + 1), now, body)
            if body is None or "again" in body:
                calls_back.put_off(connection, owed, due=due, tries=tries)
            else:
                calls_back.settle(connection, owed.run_id, place)

        await self._database.write(write)
        self._changed(owed.run_id)

    async def _ask(self, log: RunLog, place: Place) -> Stopped:
        return await self._open_tasks.cancel(log, place) or await self._delegation.cancel(
            log, place
        )


def _nth(number: int) -> str:
    return "cancelled" if number == 1 else f"cancelled.{number}"
