"""What callers do with events: send them in, and read the log."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from parley_coordinator.errors import (
    EventTooLargeError,
    InvalidEventError,
    ReservedEventError,
)
from parley_coordinator.governance.access import Permission, Principal, require
from parley_coordinator.store import deployments, events
from parley_coordinator.store.events import LIFECYCLE, Receipt
from parley_coordinator.workflow.cloudevents import MAX_BYTES, problems, without_nulls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley_wire.database import Database

    from parley_coordinator.engine.bus import Bus
    from parley_coordinator.store.events import Logged

MAX_BATCH: Final = 100
_MAX_FINDINGS: Final = 20
_OURS: Final = re.compile(r"/[^/]+/([^/]+)/.*", re.ASCII | re.DOTALL)
"""The source of what a workflow announces, `/namespace/name/version`."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a batch."""

    accepted: int
    duplicates: int


class Events:
    """Every use case checks its permission first, then what it was given, then acts."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus

    async def publish(self, principal: Principal, batch: Sequence[Any]) -> Taken:
        """Take events in, durably and all or none, each once, and deliver them to who listens.

        Raises:
            NotPermittedError: If the caller may not publish.
            InvalidEventError: If one of them is no event; `facts["findings"]` says why.
            EventTooLargeError: If one has more than `MAX_BYTES`.
            ReservedEventError: If one pretends to come from a workflow of ours.
            EventConflictError: If another event of its source has its id.
        """
        require(principal, Permission.EVENT_PUBLISH)
        given = checked(batch)
        await self._refuse_ours(given)
        receipts = await self._bus.publish(given, principal.subject)
        accepted = receipts.count(Receipt.ACCEPTED)
        return Taken(accepted, len(receipts) - accepted)

    async def list(
        self, principal: Principal, *, after: int, limit: int, type_: str | None
    ) -> list[Logged]:
        """Return events of the log with `seq > after`, oldest first.

        Raises:
            NotPermittedError: If the caller may not read it.
        """
        require(principal, Permission.EVENT_READ)
        return await self._database.read(
            lambda c: events.page(c, after=after, limit=limit, type_=type_)
        )

    async def _refuse_ours(self, batch: Sequence[dict[str, Any]]) -> None:
        names = set(await self._database.read(deployments.names))
        for event in batch:
            if event["type"].startswith(LIFECYCLE):
                raise ReservedEventError(
                    f"events of types that begin with {LIFECYCLE} come from the coordinator alone",
                    type=event["type"],
                )
            ours = _OURS.fullmatch(event["source"])
            if ours is not None and ours[1] in names:
                raise ReservedEventError(
                    "this source is a workflow of this mesh; send the events with one of your own",
                    source=event["source"],
                )


def checked(batch: Sequence[Any]) -> list[dict[str, Any]]:
    """Return what somebody sent as events.

    Raises:
        InvalidEventError, EventTooLargeError
    """
    if not 0 < len(batch) <= MAX_BATCH:
        raise InvalidEventError(f"a batch has 1 to {MAX_BATCH} events, this one has {len(batch)}")
    given = [without_nulls(each) if isinstance(each, dict) else each for each in batch]
    found = [(index, each) for index, event in enumerate(given) for each in problems(event)]
    if found:
        index, problem = found[0]
        where = f"event {index + 1}: " if len(batch) > 1 else ""
        findings = [{"index": index, "problem": each} for index, each in found[:_MAX_FINDINGS]]
        raise InvalidEventError(f"{where}{problem}", findings=findings)
    if any(len(json.dumps(each, ensure_ascii=False).encode()) > MAX_BYTES for each in given):
        raise EventTooLargeError(MAX_BYTES)
    return given
