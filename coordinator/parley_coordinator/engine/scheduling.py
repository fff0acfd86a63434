"""Starts the runs that nobody asks for: when a time comes, or when events have come.

A time that is due, and a set of events, each start at most one run: they are its idempotency key.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from parley_cards.errors import Kind, ParleyError

from parley_coordinator.engine import planning
from parley_coordinator.engine.gathering import input_of
from parley_coordinator.engine.planning import Current
from parley_coordinator.errors import IdempotencyConflictError, InvalidWorkflowError
from parley_coordinator.governance.access import Permission, Principal, Role, require
from parley_coordinator.store import deployments, runs, schedules
from parley_coordinator.store.schedules import SetState
from parley_coordinator.store.tables import to_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from parley_wire.database import Database
    from sqlalchemy import Connection

    from parley_coordinator.engine.workflows import Workflows
    from parley_coordinator.model import Run
    from parley_coordinator.store.schedules import Gathered, Scheduled

logger = logging.getLogger(__name__)

SCHEDULER: Final = Principal(subject="schedule", roles=frozenset({Role.REQUESTER}))
"""Who starts scheduled runs. No account has this subject."""
AGAIN: Final = timedelta(seconds=15)
"""A start that failed for a reason that may pass is tried again after this."""
LONGEST: Final = timedelta(seconds=15)
"""The clock on the wall may be set while we sleep, and other coordinators change what is due."""
_PASSING: Final = frozenset({Kind.UNAVAILABLE, Kind.TIMEOUT, Kind.BAD_GATEWAY, Kind.INTERNAL})
_MAX_PROBLEM: Final = 500


class Starter(Protocol):
    """Starts runs; `engine.runs.Runs`."""

    async def start(
        self,
        principal: Principal,
        workflow: str,
        input: Any,  # noqa: A002 - the DSL's word
        *,
        key: str | None = None,
        context_id: str | None = None,
        version: str | None = None,
    ) -> tuple[Run, bool]: ...


class Scheduler:
    """The schedules of one coordinator. One coroutine, asleep until the earliest due time."""

    def __init__(
        self,
        database: Database,
        workflows: Workflows,
        starter: Starter,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._workflows = workflows
        self._starter = starter
        self._now = now
        self._woken = asyncio.Event()
        self._planning = asyncio.Lock()
        self._planned: dict[str, str] | None = None
        """The current versions whose schedules are in the table."""
        self._again: dict[str, datetime] = {}
        """When to try again what failed in the last round, by idempotency key."""

    async def list(self, principal: Principal) -> list[Scheduled]:
        """Return all schedules, by workflow.

        Raises:
            NotPermittedError: If the caller may not read workflows.
        """
        require(principal, Permission.WORKFLOW_READ)
        return await self._database.read(schedules.every)

    def wake(self) -> None:
        """Something may be due: a set of events is complete, a run that was started here has ended."""
        self._woken.set()

    def replan(self) -> None:
        """Other versions may be current now."""
        self._woken.set()

    def run_ended(self, run: Run) -> None:
        if run.requested_by == SCHEDULER.subject:
            self.wake()

    async def run(self) -> None:
        """Start what is due, for ever. A process edge: nothing that fails ends it."""
        while True:
            self._woken.clear()
            wait_s = AGAIN.total_seconds()
            try:
                await self.plan()
                wait_s = await self._round()
            except Exception:
                logger.exception("the schedules could not be looked at, they are tried again")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._woken.wait()

    async def plan(self) -> None:
        """Take over the schedules of the versions that are current now."""
        async with self._planning:
            while (current := await self._database.read(deployments.current)) != self._planned:
                if await self._plan(current):
                    self._planned = current

    async def _plan(self, current: dict[str, str]) -> bool:
        """Write the schedules of the current versions; False if others are current by now."""
        wanted = [
            Current(each.name, each.version, each.json["schedule"])
            for each in await self._workflows.documents()
            if each.schedule is not None and current.get(each.name) == each.version
        ]
        now = self._now()

        def write(connection: Connection) -> bool:
            if deployments.current(connection) != current:
                return False
            planning.plan(connection, wanted, now)
            return True

        return await self._database.write(write)

    async def _round(self) -> float:
        """Start everything that is due; return after how many seconds something is again."""
        before, self._again = self._again, {}
        for one in await self._database.read(lambda c: schedules.sets(c, SetState.COMPLETE)):
            await self._start_set(one, before)
        for each in await self._database.read(schedules.every):
            if each.due is not None and each.due <= self._now():
                await self._start_due(each, each.due, before)
        due = [
            each.due
            for each in await self._database.read(schedules.every)
            if each.due is not None and _key(each.workflow, to_text(each.due)) not in self._again
        ]
        now = self._now()
        soon = min([*due, *self._again.values()], default=now + LONGEST)
        return min(max((soon - now).total_seconds(), 0), LONGEST.total_seconds())

    async def _start_due(
        self, scheduled: Scheduled, due: datetime, before: dict[str, datetime]
    ) -> None:
        """Start one run, also if several times have passed since it was due."""
        key = _key(scheduled.workflow, to_text(due))
        if self._must_wait(key, before):
            return
        run_id = await self._start(scheduled, key, None)
        if key in self._again:
            return
        at = max(due, self._now())

        def write(connection: Connection) -> None:
            if run_id is None:
                schedules.set_due(connection, scheduled, planning.due_after(scheduled, at))
            else:
                planning.started(connection, scheduled, run_id, at)

        await self._database.write(write)

    async def _start_set(self, one: Gathered, before: dict[str, datetime]) -> None:
        """Start the one run of a set of events."""
        key = _key(one.workflow, one.set_id)
        if self._must_wait(key, before):
            return
        known = await self._database.read(schedules.every)
        scheduled = next((each for each in known if each.workflow == one.workflow), None)
        run_id = None
        if scheduled is not None and scheduled.kind == "on":
            run_id = await self._start(scheduled, key, input_of(scheduled, one))
        if key in self._again:
            return
        at = self._now()

        def write(connection: Connection) -> None:
            if scheduled is None or run_id is None:
                state = SetState.DROPPED if scheduled is None else SetState.REFUSED
                schedules.settle(connection, one, SetState.COMPLETE, state)
            elif schedules.settle(connection, one, SetState.COMPLETE, SetState.STARTED):
                planning.started(connection, scheduled, run_id, at)

        await self._database.write(write)

    async def _start(self, scheduled: Scheduled, key: str, given: Any) -> str | None:
        """Start a run, once for its key; return its id.

        None if it did not start: for now if `_again` has the key afterwards, else for good. An edge:
        one workflow that cannot start must not hold up the others.
        """
        try:
            run, _ = await self._starter.start(SCHEDULER, scheduled.workflow, given, key=key)
        except IdempotencyConflictError:
            # It started before a crash, and the schedule changed with the next start.
            used = await self._database.read(lambda c: runs.get_request(c, SCHEDULER.subject, key))
            return None if used is None else used.run_id
        except ParleyError as error:
            # Agents that a workflow needs may still be on their way.
            if error.kind in _PASSING or isinstance(error, InvalidWorkflowError):
                self._again[key] = self._now() + AGAIN
            await self._report(scheduled, error.message)
            return None
        except Exception:
            logger.exception("%s could not be started, it is tried again", scheduled.workflow)
            self._again[key] = self._now() + AGAIN
            return None
        return run.id

    async def _report(self, scheduled: Scheduled, problem: str) -> None:
        problem, at = problem[:_MAX_PROBLEM], self._now()
        if scheduled.problem != problem:
            logger.warning("the schedule of %s: %s", scheduled.workflow, problem)
        await self._database.write(lambda c: schedules.report(c, scheduled, problem, at))

    def _must_wait(self, key: str, before: dict[str, datetime]) -> bool:
        again = before.get(key)
        if again is None or again <= self._now():
            return False
        self._again[key] = again
        return True


def _key(workflow: str, what: str) -> str:
    return f"schedule:{workflow}:{what}"
