"""A client of an agent for who calls it through the coordinator, and what is remembered of such calls."""

from __future__ import annotations

from contextlib import ExitStack, aclosing, contextmanager
from typing import TYPE_CHECKING, Any, Final

from parley_wire.agent_errors import AgentConnectionLostError
from parley_wire.events import rests

from parley_coordinator.delegation.gates import AgentCrowdedError
from parley_coordinator.delegation.guarded import GuardedClient
from parley_coordinator.governance.access import Permission, require
from parley_coordinator.store import relayed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
    from datetime import datetime

    from parley_wire.client import AgentClient
    from parley_wire.database import Database

    from parley_coordinator.delegation.gates import Gate
    from parley_coordinator.governance.access import Principal
    from parley_coordinator.store.relayed import Act

WORK: Final = frozenset({"SendMessage", "SendStreamingMessage"})
"""Operations that count against how many calls an agent takes at once; looking at a task does not."""


class RelayedClient(GuardedClient):
    """Behind the breaker that runs share, and within the agent's limit. Runs wait for room, this does not.

    Raises, besides AgentErrors of the wire:
        AgentRestingError: If the agent is left alone after failures.
        AgentCrowdedError: If it has as much to do as it takes.
    """

    def __init__(self, client: AgentClient, gate: Gate, *, now: Callable[[], datetime]) -> None:
        super().__init__(client, gate.breaker, now=now)
        self._slots = gate.slots

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        with self._room(method), self._counted() as counted:
            result = await self._client.call(method, params)
            counted()
        return result

    async def stream_json(self, method: str, params: dict[str, Any]) -> AsyncGenerator[Any]:
        """Yield what the agent tells; once a task waits for its caller the agent may end it as it likes."""
        resting = False
        with ExitStack() as room:
            room.enter_context(self._room(method))
            with self._counted() as counted:
                try:
                    async with aclosing(self._client.stream_json(method, params)) as events:
                        async for event in events:
                            counted()
                            resting = rests(event)
                            if resting:
                                room.close()  # it works no more, however long its caller listens
                            yield event
                except AgentConnectionLostError:
                    if not resting:
                        raise

    @contextmanager
    def _room(self, method: str) -> Iterator[None]:
        if method in WORK and (self._slots.inside >= self._slots.limit or self._slots.waiting):
            raise AgentCrowdedError(self._name)
        if method not in WORK:
            yield
            return
        self._slots.enter_anyway()
        try:
            yield
        finally:
            self._slots.leave()


class RelayedActs:
    """What people have had agents do through the coordinator; durable once it returns."""

    def __init__(self, database: Database, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def begin(self, by: str, agent: str, operation: str, task_id: str) -> int:
        """Write down what is about to be asked of an agent; return its number."""
        at = self._now()
        return await self._database.write(
            lambda c: relayed.begin(
                c, by=by, agent=agent, operation=operation, task_id=task_id, at=at
            )
        )

    async def end(self, number: int, task_id: str, outcome: str) -> None:
        await self._database.write(lambda c: relayed.end(c, number, task_id, outcome))

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
        require(principal, Permission.AGENT_READ)
        return await self._database.read(
            lambda c: relayed.page(c, agent=agent, before=before, limit=limit)
        )
