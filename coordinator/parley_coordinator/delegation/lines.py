"""Agents by name, for who calls them through the coordinator, and whose their tasks are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parley_coordinator.delegation.relaying import RelayedClient
from parley_coordinator.errors import UnknownAgentError
from parley_coordinator.store import passed_on

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from parley_cards.card import Card
    from parley_wire.client import AgentClient
    from parley_wire.database import Database

    from parley_coordinator.delegation.gates import Gates
    from parley_coordinator.delegation.routing import Routing


@dataclass(frozen=True, slots=True)
class Line:
    """How an agent is reached."""

    card: Card
    since: datetime
    """When its card became what it is, or earlier."""
    connect: Callable[[Card, frozenset[str]], RelayedClient]

    def client(self, extensions: frozenset[str]) -> RelayedClient:
        """Return a client that activates these extensions too, as far as the card lists them.

        Raises:
            UnsupportedAgentError: If nothing that the agent offers is spoken here.
        """
        return self.connect(self.card, extensions)


class Lines:
    """The agents that the registry knows."""

    def __init__(
        self,
        routing: Routing,
        gates: Gates,
        client: Callable[[Card, frozenset[str]], AgentClient],
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._routing = routing
        self._gates = gates
        self._client = client
        self._now = now

    async def to(self, name: str) -> Line:
        """Return the way to the agent with this name.

        Raises:
            UnknownAgentError: If there is none.
            ParleyError: If the registry cannot be asked.
        """
        for agent in await self._routing.agents():
            if agent.name == name:
                card = await self._routing.card(agent)
                return Line(card, agent.registered_at, self._connect)
        raise UnknownAgentError(name)

    def _connect(self, card: Card, extensions: frozenset[str]) -> RelayedClient:
        client = self._client(card, extensions)
        return RelayedClient(client, self._gates.of(card), now=self._now)


class PassedOn:
    """Whose tasks of agents there are; durable once it returns."""

    def __init__(self, database: Database, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def claim(self, agent: str, task_id: str, caller: str, context_id: str) -> bool:
        """Let a task belong to a caller; False if it is somebody else's."""
        if await self.owner(agent, task_id) == caller:
            return True
        at = self._now()
        return await self._database.write(
            lambda c: passed_on.claim(
                c, agent=agent, task_id=task_id, caller=caller, context_id=context_id, at=at
            )
        )

    async def owner(self, agent: str, task_id: str) -> str | None:
        return await self._database.read(lambda c: passed_on.owner(c, agent, task_id))

    async def owned(self, agent: str, caller: str, task_ids: Collection[str]) -> frozenset[str]:
        return await self._database.read(lambda c: passed_on.owned(c, agent, caller, task_ids))

    async def count(self, agent: str, caller: str) -> int:
        """Return how many tasks of an agent are the caller's."""
        return await self._database.read(lambda c: passed_on.count(c, agent, caller))

    async def others_context(self, agent: str, context_id: str, caller: str) -> bool:
        """Whether a context is used by somebody, and not by this caller."""
        return await self._database.read(
            lambda c: passed_on.others_context(c, agent, context_id, caller)
        )
