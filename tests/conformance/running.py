"""Runs a scenario's workflow: from end to end, parked before every effect, or told again."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal, TypeAlias

import pytest
from parley_coordinator.workflow import interpreter
from parley_coordinator.workflow.document import Document
from parley_coordinator.workflow.effects import Child, Parked, Request
from parley_coordinator.workflow.errors import WorkflowError
from parley_coordinator.workflow.interpreter import RunInfo, interpret
from parley_coordinator.workflow.rehearsal import (
    STARTED,
    Asked,
    Journal,
    Key,
    Later,
    RehearsedEffects,
    never_parks,
)

from tests.conformance.cast import Cast
from tests.conformance.observing import Trace, observed

Way: TypeAlias = Literal["straight", "parked", "retold"]
Perform: TypeAlias = Callable[[Request], Awaitable[Any]]
"""Sends a protocol request for real. Raises WorkflowError."""

MAX_PASSES: Final = 20_000


@dataclass
class Stage:
    """What a scenario sets up."""

    document: Document | None = None
    data: Any = field(default_factory=dict)
    cast: Cast = field(default_factory=Cast)
    secrets: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[timedelta, dict[str, Any]]] = field(default_factory=list)
    workflows: dict[str, Document] = field(default_factory=dict)
    """Other ones, by name."""
    servers: Callable[[], AbstractAsyncContextManager[Perform]] | None = None
    """None: protocol requests are answered by the cast."""


@dataclass
class Played:
    """How a run ended: with an output, with an error, or waiting for what never comes."""

    journal: Journal
    trace: Trace
    status: Literal["completed", "faulted", "waiting"]
    output: Any = None
    error: dict[str, Any] = field(default_factory=dict)
    retold: Trace | None = None
    """What was run when a finished run was told again."""

    @property
    def took(self) -> timedelta:
        return self.journal.now - self.journal.started

    def effects(self) -> dict[str, Any]:
        """Return what the run did to the world, whatever the order of concurrent branches."""
        return {
            "performed": self.journal.performed,
            "asked": Counter(
                (each.place.path, each.place.attempt, repr(each)) for each in self.journal.asked
            ),
            "events": self.journal.events,
            "took": self.took,
        }

    def end(self) -> tuple[str, Any, dict[str, Any]]:
        return self.status, self.output, self.error


async def play(stage: Stage, way: Way) -> Played:
    """Run the workflow of a scenario.

    `parked` and `retold` also run it `straight`, and compare: the outcome and what was done to
    the world must be the same, and nothing may have been done twice.
    """
    if stage.servers is None:
        return await _compared(_Play(stage), way)
    async with stage.servers() as perform:
        return await _compared(_Play(stage, perform), way)


async def _compared(play: _Play, way: Way) -> Played:
    straight = await play.run(play.journal(), never_parks)
    if way == "straight":
        return straight
    if way == "parked":
        other = await play.run(play.journal(), _once_each())
    else:
        other = await play.run(copy.deepcopy(straight.journal), never_parks)
        assert other.journal.rows == straight.journal.rows, "telling again wrote into the journal"
        # Losers of a race, and iterations before a checkpoint, are not told again.
        assert other.trace.visits.keys() <= straight.trace.visits.keys()
        other.trace, other.retold = straight.trace, other.trace
    assert other.end() == straight.end()
    assert other.effects() == straight.effects()
    assert set(other.journal.performed.values()) <= {1}
    return other


def _once_each() -> Callable[[Key], bool]:
    """Park before every row of the journal that is about to be written, when it is tried first."""
    seen: set[Key] = set()

    def parks(key: Key) -> bool:
        fresh = key not in seen
        seen.add(key)
        return fresh

    return parks


class _Play:
    """The workflow of a scenario, or another one that it runs, and everybody outside."""

    def __init__(self, stage: Stage, perform: Perform | None = None) -> None:
        self.stage = stage
        self.perform = perform

    def journal(self) -> Journal:
        arriving = [(STARTED + after, event) for after, event in self.stage.events]
        return Journal(events=sorted(arriving, key=lambda each: each[0]))

    async def run(self, journal: Journal, parks: Callable[[Key], bool]) -> Played:
        document = self.stage.document
        assert document is not None, "the scenario has no workflow"
        return await self.run_document(document, self.stage.data, journal, parks)

    async def run_document(
        self, document: Document, data: Any, journal: Journal, parks: Callable[[Key], bool]
    ) -> Played:
        played = Played(journal, Trace(), "waiting")
        info = RunInfo(id="run-1", input=data, started_at=journal.started, requested_by="requester")
        children: dict[tuple[str, str], Played] = {}
        script = self.stage.cast.performance()
        for _ in range(MAX_PASSES):
            effects = _Effects(self, children, journal, script, parks)
            try:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(interpreter, "Machine", observed(played.trace))
                    played.output = await interpret(document, info, effects)
            except WorkflowError as error:
                played.status, played.error = "faulted", error.as_json()
                return played
            except Parked:
                if effects.postponed:
                    continue
                if not effects.wakes:
                    return played
                journal.now = max(journal.now, min(effects.wakes))
            else:
                played.status = "completed"
                return played
        raise AssertionError(f"the run went on {MAX_PASSES} times")


class _Effects(RehearsedEffects):
    """Sends requests for real if the scenario has servers, and runs other workflows of it."""

    def __init__(
        self,
        play: _Play,
        children: dict[tuple[str, str], Played],
        journal: Journal,
        script: Callable[[Asked], Any],
        parks: Callable[[Key], bool],
    ) -> None:
        def asking(asked: Asked) -> Any:
            child = children.get((asked.place.path, asked.place.attempt))
            return script(asked) if child is None else _outcome(child)

        super().__init__(journal, asking, secrets=play.stage.secrets, parks=parks)
        self._play = play
        self._children = children

    async def request(self, request: Request) -> Any:
        perform = self._play.perform
        if perform is None:
            return await super().request(request)
        key = (request.place.path, request.place.attempt, "observed")
        if key not in self._journal.rows:
            self._maybe_postpone(key)
            try:
                row: dict[str, Any] = {"output": await perform(request)}
            except WorkflowError as error:
                row = {"error": error.as_json()}
            self._count(request)
            self._journal.rows[key] = row
        return self._answer(request)

    async def run_workflow(self, child: Child) -> Any:
        document = self._play.stage.workflows.get(child.name)
        key = (child.place.path, child.place.attempt)
        if document is not None and child.awaited and key not in self._children:
            journal = Journal(started=self._journal.now, now=self._journal.now)
            self._children[key] = await self._play.run_document(
                document, child.input, journal, never_parks
            )
        return await super().run_workflow(child)


def _outcome(child: Played) -> Any:
    assert child.status != "waiting", "the other workflow never ends"
    if child.status == "faulted":
        raise WorkflowError.from_json(child.error)
    return Later(child.took, child.output)
