"""Events that start runs: which of them belong together, durably (ADR-0010)."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, uuid5

from parley_coordinator.store import schedules
from parley_coordinator.store.events import LIFECYCLE
from parley_coordinator.store.schedules import SetState
from parley_coordinator.workflow.document import Schedule
from parley_coordinator.workflow.errors import WorkflowError
from parley_coordinator.workflow.events import event_as
from parley_coordinator.workflow.hearing import Hearing, key_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from parley_wire.database import Database
    from sqlalchemy import Connection

    from parley_coordinator.store.schedules import Gathered, OpenSets, Scheduled
    from parley_coordinator.workflow.expressions import Expressions

logger = logging.getLogger(__name__)

_NAMESPACE: Final = uuid5(NAMESPACE_URL, "urn:parley:gathered")
MAX_OPEN: Final = 1000
"""Sets of one workflow that wait for more events; beyond, the oldest is given up."""


class Gathering:
    """Puts the events that come into sets, one event at a time.

    Args:
        plan: Makes the schedules those of the current versions.
        complete: Called when a set is ready to start a run.
    """

    def __init__(
        self,
        database: Database,
        *,
        expressions: Expressions,
        now: Callable[[], datetime],
        plan: Callable[[], Awaitable[None]],
        complete: Callable[[], None],
    ) -> None:
        self._database = database
        self._expressions = expressions
        self._now = now
        self._plan = plan
        self._complete = complete
        self._turn = asyncio.Lock()

    async def hear(self, event: dict[str, Any]) -> None:
        """Offer an event of the log to every workflow that starts with events; it may come twice."""
        async with self._turn:
            # Whoever has deployed a workflow may send it an event at once.
            await self._plan()
            for scheduled in await self._database.read(schedules.every):
                if scheduled.kind == "on" and _may_want(scheduled, event):
                    while not await self._offer(scheduled, event):
                        pass

    async def _offer(self, scheduled: Scheduled, event: dict[str, Any]) -> bool:
        """Whether the event was offered; if not, another coordinator has changed the sets meanwhile."""

        def look(connection: Connection) -> tuple[OpenSets, list[Gathered]] | None:
            if schedules.gathered(connection, scheduled.workflow, event):
                return None
            return (
                schedules.open_sets(connection, scheduled.workflow),
                schedules.sets(connection, SetState.OPEN, scheduled),
            )

        looked = await self._database.read(look)
        if looked is None or looked[0].digest != scheduled.digest:
            return True
        try:
            return await self._put(scheduled, event, *looked)
        except WorkflowError as error:
            logger.warning("%s does not take %s: %s", scheduled.workflow, key_of(event), error)
            await self._report(scheduled, f"{key_of(event)}: {error}")
            return True

    async def _put(
        self, scheduled: Scheduled, event: dict[str, Any], seen: OpenSets, known: list[Gathered]
    ) -> bool:
        """Add the event to the oldest set that wants it, or begin a set with it.

        False if the sets are not what was seen.
        """
        new = schedules.Gathered(scheduled.workflow, str(uuid5(_NAMESPACE, key_of(event))), [])
        for one in [*known, new]:
            hearing, outputs = await self._replay(scheduled, one)
            used = len(hearing.used)
            heard = await hearing.hears(event)
            if heard:
                outputs.append(event_as(event, _schedule(scheduled).read))
                await hearing.settle(outputs, {})
            elif not outputs or len(hearing.used) == used:
                continue  # not of this set, or the end of one that has not begun
            if not await self._write(
                scheduled, event, one, seen, heard=heard, complete=hearing.done
            ):
                return False
            if one is new and len(known) >= MAX_OPEN:
                await self._give_up(scheduled, known[0])
            if hearing.done:
                self._complete()
            break
        return True

    async def _replay(self, scheduled: Scheduled, one: Gathered) -> tuple[Hearing, list[Any]]:
        """Return how far a set is, and what it adds to the input."""
        schedule = _schedule(scheduled)
        if schedule.on is None:
            raise AssertionError("a schedule of another kind hears nothing")
        hearing = Hearing(schedule.on, None, self._expressions, {})
        outputs: list[Any] = []
        for event, _ in one.events:
            if await hearing.hears(event):
                outputs.append(event_as(event, schedule.read))
                await hearing.settle(outputs, {})
        return hearing, outputs

    async def _write(
        self,
        scheduled: Scheduled,
        event: dict[str, Any],
        one: Gathered,
        seen: OpenSets,
        *,
        heard: bool,
        complete: bool,
    ) -> bool:
        def write(connection: Connection) -> bool:
            if schedules.gathered(connection, scheduled.workflow, event):
                return True
            if schedules.open_sets(connection, scheduled.workflow) != seen:
                return False
            schedules.gather(
                connection, scheduled, event, one.set_id, heard=heard, complete=complete
            )
            return True

        return await self._database.write(write)

    async def _give_up(self, scheduled: Scheduled, oldest: Gathered) -> None:
        await self._database.write(
            lambda c: schedules.settle(c, oldest, SetState.OPEN, SetState.DROPPED)
        )
        problem = (
            f"more than {MAX_OPEN} sets of events wait to be complete, the oldest was given up"
        )
        logger.warning("%s: %s", scheduled.workflow, problem)
        await self._report(scheduled, problem)

    async def _report(self, scheduled: Scheduled, problem: str) -> None:
        at = self._now()
        await self._database.write(lambda c: schedules.report(c, scheduled, problem, at))


def input_of(scheduled: Scheduled, one: Gathered) -> list[Any]:
    """Return the input of the run that a set starts."""
    read = _schedule(scheduled).read
    return [event_as(event, read) for event, heard in one.events if heard]


def _schedule(scheduled: Scheduled) -> Schedule:
    return Schedule.model_validate(scheduled.json)


def _may_want(scheduled: Scheduled, event: dict[str, Any]) -> bool:
    if scheduled.types:
        return event["type"] in scheduled.types
    return not event["type"].startswith(LIFECYCLE)
