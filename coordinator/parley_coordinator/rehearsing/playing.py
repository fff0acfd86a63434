"""Runs a case: the document in memory, with everybody outside played from the case."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from parley_coordinator.rehearsing.cases import Case, Given, Occurrence
from parley_coordinator.rehearsing.cast import BrokenCaseError, Cast, Made
from parley_coordinator.rehearsing.expect import State
from parley_coordinator.workflow.catalog import FunctionInfo
from parley_coordinator.workflow.document import Document
from parley_coordinator.workflow.effects import NOTE_CHOSE, NOTE_EVENTS, Parked
from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_coordinator.workflow.expressions import Expressions
from parley_coordinator.workflow.frame import Frame
from parley_coordinator.workflow.hearing import key_of
from parley_coordinator.workflow.interpreter import RUNNERS, RunInfo, interpret
from parley_coordinator.workflow.machine import Machine, Result, Runner
from parley_coordinator.workflow.rehearsal import Journal, RehearsedEffects, advance
from parley_coordinator.workflow.tasks import Task

MAX_ADVANCES: Final = 2_000
"""A case that goes on more often is endless for a test."""
RUN: Final = "run-1"


@dataclass(frozen=True, slots=True)
class Visit:
    """One task that a run came to, and was not skipped."""

    path: str
    title: str
    """Its label."""
    at: datetime


@dataclass
class Played:
    """What a case came to."""

    state: State
    journal: Journal
    made: list[Made]
    visits: list[Visit]
    output: Any = None
    error: WorkflowError | None = None
    broken: str = ""
    """Why there is no outcome: the case cannot be so."""
    unused: list[tuple[str, str, str]] = field(default_factory=list)
    """Section and name of what was scripted and not used, and which part of it."""

    @property
    def took(self) -> timedelta:
        return self.journal.now - self.journal.started

    @property
    def chosen(self) -> set[tuple[str, str]]:
        """Path and case of every choice."""
        return {
            (path, body["case"])
            for (path, _attempt, kind), body in self.journal.rows.items()
            if kind == NOTE_CHOSE
        }

    @property
    def emitted(self) -> list[dict[str, Any]]:
        return self.journal.kinds("emitted")


async def play(
    case: Case,
    document: Document,
    functions: Mapping[str, list[FunctionInfo]],
    expressions: Expressions | None = None,
    *,
    most: int = MAX_ADVANCES,
) -> Played:
    """Run a case to its end.

    Args:
        functions: The skills that agents offer, by id.
        most: How often the clock may move.
    """
    given = case.given
    events = [_event(number, each, given.started) for number, each in enumerate(given.events, 1)]
    journal = Journal(started=given.started, now=given.started)
    for at, event in events:
        journal.publish(event, at)
    cast = Cast(case, document, functions, lambda: journal.now)
    visits: dict[tuple[str, str], Visit] = {}
    played = Played("completed", journal, cast.made, [])
    info = RunInfo(
        id=RUN,
        input=given.input,
        started_at=given.started,
        requested_by=given.requested_by,
    )
    problems = document.input_problems(given.input)
    if problems:
        title = "The input does not fit its schema"
        played.state = "refused"
        played.error = WorkflowError(Standard.VALIDATION, title, "; ".join(problems), instance="")
    else:
        runners = {kind: _watched(runner, visits, journal) for kind, runner in RUNNERS.items()}

        async def once(effects: RehearsedEffects) -> Any:
            return await interpret(document, info, effects, expressions, runners=runners)

        await _run(played, cast, given, once, most)
    played.visits = list(visits.values())
    played.unused = list(cast.unused())
    heard = {key for note in journal.kinds(NOTE_EVENTS) for key in note["events"]}
    for number, (_at, event) in enumerate(events, start=1):
        if key_of(event) not in heard:
            played.unused.append(("events", str(event["type"]), f", event {number}"))
    return played


async def _run(
    played: Played,
    cast: Cast,
    given: Given,
    once: Callable[[RehearsedEffects], Awaitable[Any]],
    most: int,
) -> None:
    journal = played.journal
    try:
        played.output = await advance(
            journal,
            lambda: RehearsedEffects(journal, cast, secrets=given.secrets),
            once,
            until=None if given.stop_after is None else journal.started + given.stop_after,
            most=most,
        )
    except WorkflowError as error:
        played.state, played.error = "faulted", error
    except Parked:
        played.state = "waiting"
    except BrokenCaseError as broken:
        played.broken = str(broken)
    except OverflowError:
        played.broken = "the clock of the rehearsal left the calendar"


def _event(number: int, each: Occurrence, started: datetime) -> tuple[datetime, dict[str, Any]]:
    at = started + each.after
    defaults = {
        "specversion": "1.0",
        "id": f"event-{number}",
        "time": at.isoformat().replace("+00:00", "Z"),
    }
    return at, {**defaults, **each.event}


def _watched(runner: Runner, visits: dict[tuple[str, str], Visit], journal: Journal) -> Runner:
    async def watched(machine: Machine, task: Task, data: Any, frame: Frame) -> Result:
        place = frame.place
        visit = Visit(place.path, frame.title, journal.now)
        visits.setdefault((place.path, place.attempt), visit)
        return await runner(machine, task, data, frame)

    return watched
