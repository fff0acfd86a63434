"""What this coordinator remembers of each agent: its circuit breaker, and how many calls are under way.

In memory: another coordinator, or this one after a restart, finds out for itself (ADR-0016).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final

from parley_cards.errors import Kind
from parley_wire.agent_errors import AgentError
from parley_wire.failures import Disposition

from parley_coordinator.delegation.breaker import Breaker, State
from parley_coordinator.delegation.limits import Turnstile

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from parley_cards.card import Card

CONCURRENCY: Final = 64
KEPT: Final = 1024


class AgentRestingError(AgentError):
    """Nothing was sent: the agent's circuit breaker is open."""

    code: ClassVar[str] = "agent_resting"
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    disposition: ClassVar[Disposition] = "retry"

    def __init__(self, name: str, wait_s: float) -> None:
        super().__init__(
            f"{name} is left alone for {wait_s:.0f} s after failures in a row",
            retry_after_s=math.ceil(wait_s),
        )
        self.retry_after_s = wait_s


class AgentCrowdedError(AgentError):
    """Nothing was sent: as many calls are under way as the agent takes at once."""

    code: ClassVar[str] = "agent_crowded"
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    disposition: ClassVar[Disposition] = "retry"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} has as much to do as it takes at once; try again in a moment")


@dataclass(slots=True)
class Gate:
    """Of one agent."""

    slots: Turnstile
    breaker: Breaker = field(default_factory=Breaker)

    def is_idle(self, now: datetime) -> bool:
        """Whether a new one would be the same."""
        busy = self.slots.inside or self.slots.waiting
        return not busy and self.breaker.state(now) is State.CLOSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How it stands with an agent now, as this coordinator sees it."""

    breaker: State
    in_flight: int
    waiting: int
    limit: int


class Gates:
    """Of all agents, by name.

    Args:
        limit: Calls at once for an agent whose card does not say.
    """

    def __init__(self, *, now: Callable[[], datetime], limit: int = CONCURRENCY) -> None:
        self._now = now
        self._limit = limit
        self._gates: dict[str, Gate] = {}

    def of(self, card: Card) -> Gate:
        """Return the gate of an agent, with the limit that its card asks for."""
        return self.at(card.name, card.concurrency)

    def at(self, name: str, concurrency: int | None) -> Gate:
        """Return the gate of whoever has this name, or address, with the limit that it asks for."""
        gate = self._named(name)
        gate.slots.limit = concurrency or self._limit
        return gate

    def load(self, name: str) -> Load:
        gate = self._named(name)
        return Load(
            breaker=gate.breaker.state(self._now()),
            in_flight=gate.slots.inside,
            waiting=gate.slots.waiting,
            limit=gate.slots.limit,
        )

    def wait_s(self, name: str) -> float:
        """Seconds until the agent's breaker lets a call through; 0: now."""
        return self._named(name).breaker.wait_s(self._now())

    def _named(self, name: str) -> Gate:
        gate = self._gates.pop(name, None)
        if gate is None:
            gate = Gate(Turnstile(self._limit))
            self._forget()
        self._gates[name] = gate  # the last used one is the last one
        return gate

    def _forget(self) -> None:
        """Drop the gates that were used least lately, and of which there is nothing to remember."""
        idle = [name for name, gate in self._gates.items() if gate.is_idle(self._now())]
        for name in idle[: max(len(self._gates) - KEPT, 0)]:
            del self._gates[name]
