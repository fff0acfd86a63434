"""What a run has begun and no longer needs: losers of a race, what a deadline or a failure left open.

The note comes first: once it is durable, nobody is asked anything below its paths. Then tasks at agents
and other runs are stopped. What a crash keeps from being stopped is made good before the run waits
again: everything below a note's paths that began before the note, and is open.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from parley_coordinator.engine.children import open_children
from parley_coordinator.model import is_within
from parley_coordinator.store import items
from parley_coordinator.workflow.effects import NOTE_EXPIRED, NOTE_FORK_FAILED, NOTE_WON

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from parley_coordinator.engine.calling_back import CallingBack
    from parley_coordinator.engine.children import Nursery
    from parley_coordinator.engine.listening import Listening
    from parley_coordinator.model import Entry, Place
    from parley_coordinator.store.log import RunLog

ABANDONED: Final = (NOTE_WON, NOTE_FORK_FAILED, NOTE_EXPIRED)
AT_ONCE: Final = 32
"""So many are asked to stop at the same time."""
STOP_S: Final = 25.0
"""So long does a cancellation wait for all of them."""
NOBODY_WAITS: Final = "nobody waits for it any more"


class Stopping:
    """Stops what runs have begun; safe to repeat."""

    def __init__(self, calling_back: CallingBack, nursery: Nursery) -> None:
        self._calling_back = calling_back
        self._nursery = nursery

    async def stop(self, log: RunLog, begun: Iterable[Entry], reason: str) -> None:
        """Stop what these rows have begun, all at once; what came of each is in a journal.

        What does not answer in time is left as it is, and asked again.

        Args:
            begun: From `under_way`.
        """
        at_once = asyncio.Semaphore(AT_ONCE)

        async def stop(entry: Entry) -> None:
            async with at_once:
                await self._stop(log, entry, reason)

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S), asyncio.TaskGroup() as group:
                for entry in begun:
                    group.create_task(stop(entry))

    async def _stop(self, log: RunLog, entry: Entry, reason: str) -> None:
        if entry.kind == "child":
            await self._nursery.cancel(entry.body["run"], reason)
            return
        await self._calling_back.stop(log, entry.place)


class Abandoning:
    """Gives up parts of one run."""

    def __init__(self, log: RunLog, stopping: Stopping, listening: Listening) -> None:
        self._log = log
        self._stopping = stopping
        self._listening = listening

    async def note(self, place: Place, kind: str, body: dict[str, Any]) -> None:
        """Write down that what is below no longer matters, then stop it."""
        paths = _paths(place.path, kind, body)
        if self._log.recall(place, kind) is None:

            def withdraw(connection: Connection) -> None:
                for path in paths:
                    items.withdraw_below(connection, self._log.run_id, path)
                    self._listening.close_below(connection, path)

            await self._log.append(place, kind, body, also=withdraw)
            begun = [each for each in under_way(self._log) if _is_below(each.path, paths)]
            await self._stopping.stop(self._log, begun, NOBODY_WAITS)
        self._log.waits[:] = [each for each in self._log.waits if not _is_below(each.path, paths)]

    async def make_good(self) -> None:
        """Stop what was to be stopped when a process died; a later visit of the same task goes on."""
        open_ = under_way(self._log)
        if not open_:
            return
        notes = [each for kind in ABANDONED for each in self._log.below("", kind)]
        begun = [each for each in open_ if any(_ends(note, each) for note in notes)]
        await self._stopping.stop(self._log, begun, NOBODY_WAITS)


def under_way(log: RunLog) -> list[Entry]:
    """Return the rows that began something of which no end is known: a task at an agent, a child."""
    sent = (log.recall(place, "intended") for place in log.open_tasks())
    return [*(each for each in sent if each is not None), *open_children(log)]


def _ends(note: Entry, begun: Entry) -> bool:
    paths = _paths(note.path, note.kind, note.body)
    return begun.seq < note.seq and _is_below(begun.path, paths)


def _paths(path: str, kind: str, body: dict[str, Any]) -> list[str]:
    return list(body["losers"]) if kind == NOTE_WON else [path]


def _is_below(path: str, paths: list[str]) -> bool:
    return any(is_within(path, each) for each in paths)
