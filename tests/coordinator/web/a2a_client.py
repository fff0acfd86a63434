"""How the tests speak A2A: the SDK's own client, and raw JSON-RPC."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from a2a.client import A2ACardResolver, Client, ClientConfig, ClientFactory
from a2a.types import (
    Message,
    Part,
    Role,
    SendMessageRequest,
    StreamResponse,
    Task,
    TaskState,
)
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Value

from tests.coordinator.web.serving import Served

BINDINGS = ["JSONRPC", "HTTP+JSON"]
INPUT_REQUIRED = TaskState.TASK_STATE_INPUT_REQUIRED
COMPLETED = TaskState.TASK_STATE_COMPLETED
CANCELED = TaskState.TASK_STATE_CANCELED
FAILED = TaskState.TASK_STATE_FAILED


@contextlib.asynccontextmanager
async def agent(
    served: Served, role: str = "requester", *, binding: str = "JSONRPC", streaming: bool = True
) -> AsyncIterator[Client]:
    async with served.http(role) as http, asyncio.timeout(60):
        card = await A2ACardResolver(http, f"{served.url}/workflows/review").get_agent_card()
        config = ClientConfig(
            httpx_client=http, supported_protocol_bindings=[binding], streaming=streaming
        )
        yield ClientFactory(config).create(card)


def said(
    content: Any, *, message_id: str = "m1", task: str = "", context: str = ""
) -> SendMessageRequest:
    part = (
        Part(text=content) if isinstance(content, str) else Part(data=ParseDict(content, Value()))
    )
    return SendMessageRequest(
        message=Message(
            message_id=message_id,
            role=Role.ROLE_USER,
            parts=[part],
            task_id=task,
            context_id=context,
        )
    )


async def all_of(stream: AsyncIterator[StreamResponse]) -> list[StreamResponse]:
    return [event async for event in stream]


async def one(stream: AsyncIterator[StreamResponse]) -> Task:
    events = await all_of(stream)
    assert len(events) == 1
    return events[0].task


def data_of(part: Part) -> Any:
    return MessageToDict(part.data)


async def waiting_task(served: Served) -> Task:
    async with agent(served, streaming=False) as client:
        return await one(client.send_message(said({"amount": "120.00"})))


async def rpc(
    served: Served,
    method: str,
    params: Any,
    *,
    role: str = "requester",
    version: str | None = "1.0",
) -> dict[str, Any]:
    async with served.http(role) as http:
        response = await http.post(
            "/workflows/review/a2a",
            json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params},
            headers={} if version is None else {"A2A-Version": version},
        )
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def answered(served: Served, task: Task, outcome: str = "approve", **more: Any) -> dict[str, Any]:
    """The message that answers the one open question as a person does who has seen it."""
    data = {"outcome": outcome, "digest": served.memory.items["item-1"].digest} | more
    return message(taskId=task.id, messageId="m2", parts=[{"data": data}])


def message(**changes: Any) -> dict[str, Any]:
    return {
        "message": {
            "messageId": "m1",
            "role": "ROLE_USER",
            "parts": [{"data": {"amount": "120.00"}}],
        }
        | changes
    }
