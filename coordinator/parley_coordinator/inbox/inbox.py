"""What people do with work items: see them, and decide them once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from parley_coordinator.errors import (
    AlreadyDecidedError,
    ItemClosedError,
    StaleDigestError,
    UnknownItemError,
)
from parley_coordinator.governance.access import Permission, Principal, require
from parley_coordinator.inbox.rules import check_decision, check_eligible, is_candidate
from parley_coordinator.model import (
    Decision,
    ItemState,
    Page,
    Place,
    RunState,
    WorkItem,
)
from parley_coordinator.store import items, journal, runs
from parley_coordinator.store.cursor import read_cursor, write_cursor
from parley_coordinator.store.tables import to_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from parley_wire.database import Database
    from sqlalchemy import Connection

    from parley_coordinator.model import MessageRef

logger = logging.getLogger(__name__)


class Inbox:
    """The open questions and their answers.

    Args:
        signal: Called after a decision is durable, with the run's id: wakes the run.
    """

    def __init__(
        self,
        database: Database,
        *,
        now: Callable[[], datetime],
        signal: Callable[[str], Awaitable[None]],
    ) -> None:
        self._database = database
        self._now = now
        self._signal = signal

    async def list(
        self,
        principal: Principal,
        *,
        state: ItemState | None = ItemState.READY,
        run_id: str | None = None,
        limit: int = 50,
        cursor: str = "",
    ) -> Page[WorkItem]:
        """Return the items that the caller may see, newest first.

        Raises:
            InvalidRequestError: If the cursor is not one of ours.
        """
        require(
            principal, Permission.ITEM_READ_ALL if _sees_all(principal) else Permission.ITEM_READ
        )
        titles = None if _sees_all(principal) else principal.titles
        before = read_cursor(cursor)
        found = await self._database.read(
            lambda c: items.page(
                c, limit=limit + 1, before=before, state=state, run_id=run_id, titles=titles
            )
        )
        more = len(found) > limit
        found = found[:limit]
        last = found[-1] if more else None
        return Page(
            entries=found,
            next_cursor="" if last is None else write_cursor(to_text(last.created_at), last.id),
        )

    async def get(self, principal: Principal, item_id: str) -> WorkItem:
        """Return one item.

        Raises:
            UnknownItemError: If there is none, or the caller may not see it.
        """
        item = await self._database.read(lambda c: items.get(c, item_id))
        if item is None or not (
            _sees_all(principal)
            or (principal.may(Permission.ITEM_READ) and is_candidate(principal, item))
        ):
            raise UnknownItemError(item_id)
        return item

    async def decide(
        self,
        principal: Principal,
        item_id: str,
        *,
        outcome: str,
        digest: str,
        comment: str = "",
        values: dict[str, Any] | None = None,
        message: MessageRef | None = None,
    ) -> WorkItem:
        """Decide an item; the first decision wins.

        The same person repeating the same decision gets the item back, so a retry is safe.

        Args:
            digest: Of the proposal that the person saw.
            message: The A2A message that brings it.

        Raises:
            UnknownItemError: If there is none, or the caller may not see it.
            NotPermittedError: If the caller's roles never decide.
            NotEligibleError: If the caller is no candidate, or is excluded.
            StaleDigestError: If `digest` is not the one of the open proposal.
            InvalidDecisionError: If the outcome is not offered or the values do not fit the form.
            AlreadyDecidedError: If somebody else, or another decision, came first.
            ItemClosedError: If the item expired or was withdrawn.
        """
        item = await self.get(principal, item_id)
        require(principal, Permission.ITEM_DECIDE)
        check_eligible(principal, item)
        if item.state.final:
            settled = _settled(item, principal, outcome, digest)
            await self._wake(item.run_id)
            return settled
        if digest != item.digest:
            raise StaleDigestError(item_id=item.id, current=item.digest)
        checked = check_decision(item, outcome=outcome, comment=comment, values=values)
        decision = Decision(
            outcome=outcome,
            by=principal.subject,
            at=self._now(),
            digest=digest,
            comment=comment,
            values=checked,
            message=message,
        )
        if not await self._database.write(lambda c: self._record(c, item, decision)):
            return _settled(await self.get(principal, item_id), principal, outcome, digest)
        await self._wake(item.run_id)
        return await self.get(principal, item_id)

    async def _wake(self, run_id: str) -> None:
        """Let the run go on. The decision is durable: if this fails, the sweep wakes the run."""
        try:
            await self._signal(run_id)
        except Exception:
            logger.exception("run %s was not woken; the next sweep does it", run_id)

    def _record(self, connection: Connection, item: WorkItem, decision: Decision) -> bool:
        stored = runs.get(connection, item.run_id)
        if stored is None or stored.run.state in (RunState.CANCELLED, RunState.FAULTED):
            items.close(connection, item.id, ItemState.WITHDRAWN)
            return False
        if item.decide_by is not None and decision.at >= item.decide_by:
            return False  # too late, whether or not the run has noticed yet
        if not items.decide(connection, item.id, decision):
            return False
        journal.tell(
            connection,
            item.run_id,
            Place(path=item.path, attempt=item.attempt),
            str(item.origin.get("answers", "decided")),
            decision.at,
            {
                "item": item.id,
                "outcome": decision.outcome,
                "by": decision.by,
                "at": to_text(decision.at),
                "digest": decision.digest,
                "comment": decision.comment,
                "values": decision.values,
            },
        )
        return True


def _sees_all(principal: Principal) -> bool:
    return principal.may(Permission.ITEM_READ_ALL)


def _settled(item: WorkItem, principal: Principal, outcome: str, digest: str) -> WorkItem:
    """What a decision gets that came after the item was closed."""
    decision = item.decision
    if decision is not None:
        if (decision.by, decision.outcome, decision.digest) == (principal.subject, outcome, digest):
            return item
        raise AlreadyDecidedError(item_id=item.id, decided_by=decision.by, outcome=decision.outcome)
    state = "expired" if item.state is ItemState.READY else str(item.state)
    raise ItemClosedError(f"the item is {state}; nothing was decided", item=item.id)
