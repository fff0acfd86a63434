"""What a run announces, and what it listens for, as rows of its journal (ADR-0010)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, uuid5

from parley_coordinator.engine.beginning import ROOT
from parley_coordinator.engine.bus import KIND, row_kind
from parley_coordinator.engine.storable import check_storable
from parley_coordinator.model import Wait
from parley_coordinator.store import events, journal
from parley_coordinator.store.events import LIFECYCLE, Listener, Receipt
from parley_coordinator.store.tables import from_text, to_text
from parley_coordinator.workflow.cloudevents import MAX_BYTES, problems
from parley_coordinator.workflow.effects import NOTE_EVENTS, Parked, Subscription
from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_coordinator.workflow.events import fits, types_of
from parley_coordinator.workflow.frame import validation_error
from parley_coordinator.workflow.hearing import key_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from parley_wire.database import Database
    from sqlalchemy import Connection

    from parley_coordinator.engine.bus import Bus
    from parley_coordinator.model import Place, Run
    from parley_coordinator.store.log import RunLog

_NAMESPACE: Final = uuid5(NAMESPACE_URL, "urn:parley:emitted")


class Listening:
    """The events of one run."""

    def __init__(self, run: Run, log: RunLog, database: Database, bus: Bus) -> None:
        self._run = run
        self._log = log
        self._database = database
        self._bus = bus

    async def emit(self, place: Place, event: dict[str, Any], title: str) -> dict[str, Any]:
        """Implement `Effects.emit`.

        Raises:
            WorkflowError: `validation`, if it is no event that a workflow may announce; `runtime`, if
                the document gave it an id that another event of its source has.
        """
        self._raise_failed(place)
        known = self._log.recall(place, "emitted")
        if known is not None:
            return dict(known.body["event"])
        at = self._log.now()
        key = f"{self._run.id}|{place.path}|{place.attempt}"
        whole = {"id": str(uuid5(_NAMESPACE, key)), "time": to_text(at), **event}
        found = _problems(whole)
        if found:
            raise validation_error("event", found, place.path)

        conflicts: list[str] = []

        def announce(connection: Connection) -> None:
            receipt = events.insert(connection, whole, at, f"run:{self._run.id}")
            if receipt is Receipt.CONFLICT:
                conflicts.append(whole["id"])
                body = {"error": _taken(whole, place).as_json(), "title": title}
                journal.append(connection, self._run.id, place, "failed", at, body)

        body = {"event": whole, "title": title}
        await self._log.append(place, "emitted", body, also=announce)
        if conflicts:
            await self._log.refresh()
            self._raise_failed(place)
        await self._bus.deliver(whole)
        return whole

    async def subscribe(self, subscription: Subscription) -> None:
        """Implement `Effects.subscribe`."""
        place, filters = subscription.place, subscription.filters
        listener = Listener(self._run.id, place, filters, subscription.expected)
        if self._log.recall(place, "listening") is not None:
            return
        types = types_of(filters)
        check_storable(types or (), "type of an event", place.path)
        used = {key for note in self._log.below("", NOTE_EVENTS) for key in note.body["events"]}
        at, since = self._log.now(), self._since()

        def listen(connection: Connection) -> None:
            events.listen(connection, listener, types)
            for event in events.since(connection, since, types):
                if key_of(event) not in used and fits(filters, event):
                    body = {"event": event}
                    journal.append(connection, self._run.id, place, row_kind(event), at, body)

        body = {"title": subscription.title, "types": types or []}
        await self._log.append(place, "listening", body, also=listen)
        # What came before is in the journal now; the database knows in which order.
        await self._log.refresh()

    def _since(self) -> datetime:
        """When the run began, or the first one for which it goes on: what that one heard is not lost."""
        started = self._log.recall(ROOT, "started")
        since = {} if started is None else started.body.get("continues", {})
        return from_text(since["since"]) if "since" in since else self._run.created_at

    def received(self, place: Place) -> list[dict[str, Any]]:
        """Implement `Effects.received`; the order is that of the journal."""
        rows = [
            entry
            for entry in self._log.at(place.path)
            if entry.attempt == place.attempt and entry.kind.startswith(f"{KIND}:")
        ]
        return [entry.body["event"] for entry in sorted(rows, key=lambda entry: entry.seq)]

    async def wait_for_event(self, place: Place, until: datetime | None) -> None:
        """Implement `Effects.wait_for_event`."""
        now = self._log.now()
        if until is not None and now >= until:
            return
        since = self._log.recall(place, "listening")
        self._log.waits.append(
            Wait(kind="event", path=place.path, since=since.at if since else now, until=until)
        )
        raise Parked

    def closing(self, place: Place) -> Callable[[Connection], None]:
        """Stop listening at a place; for the transaction that ends the listen."""
        return lambda connection: events.close_at(connection, self._run.id, place)

    def close_below(self, connection: Connection, path: str) -> None:
        events.close_below(connection, self._run.id, path)

    def _raise_failed(self, place: Place) -> None:
        failed = self._log.recall(place, "failed")
        if failed is not None:
            raise WorkflowError.from_json(failed.body["error"])


def _problems(event: dict[str, Any]) -> list[str]:
    found = problems(event)
    if str(event["type"]).startswith(LIFECYCLE):
        found.append(f"types that begin with {LIFECYCLE} are announced by the coordinator alone")
    if len(json.dumps(event).encode()) > MAX_BYTES:
        found.append(f"it has more than {MAX_BYTES} bytes of JSON")
    return found


def _taken(event: dict[str, Any], place: Place) -> WorkflowError:
    return WorkflowError(
        Standard.RUNTIME,
        "The event was not announced",
        f"another event of {event['source']} has the id {event['id']!r}",
        instance=place.path,
    )
