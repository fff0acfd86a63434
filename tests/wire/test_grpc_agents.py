"""The client against agents that speak gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
import pytest
from a2a import types
from a2a.types.a2a_pb2_grpc import A2AServiceServicer, add_A2AServiceServicer_to_server
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import NULL_VALUE, Value
from google.rpc import error_details_pb2, status_pb2
from parley_cards.card import Card, load_card
from parley_wire.agent_errors import (
    AgentAuthError,
    AgentBusyError,
    AgentConnectionLostError,
    AgentError,
    AgentProtocolError,
    AgentRefusedError,
    AgentServerError,
    AgentUnreachableError,
    TaskUnknownError,
)
from parley_wire.bindings import MAX_VALUES
from parley_wire.client import AgentClient
from parley_wire.errors import UnsupportedAgentError
from parley_wire.http import open_http

from tests.ports import free_port
from tests.wire.support import card_json

pytestmark = pytest.mark.anyio

WORKING = types.TaskStatus(state=types.TaskState.TASK_STATE_WORKING)
COMPLETED = types.TaskStatus(state=types.TaskState.TASK_STATE_COMPLETED)


@dataclass
class Servicer(A2AServiceServicer):
    """Somebody else's agent."""

    requests: list[Any] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    refusal: tuple[grpc.StatusCode, str, float | None] | None = None
    """Status, reason of the ErrorInfo (empty: no details), seconds of the RetryInfo."""
    artifact_bytes: int = 10
    extra: types.Part = field(default_factory=lambda: types.Part(text="x"))
    """In the artifact of each task."""
    released: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a stream's client has gone."""

    async def SendMessage(self, request: Any, context: Any) -> types.SendMessageResponse:  # noqa: N802
        await self._noted(request, context)
        return types.SendMessageResponse(task=self._task(request.message.context_id))

    async def SendStreamingMessage(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        await self._noted(request, context)
        working = types.Artifact(artifact_id="a", parts=[self.extra])
        task = types.Task(id="t-1", context_id="c-1", status=WORKING, artifacts=[working])
        yield types.StreamResponse(task=task)
        try:
            await self.released.wait()
        finally:
            self.left.set()
        update = types.TaskStatusUpdateEvent(task_id="t-1", context_id="c-1", status=COMPLETED)
        yield types.StreamResponse(status_update=update)

    async def SubscribeToTask(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        await self._noted(request, context)
        for _ in range(0):
            yield

    async def GetTask(self, request: Any, context: Any) -> types.Task:  # noqa: N802
        await self._noted(request, context)
        return self._task("c-1")

    async def ListTasks(self, request: Any, context: Any) -> types.ListTasksResponse:  # noqa: N802
        await self._noted(request, context)
        return types.ListTasksResponse(tasks=[self._task(request.context_id)])

    async def CreateTaskPushNotificationConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        await self._noted(request, context)
        return request

    async def DeleteTaskPushNotificationConfig(self, request: Any, context: Any) -> Empty:  # noqa: N802
        await self._noted(request, context)
        return Empty()

    async def _noted(self, request: Any, context: Any) -> None:
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        if self.refusal is None:
            return
        status, reason, retry_s = self.refusal
        told = status_pb2.Status(code=status.value[0], message="no, thanks")
        if reason:
            info = error_details_pb2.ErrorInfo(reason=reason, domain="a2a-protocol.org")
            told.details.add().Pack(info)
        if retry_s is not None:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromMilliseconds(int(retry_s * 1000))
            told.details.add().Pack(retry)
        trailing = (("grpc-status-details-bin", told.SerializeToString()),) if told.details else ()
        await context.abort(status, "no, thanks", trailing)

    def _task(self, context_id: str) -> types.Task:
        part = types.Part(text="x" * self.artifact_bytes)
        artifact = types.Artifact(artifact_id="a", parts=[part, self.extra])
        return types.Task(id="t-1", context_id=context_id, status=COMPLETED, artifacts=[artifact])


def grpc_card(address: str, **fields: Any) -> Card:
    described = card_json("http://127.0.0.1:1")
    described["supportedInterfaces"] = [
        {"url": address, "protocolBinding": "GRPC", "protocolVersion": "1.0", **fields}
    ]
    return load_card(described)


@asynccontextmanager
async def served(servicer: Servicer, port: int = 0) -> AsyncIterator[int]:
    server = grpc.aio.server()
    add_A2AServiceServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(None)


@asynccontextmanager
async def speaking_grpc(
    tenant: str = "", **options: Any
) -> AsyncIterator[tuple[Servicer, AgentClient]]:
    servicer = Servicer()
    fields = {"tenant": tenant} if tenant else {}
    async with served(servicer) as port, open_http() as http:
        card = grpc_card(f"127.0.0.1:{port}", **fields)
        yield servicer, AgentClient(card, http, token="secret", **options)


async def test_an_agent_that_speaks_grpc_only_is_called() -> None:
    async with speaking_grpc(tenant="acme") as (servicer, client):
        task = await client.send(_said("c-7"))
        assert isinstance(task, types.Task)
        got = await client.get_task("t-1")
        listed = await client.list_tasks("c-9")

    assert task.context_id == "c-7"
    assert got.status.state == types.TaskState.TASK_STATE_COMPLETED
    assert listed[0].context_id == "c-9"
    assert {request.tenant for request in servicer.requests} == {"acme"}
    assert servicer.requests[0].configuration.return_immediately
    assert servicer.metadata[0]["a2a-version"] == "1.0"
    assert servicer.metadata[0]["authorization"] == "Bearer secret"


async def test_a_stream_over_grpc_ends_with_the_task() -> None:
    async with speaking_grpc() as (servicer, client):
        events = []
        async for event in client.send_streaming(_said()):
            events.append(event)
            servicer.released.set()

    assert [type(event) for event in events] == [types.Task, types.TaskStatusUpdateEvent]


async def test_who_leaves_a_stream_over_grpc_frees_the_agent() -> None:
    async with speaking_grpc() as (servicer, client):
        stream = client.stream("SendStreamingMessage", {"message": _said()})
        await anext(stream)
        await stream.aclose()
        async with asyncio.timeout(60):
            await servicer.left.wait()


async def test_a_silent_stream_over_grpc_is_lost() -> None:
    async with speaking_grpc() as (_, client):
        stream = client.send_streaming(_said(), idle_timeout_s=0.1)
        assert isinstance(await anext(stream), types.Task)
        with pytest.raises(AgentConnectionLostError):
            await anext(stream)


async def test_a_stream_over_grpc_without_an_event_is_lost() -> None:
    async with speaking_grpc() as (_, client):
        with pytest.raises(AgentConnectionLostError):
            await anext(client.subscribe("t-1"))


async def test_webhooks_are_set_and_taken_back_over_grpc() -> None:
    async with speaking_grpc() as (servicer, client):
        made = await client.create_push_config({"taskId": "t-1", "url": "http://h/", "token": "x"})
        await client.delete_push_config("t-1", "p-1")

    assert (made.task_id, made.url, made.token) == ("t-1", "http://h/", "x")
    assert MessageToDict(servicer.requests[1]) == {"taskId": "t-1", "id": "p-1"}


REFUSALS: Sequence[tuple[grpc.StatusCode, str, type[AgentError]]] = [
    (grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND", TaskUnknownError),
    (grpc.StatusCode.FAILED_PRECONDITION, "TASK_NOT_CANCELABLE", AgentRefusedError),
    (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PARAMS", AgentRefusedError),
    (grpc.StatusCode.UNIMPLEMENTED, "", AgentRefusedError),
    (grpc.StatusCode.UNAUTHENTICATED, "", AgentAuthError),
    (grpc.StatusCode.PERMISSION_DENIED, "", AgentAuthError),
    (grpc.StatusCode.INTERNAL, "INTERNAL_ERROR", AgentServerError),
    (grpc.StatusCode.UNKNOWN, "", AgentServerError),
    (grpc.StatusCode.UNAVAILABLE, "", AgentConnectionLostError),
    (grpc.StatusCode.DEADLINE_EXCEEDED, "", AgentConnectionLostError),
]


@pytest.mark.parametrize("streaming", [False, True])
async def test_every_grpc_status_has_its_class(*, streaming: bool) -> None:
    async with speaking_grpc() as (servicer, client):
        for status, reason, expected in REFUSALS:
            servicer.refusal = (status, reason, None)
            calling: Any = (
                anext(client.send_streaming(_said())) if streaming else client.send(_said())
            )
            with pytest.raises(AgentError) as raised:
                await calling
            assert type(raised.value) is expected, status


async def test_a_busy_agent_says_over_grpc_when_to_come_back() -> None:
    async with speaking_grpc() as (servicer, client):
        servicer.refusal = (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA", 1.5)
        with pytest.raises(AgentBusyError) as busy:
            await client.send(_said())

    assert busy.value.retry_after_s == 1.5


async def test_an_answer_over_grpc_that_is_too_large_is_a_protocol_error() -> None:
    async with speaking_grpc(max_bytes=10_000) as (servicer, client):
        servicer.artifact_bytes = 20_000
        with pytest.raises(AgentProtocolError, match="10000 bytes"):
            await client.send(_said())


async def test_an_answer_that_json_cannot_say_is_a_protocol_error() -> None:
    async with speaking_grpc() as (servicer, client):
        servicer.extra.data.number_value = float("nan")
        stream = client.send_streaming(_said())
        for answer in (client.get_task("t-1"), anext(stream)):
            with pytest.raises(AgentProtocolError, match="JSON"):
                await answer


async def test_an_answer_over_grpc_of_more_values_than_anybody_could_read_is_refused() -> None:
    async with speaking_grpc() as (servicer, client):
        values = servicer.extra.data.list_value.values
        values.extend([Value(null_value=NULL_VALUE)] * MAX_VALUES)
        with pytest.raises(AgentProtocolError, match=f"{MAX_VALUES} values"):
            await client.get_task("t-1")

        del values[MAX_VALUES // 2 :]
        found = await client.get_task("t-1")
        assert len(found.artifacts[0].parts[1].data.list_value.values) == MAX_VALUES // 2


async def test_an_agent_that_is_down_is_unreachable_and_found_again_when_it_is_back() -> None:
    port = free_port()
    async with open_http() as http:
        client = AgentClient(grpc_card(f"127.0.0.1:{port}"), http)
        with pytest.raises(AgentUnreachableError):
            await client.send(_said())
        async with served(Servicer(), port):
            assert await client.get_task("t-1")
        with pytest.raises((AgentUnreachableError, AgentConnectionLostError)):
            await client.get_task("t-1")
        async with served(Servicer(), port):
            assert await client.get_task("t-1")


async def test_a_name_is_resolved_by_who_judges_addresses() -> None:
    asked: list[tuple[str, int]] = []

    async def addresses(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"]

    async with served(Servicer()) as port, open_http(addresses=addresses) as http:
        client = AgentClient(grpc_card(f"agent.example:{port}"), http)
        assert await client.get_task("t-1")

    assert asked == [("agent.example", port)]


@pytest.mark.parametrize(
    "address",
    ["unix:/run/agent.sock", "unix-abstract:x", "http://user@h:1", "a b:1", "ftp://h:1", "h:x"],
)
async def test_what_is_no_address_of_grpc_is_unsupported(address: str) -> None:
    async with open_http() as http:
        with pytest.raises(UnsupportedAgentError):
            AgentClient(grpc_card(address), http)


def _said(context_id: str = "c-1") -> dict[str, Any]:
    parts = [{"text": "hi"}]
    return {"messageId": "m-1", "contextId": context_id, "role": "ROLE_USER", "parts": parts}
