"""Everybody outside a run, played from a case: agents, people, protocols, other workflows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from parley_coordinator.model import WorkItem
from parley_coordinator.rehearsing import people
from parley_coordinator.rehearsing.cases import (
    SECTIONS,
    AgentAnswer,
    Answer,
    Case,
    Decision,
)
from parley_coordinator.rehearsing.paths import names_of
from parley_coordinator.workflow.catalog import AGENTS, FunctionInfo, find
from parley_coordinator.workflow.document import Document
from parley_coordinator.workflow.effects import Call, Child, Request
from parley_coordinator.workflow.errors import NO_RESULT, Standard, WorkflowError
from parley_coordinator.workflow.fields import HUMAN_TASK, Function
from parley_coordinator.workflow.rehearsal import Asked, Later, Never
from parley_coordinator.workflow.schemas import problems

ANYBODY = "*"
"""Under `people`: whatever is asked by a task that has no answers of its own."""

Kind: TypeAlias = Literal["agents", "people", "protocols", "workflows"]
Reply: TypeAlias = Later | WorkflowError | None
"""What comes of a call, now or later; None: nothing, ever."""


class BrokenCaseError(Exception):
    """The case cannot be so: it has no answer to a call, or one that nobody could give."""


@dataclass(frozen=True, slots=True)
class Made:
    """One call, in the order in which they were made."""

    kind: Kind
    name: str
    """Of the skill, the protocol or the workflow; `human-task`."""
    tasks: tuple[str, ...]
    """By which names of tasks it can be meant."""
    asked: Asked
    item: WorkItem | None = None

    @property
    def arguments(self) -> Any:
        return self.asked.input if isinstance(self.asked, Child) else self.asked.arguments


class _Turns:
    """What stands under one name, and how often each of it was used."""

    def __init__(self, answers: Any) -> None:
        alone = not isinstance(answers, tuple)
        self._answers: tuple[Any, ...] = (answers,) if alone else answers
        self._left: list[int | None] = [
            each.times or (None if alone else 1) for each in self._answers
        ]
        self._used = [0] * len(self._answers)

    def next(self) -> Any:
        """Return the next answer; None if all have been given."""
        for index, left in enumerate(self._left):
            if left is None or left > 0:
                self._left[index] = None if left is None else left - 1
                self._used[index] += 1
                return self._answers[index]
        return None

    @property
    def given(self) -> int:
        return sum(self._used)

    def unused(self) -> Iterator[str]:
        """Say of each answer that was not given as often as it says."""
        for index, (left, used) in enumerate(zip(self._left, self._used, strict=True)):
            which = f", answer {index + 1}" if len(self._answers) > 1 else ""
            if not used:
                yield which
            elif left:
                yield f"{which}: used {used} of {used + left} times"


class Cast:
    """Implements `Script` for one run of a case. Asking again about one call is no new call.

    Args:
        functions: The skills that agents offer, by id.
        now: The time in the rehearsal.
    """

    def __init__(
        self,
        case: Case,
        document: Document,
        functions: Mapping[str, list[FunctionInfo]],
        now: Callable[[], datetime],
    ) -> None:
        self.made: list[Made] = []
        self._case = case
        self._document = document
        self._functions = functions
        self._now = now
        self._replies: dict[tuple[str, str], Reply] = {}
        self._turns = {
            (section, name): _Turns(answers)
            for section in SECTIONS
            for name, answers in getattr(case.given, section).items()
        }

    def __call__(self, asked: Asked) -> Any:
        key = (asked.place.path, asked.place.attempt)
        if key not in self._replies:
            self._replies[key] = self._reply(asked)
        reply = self._replies[key]
        if reply is None:
            raise Never
        if isinstance(reply, WorkflowError):
            raise reply
        return reply

    def unused(self) -> Iterator[tuple[str, str, str]]:
        """Yield section and name of what was not used, and in words which part of it."""
        for (section, name), turns in self._turns.items():
            for which in turns.unused():
                yield section, name, which

    def _reply(self, asked: Asked) -> Reply:
        tasks = names_of(asked.place.path)
        match asked:
            case Call(function=name, catalog=catalog) if catalog == AGENTS:
                self.made.append(Made("agents", name, tasks, asked))
                return self._of_agent(asked, tasks)
            case Call():
                return self._of_people(asked, tasks)
            case Request():
                self.made.append(Made("protocols", asked.protocol, tasks, asked))
                return _outcome(self._next("protocols", tasks, f"call: {asked.protocol}", tasks))
            case Child():
                self.made.append(Made("workflows", asked.name, tasks, asked))
                names = (*tasks, asked.name)
                return _outcome(self._next("workflows", names, f"workflow {asked.name}", tasks))

    def _of_agent(self, call: Call, tasks: tuple[str, ...]) -> Reply:
        skill = f"{call.function}:{call.version}"
        contract = find(self._functions, Function(call.function, call.version, call.catalog))
        if contract is not None and contract.input_schema is not None:
            found = problems(contract.input_schema, call.arguments)
            if found:
                title = f"the arguments do not fit {skill}"
                return WorkflowError(Standard.VALIDATION, title, "; ".join(found))
        answer = self._next("agents", (*tasks, call.function), f"skill {skill}", tasks)
        on_purpose = "outside_contract" in answer.model_fields_set
        if not on_purpose and "output" not in answer.model_fields_set:
            return _outcome(answer)
        output = answer.outside_contract if on_purpose else answer.output
        schema = None if contract is None else contract.output_schema
        found = [] if schema is None else problems(schema, output)
        if found and not on_purpose:
            raise BrokenCaseError(
                f"agents: the output for {tasks[0]!r} breaks the contract of {skill}, so no agent"
                f" can give it: {'; '.join(found)}"
            )
        if not found and on_purpose:
            raise BrokenCaseError(
                f"agents: `outsideContract` for {tasks[0]!r} is within the contract of {skill};"
                " call it `output`"
            )
        if found:
            title = f"the agent completed {call.function} without a valid result"
            error = WorkflowError(Standard.RUNTIME, title, "; ".join(found), status=NO_RESULT)
            return Later(answer.after, error)
        return Later(answer.after, output)

    def _of_people(self, call: Call, tasks: tuple[str, ...]) -> Reply:
        begun = self._now()
        try:
            requested_by = self._case.given.requested_by
            item = people.question(self._document, call, requested_by=requested_by, at=begun)
        except WorkflowError as error:
            self.made.append(Made("people", HUMAN_TASK, tasks, call))
            return error
        self.made.append(Made("people", HUMAN_TASK, tasks, call, item))
        turns = self._turns_of("people", (*tasks, ANYBODY))
        tried: Decision | None = None
        while True:
            decision: Decision | None = None if turns is None else turns.next()
            if decision is None and tried is None:
                raise self._no_answer("people", turns, f"question {call.title!r}", tasks)
            if decision is None or decision.outcome is None:
                return None
            if decision is tried and decision.times is None:
                return None  # it was refused, and the question stays open
            refused = people.refusal(item, decision)
            if refused is None and decision.refused is None:
                at = begun + decision.after
                return Later(decision.after, people.decided(item, decision, at))
            self._check_refused(tasks[0], decision, refused)
            tried = decision

    def _check_refused(self, task: str, decision: Decision, refused: Any) -> None:
        who = f"people: {decision.by} decides {decision.outcome!r} in {task!r}"
        if refused is None:
            raise BrokenCaseError(f"{who}, which the inbox takes, not refuses: {decision.refused}")
        if decision.refused is None:
            raise BrokenCaseError(f"{who}, which the inbox refuses: {refused.message}")
        if refused.code != decision.refused:
            raise BrokenCaseError(
                f"{who}, which the inbox refuses as {refused.code}, not as {decision.refused}:"
                f" {refused.message}"
            )

    def _turns_of(self, section: Kind, names: tuple[str, ...]) -> _Turns | None:
        known = (self._turns.get((section, name)) for name in names)
        return next((turns for turns in known if turns is not None), None)

    def _next(
        self, section: Kind, names: tuple[str, ...], what: str, tasks: tuple[str, ...]
    ) -> AgentAnswer:
        turns = self._turns_of(section, names)
        answer: AgentAnswer | None = None if turns is None else turns.next()
        if answer is None:
            raise self._no_answer(section, turns, what, tasks)
        return answer

    def _no_answer(
        self, section: Kind, turns: _Turns | None, what: str, tasks: tuple[str, ...]
    ) -> BrokenCaseError:
        asked = f"the task {tasks[0]!r} asks ({what})"
        if turns is None:
            return BrokenCaseError(f"{section}: {asked}, and nobody has an answer")
        count = f"{turns.given} answer{'' if turns.given == 1 else 's'}"
        return BrokenCaseError(f"{section}: {asked} once more, and there are only {count}")


def _outcome(answer: Answer) -> Reply:
    if answer.silent:
        return None
    if answer.error is not None:
        return Later(answer.after, answer.error.error())
    return Later(answer.after, answer.output)
