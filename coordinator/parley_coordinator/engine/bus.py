"""Events on their way to who listens: logged first, then delivered, once to each listen (ADR-0010).

An event is a row of the event log before anybody is told. Delivering it writes a row into the journal
of each run that listens, and wakes the run. Who begins to listen reads the log in the transaction that
makes it a listener, so each event is either found there or delivered later, never both.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, uuid5

from parley_coordinator.errors import EventConflictError
from parley_coordinator.store import events, journal
from parley_coordinator.store.events import Receipt
from parley_coordinator.workflow.errors import WorkflowError
from parley_coordinator.workflow.events import fits
from parley_coordinator.workflow.hearing import key_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from parley_wire.database import Database
    from sqlalchemy import Connection

    from parley_coordinator.store.events import Listener, Logged
    from parley_coordinator.workflow.expressions import Expressions

logger = logging.getLogger(__name__)

_NAMESPACE: Final = uuid5(NAMESPACE_URL, "urn:parley:event")
_BATCH: Final = 200
_UNKNOWN: Final = object()
"""Of an expression that only the run can evaluate."""
KIND: Final = "event"


def row_kind(event: dict[str, Any]) -> str:
    """Return the kind of the journal row that an event becomes: the same event, the same row."""
    return f"{KIND}:{uuid5(_NAMESPACE, key_of(event))}"


class Bus:
    """The events of one coordinator.

    Args:
        signal: Lets a run go on whose journal has news.
        hear: Offers an event to what listens outside of runs; it may come twice.
    """

    def __init__(
        self,
        database: Database,
        *,
        signal: Callable[[str], Awaitable[None]],
        hear: Callable[[dict[str, Any]], Awaitable[None]],
        expressions: Expressions,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._expressions = expressions
        self._signal = signal
        self._hear = hear
        self._now = now

    async def publish(self, batch: Sequence[dict[str, Any]], by: str) -> list[Receipt]:
        """Take events in, durably and all or none, and deliver those that are new.

        Args:
            by: The subject that sent them.

        Raises:
            EventConflictError: If the log has another event with the source and id of one of them.
        """
        at = self._now()

        def write(connection: Connection) -> list[Receipt]:
            receipts: list[Receipt] = []
            for event in batch:
                receipt = events.insert(connection, event, at, by)
                if receipt is Receipt.CONFLICT:
                    raise EventConflictError(event["source"], event["id"])
                receipts.append(receipt)
            return receipts

        receipts = await self._database.write(write)
        for event, receipt in zip(batch, receipts, strict=True):
            if receipt is Receipt.ACCEPTED:
                await self.deliver(event)
        return receipts

    async def deliver(self, event: dict[str, Any], *, wake: bool = True) -> None:
        """Tell an event of the log to all who listen; safe to repeat.

        Args:
            wake: Let the runs go on; otherwise the sweep of the engine finds their news.
        """
        await self._hear(event)
        found = await self._database.read(lambda c: events.listeners(c, event))
        known: dict[str, Any] = {}
        wanted = [each for each in found if await self._may_concern(each, event, known)]
        at = self._now()

        def write(connection: Connection) -> list[Listener]:
            told = [
                each
                for each in wanted
                if events.listens(connection, each.run_id, each.place)
                and journal.tell(
                    connection, each.run_id, each.place, row_kind(event), at, {"event": event}
                )
            ]
            events.delivered(connection, event)
            return told

        told = await self._database.write(write)
        if wake:
            for run_id in dict.fromkeys(each.run_id for each in told):
                await self._signal(run_id)

    async def _may_concern(
        self, listener: Listener, event: dict[str, Any], known: dict[str, Any]
    ) -> bool:
        """Whether the listen has to look at an event.

        Args:
            known: What expressions come to for this event, so that many who tell events apart in the
                same way cost one evaluation.
        """
        if not listener.filters:
            return True
        expected = listener.expected or [{}] * len(listener.filters)
        for wanted, values in zip(listener.filters, expected, strict=True):
            if fits([wanted], event) and await self._comes_to(values, event, known):
                return True
        return False

    async def _comes_to(
        self, expected: dict[str, Any], event: dict[str, Any], known: dict[str, Any]
    ) -> bool:
        for expression, value in expected.items():
            if expression not in known:
                try:
                    known[expression] = await self._expressions.run(expression, event, {})
                except WorkflowError:
                    known[expression] = _UNKNOWN
            if known[expression] is not _UNKNOWN and known[expression] != value:
                return False
        return True

    async def redeliver(self, *, wake: bool = True) -> None:
        """Deliver what a crash, or a failure of ours, has left undelivered.

        An event that fails does not hold up those after it; it is tried again the next time.
        """
        after = 0
        while found := await self._undelivered(after):
            for logged in found:
                after = logged.seq
                try:
                    await self.deliver(logged.event, wake=wake)
                except Exception:
                    logger.exception("event %s could not be delivered", key_of(logged.event))

    async def _undelivered(self, after: int) -> list[Logged]:
        return await self._database.read(lambda c: events.undelivered(c, after, _BATCH))
