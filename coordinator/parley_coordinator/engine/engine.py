"""Advances runs: from the journal as far as they go now, then to their end or to a place to wait."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from parley_coordinator.delegation.terms import of_run
from parley_coordinator.engine.abandoning import Stopping, under_way
from parley_coordinator.engine.claims import Sole
from parley_coordinator.engine.dispatching import Dispatcher
from parley_coordinator.engine.durable import Durable
from parley_coordinator.engine.effects import JournalEffects, Outside
from parley_coordinator.engine.ending import end
from parley_coordinator.engine.storable import is_unstorable, unstorable
from parley_coordinator.engine.sweeping import Means, Sweep
from parley_coordinator.model import Run, RunState, Wait
from parley_coordinator.store import events, journal, runs
from parley_coordinator.store.artifacts import INLINE_BYTES
from parley_coordinator.store.log import OvertakenError, RunLog
from parley_coordinator.workflow.document import Document
from parley_coordinator.workflow.effects import Parked
from parley_coordinator.workflow.errors import WorkflowError
from parley_coordinator.workflow.interpreter import RunInfo, interpret

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime

    from parley_wire.database import Database
    from sqlalchemy import Connection

    from parley_coordinator.engine.claims import Claims
    from parley_coordinator.model import Entry
    from parley_coordinator.store.runs import Stored
    from parley_coordinator.workflow.expressions import Expressions

logger = logging.getLogger(__name__)

REMEMBERED: Final = timedelta(days=7)
"""So long are rows of the queue kept that are done; of no use but to who looks into it."""
FOREVER: Final = timedelta(days=3650)
"""How long a run sleeps that only a person can wake."""
STOPPING_S: Final = 5.0
"""So long does a cancellation wait for what is under way to stop."""
LONG_LOG: Final = 500
"""A journal of so many rows is kept in memory while its run waits; of a few runs at a time."""
MAX_LONG_LOGS: Final = 16
NOT_WAITED_FOR: Final = "the run that waited for it has ended"
TROUBLE: Final = (1, 2, 5, 10, 30, 60)
"""Seconds until a run is tried again that could not be advanced for a reason of ours."""


class Watch:
    """Wakes one who waits for a change of a run."""

    def __init__(self, *, state_only: bool) -> None:
        self._state_only = state_only
        self._event = asyncio.Event()

    def tell(self, *, state: bool) -> None:
        if state or not self._state_only:
            self._event.set()

    async def change(self, timeout_s: float) -> bool:
        """Return True once something has changed since the watch began; False after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        return True


class Engine:
    """Runs in one process; what it knows is in the database.

    Args:
        expressions: Evaluates the expressions of documents that others have written.
        inline_bytes: Outputs of agents up to this size are in the journal, larger ones beside it.
        claims: Keep other coordinators out of a run that advances here; None: there are none.
    """

    def __init__(
        self,
        database: Database,
        durable: Durable,
        outside: Outside,
        *,
        expressions: Expressions,
        now: Callable[[], datetime],
        inline_bytes: int = INLINE_BYTES,
        claims: Claims | None = None,
    ) -> None:
        self._inline_bytes = inline_bytes
        self._database = database
        self._durable = durable
        self._outside = outside
        self._stopping = Stopping(outside.calling_back, outside.nursery)
        self._expressions = expressions
        self._now = now
        self._claims = claims or Sole()
        self._long_logs: OrderedDict[str, RunLog] = OrderedDict()
        self._documents: dict[str, Document] = {}
        self._active: dict[str, asyncio.Task[None]] = {}
        self._dispatcher = Dispatcher(self.advance)
        self._trouble: dict[str, int] = {}
        self._watches: dict[str, list[Watch]] = {}
        means = Means(
            is_here=self._is_here,
            is_at=self._is_at,
            take_up=self.take_up,
            wake=self._wake,
            go=self._go,
            try_again=self._try_again,
        )
        self._sweep = Sweep(database, durable, means, now=now, claims=self._claims)

    async def launch(self) -> None:
        """Start the queue; what a crash has interrupted goes on."""
        await self._durable.launch(self.advance)
        await self.sweep(whole=True)

    async def sweep(self, *, whole: bool = False) -> int:
        """Have every unfinished run go on that nothing would advance; return how many.

        Args:
            whole: Hold all that wait against the queue, not some of them.
        """
        return await self._sweep.look(whole=whole)

    def take_up(self, run_id: str, segment: int) -> None:
        """Go on with a run that was interrupted; harmless if it is under way."""
        if not self._is_here(run_id):
            self._dispatcher.go(run_id, segment)

    async def tidy(self) -> None:
        """Cancel the runs that a crash has left open after the one had ended that waited for them.

        What the queue has done long ago is forgotten, a part of it each time.
        """
        for run_id in await self._database.read(runs.orphans):
            await self._outside.nursery.cancel(run_id, NOT_WAITED_FOR)
        await self._durable.forget(self._now() - REMEMBERED)

    async def close(self) -> None:
        await self._dispatcher.close()
        await self._durable.close()
        # What the queue has begun here would go on beside whoever takes it up now.
        under_way = set(self._active.values())
        for task in under_way:
            task.cancel("the coordinator stops")
        if under_way:
            await asyncio.wait(under_way)
        await self._outside.delegation.aclose()

    async def start(self, run_id: str) -> None:
        """Let a run begin whose row is durable: that is all that a crash needs."""
        await self._go(run_id, 0)

    async def signal(self, run_id: str) -> None:
        """Something was added to the run's journal: let it go on."""
        self.changed(run_id)
        stored = await self._database.read(lambda c: runs.get(c, run_id))
        if stored is not None and stored.run.state is RunState.WAITING:
            await self._wake(run_id, stored.segment)

    async def cancel(self, run_id: str) -> None:
        """Stop what the run does in this process, and cancel its tasks at the agents.

        The run is in its final state already; this is the clean-up, safe to repeat.
        """
        active = self._active.get(run_id)
        if active is not None:
            active.cancel("the run was cancelled")
            # What it has sent is in the journal once it has ended.
            await asyncio.wait({active}, timeout=STOPPING_S)
        await self._cancel_tasks(run_id)
        self.changed(run_id, state=True)
        stored = await self._database.read(lambda c: runs.get(c, run_id))
        if stored is not None:
            await self._tell_end(stored.run)

    def changed(self, run_id: str, *, state: bool = False) -> None:
        """Tell those who watch the run; `state`: it has parked or ended, not only gone on."""
        for watch in self._watches.get(run_id, ()):
            watch.tell(state=state)

    def watched(self) -> Collection[str]:
        """Return the runs that somebody waits for here."""
        return self._watches.keys()

    def active(self) -> Collection[str]:
        """Return the runs that advance here."""
        return self._active.keys()

    @contextlib.contextmanager
    def watch(self, run_id: str, *, state_only: bool = False) -> Iterator[Watch]:
        """Watch a run from now on; look at it inside the context, then wait for a change."""
        watch = Watch(state_only=state_only)
        watches = self._watches.setdefault(run_id, [])
        watches.append(watch)
        try:
            yield watch
        finally:
            watches.remove(watch)
            if not watches:
                self._watches.pop(run_id, None)

    async def advance(self, run_id: str, segment: int) -> None:
        """Carry a run as far as it goes now. The process edge of the engine: nothing escapes."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - we are in a coroutine
        # After a crash, the segment that was interrupted and the one that it had parked may both
        # come: one after the other, so that the second one finds what the first one did.
        while (active := self._active.get(run_id)) is not None:
            await asyncio.wait({active})
        self._active[run_id] = task
        try:
            await self._advance(run_id, segment)
            self._trouble.pop(run_id, None)
        except asyncio.CancelledError:
            if not await self._is_final(run_id):
                raise
        except Exception as exc:
            if isinstance(exc, OvertakenError) and await self._is_final(run_id):
                return
            if is_unstorable(exc):
                await self._fault(run_id)
                return
            logger.exception("run %s could not be advanced, it is tried again", run_id)
            await self._try_again(run_id, segment)
        finally:
            if self._active.get(run_id) is task:
                del self._active[run_id]
            self.changed(run_id, state=True)

    async def _advance(self, run_id: str, segment: int) -> None:
        if not await self._claims.claim(run_id, segment):
            return
        known = self._long_logs.pop(run_id, None)
        after = 0 if known is None else known.seen
        read = await self._database.read(lambda c: _read(c, run_id, after))
        if read is None:
            return  # the row was never committed, or belongs to another database
        stored, entries = read
        run = stored.run
        if run.state.final or stored.segment > segment:
            return
        if run.state is RunState.WAITING:
            self._database.write_soon(lambda c: runs.resume(c, run_id, self._now()))
        if known is None:
            log = RunLog(
                run_id,
                entries,
                self._database,
                self._now,
                self.changed,
                claims=self._claims,
                inline_bytes=self._inline_bytes,
            )
        else:
            log = known
            log.add(entries)
        effects = JournalEffects(run, log, self._database, self._outside)
        document = await self._document(run.digest)
        about = RunInfo(
            id=run.id,
            input=run.input,
            started_at=run.created_at,
            requested_by=run.requested_by,
            # Whoever waits for a run stops it, and says so in the words of its own document.
            deadline=None if run.parent and run.parent.waits else of_run(log).deadline,
        )
        try:
            while True:
                log.begin()
                try:
                    output = await interpret(document, about, effects, self._expressions)
                except Parked:
                    await effects.make_good()
                    if await self._park(log, run, segment):
                        self._keep(log)
                        return
                except WorkflowError as exc:
                    await self._finish(log, run, RunState.FAULTED, {"error": exc.as_json()})
                    return
                else:
                    await self._finish(log, run, RunState.COMPLETED, {"output": output})
                    return
        finally:
            log.hand_over()

    def _keep(self, log: RunLog) -> None:
        """Remember a long journal, so that the next advance reads only what is new."""
        if len(log) < LONG_LOG:
            return
        self._long_logs[log.run_id] = log
        while len(self._long_logs) > MAX_LONG_LOGS:
            self._long_logs.popitem(last=False)

    async def _park(self, log: RunLog, run: Run, segment: int) -> bool:
        """Leave the run to the queue; False if there is news, and it should go on at once."""
        await log.flush()
        if await log.refresh():
            return False
        now = self._now()
        waits = list(log.waits)
        if not waits:
            raise RuntimeError(f"run {run.id} parked without anything to wait for")
        until = min((wait.until for wait in waits if wait.until is not None), default=None)
        delay = FOREVER if until is None else max(until - now, timedelta(0))
        following = segment + 1
        await self._durable.park(run.id, following, delay.total_seconds())
        waiting_for = [wait.as_json() for wait in waits]
        by = self._claims.holder
        seen = log.seen

        def park(connection: Connection) -> bool:
            # A decision that came before found no parked run to wake: it keeps the run from parking.
            # One that comes after finds it parked, and whoever brings it or the sweep wakes it.
            if journal.last(connection, run.id) != seen:
                return False
            runs.park(connection, run.id, following, waiting_for, now, by)
            return True

        if not await self._database.write(park):
            await log.refresh()
            return False
        self._dispatcher.later(run.id, following, delay.total_seconds())
        return True

    async def _finish(self, log: RunLog, run: Run, state: RunState, body: dict[str, Any]) -> None:
        at = self._now()
        log.hand_over()

        owing = bool(log.open_tasks())

        def write(connection: Connection) -> bool:
            end(connection, run, state, body, at, owing=owing)
            return events.any_undelivered(connection)

        announced = await self._database.write(write)
        self.changed(log.run_id, state=True)
        await self._tell_end(run, announced=announced)
        await self._stopping.stop(log, under_way(log), NOT_WAITED_FOR)

    async def _fault(self, run_id: str) -> None:
        """End a run with something that can never be written down: to try again would be in vain."""
        stored = await self._database.read(lambda c: runs.get(c, run_id))
        if stored is None:
            return
        error = unstorable("text", "what the run has computed contains the character U+0000", "")
        body, at = {"error": error.as_json()}, self._now()
        await self._database.write(lambda c: end(c, stored.run, RunState.FAULTED, body, at))
        await self._tell_end(stored.run)
        await self._cancel_tasks(run_id)

    async def _tell_end(self, run: Run, *, announced: bool = True) -> None:
        """Let those go on who wait for the end of this run; what they need is written already.

        Args:
            announced: The end itself may be an event that is not delivered yet.
        """
        if run.parent is not None and run.parent.waits:
            await self.signal(run.parent.run)
        self._outside.ended(run)
        if announced:
            await self._outside.bus.redeliver()

    async def _cancel_tasks(self, run_id: str) -> None:
        """Stop everything that an ended run has started, and note what came of it."""
        # In turn with the writes: what an advance that was stopped has handed over comes before.
        entries = await self._database.write(lambda c: journal.read(c, run_id))
        log = RunLog(run_id, entries, self._database, self._now, self.changed)
        await self._stopping.stop(log, under_way(log), NOT_WAITED_FOR)

    async def _try_again(self, run_id: str, segment: int) -> None:
        count = self._trouble.get(run_id, 0)
        self._trouble[run_id] = count + 1
        delay = TROUBLE[min(count, len(TROUBLE) - 1)]
        now = self._now()
        wait = Wait(kind="engine", path="", since=now, until=now + timedelta(seconds=delay))
        await self._durable.park(run_id, segment + 1, delay)
        await self._database.write(
            lambda c: runs.park(c, run_id, segment + 1, [wait.as_json()], now, self._claims.holder)
        )
        self._dispatcher.later(run_id, segment + 1, delay)

    async def _go(self, run_id: str, segment: int) -> None:
        """Advance a run that no row of the queue stands for."""
        if not self._dispatcher.go(run_id, segment):
            await self._durable.park(run_id, segment, 0)

    async def _wake(self, run_id: str, segment: int) -> None:
        """Advance a parked run here; its row of the queue, due now, comes after it if we cannot."""
        self._dispatcher.go(run_id, segment)
        await self._durable.wake(run_id, segment)

    def _is_here(self, run_id: str) -> bool:
        return run_id in self._active or self._dispatcher.has(run_id)

    async def _is_at(self, run_id: str, segment: int) -> bool:
        stored = await self._database.read(lambda c: runs.get(c, run_id))
        return stored is not None and not stored.run.state.final and stored.segment == segment

    async def _is_final(self, run_id: str) -> bool:
        stored = await self._database.read(lambda c: runs.get(c, run_id))
        return stored is None or stored.run.state.final

    async def _document(self, digest: str) -> Document:
        if digest not in self._documents:
            body = await self._database.read(lambda c: runs.get_document(c, digest))
            if body is None:
                raise LookupError(f"the document {digest} is not in the database")
            self._documents[digest] = Document.from_json(body)
        return self._documents[digest]


def _read(connection: Connection, run_id: str, after: int) -> tuple[Stored, list[Entry]] | None:
    stored = runs.get(connection, run_id)
    return None if stored is None else (stored, journal.read(connection, run_id, after))
