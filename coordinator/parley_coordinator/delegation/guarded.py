"""A client of an agent behind the agent's circuit breaker.

Each exchange counts once: a stream is well with its first event. Nothing that an agent says about a task
counts against it, FAILED included: only what says that the agent itself is not well.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from parley_wire.agent_errors import AgentConnectionLostError, AgentError

from parley_coordinator.delegation.gates import AgentRestingError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
    from datetime import datetime

    from a2a.types import Message, Task
    from parley_wire.client import AgentClient, Event

    from parley_coordinator.delegation.breaker import Breaker

T = TypeVar("T")

LOOK_S: Final = 15.0
"""So long may an answer take that only looks something up, however slowly it drips."""


class GuardedClient:
    """`AgentClient`, as far as steps and `call: a2a` need it."""

    def __init__(
        self, client: AgentClient, breaker: Breaker, *, now: Callable[[], datetime]
    ) -> None:
        self._client = client
        self._name = client.card.name[:80]
        self._breaker = breaker
        self._now = now

    async def send(self, message: dict[str, Any], **more: Any) -> Task | Message:
        with self._counted() as counted:
            reply = await self._client.send(message, return_immediately=True, **more)
            counted()
        return reply

    def send_streaming(
        self, message: dict[str, Any], *, idle_timeout_s: float, **more: Any
    ) -> AsyncIterator[Event]:
        return self._streamed(
            lambda: self._client.send_streaming(message, idle_timeout_s=idle_timeout_s, **more)
        )

    def subscribe(self, task_id: str, *, idle_timeout_s: float) -> AsyncIterator[Event]:
        return self._streamed(
            lambda: self._client.subscribe(task_id, idle_timeout_s=idle_timeout_s)
        )

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        with self._counted() as counted:
            result = await self._client.call(method, params)
            counted()
        return result

    def stream(self, method: str, params: dict[str, Any]) -> AsyncIterator[Event]:
        return self._streamed(lambda: self._client.stream(method, params))

    async def get_task(self, task_id: str) -> Task:
        return await self._looked(lambda: self._client.get_task(task_id))

    async def list_tasks(self, context_id: str) -> list[Task]:
        return await self._looked(lambda: self._client.list_tasks(context_id))

    async def _looked(self, look: Callable[[], Awaitable[T]]) -> T:
        with self._counted() as counted:
            try:
                async with asyncio.timeout(LOOK_S):
                    found = await look()
            except TimeoutError as exc:
                raise AgentConnectionLostError(
                    f"{self._name} did not answer within {LOOK_S:.0f} s"
                ) from exc
            counted()
        return found

    async def _streamed(self, opened: Callable[[], Any]) -> AsyncGenerator[Event]:
        with self._counted() as counted:
            async with aclosing(opened()) as events:
                async for event in events:
                    counted()
                    yield event

    @contextmanager
    def _counted(self) -> Iterator[Callable[[], None]]:
        """Ask the breaker, and tell it what came of the call.

        Raises:
            AgentRestingError: If it does not let the call through.
        """
        admission = self._breaker.admit(self._now())
        if admission.wait_s > 0:
            raise AgentRestingError(self._name, admission.wait_s)
        told = False

        def well() -> None:
            nonlocal told
            if not told:
                told = True
                self._breaker.succeeded()

        try:
            yield well
        except AgentError as exc:
            if exc.unwell:
                told = True
                self._breaker.failed(self._now(), probe=admission.probe)
            else:
                self._answered(exc, well)
            raise
        finally:
            if not told:
                self._breaker.left_open(probe=admission.probe)

    @staticmethod
    def _answered(exc: AgentError, well: Callable[[], None]) -> None:
        """A refusal is an answer of an agent that is well; that it is busy says neither."""
        if exc.disposition == "final":
            well()
