"""Breakers, limits and pauses of agents that workflows call by their address, beside the registry's.

A card can have any name, so these agents are known by where they are: what goes wrong with one of them
counts against no agent of the registry that happens to have its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from parley_coordinator.delegation import retrying
from parley_coordinator.delegation.guarded import GuardedClient
from parley_coordinator.delegation.retrying import Tries

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from datetime import datetime

    from parley_cards.card import Card
    from parley_wire.agent_errors import AgentError
    from parley_wire.client import AgentClient

    from parley_coordinator.delegation.gates import Gate, Gates


class AgentGuard:
    """Implements `protocols.guard.Guard`."""

    def __init__(
        self, gate: Gate, *, now: Callable[[], datetime], draw: Callable[[], float]
    ) -> None:
        self._gate = gate
        self._now = now
        self._draw = draw

    def over(self, client: AgentClient) -> GuardedClient:
        return GuardedClient(client, self._gate.breaker, now=self._now)

    async def enter(self, who: Hashable) -> None:
        await self._gate.slots.enter(who)

    def enter_anyway(self) -> None:
        self._gate.slots.enter_anyway()

    def leave(self) -> None:
        self._gate.slots.leave()

    def pause_s(self, failed: int, exc: AgentError) -> float:
        return retrying.pause_s(Tries(failed=failed), exc, self._draw)


class AgentGuards:
    """Implements `protocols.guard.Guards`.

    Args:
        draw: See `retrying.pause_s`.
    """

    def __init__(
        self, gates: Gates, *, now: Callable[[], datetime], draw: Callable[[], float]
    ) -> None:
        self._gates = gates
        self._now = now
        self._draw = draw

    def of(self, card: Card) -> AgentGuard:
        address = urlsplit(card.interfaces[0].url)
        gate = self._gates.at(f"{address.scheme}://{address.netloc}", card.concurrency)
        return AgentGuard(gate, now=self._now, draw=self._draw)
