"""One step, one task: a transaction on today's A2A (ADR-0005).

The journal of a place tells how far it is::

    intended    the agent, the message id and the context id; durable before the first byte leaves
    declined.N  it is certain that the Nth agent has begun nothing; intended.2 and so on follow it
    waited.N    the step waited for its turn at an agent
    sent        the agent's task id
    push.N      a webhook that the agent is asked to post to, see `pushing`
    relayed.N   the answer to its Nth question is about to be sent
    resent.N    a person has ruled that it did not run, and the message is about to go out once more
    spent       what the agent reports to have used up
    observed    the output, checked against the skill's schema
    failed      the error, final for this attempt (written by the engine)

A message goes out a second time only when that is known to be harmless: nobody has begun, the agent
de-duplicates, or the skill is idempotent. To another agent it goes only if nobody has begun. Otherwise
what cannot be found out is `Uncertain`, and a person decides.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from a2a.types import Message, Task

from parley_coordinator.delegation import calling_back, intents
from parley_coordinator.delegation.cancelling import cancel
from parley_coordinator.delegation.concluding import conclude
from parley_coordinator.delegation.conversation import Conversation
from parley_coordinator.delegation.departed import SEND_S, Departed, Departing
from parley_coordinator.delegation.exchange import Exchange, unreachable
from parley_coordinator.delegation.guarded import GuardedClient
from parley_coordinator.delegation.outcomes import Answer, Asked, Declined, Result, Working
from parley_coordinator.delegation.placing import Placed, Placing
from parley_coordinator.delegation.pushing import rarely
from parley_coordinator.workflow.errors import Standard, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley_cards.card import Card
    from parley_wire.client import AgentClient

    from parley_coordinator.delegation.pushing import Webhooks
    from parley_coordinator.delegation.routing import Routing
    from parley_coordinator.model import Place, Stopped
    from parley_coordinator.store.log import RunLog
    from parley_coordinator.workflow.effects import Call

logger = logging.getLogger(__name__)

LONGEST_SILENCE_S: Final = 15.0
ONWARD: Final = timedelta(seconds=2)
"""When to look again for a step that has not begun, and ran out of time in memory."""


@dataclass(slots=True)
class _Under:
    """How far one look has got when its time in memory is over. A `Look`."""

    agent: str = ""
    waits_for: str = ""
    placed: Placed | None = None
    exchange: Exchange | None = None
    departing: Departing = field(init=False)

    def heard(self, agent: str, waits_for: str) -> None:
        self.agent, self.waits_for = agent, waits_for

    def departs(self) -> None:
        self.departing.begin()


class Delegation:
    """Has agents do the steps of runs.

    Args:
        connect: A client for the agent with this card; clients share one connection pool.
        placing: Finds the agent of each step.
        webhooks: Where agents tell that a task goes on.
        patience: How long one advance keeps a step in memory before the run parks.
        draw: Random numbers from 0 to 1, evenly distributed.
        left: Called when a task has come to light that nobody waits for: its end is owed now.
    """

    def __init__(
        self,
        routing: Routing,
        connect: Callable[[Card], AgentClient],
        *,
        placing: Placing,
        webhooks: Webhooks,
        patience: timedelta,
        draw: Callable[[], float],
        left: Callable[[], None],
    ) -> None:
        self._routing = routing
        self._connect = connect
        self._departed = Departed()
        self._placing = placing
        self._webhooks = webhooks
        self._patience = patience
        self._draw = draw
        self._left = left

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
        latest = timedelta(seconds=SEND_S)
        if call.deadline is not None:
            latest = call.deadline - log.now()
            if latest <= timedelta(0):
                raise await self._overdue(call, log)
        left = min(self._patience, latest)
        under = _Under()
        try:
            async with asyncio.timeout(left.total_seconds()) as timeout:
                under.departing = Departing(
                    self._departed,
                    timeout,
                    latest_s=min(latest.total_seconds(), SEND_S),
                    left=self._left,
                )
                return await self._carry(call, log, answer, resend, under)
        except TimeoutError:
            await log.flush()
            if call.deadline is not None and log.now() >= call.deadline:
                raise await self._overdue(call, log) from None
        return await self._out_of_patience(call, log, under)

    async def cancel(self, log: RunLog, place: Place) -> Stopped:
        """Cancel the task at a place, best effort."""
        return await cancel(self._routing, self._connect, log, place)

    async def give_up(self, log: RunLog, place: Place) -> str:
        """Cancel the task of a step that is about to fail, now or as soon as that works.

        Returns:
            What came of it now, in words.
        """
        stopped = await self.cancel(log, place)
        if not stopped.settled:
            log.owe(place, log.now() + timedelta(seconds=calling_back.pause_s(0, self._draw)))
        return stopped.outcome

    async def aclose(self) -> None:
        """Wait no more for what has left."""
        await self._departed.aclose()

    async def _carry(
        self, call: Call, log: RunLog, answer: Answer | None, resend: int, under: _Under
    ) -> Result:
        """Go from agent to agent until one of them has the step, or none is left."""
        anew = bool(resend) and log.recall(call.place, f"resent.{resend}") is None
        while True:
            placed = await self._placing.place(call, log, under, anew=anew)
            if not isinstance(placed, Placed):
                return placed
            under.placed = placed
            try:
                if anew:
                    under.departs()
                    ruled = intents.ruling(log, call)
                    await log.append(call.place, f"resent.{resend}", ruled, exclusive=True)
                under.exchange = self._exchange(call, log, placed, under.departing)
                reply = await under.exchange.carry_on(answer, first=placed.first, anew=anew)
            finally:
                placed.leave()
            if isinstance(reply, Declined):
                parked = await self._declined(call, log, placed, reply, anew=anew)
                if parked is not None:
                    return parked
                under.placed = under.exchange = None
                continue
            if isinstance(reply, Task | Message):
                result = await conclude(call, log, placed.choice, reply)
                if isinstance(result, Asked) and result.question.authorization:
                    await self._told_by(placed, log, call.place)
                return result
            return reply

    def _exchange(self, call: Call, log: RunLog, placed: Placed, departing: Departing) -> Exchange:
        card = placed.choice.card
        talk = Conversation(
            client=GuardedClient(placed.client, placed.gate.breaker, now=log.now),
            card=card,
            log=log,
            place=call.place,
            context=intents.ids_at(log, call.place).context,
            past=intents.past(log, call.place),
            silence_s=min(LONGEST_SILENCE_S, self._patience.total_seconds() * 0.75),
            departing=departing,
        )
        return Exchange(
            call,
            log,
            placed.choice,
            talk,
            leeway=placed.leeway,
            draw=self._draw,
        )

    async def _declined(
        self, call: Call, log: RunLog, placed: Placed, declined: Declined, *, anew: bool
    ) -> Working | None:
        """Write down that an agent has begun nothing; None: another one is there to be asked.

        Raises:
            WorkflowError: `communication`: there is none, and it was tried often enough.
        """
        name = placed.choice.card.name
        if anew or (declined.spent and not placed.choice.others):
            raise unreachable(call, name, declined.why)
        number = intents.of(log, call.place).number
        body = intents.refusal(call, placed.choice, declined)
        await log.append(call.place, f"declined.{number}", body, exclusive=True)
        if placed.choice.others:
            logger.info("run %s goes elsewhere: %s", log.run_id, declined.why)
            return None
        return Working(name, timedelta(seconds=declined.pause_s))

    async def _out_of_patience(self, call: Call, log: RunLog, under: _Under) -> Working:
        """Its time in memory is over: leave the step to the journal."""
        if under.placed is None:
            if under.agent:
                self._placing.note_wait(call, log, under.agent, under.waits_for, parked=True)
            return Working(under.agent, self._placing.later(call, log))
        name = under.placed.choice.card.name
        if under.exchange is None or not under.exchange.never_began:
            pause = intents.pause(log, call.place)
            told = await self._told_by(under.placed, log, call.place)
            return Working(name, rarely(pause) if told else pause)
        if not under.placed.first:
            # A person has ruled that it did not run, and it was not even taken now.
            raise unreachable(call, name, "it did not take the message in time")
        declined = Declined(
            why=f"{name} did not take the message in time",
            code="timeout",
            pause_s=ONWARD.total_seconds(),
            tries=under.exchange.tries,
            spent=False,
        )
        number = intents.of(log, call.place).number
        body = intents.refusal(call, under.placed.choice, declined)
        await log.append(call.place, f"declined.{number}", body, exclusive=True)
        return Working(name, ONWARD)

    async def _told_by(self, placed: Placed, log: RunLog, place: Place) -> bool:
        """Whether the agent will tell when the task goes on."""
        return await self._webhooks.register(placed.client, placed.choice.card, log, place)

    async def _overdue(self, call: Call, log: RunLog) -> WorkflowError:
        known = intents.of(log, call.place)
        if known.newest is None:
            return _timeout(call, "before anything was sent")
        name = known.newest.body["agent"]["name"]
        outcome = await self.give_up(log, call.place)
        return _timeout(call, f"{name} had not finished; its task: {outcome}")


def _timeout(call: Call, detail: str) -> WorkflowError:
    return WorkflowError(
        Standard.TIMEOUT,
        f"{call.title or call.function} was not done in time",
        detail,
        instance=call.place.path,
    )
