"""An engine in memory: a journal in a dict, scripted answers, a clock that moves when all wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from parley_coordinator.model import Place
from parley_coordinator.workflow.document import Document, load_document
from parley_coordinator.workflow.effects import Call, Parked
from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_coordinator.workflow.interpreter import RunInfo, interpret

STARTED = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

Key = tuple[str, str, str]
"""Path, attempt and kind of a row of the journal."""
Parks = Callable[[Key], bool]
Script = Callable[[Call], Any]
"""The output of a call; a `WorkflowError` it raises is the outcome, `Never` keeps it waiting."""


class Never(Exception):  # noqa: N818 - a script's way to say: no answer
    """Nobody ever answers this call."""


def names(call: Call) -> Any:
    """The script that answers every call with the function's name and the arguments."""
    return {"by": call.function, **call.arguments}


def never_parks(_key: Key) -> bool:
    return False


@dataclass
class Journal:
    """What survives from one interpretation to the next."""

    rows: dict[Key, dict[str, Any]] = field(default_factory=dict)
    performed: Counter[tuple[str, str]] = field(default_factory=Counter)
    calls: list[Call] = field(default_factory=list)
    now: datetime = STARTED

    def at(self, path: str, kind: str, attempt: str = "1") -> dict[str, Any] | None:
        return self.rows.get((path, attempt, kind))

    def kinds(self, kind: str) -> list[dict[str, Any]]:
        return [body for (_path, _attempt, each), body in self.rows.items() if each == kind]

    def functions(self) -> list[str]:
        return [call.function for call in self.calls]


class MemoryEffects:
    """Implements `Effects`; `parks` says of each new row whether to park before it."""

    def __init__(
        self, journal: Journal, script: Script = names, parks: Parks = never_parks
    ) -> None:
        self._journal = journal
        self._script = script
        self._parks = parks
        self.wakes: list[datetime] = []
        self.postponed = False

    async def call(self, call: Call) -> Any:
        return self._answer(call)

    async def human_task(self, call: Call) -> dict[str, Any]:
        answer = self._answer(call)
        assert isinstance(answer, dict)
        return answer

    async def time(self, place: Place, name: str) -> datetime:
        row = self._once(place, f"time.{name}", lambda: {"at": self._journal.now.isoformat()})
        return datetime.fromisoformat(row["at"])

    async def wait_until(self, place: Place, when: datetime) -> None:
        del place
        if self._journal.now < when:
            self._wait(when)

    def recall(self, place: Place, kind: str) -> dict[str, Any] | None:
        return self._journal.at(place.path, kind, place.attempt)

    async def note(self, place: Place, kind: str, body: dict[str, Any]) -> None:
        self._once(place, kind, lambda: body)

    async def jitter(self, place: Place, low_s: float, high_s: float) -> float:
        row = self._once(place, "jitter", lambda: {"seconds": (low_s + high_s) / 2})
        return float(row["seconds"])

    def _once(self, place: Place, kind: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        key = (place.path, place.attempt, kind)
        if key not in self._journal.rows:
            self._maybe_postpone(key)
            self._journal.rows[key] = make()
        return self._journal.rows[key]

    def _answer(self, call: Call) -> Any:
        key = (call.place.path, call.place.attempt, "observed")
        row = self._journal.rows.get(key)
        if row is None:
            self._maybe_postpone(key)
            row = self._perform(call)
            self._journal.rows[key] = row
        if "error" in row:
            raise WorkflowError.from_json(row["error"])
        return row["output"]

    def _perform(self, call: Call) -> dict[str, Any]:
        if call.deadline is not None and call.deadline <= self._journal.now:
            return {"error": WorkflowError(Standard.TIMEOUT, "too late").as_json()}
        try:
            output = self._script(call)
        except Never:
            self._wait(call.deadline)
        except WorkflowError as error:
            self._count(call)
            return {"error": error.as_json()}
        self._count(call)
        return {"output": output}

    def _count(self, call: Call) -> None:
        self._journal.performed[(call.place.path, call.place.attempt)] += 1
        self._journal.calls.append(call)

    def _maybe_postpone(self, key: Key) -> None:
        if self._parks(key):
            self.postponed = True
            raise Parked

    def _wait(self, until: datetime | None) -> None:
        if until is not None:
            self.wakes.append(until)
        raise Parked


def load(text: str, *, name: str = "example") -> Document:
    """Load a document of which `text` is all but the head."""
    head = f'document: {{dsl: "1.0.3", namespace: test, name: {name}, version: "1.0.0"}}\n'
    return load_document(head + text, source="example.yaml")


async def run(
    document: Document,
    *,
    data: Any = None,
    script: Script = names,
    journal: Journal | None = None,
    parks: Parks = never_parks,
    requested_by: str = "requester",
) -> Any:
    """Interpret until it ends, moving the clock whenever nothing else can go on.

    Raises:
        WorkflowError: The run faulted.
        Parked: It waits for what never comes.
    """
    journal = Journal() if journal is None else journal
    info = RunInfo(id="run-1", input=data, started_at=STARTED, requested_by=requested_by)
    for _ in range(10_000):
        effects = MemoryEffects(journal, script, parks)
        try:
            return await interpret(document, info, effects)
        except Parked:
            if effects.postponed:
                continue
            if not effects.wakes:
                raise
            journal.now = max(journal.now, min(effects.wakes))
    raise AssertionError("the run did not end")


def failing(type_: str = Standard.COMMUNICATION, *, times: int, then: Script = names) -> Script:
    """The script that fails so many calls, and goes on with another one."""
    left = [times]

    def script(call: Call) -> Any:
        if left[0] > 0:
            left[0] -= 1
            raise WorkflowError(type_, "It did not work")
        return then(call)

    return script


def answering(answers: Mapping[str, Any]) -> Script:
    """The script that looks answers up by function; errors are raised."""

    def script(call: Call) -> Any:
        answer = answers[call.function]
        if isinstance(answer, Exception):
            raise answer
        return answer(call) if callable(answer) else answer

    return script


async def fault(text: str, **more: Any) -> WorkflowError:
    """Run a document that must fault; return its error."""
    with pytest.raises(WorkflowError) as caught:
        await run(load(text), **more)
    return caught.value
