"""What this coordinator remembers of each agent: its circuit breaker, and how many calls are under way.

In memory: another coordinator, or this one after a restart, finds out for itself (ADR-0016).
"""

from __future__ import annotations

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


class AgentRestingError(AgentError):
    """Nothing was sent: the agent's circuit breaker is open."""

    code: ClassVar[str] = "agent_resting"
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    disposition: ClassVar[Disposition] = "retry"

    def __init__(self, name: str, wait_s: float) -> None:
        super().__init__(f"{name} is left alone for {wait_s:.0f} s after failures in a row")
        self.retry_after_s = wait_s


@dataclass(slots=True)
class Gate:
    """Of one agent."""

    slots: Turnstile
    breaker: Breaker = field(default_factory=Breaker)


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
        gate = self._named(card.name)
        gate.slots.limit = card.concurrency or self._limit
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
        if name not in self._gates:
            self._gates[name] = Gate(Turnstile(self._limit))
        return self._gates[name]
