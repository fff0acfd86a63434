"""The journal of one run, as the interpreter sees it while it advances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parley_coordinator.model import Entry, Place, Wait
from parley_coordinator.store import journal

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from datetime import datetime

    from parley_wire.database import Database
    from sqlalchemy import Connection


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
        self._pending: set[asyncio.Future[None]] = set()
        self.waits: list[Wait] = []
        """Why branches can't go on, one each; filled while the run advances."""

    def recall(self, place: Place, kind: str) -> Entry | None:
        return self._entries.get((place.path, place.attempt, kind))

    def open_tasks(self, below: str = "") -> list[Place]:
        """Where, at `below` or under it, an agent's task is known and its end is not."""
        return [
            entry.place
            for (path, attempt, kind), entry in self._entries.items()
            if kind == "sent"
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
        also: Callable[[Connection], None] | None = None,
    ) -> Entry:
        """Add a row durably; what is there already stands and is returned.

        Args:
            also: More statements for the same transaction.
        """
        known = self.recall(place, kind)
        if known is not None:
            return known
        future = self._enqueue(place, kind, body, also)
        await future
        self._changed(self.run_id)
        return self._entries[(place.path, place.attempt, kind)]

    def append_soon(self, place: Place, kind: str, body: dict[str, Any]) -> Entry:
        """Add a row in order, without waiting; `flush` or the next `append` makes it durable."""
        known = self.recall(place, kind)
        if known is not None:
            return known
        future = self._enqueue(place, kind, body, None)
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        return self._entries[(place.path, place.attempt, kind)]

    async def flush(self) -> None:
        """Return when everything that was added is durable."""
        for future in list(self._pending):
            await future
        self._changed(self.run_id)

    async def refresh(self) -> bool:
        """Read rows that others have added, such as a decision; True if there were any."""
        after = self.seen
        found = await self._database.read(lambda c: journal.read(c, self.run_id, after))
        news = False
        for entry in found:
            key = (entry.path, entry.attempt, entry.kind)
            news = news or key not in self._entries
            self._entries[key] = entry
            self.seen = max(self.seen, entry.seq)
        return news

    def _enqueue(
        self,
        place: Place,
        kind: str,
        body: dict[str, Any],
        also: Callable[[Connection], None] | None,
    ) -> asyncio.Future[None]:
        at = self.now()

        def write(connection: Connection) -> None:
            journal.append(connection, self.run_id, place, kind, at, body)
            if also is not None:
                also(connection)

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
