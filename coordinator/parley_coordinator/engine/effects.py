"""The interpreter's port, over the journal, the agents, the inbox and the event log."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from parley_coordinator.delegation import intents
from parley_coordinator.engine.abandoning import ABANDONED, Abandoning, Stopping
from parley_coordinator.engine.asking import Asking
from parley_coordinator.engine.calling import Calling
from parley_coordinator.engine.children import Children
from parley_coordinator.engine.listening import Listening
from parley_coordinator.engine.requests import Requests
from parley_coordinator.inbox import questions
from parley_coordinator.model import Place, Wait
from parley_coordinator.store.tables import from_text, to_text
from parley_coordinator.workflow.effects import (
    NOTE_CLOSED,
    NOTE_EVENTS,
    NOTE_UNHEARD,
    Call,
    Child,
    Parked,
    Request,
    Subscription,
)
from parley_coordinator.workflow.errors import WorkflowError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from parley_wire.database import Database

    from parley_coordinator.delegation.delegation import Delegation
    from parley_coordinator.delegation.terms import Terms
    from parley_coordinator.engine.bus import Bus
    from parley_coordinator.engine.calling_back import CallingBack
    from parley_coordinator.engine.children import Nursery
    from parley_coordinator.model import Run
    from parley_coordinator.protocols.performer import Performer
    from parley_coordinator.protocols.secrets import Secrets
    from parley_coordinator.store.log import RunLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """Everything that the runs of one coordinator reach."""

    delegation: Delegation
    calling_back: CallingBack
    performer: Performer
    secrets: Secrets
    bus: Bus
    nursery: Nursery
    terms: Terms
    ended: Callable[[Run], None]
    """Called after a run has ended, perhaps more than once."""


class JournalEffects:
    """Implements `workflow.effects.Effects` for one advance of one run."""

    def __init__(self, run: Run, log: RunLog, database: Database, outside: Outside) -> None:
        self._run = run
        self._log = log
        self._outside = outside
        self._asking = Asking(run, log, database)
        self._calling = Calling(run, log, outside.delegation, self._asking)
        self._children = Children(run, log, outside.nursery, outside.terms)
        self._listening = Listening(run, log, database, outside.bus)
        stopping = Stopping(outside.calling_back, outside.nursery)
        self._abandoning = Abandoning(log, stopping, self._listening)
        self._requests = Requests(
            run, log, outside.performer, self._asking, outside.secrets.values, outside.terms
        )

    async def call(self, call: Call) -> Any:
        return await self._calling.call(call)

    async def human_task(self, call: Call) -> dict[str, Any]:
        place = call.place
        failed = self._log.recall(place, "failed")
        if failed is not None:
            raise WorkflowError.from_json(failed.body["error"])
        try:
            asked = self._log.recall(place, "asked")
            if asked is None:
                item = questions.human_task(self._run, call, at=self._log.now())
                asked = await self._asking.ask(place, "asked", item)
            decided = await self._asking.decision(place, asked, "decided", call.deadline)
        except WorkflowError as exc:
            await self._log.append(place, "failed", {"error": exc.as_json(), "title": call.title})
            raise
        if decided is None:
            self._asking.wait(asked, until=call.deadline)
        return {
            name: decided.body[name]
            for name in ("outcome", "by", "at", "comment", "values", "digest", "item")
        }

    async def request(self, request: Request) -> Any:
        return await self._requests.request(request)

    async def run_workflow(self, child: Child) -> Any:
        return await self._children.run_workflow(child)

    async def emit(self, place: Place, event: dict[str, Any], title: str) -> dict[str, Any]:
        return await self._listening.emit(place, event, title)

    async def subscribe(self, subscription: Subscription) -> None:
        await self._listening.subscribe(subscription)

    def received(self, place: Place) -> list[dict[str, Any]]:
        return self._listening.received(place)

    async def wait_for_event(self, place: Place, until: datetime | None) -> None:
        await self._listening.wait_for_event(place, until)

    def secret(self, name: str) -> Any:
        return self._outside.secrets.get(name)

    def happened(self, place: Place) -> bool:
        failed = set[str]()
        begun = set[str]()
        for entry in self._log.at(place.path):
            if not place.holds(entry.attempt):
                continue
            if entry.kind in ("observed", "emitted") or entry.body.get("sent"):
                return True
            if entry.kind == "failed":
                failed.add(entry.attempt)
            if entry.kind == "child" or (
                entry.kind == "intended" and not intents.of(self._log, entry.place).nothing_begun
            ):
                begun.add(entry.attempt)
        return bool(begun - failed)

    async def time(self, place: Place, name: str) -> datetime:
        entry = self._log.append_soon(place, f"time.{name}", {"at": to_text(self._log.now())})
        return from_text(entry.body["at"])

    async def wait_until(self, place: Place, when: datetime) -> None:
        if self._log.now() >= when:
            return
        self._log.waits.append(
            Wait(kind="timer", path=place.path, since=self._log.now(), until=when)
        )
        raise Parked

    def recall(self, place: Place, kind: str) -> dict[str, Any] | None:
        entry = self._log.recall(place, kind)
        return None if entry is None else entry.body

    async def note(self, place: Place, kind: str, body: dict[str, Any]) -> None:
        if kind in ABANDONED:
            await self._abandoning.note(place, kind, body)
        elif kind in (NOTE_EVENTS, NOTE_UNHEARD, NOTE_CLOSED):
            await self._log.append(place, kind, body, also=self._listening.closing(place))
        else:
            self._log.append_soon(place, kind, body)

    async def make_good(self) -> None:
        """Stop what is abandoned and still open; for before the run waits."""
        await self._abandoning.make_good()

    async def jitter(self, place: Place, low_s: float, high_s: float) -> float:
        # Seeded by the place, so it needs no randomness of ours and no second look at the journal.
        drawn = Random(f"{self._run.id}|{place.path}|{place.attempt}").uniform(low_s, high_s)  # noqa: S311 - not a secret
        entry = self._log.append_soon(place, "jitter", {"seconds": drawn})
        return float(entry.body["seconds"])
