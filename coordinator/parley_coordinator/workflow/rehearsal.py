"""An engine in memory: a journal in a dict, scripted answers, and a clock that moves when all wait.

It runs a document as the real engine does, without servers and without waiting: three days pass in
a moment. `parley test` and the tests of the language are built on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NoReturn, Protocol, TypeAlias
from uuid import NAMESPACE_URL, uuid5

from parley_coordinator.model import Place
from parley_coordinator.workflow.document import Document
from parley_coordinator.workflow.effects import (
    NOTE_EVENTS,
    Call,
    Child,
    Parked,
    Request,
    Subscription,
)
from parley_coordinator.workflow.errors import NO_RESULT, Standard, WorkflowError
from parley_coordinator.workflow.expressions import Expressions
from parley_coordinator.workflow.fields import HUMAN_TASK
from parley_coordinator.workflow.hearing import key_of
from parley_coordinator.workflow.interpreter import RunInfo, interpret

STARTED: Final = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
"""When a rehearsal begins, unless it is told otherwise: a Monday morning."""
MAX_ADVANCES: Final = 200_000
INCIDENT: Final = "incident"
"""A row of the journal: an undo call that failed, `{error}`. The run waits for an operator."""

Key: TypeAlias = tuple[str, str, str]
"""Path, attempt and kind of a row of the journal."""
Asked: TypeAlias = Call | Request | Child


class Script(Protocol):
    """Plays everybody outside: agents, people, protocols and other workflows."""

    def __call__(self, asked: Asked, /) -> Any:
        """Return the output, or `Later`.

        Raises:
            WorkflowError: That is the outcome.
            Never: Nobody ever answers.
        """
        ...


class Never(Exception):  # noqa: N818 - a script's way to say: no answer
    """Nobody ever answers this."""


@dataclass(frozen=True, slots=True)
class Later:
    """An answer that takes its time."""

    after: timedelta
    value: Any
    """The output, or the WorkflowError that is the outcome."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a branch waits."""

    path: str
    until: datetime | None
    """None: for what never comes."""


def names(asked: Asked) -> Any:
    """The script that answers every call with the function's name and the arguments."""
    if isinstance(asked, Call):
        return {"by": asked.function, **asked.arguments}
    if isinstance(asked, Child):
        return {"by": asked.name, "input": asked.input}
    return {"by": asked.protocol, **asked.arguments}


def never_parks(_key: Key) -> bool:
    return False


@dataclass
class Journal:
    """What survives from one interpretation to the next."""

    rows: dict[Key, dict[str, Any]] = field(default_factory=dict)
    performed: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each place was performed, by path and attempt."""
    asked: list[Asked] = field(default_factory=list)
    """What was performed, in order."""
    events: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    """Published by the run, or arriving from outside at their time, in order of time."""
    standing: list[Standing] = field(default_factory=list)
    """Where the last interpretation stopped."""
    started: datetime = STARTED
    now: datetime = STARTED

    @property
    def calls(self) -> list[Call]:
        return [each for each in self.asked if isinstance(each, Call)]

    def at(self, path: str, kind: str, attempt: str = "1") -> dict[str, Any] | None:
        return self.rows.get((path, attempt, kind))

    def kinds(self, kind: str) -> list[dict[str, Any]]:
        return [body for (_path, _attempt, each), body in self.rows.items() if each == kind]

    def functions(self) -> list[str]:
        return [call.function for call in self.calls]

    def publish(self, event: dict[str, Any], at: datetime) -> None:
        self.events.append((at, event))
        self.events.sort(key=lambda each: each[0])


class RehearsedEffects:
    """Implements `Effects`; `parks` says of each new row whether to park before it."""

    def __init__(
        self,
        journal: Journal,
        script: Script,
        *,
        secrets: Mapping[str, Any],
        parks: Callable[[Key], bool] = never_parks,
    ) -> None:
        self._journal = journal
        self._script = script
        self._secrets = secrets
        self._parks = parks
        self.wakes: list[datetime] = []
        self.postponed = False

    async def call(self, call: Call) -> Any:
        return self._answer(call)

    async def human_task(self, call: Call) -> dict[str, Any]:
        answer = self._answer(call)
        if not isinstance(answer, dict):
            raise TypeError(f"the answer to {call.title!r} must be an object")
        return answer

    async def request(self, request: Request) -> Any:
        return self._answer(request)

    async def run_workflow(self, child: Child) -> Any:
        return self._answer(child)

    async def emit(self, place: Place, event: dict[str, Any], title: str) -> dict[str, Any]:
        del title

        def publish() -> dict[str, Any]:
            name = f"{place.path}|{place.attempt}"
            whole = {
                "id": str(uuid5(NAMESPACE_URL, name)),
                "time": self._journal.now.isoformat().replace("+00:00", "Z"),
                **event,
            }
            self._journal.publish(whole, self._journal.now)
            return whole

        return self._once(place, "emitted", publish)

    async def subscribe(self, subscription: Subscription) -> None:
        used = [key for note in self._journal.kinds(NOTE_EVENTS) for key in note["events"]]
        self._once(subscription.place, "listening", lambda: {"used": used})

    def received(self, place: Place) -> list[dict[str, Any]]:
        row = self._journal.at(place.path, "listening", place.attempt)
        used = [] if row is None else row["used"]
        return [
            event
            for at, event in self._journal.events
            if at <= self._journal.now and key_of(event) not in used
        ]

    async def wait_for_event(self, place: Place, until: datetime | None) -> None:
        if until is not None and until <= self._journal.now:
            return
        ahead = [at for at, _event in self._journal.events if at > self._journal.now]
        self.wakes.extend(ahead[:1])
        self._wait(place, until)

    def secret(self, name: str) -> Any:
        if name not in self._secrets:
            raise WorkflowError(Standard.AUTHORIZATION, f"there is no secret {name!r}")
        return self._secrets[name]

    def happened(self, place: Place) -> bool:
        rows = self._journal.rows
        return any(
            path == place.path
            and place.holds(attempt)
            and (
                kind == "emitted"
                or (kind == "intended" and _may_have(rows.get((path, attempt, "observed"))))
            )
            for path, attempt, kind in rows
        )

    async def time(self, place: Place, name: str) -> datetime:
        row = self._once(place, f"time.{name}", lambda: {"at": self._journal.now.isoformat()})
        return datetime.fromisoformat(row["at"])

    async def wait_until(self, place: Place, when: datetime) -> None:
        if self._journal.now < when:
            self._wait(place, when)

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

    def _answer(self, asked: Asked) -> Any:
        key = (asked.place.path, asked.place.attempt, "observed")
        row = self._journal.rows.get(key)
        if row is None:
            self._maybe_postpone(key)
            row = self._perform(asked)
            self._journal.rows[key] = row
        if "error" in row:
            error = WorkflowError.from_json(row["error"])
            error.from_callee = bool(row.get("from_callee"))
            raise error
        return row["output"]

    def _perform(self, asked: Asked) -> dict[str, Any]:
        now = self._journal.now
        begun = self._once(asked.place, "intended", lambda: {"at": now.isoformat()})
        if self._journal.at(asked.place.path, INCIDENT, asked.place.attempt) is not None:
            self._wait(asked.place, None)
        if asked.deadline is not None and asked.deadline <= now:
            return {"error": _too_late(asked).as_json()}
        try:
            output = self._script(asked)
            if isinstance(output, Later):
                due = datetime.fromisoformat(begun["at"]) + output.after
                if due > now:
                    until = due if asked.deadline is None else min(due, asked.deadline)
                    self._wait(asked.place, until)
                output = output.value
            if isinstance(output, WorkflowError):
                raise output
        except Never:
            self._wait(asked.place, asked.deadline)
        except WorkflowError as error:
            self._count(asked)
            body = error.as_json()
            if not isinstance(asked, Child) and asked.compensates:
                self._once(asked.place, INCIDENT, lambda: {"error": body})
                self._wait(asked.place, None)
            return {"error": body, "from_callee": isinstance(asked, Child)}
        self._count(asked)
        return {"output": output}

    def _count(self, asked: Asked) -> None:
        self._journal.performed[(asked.place.path, asked.place.attempt)] += 1
        self._journal.asked.append(asked)

    def _maybe_postpone(self, key: Key) -> None:
        if self._parks(key):
            self.postponed = True
            raise Parked

    def _wait(self, place: Place, until: datetime | None) -> NoReturn:
        self._journal.standing.append(Standing(place.path, until))
        if until is not None:
            self.wakes.append(until)
        raise Parked


def _too_late(asked: Asked) -> WorkflowError:
    if isinstance(asked, Call) and asked.function == HUMAN_TASK:
        title, detail = f"nobody decided in time: {asked.title}", "no answer is not a yes"
    else:
        title, detail = f"{asked.title} was not done in time", "the deadline has passed"
    return WorkflowError(Standard.TIMEOUT, title, detail)


def _may_have(end: dict[str, Any] | None) -> bool:
    """Tell whether what was begun and ended so may have had its effect."""
    if end is None or "output" in end:
        return True
    error = WorkflowError.from_json(end["error"])
    return error.is_a(Standard.TIMEOUT) or error.status == NO_RESULT


async def rehearse(
    document: Document,
    *,
    data: Any = None,
    script: Script = names,
    journal: Journal | None = None,
    parks: Callable[[Key], bool] = never_parks,
    requested_by: str = "requester",
    secrets: Mapping[str, Any] | None = None,
    expressions: Expressions | None = None,
) -> Any:
    """Interpret a document until it ends, moving the clock whenever nothing else can go on.

    Returns:
        The output of the run.

    Raises:
        WorkflowError: The run faulted.
        Parked: It waits for what never comes.
    """
    journal = Journal() if journal is None else journal
    info = RunInfo(id="run-1", input=data, started_at=journal.started, requested_by=requested_by)
    return await advance(
        journal,
        lambda: RehearsedEffects(journal, script, secrets=secrets or {}, parks=parks),
        lambda effects: interpret(document, info, effects, expressions),
    )


async def advance(
    journal: Journal,
    effects: Callable[[], RehearsedEffects],
    once: Callable[[RehearsedEffects], Awaitable[Any]],
    *,
    until: datetime | None = None,
    most: int = MAX_ADVANCES,
) -> Any:
    """Interpret again and again, as `rehearse` does.

    Args:
        effects: Makes those of one interpretation.
        once: Interprets.
        until: When to stop, whatever is still under way.
        most: So many interpretations.

    Raises:
        WorkflowError: As `rehearse`.
        Parked: As `rehearse`, or it waits for longer than `until`.
    """
    for _ in range(most):
        current = effects()
        journal.standing.clear()
        try:
            return await once(current)
        except Parked:
            if current.postponed:
                continue
            if not current.wakes:
                raise
            wakes = min(current.wakes)
            if until is not None and wakes > until:
                journal.now = max(journal.now, until)
                raise
            journal.now = max(journal.now, wakes)
    raise WorkflowError(Standard.RUNTIME, "Endless run", f"it went on {most} times")
