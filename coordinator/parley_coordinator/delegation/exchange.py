"""One exchange with an agent, across lost answers, busy agents and forgotten tasks.

What is known about the step has three values: it did not begin, it began, nobody can tell. Only the
first may be tried elsewhere, or be an error that a workflow may answer with a retry; the last is never
resolved by guessing.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from a2a.types import Message, Task
from parley_cards.extensions import DELEGATION
from parley_wire.agent_errors import (
    AgentAuthError,
    AgentError,
    AgentProtocolError,
    AgentRefusedError,
    TaskUnknownError,
)
from parley_wire.errors import UnsupportedAgentError

from parley_coordinator.delegation import intents, results, retrying
from parley_coordinator.delegation.conversation import (
    Conversation,
    ForeignTaskError,
    SilentError,
)
from parley_coordinator.delegation.outcomes import Answer, Declined, Uncertain, Working
from parley_coordinator.workflow.errors import Standard, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley_coordinator.delegation.retrying import Leeway, Tries
    from parley_coordinator.delegation.routing import Choice
    from parley_coordinator.store.log import RunLog
    from parley_coordinator.workflow.effects import Call

logger = logging.getLogger(__name__)


class Exchange:
    """Carries one call to a terminal or interrupted task, or to what is known instead.

    Args:
        draw: See `retrying.pause_s`.
    """

    def __init__(
        self,
        call: Call,
        log: RunLog,
        choice: Choice,
        talk: Conversation,
        *,
        leeway: Leeway,
        draw: Callable[[], float],
    ) -> None:
        self._call = call
        self._log = log
        self._choice = choice
        self._talk = talk
        self._leeway = leeway
        self._tries = leeway.tries
        self._draw = draw
        self._untouched = False
        self._again = False
        self._ruled = False
        self._in_flight = False
        self._rubbish = ("", 0)

    @property
    def never_began(self) -> bool:
        """Whether it is certain that nothing has reached the agent."""
        return self._untouched and not self._in_flight and not self._talk.heard

    @property
    def tries(self) -> Tries:
        return self._tries

    async def carry_on(
        self, answer: Answer | None, *, first: bool, anew: bool = False
    ) -> Task | Message | Working | Uncertain | Declined:
        """Go on until there is nothing more to do now.

        Args:
            first: Nothing has left for the agent yet.
            anew: A person has ruled that it did not run: what is known of a task does not count.

        Raises:
            WorkflowError: It is known that the step failed.
        """
        self._untouched = first or anew
        self._again = self._ruled = anew
        while True:
            try:
                return await self._attempt(answer)
            except TaskUnknownError as exc:
                self._tries = self._tries.after(exc)
                if not self._choice.skill.idempotent or self._tries.spent():
                    return self._uncertain("the agent has forgotten the task")
                self._again = True
            except ForeignTaskError as exc:
                return self._uncertain(str(exc))
            except SilentError:
                return Working(self._choice.card.name, intents.pause(self._log, self._call.place))
            except UnsupportedAgentError as exc:
                if not self._untouched or self._talk.heard:
                    return self._uncertain(f"it may have begun: {exc.message}")
                raise unusable(self._call, self._choice.card.name, exc.message) from exc
            except AgentError as exc:
                ended = await self._recover(exc)
                if ended is not None:
                    return ended

    async def _attempt(self, answer: Answer | None) -> Task | Message | Uncertain:
        opening = self._opening()
        if not self._again:
            task = self._talk.task
            if task is None and not self._untouched and not self._choice.card.dedupes:
                await self._talk.find(opening["messageId"])
                task = self._talk.task
                if task is None and not self._choice.skill.idempotent:
                    return self._uncertain("the answer was lost, and the agent has no such task")
            if task is not None:
                return await self._go_on(task, answer)
        self._in_flight = True
        heard = self._talk.heard
        try:
            return await self._talk.send(opening)
        finally:
            # What the agent has said is what to go on with from here.
            self._again = self._again and self._talk.heard == heard

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
        key = intents.ids_at(self._log, place).answer(answer.ordinal)
        body = {"message": key, "to": answer.to}
        relayed = await self._log.append(place, f"relayed.{answer.ordinal}", body, exclusive=True)
        # What may have left already has the id that it had then.
        key = str(relayed.body["message"])
        return results.answer_message(
            message_id=key, task=task.id, context_id=task.context_id, values=answer.values
        )

    async def _recover(self, exc: AgentError) -> Working | Uncertain | Declined | None:
        """Decide what an error means; None: it was waited for, try again."""
        if exc.disposition == "final":
            # With its new deadline, who has the message after all refuses it as another one.
            known = self._ruled and self._choice.card.dedupes
            if not self._untouched or known or self._talk.heard or self._talk.task is not None:
                return self._uncertain(f"it may have begun, and the agent refuses: {exc.message}")
            raise self._refused(exc) from exc
        not_taken = exc.disposition == "retry"
        self._in_flight = self._in_flight and not not_taken
        # What says that it takes nothing now may have begun before: then it is about the look at it.
        self._untouched = self._untouched and not_taken and not self._talk.heard
        self._again = self._again and not_taken
        self._tries = self._tries.after(exc)
        if self._repeats(exc):
            return self._uncertain(f"the same answer again and again, not of A2A: {exc.message}")
        pause_s = retrying.pause_s(self._tries, exc, self._draw)
        spent = self._spent()
        if spent or pause_s > retrying.IN_MEMORY_S:
            return self._leave(exc, pause_s, spent=spent)
        logger.info("run %s %s: %s; again", self._log.run_id, self._call.place.path, exc.message)
        await asyncio.sleep(pause_s)
        return None

    def _spent(self) -> bool:
        if not self._untouched:
            return self._tries.spent()
        now = self._log.now()
        if self._leeway.since is None:
            self._leeway = replace(self._leeway, since=now)
        return self._leeway.spent(self._tries, now)

    def _repeats(self, exc: AgentError) -> bool:
        """Whether an agent answers rubbish, and the same each time: it will not pass."""
        if not isinstance(exc, AgentProtocolError):
            self._rubbish = ("", 0)
            return False
        told, count = self._rubbish
        self._rubbish = (exc.message, count + 1 if told == exc.message else 1)
        return self._rubbish[1] >= retrying.SAME_RUBBISH

    def _leave(
        self, exc: AgentError, pause_s: float, *, spent: bool
    ) -> Working | Uncertain | Declined:
        """Out of tries, or out of memory's patience: leave the agent alone for now."""
        name = self._choice.card.name
        if self._untouched:
            return Declined(
                why=exc.message,
                code=exc.code,
                pause_s=pause_s,
                tries=self._tries,
                spent=spent,
            )
        if self._choice.moved_to:
            return self._uncertain(
                f"{exc.message}; its card now names another address: {self._choice.moved_to}"
            )
        logger.warning("run %s waits for %s: %s", self._log.run_id, name, exc.message)
        usual = intents.pause(self._log, self._call.place)
        return Working(name, max(usual, timedelta(seconds=pause_s)))

    def _refused(self, exc: AgentError) -> WorkflowError:
        return WorkflowError(
            Standard.AUTHENTICATION if isinstance(exc, AgentAuthError) else Standard.RUNTIME,
            "the agent refused the message",
            exc.message,
            status=422 if isinstance(exc, AgentRefusedError) else None,
            instance=self._call.place.path,
        )

    def _uncertain(self, why: str) -> Uncertain:
        return intents.uncertain(self._log, self._call.place, self._choice, why)

    def _opening(self) -> dict[str, Any]:
        place = self._call.place
        known = self._choice.card.declares(DELEGATION)
        return results.delegation_message(
            message_id=intents.ids_at(self._log, place).message,
            context_id=self._talk.context,
            arguments=self._call.arguments,
            skill=self._call.function,
            version=self._call.version,
            run_id=self._log.run_id,
            place=place,
            contract=intents.contract(self._log, place) if known else {},
        )


def unreachable(call: Call, agent: str, detail: str) -> WorkflowError:
    """Return the error of a step that certainly did not begin."""
    return WorkflowError(
        Standard.COMMUNICATION,
        f"{agent} could not be reached",
        detail,
        status=503,
        instance=call.place.path,
    )


def unusable(call: Call, agent: str, detail: str) -> WorkflowError:
    """Return the error of a step whose agent cannot be sent anything at all."""
    return WorkflowError(
        Standard.CONFIGURATION,
        f"{agent} cannot be spoken to",
        detail,
        instance=call.place.path,
    )
