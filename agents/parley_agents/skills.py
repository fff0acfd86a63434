"""A skill is an async function from one validated request to one result.

What the caller of a skill gets:

==============================================  ================================================
the function                                    the task
==============================================  ================================================
returns its result                              COMPLETED, one artifact with one data part
raises `AskPerson`                              INPUT_REQUIRED; on the answer it is called again
raises a `ParleyError`                          FAILED, with the message and the code
raises anything else                            FAILED, with a reference to the log
is not called: the request does not fit         REJECTED, with the reasons
==============================================  ================================================

A task that is under way when the process ends is run again when it is back, so an effect must carry
`SkillTask.key`, which is the same in every run.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, TypeVar, get_type_hints

from parley_cards.canonical import digest
from parley_cards.card import Card, Skill
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

Request = TypeVar("Request", bound=BaseModel)
Result = TypeVar("Result", bound=BaseModel)
SkillFunction = Callable[["SkillTask", Request], Awaitable[Result]]

MAX_REASONS: Final = 5
_PURPOSE: Final = re.compile(r"[a-z][a-z-]{0,39}")


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


class SkillTask:
    """What a skill knows about the task that it works on."""

    def __init__(self, request: TaskRequest) -> None:
        self._request = request

    @property
    def caller(self) -> str:
        """Who sent it, as the mesh token says."""
        return self._request.caller

    @property
    def answers(self) -> list[Any]:
        """To the questions asked so far, oldest first; other people's JSON, not yet checked."""
        return self._request.answers

    async def tell(self, text: str) -> None:
        """Tell the caller how it goes."""
        await self._request.update(text)

    def key(self, purpose: str) -> str:
        """Return the idempotency key of one effect of this task.

        The same in every run of the task; different for each message, caller and purpose.

        Args:
            purpose: Which effect, if the task has several: a word in small letters.
        """
        if not _PURPOSE.fullmatch(purpose):
            raise ValueError(f"{purpose!r} is not a word in small letters")
        asked = digest([self._request.caller, self._request.message_id])
        return f"{purpose}:{asked.removeprefix('sha256:')}"


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

    Raises:
        ContractError: If the agent's functions and the card do not say the same.
    """

    def __init__(self, agent: Agent, card: Card, *, pace_s: float = 0.0) -> None:
        check_contracts(agent.name, card, agent.forms)
        self._agent = agent
        self._card = card
        self._pace_s = pace_s

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
        started = time.monotonic()
        outcome = await _run(skill, SkillTask(request), arguments)
        await asyncio.sleep(max(0.0, self._pace_s - (time.monotonic() - started)))
        return outcome


async def _run(skill: BoundSkill, task: SkillTask, arguments: BaseModel) -> Outcome:
    try:
        result = await skill.function(task, arguments)
    except AskPerson as question:
        return InputRequired(question.message, question.schema)
    except SkillError as exc:
        return Failed(exc.message, code=exc.reported)
    except ParleyError as exc:
        return Failed(exc.message, code=exc.code)
    if not isinstance(result, skill.result):
        raise TypeError(f"{skill.id} returned {type(result).__name__}, not {skill.result.__name__}")
    data = result.model_dump(mode="json", by_alias=True)
    return Completed([DataArtifact(data=data, name=skill.id)])


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
