"""One exchange with an agent, across lost answers, busy agents and forgotten tasks.

What is known about the step has three values: it did not begin, it began, nobody can tell. Only the
first is an error that a workflow may answer with a retry; the last is never resolved by guessing.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, uuid5

from a2a.types import Message, Task
from parley_wire.agent_errors import AgentAuthError, AgentError, AgentRefusedError, TaskUnknownError

from parley_coordinator.delegation import results
from parley_coordinator.delegation.conversation import Conversation, ForeignTaskError
from parley_coordinator.workflow.errors import Standard, WorkflowError

if TYPE_CHECKING:
    from parley_coordinator.delegation.results import Question
    from parley_coordinator.delegation.routing import Choice
    from parley_coordinator.model import Place
    from parley_coordinator.store.log import RunLog
    from parley_coordinator.workflow.effects import Call

logger = logging.getLogger(__name__)

NAMESPACE: Final = uuid5(NAMESPACE_URL, "urn:parley:delegation")
BACKOFF_S: Final = (0.1, 0.3, 1.0, 2.0, 4.0)
"""Pauses between tries within one advance: an agent that restarts is back by then."""
LONGEST_PAUSE_S: Final = 30.0
"""An agent that asks for more with Retry-After is asked again after this."""


@dataclass(frozen=True, slots=True)
class Output:
    """The agent did it."""

    value: Any


@dataclass(frozen=True, slots=True)
class Asked:
    """The agent needs an answer before it goes on."""

    agent: str
    task: str
    context: str
    question: Question


@dataclass(frozen=True, slots=True)
class Working:
    """Not finished; look again after `pause`."""

    agent: str
    pause: timedelta


@dataclass(frozen=True, slots=True)
class Uncertain:
    """It may have run or not, and nothing that may be done can tell."""

    agent: str
    known: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person said to the Nth question of a task."""

    ordinal: int
    to: str
    """`Question.key` of the question that it answers."""
    values: Any


Result = Output | Asked | Working | Uncertain


class Exchange:
    """Carries one call to a terminal or interrupted task, or to what is known instead."""

    def __init__(self, call: Call, log: RunLog, choice: Choice, talk: Conversation) -> None:
        self._call = call
        self._log = log
        self._choice = choice
        self._talk = talk
        self._untouched = False
        self._forgotten = False
        self._in_flight = False
        self._tries = 0

    @property
    def never_began(self) -> bool:
        """Whether it is certain that nothing has reached the agent."""
        return self._untouched and not self._in_flight

    async def carry_on(
        self, answer: Answer | None, *, first: bool, anew: bool = False
    ) -> Task | Message | Working | Uncertain:
        """Go on until there is nothing more to do now.

        Args:
            first: Nothing has left for the agent yet.
            anew: A person has ruled that it did not run: what is known of a task does not count.

        Raises:
            WorkflowError: It is known that the step failed, or that it never began.
        """
        self._untouched = first or anew
        self._forgotten = anew
        while True:
            try:
                return await self._attempt(answer)
            except TaskUnknownError:
                if not self._choice.skill.idempotent or self._tries >= len(BACKOFF_S):
                    return self._uncertain("the agent has forgotten the task")
                self._tries += 1
                self._forgotten = True
            except ForeignTaskError as exc:
                return self._uncertain(str(exc))
            except AgentError as exc:
                ended = await self._recover(exc)
                if ended is not None:
                    return ended

    async def _attempt(self, answer: Answer | None) -> Task | Message | Uncertain:
        opening = self._opening()
        if not self._forgotten:
            task = self._log.task_at(self._call.place)
            if task is None and not self._untouched and not self._choice.card.dedupes:
                await self._talk.find(opening["messageId"])
                task = self._log.task_at(self._call.place)
                if task is None and not self._choice.skill.idempotent:
                    return self._uncertain("the answer was lost, and the agent has no such task")
            if task is not None:
                return await self._go_on(task, answer)
        before = self._log.task_at(self._call.place)
        self._in_flight = True
        try:
            return await self._talk.send(opening)
        finally:
            # A new task id is what to go on with from here; the old one stays forgotten.
            self._forgotten = self._forgotten and self._log.task_at(self._call.place) == before

    async def _go_on(self, task_id: str, answer: Answer | None) -> Task | Message:
        """Follow a known task, and hand over the answer if it still waits for it."""
        task = await self._talk.get(task_id)
        if answer is not None and task.status.state in results.INTERRUPTED:
            question = results.question_of(task.status)
            if question.key == answer.to:
                return await self._talk.send(await self._relayed(task, answer))
        if task.status.state in results.ACTIVE:
            return await self._talk.follow(task_id)
        return task

    async def _relayed(self, task: Task, answer: Answer) -> dict[str, Any]:
        place = self._call.place
        key = message_id(self._log.run_id, place, f"answer-{answer.ordinal}")
        body = {"message": key, "to": answer.to}
        await self._log.append(place, f"relayed.{answer.ordinal}", body, exclusive=True)
        return results.answer_message(
            message_id=key, task=task.id, context_id=task.context_id, values=answer.values
        )

    async def _recover(self, exc: AgentError) -> Working | Uncertain | None:
        """Decide what an error means; None: it was waited for, try again."""
        if exc.disposition == "final":
            if not self._untouched or self._log.task_at(self._call.place) is not None:
                return self._uncertain(f"it may have begun, and the agent refuses: {exc.message}")
            raise self._refused(exc) from exc
        self._in_flight = self._in_flight and exc.disposition != "retry"
        self._untouched = self._untouched and exc.disposition == "retry"
        if self._tries >= len(BACKOFF_S):
            return self._give_up(exc)
        pause = getattr(exc, "retry_after_s", None) or BACKOFF_S[self._tries]
        self._tries += 1
        logger.info("run %s %s: %s; again", self._log.run_id, self._call.place.path, exc.message)
        await asyncio.sleep(min(float(pause), LONGEST_PAUSE_S))
        return None

    def _give_up(self, exc: AgentError) -> Working:
        """Out of tries: an error if nothing was sent, else wait for the agent to come back."""
        name = self._choice.card.name
        if self._untouched:
            raise self.unreachable(exc.message) from exc
        logger.warning("run %s waits for %s: %s", self._log.run_id, name, exc.message)
        return Working(name, pause(self._log, self._call.place))

    def unreachable(self, detail: str) -> WorkflowError:
        """Return the error of a step that certainly did not begin."""
        return WorkflowError(
            Standard.COMMUNICATION,
            f"{self._choice.card.name} could not be reached",
            detail,
            status=503,
            instance=self._call.place.path,
        )

    def _refused(self, exc: AgentError) -> WorkflowError:
        return WorkflowError(
            Standard.AUTHENTICATION if isinstance(exc, AgentAuthError) else Standard.RUNTIME,
            "the agent refused the message",
            exc.message,
            status=422 if isinstance(exc, AgentRefusedError) else None,
            instance=self._call.place.path,
        )

    def _uncertain(self, why: str) -> Uncertain:
        return uncertain(self._log, self._call.place, self._choice, why)

    def _opening(self) -> dict[str, Any]:
        return results.delegation_message(
            message_id=message_id(self._log.run_id, self._call.place),
            context_id=self._talk.context,
            arguments=self._call.arguments,
            skill=self._call.function,
            version=self._call.version,
            run_id=self._log.run_id,
            place=self._call.place,
        )


def message_id(run_id: str, place: Place, suffix: str = "") -> str:
    """The same place of the same run always sends the same message."""
    return str(uuid5(NAMESPACE, f"{run_id}|{place.path}|{place.attempt}|{suffix}"))


def uncertain(log: RunLog, place: Place, choice: Choice, why: str) -> Uncertain:
    """Gather what the journal knows of a call, for the person who has to decide about it."""
    intended = log.recall(place, "intended")
    known: dict[str, Any] = {} if intended is None else dict(intended.body)
    known["intendedAt"] = "" if intended is None else intended.at.isoformat()
    known["task"] = log.task_at(place)
    known["why"] = why
    known["outputSchema"] = choice.skill.output_schema
    return Uncertain(choice.card.name, known)


def pause(log: RunLog, place: Place) -> timedelta:
    """Look again after a quarter of the time that it took so far: 2 s at first, 60 s at most."""
    intended = log.recall(place, "intended")
    elapsed = log.now() - intended.at if intended is not None else timedelta(0)
    return min(max(elapsed / 4, timedelta(seconds=2)), timedelta(seconds=60))
