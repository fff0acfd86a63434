"""The journal of one run, as the interpreter sees it while it advances."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol

from parley_coordinator.model import Entry, Place, Wait, is_within
from parley_coordinator.store import artifacts, calls_back, journal, runs

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from parley_wire.database import Database
    from sqlalchemy import Connection


SOON_S: Final = 0.02
"""So long may a row that nobody waits for be kept back, to share the commit of one that counts."""
_RESENT: Final = "resent."


class Claims(Protocol):
    """What the log asks of `engine.claims.Claims`."""

    def check(self) -> None: ...

    def holds(self, connection: Connection, run_id: str) -> bool: ...


class OvertakenError(Exception):
    """Another advance of the run was faster; this one must start over from the journal."""


def _nth(kind: str, ordinal: int) -> str:
    return kind if ordinal == 1 else f"{kind}.{ordinal}"


class RunLog:
    """What has happened in a run, and the one way to add to it.

    `recall` answers from memory. `append` returns when the row is durable; `append_soon` keeps it for
    `SOON_S` at most, in order, for facts that the next durable row makes durable with it.

    Args:
        claims: Has a say before each intent, which only the holder of the run may write.
        inline_bytes: Larger outputs are kept beside the journal.
    """

    def __init__(
        self,
        run_id: str,
        entries: list[Entry],
        database: Database,
        now: Callable[[], datetime],
        changed: Callable[[str], None],
        *,
        claims: Claims | None = None,
        inline_bytes: int = artifacts.INLINE_BYTES,
    ) -> None:
        self.run_id = run_id
        self.now = now
        self.seen = entries[-1].seq if entries else 0
        """The highest `seq` that was read; rows above it arrived later or are our own."""
        self._database = database
        self._changed = changed
        self._claims = claims
        self._inline_bytes = inline_bytes
        self._entries = {(e.path, e.attempt, e.kind): e for e in entries}
        self._soon: list[Callable[[Connection], bool]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._pending: set[asyncio.Future[None]] = set()
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
            if entry.kind == kind and is_within(entry.path, path)
        ]

    def tasks_at(self, place: Place) -> list[str]:
        """The ids of the tasks that agents have opened for this place, oldest first."""
        return [str(entry.body["task"]) for entry in self._numbered(place, "sent")]

    def task_at(self, place: Place, *, past: int = 0) -> str | None:
        """The id of the newest task that an agent has opened for this place, but for the first `past`."""
        found = self.tasks_at(place)
        return found[-1] if len(found) > past else None

    def note_task(self, place: Place, task: str, context: str, *, past: int = 0) -> None:
        """Write down a task id, unless it is there already after the first `past`."""
        known = self.tasks_at(place)
        if task not in known[past:]:
            kind = _nth("sent", len(known) + 1)
            self.append_soon(place, kind, {"task": task, "context": context})

    def open_tasks(self, below: str = "") -> list[Place]:
        """Where, at `below` or under it, something went to an agent and its end is not known.

        A task that an agent names after it was to be cancelled is open again.
        """
        return [
            entry.place
            for (path, _, kind), entry in self._entries.items()
            if kind == "intended" and is_within(path, below) and not self._has_ended(entry.place)
        ]

    def cancellations_at(self, place: Place) -> list[Entry]:
        """What came of asking for the end of what went to an agent, oldest first."""
        return self._numbered(place, "cancelled")

    def resent_at(self, place: Place) -> int:
        """How often a person has had the message of a place sent again."""
        return sum(
            each.attempt == place.attempt and each.kind.startswith(_RESENT)
            for each in self.at(place.path)
        )

    def _has_ended(self, place: Place) -> bool:
        if any(self.recall(place, end) is not None for end in ("observed", "failed")):
            return True
        cancelled, sent = self.cancellations_at(place), self._numbered(place, "sent")
        return bool(cancelled) and not (sent and sent[-1].seq > cancelled[-1].seq)

    def _numbered(self, place: Place, kind: str) -> list[Entry]:
        found: list[Entry] = []
        while (entry := self.recall(place, _nth(kind, len(found) + 1))) is not None:
            found.append(entry)
        return found

    def owe(self, place: Place, due: datetime) -> None:
        """Have what went to an agent called back at `due`, in the commit of whatever is added next."""
        at = self.now()

        def write(connection: Connection) -> bool:
            calls_back.owe(connection, self.run_id, place, at=at, due=due)
            return True

        self._keep_back(write)

    async def note_late(self, place: Place, task: str, context: str, *, resent: int) -> bool:
        """Write down a task that an agent has named after nobody waited for its answer any more.

        Args:
            resent: From `resent_at`, when the message left. What a person has had sent again since is
                another task: this one counts no more.

        Returns:
            Whether nobody will look at it, so that it is to be called back now: that is owed.
        """
        at = self.now()

        def write(connection: Connection) -> bool:
            rows = journal.at(connection, self.run_id, place)
            if sum(each.kind.startswith(_RESENT) for each in rows) > resent:
                return False
            known = [each for each in rows if each.kind.partition(".")[0] == "sent"]
            if task not in {each.body["task"] for each in known}:
                body = {"task": task, "context": context}
                kind = _nth("sent", len(known) + 1)
                journal.tell(connection, self.run_id, place, kind, at, body)
            ended = any(each.kind in ("failed", "cancelled") for each in rows)
            if not ended and runs.is_open(connection, self.run_id):
                return False
            if not any(each.kind == "observed" for each in rows):
                calls_back.owe(connection, self.run_id, place, at=at, due=at)
            return True

        owed = await self._database.write(write)
        self._changed(self.run_id)
        return owed

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
            OvertakenError: If it is exclusive and another advance of the run has written it, or the
                run has ended or passed to another coordinator.
        """
        known = self.recall(place, kind)
        if known is not None:
            return known
        row = self._row(place, kind, body, also, exclusive=exclusive)
        self.hand_over()
        added = await self._database.write_soon(row)
        self._raise_failure()
        if exclusive and self._claims is not None:
            self._claims.check()
        if exclusive and not added:
            raise OvertakenError(f"{kind} at {place.path} was written by another advance")
        if not added:
            await self.refresh()
        self._changed(self.run_id)
        return self._entries[(place.path, place.attempt, kind)]

    async def observe(self, place: Place, output: Any, more: dict[str, Any]) -> Entry:
        """Add the output of a step durably; a large one beside the journal, and what names it."""
        if not artifacts.is_large(output, self._inline_bytes):
            return await self.append(place, "observed", {"output": output, **more})
        artifact = artifacts.Artifact.of(output)
        return await self.append(
            place,
            "observed",
            {"artifact": artifact.reference, **more},
            also=lambda c: artifacts.keep(c, self.run_id, artifact),
        )

    async def output(self, observed: Entry) -> Any:
        """Return the output that a row has, or names."""
        reference = observed.body.get("artifact")
        if reference is None:
            return observed.body["output"]
        digest = str(reference["digest"])
        return await self._database.read(lambda c: artifacts.value(c, digest))

    def append_soon(self, place: Place, kind: str, body: dict[str, Any]) -> Entry:
        """Add a row in order, without waiting; `flush` or the next `append` makes it durable."""
        known = self.recall(place, kind)
        if known is not None:
            return known
        self._keep_back(self._row(place, kind, body, None))
        return self._entries[(place.path, place.attempt, kind)]

    def _keep_back(self, write: Callable[[Connection], bool]) -> None:
        self._soon.append(write)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SOON_S, self.hand_over)

    def hand_over(self) -> None:
        """Enqueue what was kept back, before whatever is enqueued next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._soon:
            return
        rows, self._soon = self._soon, []

        def write(connection: Connection) -> None:
            for row in rows:
                row(connection)

        future = self._database.write_soon(write)
        self._pending.add(future)
        future.add_done_callback(self._written)

    async def flush(self) -> None:
        """Return when everything that was added is durable.

        Raises:
            Exception: What the database raised, if a row could not be written.
        """
        self.hand_over()
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

    def _written(self, future: asyncio.Future[None]) -> None:
        self._pending.discard(future)
        failure = None if future.cancelled() else future.exception()
        self._failure = self._failure or failure

    def _raise_failure(self) -> None:
        # What was remembered is not in the database: this log must not be used any more.
        if self._failure is not None:
            raise self._failure

    def _row(
        self,
        place: Place,
        kind: str,
        body: dict[str, Any],
        also: Callable[[Connection], object] | None,
        *,
        exclusive: bool = False,
    ) -> Callable[[Connection], bool]:
        """Remember a row; return what writes it."""
        at, claims = self.now(), self._claims if exclusive else None

        def write(connection: Connection) -> bool:
            if claims is not None and not claims.holds(connection, self.run_id):
                raise OvertakenError(f"run {self.run_id} has ended, or is advanced elsewhere")
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
        return write
