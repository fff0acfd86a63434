"""Tasks that agents have under way for `call: a2a`, as long as this process knows how to call them back.

Calling back needs credentials, which are written down nowhere: who was sent a message is remembered in
memory, from each look at the task to the next. After a restart that is until the run looks again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from parley_coordinator.model import Stopped
from parley_coordinator.protocols.a2a_messages import ENDED
from parley_coordinator.protocols.outcome import LostError, Trail
from parley_coordinator.workflow.errors import WorkflowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from parley_coordinator.model import Place
    from parley_coordinator.protocols.outcome import Prepared
    from parley_coordinator.store.log import RunLog

CANCEL_S: Final = 15.0
"""So long may it take to look a task up and have it cancelled."""


class _Sent(NamedTuple):
    prepared: Prepared
    since: datetime
    confidential: Callable[[], Iterable[str]]


class OpenTasks:
    """What was sent by all runs of this process and may still be called back."""

    def __init__(self) -> None:
        self._sent: dict[tuple[str, Place], _Sent] = {}

    def keep(self, trail: Trail, prepared: Prepared) -> None:
        """Remember a request, just before it is sent or looked at again."""
        if prepared.traceable:
            key = trail.log.run_id, trail.place
            self._sent[key] = _Sent(prepared, trail.since, trail.confidential)

    def drop(self, run_id: str, place: Place) -> None:
        """Forget a request of which the end is known."""
        self._sent.pop((run_id, place), None)

    async def cancel(self, log: RunLog, place: Place) -> Stopped | None:
        """Have the task of a place cancelled; None: nothing is known of it."""
        sent = self._sent.get((log.run_id, place))
        if sent is None:
            return None
        trail = Trail(
            log=log, place=place, begun=True, since=sent.since, confidential=sent.confidential
        )
        try:
            async with asyncio.timeout(CANCEL_S):
                outcome = await sent.prepared.cancel(trail)
        except (WorkflowError, LostError, TimeoutError) as exc:
            outcome = f"{sent.prepared.who} could not cancel: {str(exc) or 'no answer in time'}"
        settled = outcome in ENDED
        if settled:
            self.drop(log.run_id, place)
        return Stopped(trail.redaction().text(outcome), settled=settled)
