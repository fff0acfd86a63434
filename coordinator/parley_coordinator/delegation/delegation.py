"""One step, one agent, one task: a transaction on today's A2A (ADR-0005).

The journal of a place tells how far it is::

    intended   the agent, the message id and the context id; durable before the first byte leaves
    sent       the agent's task id
    relayed.N  the answer to its Nth question is about to be sent
    resent.N   a person has ruled that it did not run, and the message is about to go out once more
    observed   the output, checked against the skill's schema
    failed     the error, final for this attempt (written by the engine)

A message goes out a second time only when that is known to be harmless: the agent de-duplicates, or
the skill is idempotent. Otherwise what cannot be found out is `Uncertain`, and a person decides.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from a2a.types import Message, Task, TaskState
from parley_cards.errors import ParleyError

from parley_coordinator.delegation import results
from parley_coordinator.delegation.conversation import Conversation, ForeignTaskError
from parley_coordinator.delegation.exchange import (
    Answer,
    Asked,
    Exchange,
    Output,
    Result,
    Working,
    message_id,
    pause,
    uncertain,
)
from parley_coordinator.workflow.errors import NO_RESULT, Standard, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley_cards.card import Card
    from parley_wire.client import AgentClient

    from parley_coordinator.delegation.routing import Choice, Routing
    from parley_coordinator.model import Place
    from parley_coordinator.store.log import RunLog
    from parley_coordinator.workflow.effects import Call

logger = logging.getLogger(__name__)

CANCEL_S: Final = 10.0
"""So long is an agent asked to cancel a task before that is given up."""
TRANSIENT_CODES: Final = frozenset({"system_unavailable"})
"""Failures of a Parley agent that pass: with an idempotent skill, a workflow may try again."""


class Delegation:
    """Has agents do the steps of runs.

    Args:
        connect: A client for the agent with this card; clients share one connection pool.
        patience: How long one advance keeps a step in memory before the run parks.
    """

    def __init__(
        self, routing: Routing, connect: Callable[[Card], AgentClient], *, patience: timedelta
    ) -> None:
        self._routing = routing
        self._connect = connect
        self._patience = patience

    async def perform(
        self, call: Call, log: RunLog, answer: Answer | None = None, *, resend: int = 0
    ) -> Result:
        """Carry the call as far as it goes now.

        Args:
            answer: The answer to the question that the previous `perform` returned.
            resend: Ordinal of the incident in which a person has ruled that it did not run; 0: none.

        Raises:
            WorkflowError: The call has failed for good; the caller journals it.
        """
        first = log.recall(call.place, "intended") is None
        chosen = await self._intend(call, log)
        if chosen is None:
            return await self._agent_missing(call, log)
        choice, client = chosen
        left = self._patience
        if call.deadline is not None:
            left = min(left, call.deadline - log.now())
            if left <= timedelta(0):
                raise await self._overdue(call, log, choice)
        exchange = Exchange(call, log, choice, self._conversation(client, choice, log, call.place))
        anew = bool(resend) and log.recall(call.place, f"resent.{resend}") is None
        if anew:
            await log.append(call.place, f"resent.{resend}", {}, exclusive=True)
        self._routing.busy(choice.card.name, +1)
        try:
            async with asyncio.timeout(left.total_seconds()):
                reply = await exchange.carry_on(answer, first=first, anew=anew)
        except TimeoutError:
            await log.flush()
            if call.deadline is not None and log.now() >= call.deadline:
                raise await self._overdue(call, log, choice) from None
            if exchange.never_began:
                raise exchange.unreachable("it did not take the message in time") from None
            return Working(choice.card.name, pause(log, call.place))
        finally:
            self._routing.busy(choice.card.name, -1)
        if isinstance(reply, Task | Message):
            return await self._conclude(call, log, choice, reply)
        return reply

    async def cancel(self, log: RunLog, place: Place) -> str:
        """Cancel the task at a place, best effort; returns what came of it, in words."""
        intended = log.recall(place, "intended")
        if intended is None:
            return "nothing was sent"
        if "agent" not in intended.body:
            more = "; its task may be running" if intended.body["traceable"] else ""
            return f"what {intended.body['who']} was asked cannot be called back{more}"
        name = str(intended.body["agent"]["name"])
        try:
            async with asyncio.timeout(CANCEL_S):
                choice = await self._routing.named(name, str(intended.body["skill"]))
                if choice is None:
                    return f"{name} is not in the registry any more; its task may be running"
                client = self._connect(choice.card)
                task_id = log.task_at(place)
                if task_id is None:
                    talk = self._conversation(client, choice, log, place)
                    found = await talk.find(str(intended.body["message"]))
                    if found is None:
                        return f"{name} shows no task for it; it may be running"
                    task_id = found.id
                task = await client.cancel_task(task_id)
        except (ParleyError, ForeignTaskError, TimeoutError) as exc:
            return f"{name} could not cancel: {exc or 'no answer in time'}"
        return results.state_name(task.status.state)

    def _conversation(
        self, client: AgentClient, choice: Choice, log: RunLog, place: Place
    ) -> Conversation:
        context = message_id(log.run_id, place, "context")
        return Conversation(client=client, card=choice.card, log=log, place=place, context=context)

    async def _intend(self, call: Call, log: RunLog) -> tuple[Choice, AgentClient] | None:
        """Return the agent of this place and a client for it; it is chosen once and durably.

        None: it was chosen before, and cannot be spoken to now.
        """
        intended = log.recall(call.place, "intended")
        if intended is not None:
            name = str(intended.body["agent"]["name"])
            try:
                known = await self._routing.named(name, call.function)
                return None if known is None else (known, self._connect(known.card))
            except ParleyError as exc:
                logger.warning("run %s waits for the registry: %s", log.run_id, exc.message)
                return None
        if call.deadline is not None and log.now() >= call.deadline:
            raise _timeout(call, "before anything was sent")
        choice = await self._routing.choose(call.function, call.version)
        if choice.input_schema is not None:
            problems = choice.input_schema.problems(call.arguments)
            if problems:
                raise WorkflowError(
                    Standard.VALIDATION,
                    f"the arguments do not fit {call.function}:{call.version}",
                    "; ".join(problems),
                    instance=call.place.path,
                )
        card = choice.card
        try:
            client = self._connect(card)
        except ParleyError as exc:
            raise WorkflowError(
                Standard.CONFIGURATION, f"{card.name} cannot be spoken to", exc.message
            ) from exc
        await log.append(
            call.place,
            "intended",
            {
                "title": call.title,
                "skill": call.function,
                "version": call.version,
                "agent": {
                    "name": card.name,
                    "version": card.version,
                    "url": card.interfaces[0].url,
                    "card": card.digest,
                },
                "chosen": choice.why,
                **({"compensates": call.compensates} if call.compensates else {}),
                "message": message_id(log.run_id, call.place),
                "context": message_id(log.run_id, call.place, "context"),
            },
            exclusive=True,
        )
        return choice, client

    async def _agent_missing(self, call: Call, log: RunLog) -> Working:
        """The registry can't be asked for the agent, or has lost it: wait until the deadline."""
        intended = log.recall(call.place, "intended")
        name = "" if intended is None else str(intended.body["agent"]["name"])
        if call.deadline is not None and log.now() >= call.deadline:
            raise _timeout(call, f"{name} is not in the registry")
        return Working(name, timedelta(seconds=5))

    async def _conclude(
        self, call: Call, log: RunLog, choice: Choice, reply: Task | Message
    ) -> Result:
        """Turn a terminal or interrupted task, or a bare message, into a result."""
        name = choice.card.name
        if isinstance(reply, Message):
            return await self._observe(call, log, choice, results.values_of(reply.parts), "")
        state = reply.status.state
        if state in results.INTERRUPTED:
            return Asked(name, reply.id, reply.context_id, results.question_of(reply.status))
        if state == TaskState.TASK_STATE_COMPLETED:
            return await self._observe(call, log, choice, results.output_of(reply), reply.id)
        if state in results.TERMINAL:
            code = results.status_code(reply.status)
            said = results.status_text(reply.status) or "the agent gave no reason"
            rejected = state == TaskState.TASK_STATE_REJECTED
            away = code in TRANSIENT_CODES and choice.skill.idempotent
            raise WorkflowError(
                Standard.COMMUNICATION if away else Standard.RUNTIME,
                f"{name} answered {results.state_name(state)}",
                f"{code}: {said}" if code else said,
                status=422 if rejected else 503 if away else 500,
                instance=call.place.path,
            )
        why = f"the task is in {results.state_name(state)}"
        return uncertain(log, call.place, choice, why)

    async def _observe(
        self, call: Call, log: RunLog, choice: Choice, values: list[Any], task: str
    ) -> Output:
        """Accept the output, if there is one and it fits the skill's contract."""
        problem = ""
        if not values:
            problem = "it has no artifact with data"
        elif choice.output_schema is not None:
            if len(values) > 1:
                problem = f"it has {len(values)} results, the contract allows one"
            else:
                problem = "; ".join(choice.output_schema.problems(values[0]))
        if problem:
            raise WorkflowError(
                Standard.RUNTIME,
                f"{choice.card.name} completed {call.function} without a valid result",
                problem,
                status=NO_RESULT,
                instance=call.place.path,
            )
        value = values[0] if len(values) == 1 else values
        await log.append(call.place, "observed", {"output": value, "task": task})
        return Output(value)

    async def _overdue(self, call: Call, log: RunLog, choice: Choice) -> WorkflowError:
        outcome = await self.cancel(log, call.place)
        return _timeout(call, f"{choice.card.name} had not finished; its task: {outcome}")


def _timeout(call: Call, detail: str) -> WorkflowError:
    return WorkflowError(
        Standard.TIMEOUT,
        f"{call.title or call.function} was not done in time",
        detail,
        instance=call.place.path,
    )
