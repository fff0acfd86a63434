"""What the relay needs of the rest of the coordinator; `parley_coordinator.delegation` implements it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Sequence
    from datetime import datetime

    from parley_cards.card import Card

    from parley_coordinator.governance.access import Principal


class RemoteAgent(Protocol):
    """An agent that may be called; left alone when it is not well, or has enough to do.

    Raises AgentError: See `parley_wire.agent_errors`, and `delegation.gates`.
    """

    async def call(self, method: str, params: dict[str, Any]) -> Any: ...

    def stream_json(self, method: str, params: dict[str, Any]) -> AsyncGenerator[Any]: ...


class Line(Protocol):
    """How an agent is reached."""

    @property
    def card(self) -> Card: ...
    @property
    def since(self) -> datetime: ...
    def client(self, extensions: frozenset[str]) -> RemoteAgent:
        """Return a client that activates these extensions too, as far as the card lists them.

        Raises:
            UnsupportedAgentError: If nothing that the agent offers is spoken here.
        """
        ...


class Lines(Protocol):
    """The agents that the registry knows, for who calls them through the coordinator."""

    async def to(self, name: str) -> Line:
        """Raises UnknownAgentError, and ParleyError if the registry cannot be asked."""
        ...


class PassedOn(Protocol):
    """Whose tasks of agents there are."""

    async def claim(self, agent: str, task_id: str, caller: str, context_id: str) -> bool:
        """Let a task belong to a caller; False if it is somebody else's."""
        ...

    async def owner(self, agent: str, task_id: str) -> str | None: ...

    async def owned(self, agent: str, caller: str, task_ids: Collection[str]) -> frozenset[str]:
        """Return those of the tasks that are the caller's."""
        ...

    async def count(self, agent: str, caller: str) -> int:
        """Return how many tasks of an agent are the caller's."""
        ...

    async def others_context(self, agent: str, context_id: str, caller: str) -> bool:
        """Whether a context is used by somebody, and not by this caller."""
        ...


class Act(Protocol):
    """What somebody had an agent do through the coordinator."""

    @property
    def seq(self) -> int: ...
    @property
    def at(self) -> datetime: ...
    @property
    def by(self) -> str: ...
    @property
    def agent(self) -> str: ...
    @property
    def operation(self) -> str: ...
    @property
    def task_id(self) -> str: ...
    @property
    def outcome(self) -> str: ...


class RelayedActs(Protocol):
    """What people have had agents do through the coordinator."""

    async def begin(self, by: str, agent: str, operation: str, task_id: str) -> int:
        """Write down what is about to be asked of an agent; return its number."""
        ...

    async def end(self, number: int, task_id: str, outcome: str) -> None: ...

    async def page(
        self,
        principal: Principal,
        *,
        agent: str,
        before: int | None = None,
        limit: int,
    ) -> Sequence[Act]:
        """Return what was asked, newest first.

        Raises:
            NotPermittedError: If the caller may not read about agents.
        """
        ...
