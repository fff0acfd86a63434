"""What `call: a2a` asks of who keeps account of agents: the same breakers, limits and pauses as for steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable

    from parley_cards.card import Card
    from parley_wire.agent_errors import AgentError
    from parley_wire.client import AgentClient, Event


class Caller(Protocol):
    """`AgentClient`, as far as `call: a2a` needs it."""

    async def call(self, method: str, params: dict[str, Any]) -> Any: ...

    def stream(self, method: str, params: dict[str, Any]) -> AsyncIterator[Event]: ...


class Guard(Protocol):
    """Of one agent."""

    def over(self, client: AgentClient) -> Caller:
        """Return the client behind the agent's breaker."""
        ...

    async def enter(self, who: Hashable) -> None:
        """Wait until there is room for one more call; `leave` afterwards."""
        ...

    def enter_anyway(self) -> None:
        """For a look at what the agent has begun: it does not wait; `leave` afterwards."""
        ...

    def leave(self) -> None: ...

    def pause_s(self, failed: int, exc: AgentError) -> float:
        """Return the seconds until the next try, after so many that failed."""
        ...


class Guards(Protocol):
    def of(self, card: Card) -> Guard: ...
