"""One step of a pipeline as a careful author writes it around the client of the a2a-sdk.

LangGraph and DBOS bring no client of A2A: what happens between the message and its outcome is their
users' code. This is that code, at its best: it waits for the end of the task, takes nothing but a
completed task with data for success, and checks the answer against its schema.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx
import jsonschema
from a2a.client import A2ACardResolver, Client, ClientConfig, ClientFactory
from a2a.client.errors import A2AClientError
from a2a.types import GetTaskRequest, Message, Part, Role, SendMessageRequest, Task, TaskState
from google.protobuf.json_format import MessageToDict, ParseDict

T = TypeVar("T")
POLL_S = 0.2
ACTIVE = {TaskState.TASK_STATE_SUBMITTED, TaskState.TASK_STATE_WORKING}
WAITING = {TaskState.TASK_STATE_AUTH_REQUIRED}


class StepFailedError(Exception):
    """The agent did not do it."""


class Agents:
    """Clients by base URL."""

    def __init__(self) -> None:
        self._http = httpx.AsyncClient(timeout=httpx.Timeout(10, read=None))
        self._clients: dict[str, Client] = {}

    async def perform(
        self, step: dict[str, Any], data: Any, *, key: str, task: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Have an agent do a step, or answer its question.

        Args:
            key: Becomes the id of the message.
            task: `{task, context}` of the question that `data` answers.

        Returns:
            `{output}`, or `{question: {task, context, text}}`.

        Raises:
            StepFailedError, TimeoutError
        """
        async with asyncio.timeout(step["deadline_s"]):
            client = await _patiently(lambda: self._client(step["agent"]))
            message = Message(message_id=key, role=Role.ROLE_USER, parts=[_part(data)])
            if task is not None:
                message.task_id, message.context_id = task["task"], task["context"]
            reply = await self._sent(client, SendMessageRequest(message=message))
            while isinstance(reply, Task) and reply.status.state in ACTIVE | WAITING:
                await asyncio.sleep(POLL_S)
                reply = await client.get_task(GetTaskRequest(id=reply.id))
            return _outcome(step, reply)

    async def _sent(self, client: Client, request: SendMessageRequest) -> Task | Message:
        async def send() -> Task | Message:
            reply: Task | Message | None = None
            async for event in client.send_message(request):
                kind = event.WhichOneof("payload")
                if kind in ("task", "message"):
                    reply = getattr(event, kind)
            if reply is None:
                raise StepFailedError("there was no answer")
            return reply

        return await _patiently(send)

    async def _client(self, url: str) -> Client:
        if url not in self._clients:
            card = await A2ACardResolver(self._http, url).get_agent_card()
            config = ClientConfig(streaming=False, httpx_client=self._http)
            self._clients[url] = ClientFactory(config).create(card)
        return self._clients[url]


async def _patiently(act: Callable[[], Awaitable[T]]) -> T:
    """Try again what certainly did not begin: refused connections, 429, 503. The caller has a timeout."""
    pause = 0.1
    while True:
        try:
            return await act()
        except A2AClientError as exc:
            if not _did_not_begin(exc):
                raise
            await asyncio.sleep(_retry_after(exc) or pause)
            pause = min(pause * 2, 2.0)


def _did_not_begin(exc: A2AClientError) -> bool:
    cause = exc.__cause__
    if isinstance(cause, httpx.HTTPStatusError):
        return cause.response.status_code in (429, 503)
    return isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout)


def _retry_after(exc: A2AClientError) -> float | None:
    cause = exc.__cause__
    said = (
        cause.response.headers.get("retry-after", "")
        if isinstance(cause, httpx.HTTPStatusError)
        else ""
    )
    return float(said) if said.isdigit() else None


def _part(data: Any) -> Part:
    return Part(text=data) if isinstance(data, str) else ParseDict({"data": data}, Part())


def _outcome(step: dict[str, Any], reply: Task | Message) -> dict[str, Any]:
    if isinstance(reply, Message):
        return {"output": _checked(step, list(reply.parts))}
    state = reply.status.state
    if state == TaskState.TASK_STATE_INPUT_REQUIRED:
        text = "".join(part.text for part in reply.status.message.parts)
        return {"question": {"task": reply.id, "context": reply.context_id, "text": text}}
    if state != TaskState.TASK_STATE_COMPLETED:
        raise StepFailedError(f"{step['name']} answered {TaskState.Name(state)}")
    return {"output": _checked(step, [p for each in reply.artifacts for p in each.parts])}


def _checked(step: dict[str, Any], parts: list[Part]) -> Any:
    values = [MessageToDict(part)["data"] for part in parts if part.HasField("data")]
    if not values:
        raise StepFailedError(f"{step['name']} answered without data")
    try:
        jsonschema.validate(values[-1], step.get("output_schema", {}))
    except jsonschema.ValidationError as exc:
        raise StepFailedError(f"{step['name']}: {exc.message}") from exc
    return values[-1]
