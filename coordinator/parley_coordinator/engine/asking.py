"""Questions to people from inside a run: asked once, decided once, or expired."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from parley_coordinator.engine.storable import check_storable
from parley_coordinator.model import ItemState, Wait
from parley_coordinator.store import items, journal
from parley_coordinator.workflow.effects import Parked
from parley_coordinator.workflow.errors import Standard, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from parley_wire.database import Database
    from sqlalchemy import Connection

    from parley_coordinator.model import Entry, Place, Run, WorkItem
    from parley_coordinator.store.log import RunLog


class Asking:
    """Puts questions of one run into the inbox and reads the decisions."""

    def __init__(self, run: Run, log: RunLog, database: Database) -> None:
        self._run = run
        self._log = log
        self._database = database

    async def ask(self, place: Place, kind: str, item: WorkItem, *, key: str = "") -> Entry:
        """Raises WorkflowError `validation` if a candidate cannot be stored."""
        check_storable(item.candidates, "name of a candidate", place.path)
        body = {
            "item": item.id,
            "kind": str(item.kind),
            "title": item.title,
            "reason": item.reason,
            "summary": [fact.as_json() for fact in item.summary],
            "digest": item.digest,
            "candidates": item.candidates,
            "excluded": item.excluded,
            "agent": item.origin.get("agent", ""),
            "key": key,
        }
        return await self._log.append(place, kind, body, also=lambda c: items.insert(c, item))

    async def decision(
        self, place: Place, asked: Entry, kind: str, deadline: datetime | None
    ) -> Entry | None:
        """Return the decision; None while there is none and time is left.

        An incident has no deadline: somebody has to find out.

        Raises:
            WorkflowError: `timeout`, if the deadline passed first. Which of the two was first is
                settled by the item's state, in one transaction.
        """
        decided = self._log.recall(place, kind)
        if decided is not None or deadline is None or asked.body["kind"] == "incident":
            return decided
        if self._log.now() < deadline:
            return None
        item_id, now = asked.body["item"], self._log.now()

        def expire(connection: Connection) -> bool:
            if items.close(connection, item_id, ItemState.EXPIRED):
                expired = f"{kind}.expired"
                journal.append(connection, self._run.id, place, expired, now, {"item": item_id})
                return True
            item = items.get(connection, item_id)
            return item is None or item.state is not ItemState.DECIDED

        if await self._database.write(expire):
            raise WorkflowError(
                Standard.TIMEOUT,
                f"nobody decided in time: {asked.body['title']}",
                "no answer is not a yes",
                instance=place.path,
            )
        await self._log.refresh()
        return self._log.recall(place, kind)

    def wait(self, asked: Entry, *, until: datetime | None) -> NoReturn:
        """Park until somebody decides.

        Raises:
            Parked: Always.
        """
        item = asked.body["item"]
        self._log.waits.append(
            Wait(kind="item", path=asked.path, since=asked.at, until=until, subject=item)
        )
        raise Parked

    def closing(self, place: Place) -> Callable[[Connection], None]:
        """Withdraw what is still open at exactly this place; for the transaction that ends it."""
        return lambda connection: items.withdraw_at(connection, self._run.id, place)
