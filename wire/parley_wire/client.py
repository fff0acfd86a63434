"""Calling an agent of any vendor over A2A.

Every failure is one of `parley_wire.agent_errors`; what an agent sends is bounded, strict JSON and of
the shape that A2A names before the caller sees it. Operations are those of A2A 1.0, whatever the
agent speaks: `parley_wire.transport` says what we speak.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, Final, TypeAlias

import httpx
from a2a.types import (
    Message,
    Task,
    TaskArtifactUpdateEvent,
    TaskPushNotificationConfig,
    TaskStatusUpdateEvent,
)
from google.protobuf.json_format import MessageToDict
from parley_cards.card import Card

from parley_wire.cards import fetch_card
from parley_wire.events import (
    event_of,
    push_config_of,
    push_configs_of,
    send_result,
    task_of,
    tasks_page,
)
from parley_wire.transport import Transport, transport_of

Event: TypeAlias = Task | Message | TaskStatusUpdateEvent | TaskArtifactUpdateEvent

MAX_BYTES: Final = 8 * 1_048_576
MAX_PAGES: Final = 20
PAGE_SIZE: Final = 50


class AgentClient:
    """One agent, addressed as its card says: the first interface that we speak.

    Args:
        card: Of the agent.
        http: From `open_http`; shared between clients, closed by its owner.
        token: Sent as bearer token, to this agent only.
        max_bytes: Of one response, or of one event of a stream.
        extensions: To activate beside those that we speak, as far as the card lists them.

    Raises:
        UnsupportedAgentError: If the card has no such interface, or requires an unknown extension.
    """

    def __init__(
        self,
        card: Card,
        http: httpx.AsyncClient,
        *,
        token: str | None = None,
        max_bytes: int = MAX_BYTES,
        extensions: frozenset[str] = frozenset(),
    ) -> None:
        self.card = card
        self._name = card.name[:80]
        self._transport: Transport = transport_of(
            card, http, token=token, max_bytes=max_bytes, extensions=extensions
        )

    async def send(
        self,
        message: Message | Mapping[str, Any],
        *,
        return_immediately: bool = True,
        push: Mapping[str, Any] | None = None,
    ) -> Task | Message:
        """Send one message.

        Args:
            message: As protobuf, or as the JSON of A2A, which saves two conversions.
            return_immediately: False waits until the task is terminal or interrupted.
            push: A webhook for the task, as in `create_push_config` without its id.

        Raises:
            AgentError: See `parley_wire.agent_errors`.
        """
        configuration: dict[str, Any] = {"returnImmediately": return_immediately}
        if push is not None:
            configuration["taskPushNotificationConfig"] = dict(push)
        params = {"message": _json(message), "configuration": configuration}
        return send_result(self._name, await self.call("SendMessage", params))

    def send_streaming(
        self,
        message: Message | Mapping[str, Any],
        *,
        idle_timeout_s: float = 60,
        push: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[Event]:
        """Send one message and yield what happens, the task first.

        The task comes without history. Ends when the agent ends the stream, which may be before the task is terminal: subscribe again.

        Args:
            message: As protobuf, or as the JSON of A2A.
            idle_timeout_s: Longest silence, pings included.
            push: See `send`.

        Raises:
            AgentError: See `parley_wire.agent_errors`; also in the middle of the stream.
        """
        # We know what we said; without it the first event is small.
        configuration: dict[str, Any] = {"historyLength": 0}
        if push is not None:
            configuration["taskPushNotificationConfig"] = dict(push)
        params = {"message": _json(message), "configuration": configuration}
        return self.stream("SendStreamingMessage", params, idle_timeout_s)

    def subscribe(self, task_id: str, *, idle_timeout_s: float = 60) -> AsyncIterator[Event]:
        """Yield the task as it is now, and what happens to it from there; like `send_streaming`."""
        return self.stream("SubscribeToTask", {"id": task_id}, idle_timeout_s)

    async def get_task(self, task_id: str) -> Task:
        """Raises: TaskUnknownError, and the other AgentErrors."""
        return task_of(self._name, await self.call("GetTask", {"id": task_id}))

    async def list_tasks(self, context_id: str) -> list[Task]:
        """Return the tasks of a context with artifacts and history, newest first, 1000 at most."""
        found: list[Task] = []
        token = ""
        for _ in range(MAX_PAGES):
            params = {
                "contextId": context_id,
                "pageSize": PAGE_SIZE,
                "historyLength": 100,
                "includeArtifacts": True,
            }
            if token:
                params["pageToken"] = token
            tasks, token = tasks_page(self._name, await self.call("ListTasks", params))
            found.extend(tasks)
            if not token:
                break
        return found

    async def cancel_task(self, task_id: str) -> Task:
        """Raises: TaskUnknownError, AgentRefusedError with `TASK_NOT_CANCELABLE`, and the others."""
        return task_of(self._name, await self.call("CancelTask", {"id": task_id}))

    async def create_push_config(self, config: Mapping[str, Any]) -> TaskPushNotificationConfig:
        """Have the agent post what happens to a task to a webhook.

        Args:
            config: The JSON of a TaskPushNotificationConfig: `{taskId, url, token?, id?,
                authentication?: {scheme, credentials}}`.

        Raises:
            AgentError: See `parley_wire.agent_errors`; AgentRefusedError with
                `PUSH_NOTIFICATION_NOT_SUPPORTED` from an agent that cannot.
        """
        result = await self.call("CreateTaskPushNotificationConfig", dict(config))
        return push_config_of(self._name, result)

    async def get_push_config(self, task_id: str, config_id: str) -> TaskPushNotificationConfig:
        params = {"taskId": task_id, "id": config_id}
        result = await self.call("GetTaskPushNotificationConfig", params)
        return push_config_of(self._name, result)

    async def list_push_configs(self, task_id: str) -> list[TaskPushNotificationConfig]:
        """Return the first page, which for all that we know of is all."""
        result = await self.call("ListTaskPushNotificationConfigs", {"taskId": task_id})
        return push_configs_of(self._name, result)

    async def delete_push_config(self, task_id: str, config_id: str) -> None:
        params = {"taskId": task_id, "id": config_id}
        await self.call("DeleteTaskPushNotificationConfig", params)

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """Call any operation, named as in JSON-RPC of A2A 1.0; return its result as A2A 1.0 has it.

        Raises:
            AgentError: See `parley_wire.agent_errors`.
        """
        return await self._transport.call(method, params)

    async def stream(
        self, method: str, params: dict[str, Any], idle_timeout_s: float = 60
    ) -> AsyncGenerator[Event]:
        """Call an operation that streams, and yield what comes.

        Raises:
            AgentError: See `parley_wire.agent_errors`; also in the middle of the stream.
        """
        async with aclosing(self._transport.stream(method, params, idle_timeout_s)) as events:
            async for event in events:
                yield event_of(self._name, event)

    def stream_json(
        self, method: str, params: dict[str, Any], idle_timeout_s: float = 60
    ) -> AsyncGenerator[Any]:
        """`stream`, with each StreamResponse as the agent wrote it, until the agent ends it."""
        return self._transport.stream(method, params, idle_timeout_s, to_end=True)


def _json(message: Message | Mapping[str, Any]) -> Mapping[str, Any]:
    return MessageToDict(message) if isinstance(message, Message) else message


__all__ = ["AgentClient", "Event", "fetch_card"]
