"""The journal of one run, as the interpreter sees it while it advances."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from parley_coordinator.model import Entry, Place, Wait
from parley_coordinator.store import journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from parley_wire.database import Database
    from sqlalchemy import Connection


class OvertakenError(Exception):
    """Another advance of the run was faster; this one must start over from the journal."""


def _sent(ordinal: int) -> str:
    return "sent" if ordinal == 1 else f"sent.{ordinal}"


class RunLog:
    """What has happened in a run, and the one way to add to it.

    `recall` answers from memory. `append` returns when the row is durable; `append_soon` only
    enqueues it, in order, for facts that the next durable row makes durable with it.
    """

    def __init__(
        self,
        run_id: str,
        entries: list[Entry],
        database: Database,
        now: Callable[[], datetime],
        changed: Callable[[str], None],
    ) -> None:
        self.run_id = run_id
        self.now = now
        self.seen = entries[-1].seq if entries else 0
        """The highest `seq` that was read; rows above it arrived later or are our own."""
        self._database = database
        self._changed = changed
        self._entries = {(e.path, e.attempt, e.kind): e for e in entries}
        self._pending: set[asyncio.Future[bool]] = set()
        self._failure: BaseException | None = None
        self._news = False
        self.waits: list[Wait] = []
        """Why branches can't go on, one each; filled while the run advances."""

    def __len__(self) -> int:
        return len(self._entries)

    def begin(self) -> None:
        """Interpretation starts from the top: it sees everything that is known by now."""
        self.waits.clear()
        self._news = False

    def recall(self, place: Place, kind: str) -> Entry | None:
        return self._entries.get((place.path, place.attempt, kind))

    def at(self, path: str) -> list[Entry]:
        """Return the rows of a path, of all its attempts."""
        return [entry for entry in self._entries.values() if entry.path == path]

    def below(self, path: str, kind: str) -> list[Entry]:
        """Return the rows of one kind at a path and under it."""
        return [
            entry
            for entry in self._entries.values()
            if entry.kind == kind and (entry.path == path or entry.path.startswith(f"{path}/"))
        ]

    def task_at(self, place: Place) -> str | None:
        """The id of the newest task that an agent has opened for this place."""
        found, ordinal = None, 1
        while (entry := self.recall(place, _sent(ordinal))) is not None:
            found, ordinal = str(entry.body["task"]), ordinal + 1
        return found

    def note_task(self, place: Place, task: str, context: str) -> None:
        """Write down a task id, unless it is the newest one already; made durable as others are."""
        ordinal = 1
        while (entry := self.recall(place, _sent(ordinal))) is not None:
            if entry.body["task"] == task:
                return
            ordinal += 1
        self.append_soon(place, _sent(ordinal), {"task": task, "context": context})

    def open_tasks(self, below: str = "") -> list[Place]:
        """Where, at `below` or under it, something went to an agent and its end is not known."""
        return [
            entry.place
            for (path, attempt, kind), entry in self._entries.items()
            if kind == "intended"
            and (path == below or path.startswith(f"{below}/"))
            and not any(
                (path, attempt, end) in self._entries for end in ("observed", "failed", "cancelled")
            )
        ]

    async def append(
        self,
        place: Place,
        kind: str,
        body: dict[str, Any],
        *,
        also: Callable[[Connection], object] | None = None,
        exclusive: bool = False,
    ) -> Entry:
        """Add a row durably; what is there already stands and is returned.

        Args:
            also: More statements for the same transaction.
            exclusive: The row is an intent: only who has written it may act on it.

        Raises:
            OvertakenError: If it is exclusive and another advance of the run has written it.
        """
        known = self.recall(place, kind)
        if known is not None:
            return known
        added = await self._enqueue(place, kind, body, also)
        self._raise_failure()
        if exclusive and not added:
            raise OvertakenError(f"{kind} at {place.path} was written by another advance")
        self._changed(self.run_id)
        return self._entries[(place.path, place.attempt, kind)]

    def append_soon(self, place: Place, kind: str, body: dict[str, Any]) -> Entry:
        """Add a row in order, without waiting; `flush` or the next `append` makes it durable."""
        known = self.recall(place, kind)
        if known is not None:
            return known
        future = self._enqueue(place, kind, body, None)
        self._pending.add(future)
        future.add_done_callback(self._written)
        return self._entries[(place.path, place.attempt, kind)]

    async def flush(self) -> None:
        """Return when everything that was added is durable.

        Raises:
            Exception: What the database raised, if a row could not be written.
        """
        if self._pending:
            await asyncio.wait(set(self._pending))
        self._raise_failure()
        self._changed(self.run_id)

    async def refresh(self) -> bool:
        """Read rows that others have added, such as a decision.

        Returns:
            Whether there were any since `begin`: a branch that looked before may have missed them.
        """
        after = self.seen
        self.add(await self._database.read(lambda c: journal.read(c, self.run_id, after)))
        return self._news

    def add(self, found: list[Entry]) -> None:
        """Take in rows that were read, in their order."""
        for entry in found:
            key = (entry.path, entry.attempt, entry.kind)
            self._news = self._news or key not in self._entries
            self._entries[key] = entry
            self.seen = max(self.seen, entry.seq)

    def _written(self, future: asyncio.Future[bool]) -> None:
        self._pending.discard(future)
        failure = None if future.cancelled() else future.exception()
        self._failure = self._failure or failure

    def _raise_failure(self) -> None:
        # What was remembered is not in the database: this log must not be used any more.
        if self._failure is not None:
            raise self._failure

    def _enqueue(
        self,
        place: Place,
        kind: str,
        body: dict[str, Any],
        also: Callable[[Connection], object] | None,
    ) -> asyncio.Future[bool]:
        at = self.now()

        def write(connection: Connection) -> bool:
            added = journal.append(connection, self.run_id, place, kind, at, body)
            if also is not None:
                also(connection)
            return added

        entry = Entry(
            run_id=self.run_id,
            seq=1 << 60,  # the database numbers it; until then it sorts last
            path=place.path,
            attempt=place.attempt,
            kind=kind,
            at=at,
            body=body,
        )
        self._entries[(place.path, place.attempt, kind)] = entry
        return self._database.write_soon(write)
