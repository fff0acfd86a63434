"""Where a step goes: an agent is chosen, waited for in order, and written down before anything leaves."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from parley_cards.errors import ParleyError

from parley_coordinator.delegation import intents, retrying
from parley_coordinator.delegation.exchange import unreachable, unusable
from parley_coordinator.delegation.outcomes import Uncertain, Working
from parley_coordinator.delegation.retrying import Leeway
from parley_coordinator.workflow.errors import Standard, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley_cards.card import Card
    from parley_wire.client import AgentClient

    from parley_coordinator.delegation.gates import Gate, Gates
    from parley_coordinator.delegation.intents import Intents
    from parley_coordinator.delegation.routing import Choice, Routing
    from parley_coordinator.delegation.terms import Terms
    from parley_coordinator.store.log import RunLog
    from parley_coordinator.workflow.effects import Call

logger = logging.getLogger(__name__)

AWAY_FOR: Final = timedelta(minutes=2)
"""So long does a step wait for an agent that is left alone after failures."""
MISSING_AGAIN: Final = timedelta(seconds=5)
LEFT_ALONE: Final = "left alone after failures in a row"
NO_ROOM: Final = "as many calls were under way as it takes at once"
TOLD_S: Final = 1.0
"""Shorter waits are not worth a row of the journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An agent that the step may talk to now; `leave` when that is over."""

    choice: Choice
    client: AgentClient
    gate: Gate
    first: bool
    """Nothing has left for this agent yet."""
    leeway: Leeway

    def leave(self) -> None:
        self.gate.slots.leave()


class Look(Protocol):
    """One look at a step, which lasts for as long as it may be kept in memory."""

    def heard(self, agent: str, waits_for: str) -> None:
        """Take down whom the step is about to wait for, and for what."""
        ...

    def departs(self) -> None:
        """Last until the message has an answer: a row that says that it leaves is about to be written.

        A look that ended between the two would leave a row behind of which nobody knows whether it is so.
        """
        ...


class Placing:
    """Finds the agent of each place.

    Args:
        connect: A client for the agent with this card; clients share one connection pool.
        new_id: Draws ids of messages, see `ids`.
    """

    def __init__(
        self,
        routing: Routing,
        gates: Gates,
        connect: Callable[[Card], AgentClient],
        terms: Terms,
        *,
        new_id: Callable[[], str],
    ) -> None:
        self._routing = routing
        self._gates = gates
        self._connect = connect
        self._terms = terms
        self._new_id = new_id

    async def place(
        self, call: Call, log: RunLog, look: Look, *, anew: bool = False
    ) -> Placed | Working | Uncertain:
        """Return the agent of this place; it is chosen durably, and again only if it declined.

        Args:
            anew: A person has ruled that it did not run, so that it is to wait as if it were new.

        Raises:
            WorkflowError: No agent can do it, or none has for too long.
        """
        known = intents.of(log, call.place)
        if known.newest is None or known.nothing_begun:
            return await self._anywhere(call, log, known, look)
        agent = known.newest.body["agent"]
        try:
            choice = await self._routing.pinned(
                str(agent["name"]), str(agent["card"]), call.function
            )
            if choice is None:
                return Working(str(agent["name"]), MISSING_AGAIN)
            if choice.moved_to and choice.card.digest != agent["card"]:
                why = f"its card has changed: it was at {agent['url']}, now at {choice.moved_to}"
                return intents.uncertain(log, call.place, choice, why)
            client = self._connect(choice.card)
        except ParleyError as exc:
            logger.warning("run %s waits for the registry: %s", log.run_id, exc.message)
            return Working(str(agent["name"]), MISSING_AGAIN)
        gate = self._gates.of(choice.card)
        look.heard(choice.card.name, NO_ROOM)
        if anew:
            await self._turn(call, log, choice, gate)
        else:
            gate.slots.enter_anyway()  # it has the task already: looking at it must not wait
        return Placed(choice=choice, client=client, gate=gate, first=False, leeway=Leeway())

    async def _anywhere(
        self, call: Call, log: RunLog, known: Intents, look: Look
    ) -> Placed | Working:
        choice = await self._routing.choose(
            call.function, call.version, declined_by=known.turned_down_by
        )
        if choice.input_schema is not None:
            problems = choice.input_schema.problems(call.arguments)
            if problems:
                raise WorkflowError(
                    Standard.VALIDATION,
                    f"the arguments do not fit {call.function}:{call.version}",
                    "; ".join(problems),
                    instance=call.place.path,
                )
        try:
            client = self._connect(choice.card)
        except ParleyError as exc:
            raise unusable(call, choice.card.name, exc.message) from exc
        look.heard(choice.card.name, LEFT_ALONE)
        resting = await self._rested(call, log, choice, known)
        if resting is not None:
            return resting
        gate = self._gates.of(choice.card)
        look.heard(choice.card.name, NO_ROOM)
        await self._turn(call, log, choice, gate)
        try:
            # Nothing is awaited from here to the row: two branches cannot both get the last call.
            before = known.newest
            if before is None:
                own = intents.Ids.new(self._new_id())
                contract = self._terms.of_call(call, log, choice.card, own.message).as_json()
            else:
                own = intents.ids_at(log, call.place)
                contract = before.body.get("contract", {})
                self._terms.check_agent(contract, choice.card, call.place)
            body = intents.body(call, choice, contract, known, own)
            look.departs()
            await log.append(call.place, intents.kind(known.number + 1), body, exclusive=True)
        except BaseException:
            gate.slots.leave()
            raise
        leeway = _leeway(choice, known)
        return Placed(choice=choice, client=client, gate=gate, first=True, leeway=leeway)

    async def _rested(
        self, call: Call, log: RunLog, choice: Choice, known: Intents
    ) -> Working | None:
        """Wait until the agent's breaker lets a call through, here or parked.

        Raises:
            WorkflowError: `communication`, if that took too long.
        """
        name = choice.card.name
        wait_s = self._gates.wait_s(name)
        if wait_s <= 0:
            return None
        since = log.now()
        first = log.recall(call.place, "waited.1")
        began = min(
            (each.at for each in (first, *known.declined) if each is not None), default=since
        )
        if since - began >= AWAY_FOR:
            raise unreachable(call, name, f"it is {LEFT_ALONE}")
        if wait_s > retrying.IN_MEMORY_S:
            self.note_wait(call, log, name, LEFT_ALONE, parked=True)
            return Working(name, timedelta(seconds=wait_s))
        await asyncio.sleep(wait_s)
        self.note_wait(call, log, name, LEFT_ALONE, seconds=wait_s)
        wait_s = self._gates.wait_s(name)
        return Working(name, timedelta(seconds=wait_s)) if wait_s > 0 else None

    async def _turn(self, call: Call, log: RunLog, choice: Choice, gate: Gate) -> None:
        """Wait until there is room for one more call at the agent."""
        since = log.now()
        waited = await gate.slots.enter((log.run_id, call.place))
        seconds = (log.now() - since).total_seconds()
        if waited and seconds >= TOLD_S:
            self.note_wait(call, log, choice.card.name, NO_ROOM, seconds=seconds)

    @staticmethod
    def later(call: Call, log: RunLog) -> timedelta:
        """When to ask again for a turn that did not come: seldomer, the longer it takes."""
        first = log.recall(call.place, "waited.1")
        waited = timedelta(0) if first is None else log.now() - first.at
        return min(max(waited / 4, timedelta(seconds=2)), timedelta(seconds=15))

    def note_wait(
        self,
        call: Call,
        log: RunLog,
        agent: str,
        why: str,
        *,
        seconds: float = 0.0,
        parked: bool = False,
    ) -> None:
        """Write down that a step waited for its turn at an agent; once for all looks in between."""
        number, last = 1, None
        while (entry := log.recall(call.place, f"waited.{number}")) is not None:
            number, last = number + 1, entry.body
        if parked and last is not None and last["parked"] and last["why"] == why:
            return
        body = {
            "title": call.title,
            "agent": agent,
            "why": why,
            "seconds": round(seconds, 1),
            "parked": parked,
        }
        log.append_soon(call.place, f"waited.{number}", body)


def _leeway(choice: Choice, known: Intents) -> Leeway:
    """An agent is given up sooner where another one could do it."""
    since = known.declined[0].at if known.declined else None
    if choice.others:
        allowed = known.tries.failed + retrying.TRIES_WITH_OTHERS
        return Leeway(tries=known.tries, since=since, allowed=allowed, at_least=timedelta(0))
    return Leeway(tries=known.tries, since=since)
