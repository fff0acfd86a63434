"""A skill is an async function from one validated request to one result.

What the caller of a skill gets:

==============================================  ================================================
the function                                    the task
==============================================  ================================================
returns its result                              COMPLETED, one artifact with one data part
raises `AskPerson`                              INPUT_REQUIRED; on the answer it is called again
raises a `ParleyError`                          FAILED, with the message and the code
raises anything else                            FAILED, with a reference to the log
has not returned at the deadline                stopped; FAILED, `deadline_exceeded`
is not called: the deadline has passed          FAILED, `deadline_exceeded`
is not called: the request does not fit         REJECTED, with the reasons
==============================================  ================================================

A task that is under way when the process ends is run again when it is back, so an effect must carry
`SkillTask.key`, which is the same in every run.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar, get_type_hints

from parley_cards.card import Card, Skill
from parley_cards.delegation import DeadlineExceededError, DelegationError
from parley_cards.delegation_json import delegation_of
from parley_cards.errors import ParleyError
from parley_cards.extensions import DELEGATION
from parley_wire.server.outcomes import (
    Completed,
    DataArtifact,
    Failed,
    InputRequired,
    Outcome,
    Rejected,
    TaskRequest,
)
from pydantic import BaseModel, ValidationError

from parley_agents.contracts import Forms, check_contracts
from parley_agents.errors import SkillError
from parley_agents.task import Clock, SkillTask

Request = TypeVar("Request", bound=BaseModel)
Result = TypeVar("Result", bound=BaseModel)
SkillFunction = Callable[["SkillTask", Request], Awaitable[Result]]

MAX_REASONS: Final = 5


class AskPerson(Exception):  # noqa: N818 - a question, not an error
    """Stop here and ask the caller; the skill is called again with the answer in `answers`.

    Args:
        message: The question, in one or two sentences.
        schema: Of the answer: a flat JSON Schema object, the subset of MCP elicitation.
    """

    def __init__(self, message: str, schema: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.schema = schema


@dataclass(frozen=True, slots=True)
class BoundSkill:
    """A skill's function with the forms of its request and result."""

    id: str
    function: SkillFunction[Any, Any]
    request: type[BaseModel]
    result: type[BaseModel]


class Agent:
    """Skills under one name, which is also the name of the agent's card in the library.

    Args:
        uses: Opened before the first task and closed after the last: connections to systems.
    """

    def __init__(self, name: str, *, uses: Sequence[AbstractAsyncContextManager[Any]] = ()) -> None:
        self.name = name
        self.uses = tuple(uses)
        self.skills: dict[str, BoundSkill] = {}

    @property
    def forms(self) -> Forms:
        return {skill.id: (skill.request, skill.result) for skill in self.skills.values()}

    def skill(
        self, skill_id: str
    ) -> Callable[[SkillFunction[Request, Result]], SkillFunction[Request, Result]]:
        """Offer a function as a skill; its annotations say what goes in and what comes out.

        Raises:
            TypeError: If they do not: `(task: SkillTask, request: Model) -> Model`.
        """

        def offer(function: SkillFunction[Request, Result]) -> SkillFunction[Request, Result]:
            request, result = _forms(function)
            if skill_id in self.skills:
                raise TypeError(f"agent {self.name} offers the skill {skill_id} twice")
            self.skills[skill_id] = BoundSkill(skill_id, function, request, result)
            return function

        return offer


class SkillExecutor:
    """Runs an agent's skills for the A2A server of `parley_wire`.

    Args:
        pace_s: Every call takes at least this long; for demonstrations and drills.
        now: The clock.

    Raises:
        ContractError: If the agent's functions and the card do not say the same.
    """

    def __init__(
        self,
        agent: Agent,
        card: Card,
        *,
        pace_s: float = 0.0,
        now: Clock = lambda: datetime.now(UTC),
    ) -> None:
        check_contracts(agent.name, card, agent.forms)
        self._agent = agent
        self._card = card
        self._pace_s = pace_s
        self._now = now

    async def execute(self, request: TaskRequest) -> Outcome:
        skill = self._agent.skills.get(request.skill or "")
        if skill is None:
            return Rejected(
                f"name one of the skills of this agent in the metadata {DELEGATION}:"
                f" {', '.join(sorted(self._agent.skills))}",
                code="unknown_skill",
            )
        contract = self._card.skill(skill.id)
        asked = _asked_version(request)
        if contract is None or not _serves(contract, asked):
            return Rejected(
                f"{skill.id} is offered in version {contract.version if contract else 'none'},"
                f" not {asked[:40]}",
                code="unknown_version",
            )
        try:
            arguments = skill.request.model_validate(request.data, by_alias=True, by_name=False)
        except ValidationError as exc:
            return Rejected(_reasons(skill.id, exc), code="invalid_input")
        try:
            delegation = delegation_of(request.metadata)
            delegation.check_chain(self._card.name, [each.url for each in self._card.interfaces])
        except DelegationError as exc:
            return Rejected(exc.message, code=exc.code)
        try:
            delegation.check_deadline(self._now())
        except DeadlineExceededError as exc:
            return Failed(exc.message, code=exc.code)
        task = SkillTask(request, delegation, self._card, self._now)
        return await self._in_time(skill, task, arguments)

    async def _in_time(self, skill: BoundSkill, task: SkillTask, arguments: BaseModel) -> Outcome:
        left = task.delegation.remaining
        try:
            async with asyncio.timeout(None if left is None else left.total_seconds()) as limit:
                started = time.monotonic()
                outcome = await _run(skill, task, arguments)
                await asyncio.sleep(max(0.0, self._pace_s - (time.monotonic() - started)))
        except TimeoutError:
            if not limit.expired():
                raise
            return Failed(
                f"the deadline passed while {skill.id} was at work; it was stopped, and what it had"
                " done by then may stay",
                code=DeadlineExceededError.code,
                metadata=_report(task),
            )
        return outcome


async def _run(skill: BoundSkill, task: SkillTask, arguments: BaseModel) -> Outcome:
    try:
        result = await skill.function(task, arguments)
    except AskPerson as question:
        return InputRequired(question.message, question.schema)
    except SkillError as exc:
        return Failed(exc.message, code=exc.reported, metadata=_report(task))
    except ParleyError as exc:
        return Failed(exc.message, code=exc.code, metadata=_report(task))
    if not isinstance(result, skill.result):
        raise TypeError(f"{skill.id} returned {type(result).__name__}, not {skill.result.__name__}")
    data = result.model_dump(mode="json", by_alias=True)
    return Completed([DataArtifact(data=data, name=skill.id, metadata=_report(task))])


def _report(task: SkillTask) -> dict[str, Any]:
    """Return the metadata that tell the caller what was used up; empty: nothing was."""
    spent = task.delegation.spent.as_json()
    return {DELEGATION: {"spent": spent}} if spent else {}


def _forms(function: Callable[..., Any]) -> tuple[type[BaseModel], type[BaseModel]]:
    # Skills are often defined inside a function, where their models are global names all the same.
    hints = get_type_hints(function)
    parameters = [*inspect.signature(function).parameters]
    request = hints.get(parameters[1]) if len(parameters) == 2 else None
    result = hints.get("return")
    for form in (request, result):
        if not (isinstance(form, type) and issubclass(form, BaseModel)):
            raise TypeError(
                f"{function.__name__} must be `async def (task: SkillTask, request: Model) -> Model`"
            )
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"{function.__name__} must be an async function")
    return request, result  # type: ignore[return-value]


def _asked_version(request: TaskRequest) -> str:
    delegation = request.metadata.get(DELEGATION)
    version = delegation.get("version") if isinstance(delegation, dict) else None
    return version if isinstance(version, str) else ""


def _serves(contract: Skill, asked: str) -> bool:
    """Whether a contract serves callers of version `asked`: the same major one, and not older."""
    if not asked or asked == contract.version:
        return True
    try:
        wanted, offered = (
            [int(part) for part in text.split(".", 2)] for text in (asked, contract.version)
        )
    except ValueError:
        return False
    return wanted[0] == offered[0] and wanted <= offered


def _reasons(skill_id: str, exc: ValidationError) -> str:
    errors = exc.errors(include_url=False, include_input=False, include_context=False)
    told = [
        f"{'/'.join(str(part) for part in error['loc']) or 'the data part'}:"
        f" {error['msg'].removeprefix('Value error, ')}"
        for error in errors[:MAX_REASONS]
    ]
    more = f" (and {len(errors) - MAX_REASONS} more)" if len(errors) > MAX_REASONS else ""
    return f"the request does not fit {skill_id}: {'; '.join(told)}{more}"[:2000]
