"""A2A over gRPC: the same operations on the same log as over HTTP (A2A 1.0 10)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types import a2a_pb2, a2a_pb2_grpc
from google.protobuf.json_format import MessageToDict, ParseDict
from google.rpc import error_details_pb2, status_pb2
from parley_cards.extensions import DEDUPE
from parley_wire.auth import Tokens
from parley_wire.errors import CannotListenError, WireError
from parley_wire.server import Limits, Options, create_agent_app
from parley_wire.server.grpc_binding import GrpcServer

from tests.ports import free_port
from tests.wire.support import Running, Scripted, message, running_agent

pytestmark = pytest.mark.anyio

VERSION = (("a2a-version", "1.0"),)


@asynccontextmanager
async def serving(
    home: Path,
    tester: Scripted | None = None,
    *,
    limits: Limits | None = None,
    more: dict[str, Any] | None = None,
    **others: Any,
) -> AsyncIterator[tuple[Running, Any]]:
    """An agent, and a stub of the generated client.

    Args:
        more: Options of the agent.
    """
    port = free_port()

    def lists_grpc(card: dict[str, Any]) -> None:
        card["capabilities"]["pushNotifications"] = True
        card["capabilities"]["extendedAgentCard"] = bool(more)
        card["supportedInterfaces"].append(
            {"url": f"127.0.0.1:{port}", "protocolBinding": "GRPC", "protocolVersion": "1.0"}
        )

    options = Options(grpc=f"127.0.0.1:{port}", limits=limits or Limits(), **(more or {}))
    async with (
        running_agent(home, tester, change=lists_grpc, options=options, **others) as agent,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        yield agent, a2a_pb2_grpc.A2AServiceStub(channel)  # type: ignore[no-untyped-call]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Running, Any]]:
    async with serving(tmp_path) as found:
        yield found


def send_request(text: str, **fields: Any) -> a2a_pb2.SendMessageRequest:
    return ParseDict({"message": message(text, **fields)}, a2a_pb2.SendMessageRequest())


async def rest_of(stream: Any) -> list[Any]:
    events = []
    while (event := await stream.read()) is not grpc.aio.EOF:
        events.append(event)
    return events


def details(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    trailing = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    assert (status.code, status.message) == (error.code().value[0], error.details())
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info


async def test_a_message_is_answered_and_the_task_is_the_same_over_http(
    served: tuple[Running, Any],
) -> None:
    agent, stub = served
    sent = await stub.SendMessage(send_request("hi"), metadata=VERSION)
    over_http = await agent.rpc("GetTask", {"id": sent.task.id})
    got = await stub.GetTask(a2a_pb2.GetTaskRequest(id=sent.task.id), metadata=VERSION)
    assert MessageToDict(got)["status"] == over_http["result"]["status"]
    assert got == sent.task
    listed = await stub.ListTasks(a2a_pb2.ListTasksRequest(), metadata=VERSION)
    assert [each.id for each in listed.tasks] == [sent.task.id]
    assert not listed.tasks[0].artifacts


async def test_a_stream_begins_with_the_task_and_is_numbered(served: tuple[Running, Any]) -> None:
    _, stub = served
    stream = stub.SendStreamingMessage(send_request("count 3"), metadata=VERSION)
    events = [event async for event in stream]
    kinds = [event.WhichOneof("payload") for event in events]
    assert kinds == ["task", *["status_update"] * 3, "artifact_update", "status_update"]
    numbers = [
        MessageToDict(event)[name]["metadata"]["urn:parley:a2a:sequence:v1"]
        for event in events
        for name in MessageToDict(event)
    ]
    assert numbers == list(range(2, 8))


class AnyServicer(a2a_pb2_grpc.A2AServiceServicer):
    def admit(self, _: Any) -> None: ...


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListenError, match=f"127.0.0.1:{port} for gRPC"):
            GrpcServer(AnyServicer(), f"127.0.0.1:{port}")  # type: ignore[arg-type]


async def test_a_subscriber_over_grpc_gets_what_one_over_http_causes(
    served: tuple[Running, Any],
) -> None:
    agent, stub = served
    asked = (await agent.rpc("SendMessage", {"message": message("ask")}))["result"]["task"]
    request = a2a_pb2.SubscribeToTaskRequest(id=asked["id"])
    leaving, staying = (stub.SubscribeToTask(request, metadata=VERSION) for _ in range(2))
    assert (await leaving.read()).WhichOneof("payload") == "task"
    assert (await staying.read()).WhichOneof("payload") == "task"
    leaving.cancel()
    await agent.rpc("SendMessage", {"message": message("Oslo", taskId=asked["id"])})
    events = await rest_of(staying)
    assert events[-1].status_update.status.state == a2a_pb2.TASK_STATE_COMPLETED


@pytest.mark.parametrize("version", [(), (("a2a-version", "0.3"),), (("a2a-version", "1.7"),)])
async def test_another_version_is_refused(served: tuple[Running, Any], version: Any) -> None:
    _, stub = served
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.SendMessage(send_request("hi"), metadata=version)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert details(refused.value).reason == "VERSION_NOT_SUPPORTED"


async def test_errors_have_their_status_and_error_info(served: tuple[Running, Any]) -> None:
    _, stub = served
    done = await stub.SendMessage(send_request("hi"), metadata=VERSION)
    nameless = a2a_pb2.SendMessageRequest()
    empty = send_request("hi")
    empty.message.parts.append(a2a_pb2.Part())
    for call, request, code, reason in (
        (stub.GetTask, a2a_pb2.GetTaskRequest(id="nope"), "NOT_FOUND", "TASK_NOT_FOUND"),
        (
            stub.CancelTask,
            a2a_pb2.CancelTaskRequest(id=done.task.id),
            "FAILED_PRECONDITION",
            "TASK_NOT_CANCELABLE",
        ),
        (stub.SendMessage, nameless, "INVALID_ARGUMENT", "INVALID_PARAMS"),
        (stub.SendMessage, empty, "INVALID_ARGUMENT", "INVALID_PARAMS"),
        (
            stub.GetExtendedAgentCard,
            a2a_pb2.GetExtendedAgentCardRequest(),
            "FAILED_PRECONDITION",
            "UNSUPPORTED_OPERATION",
        ),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(request, metadata=VERSION)
        assert refused.value.code() is grpc.StatusCode[code]
        info = details(refused.value)
        assert (info.reason, info.domain) == (reason, "a2a-protocol.org")
    stream = stub.SubscribeToTask(a2a_pb2.SubscribeToTaskRequest(id="nope"), metadata=VERSION)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stream.read()
    assert details(refused.value).reason == "TASK_NOT_FOUND"


async def test_callers_are_told_apart_by_their_tokens(tmp_path: Path) -> None:
    tokens = Tokens({"alice-token": "alice", "bob-token": "bob"})
    async with serving(tmp_path, tokens=tokens) as (_, stub):
        alice = (*VERSION, ("authorization", "Bearer alice-token"))
        bob = (*VERSION, ("authorization", "Bearer bob-token"))
        sent = await stub.SendMessage(send_request("hi"), metadata=alice)
        request = a2a_pb2.GetTaskRequest(id=sent.task.id)
        with pytest.raises(grpc.aio.AioRpcError) as foreign:
            await stub.GetTask(request, metadata=bob)
        assert foreign.value.code() is grpc.StatusCode.NOT_FOUND
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await stub.GetTask(request, metadata=VERSION)
        assert unknown.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert details(unknown.value).reason == "UNAUTHENTICATED"


async def test_extensions_are_echoed(served: tuple[Running, Any]) -> None:
    _, stub = served
    call = stub.SendMessage(
        send_request("hi"), metadata=(*VERSION, ("a2a-extensions", f"{DEDUPE}, urn:other"))
    )
    assert dict(await call.initial_metadata())["a2a-extensions"] == DEDUPE
    await call


async def test_a_message_that_is_too_long_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(body_bytes=10_000)) as (agent, stub):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.SendMessage(send_request("x" * 20_000), metadata=VERSION)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert not agent.tester.started


async def test_what_json_cannot_say_is_the_callers_mistake(served: tuple[Running, Any]) -> None:
    _, stub = served
    nan = send_request("hello")
    nan.message.parts.add().data.number_value = float("nan")
    never = a2a_pb2.ListTasksRequest()
    never.status_timestamp_after.seconds = 10**15
    refusals = []
    for call, request in ((stub.SendMessage, nan), (stub.ListTasks, never)):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(request, metadata=VERSION)
        refusals.append(refused.value.code())

    assert refusals == [grpc.StatusCode.INVALID_ARGUMENT] * 2


async def test_what_an_exception_says_stays_inside(served: tuple[Running, Any]) -> None:
    _, stub = served
    sent = await stub.SendMessage(send_request("raise"), metadata=VERSION)
    assert sent.task.status.state == a2a_pb2.TASK_STATE_FAILED
    assert "hunter2" not in str(sent)


async def test_the_server_stops_under_a_stream_and_the_task_goes_on_afterwards(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as (_, stub):
        stream = stub.SendStreamingMessage(send_request("wait"), metadata=VERSION)
        task_id = (await stream.read()).task.id
        reading = asyncio.create_task(rest_of(stream))
        await asyncio.sleep(0)
    with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
        await reading
    again = Scripted()
    again.gate.set()
    async with serving(tmp_path, again) as (_, stub), asyncio.timeout(60):
        request = a2a_pb2.SubscribeToTaskRequest(id=task_id)
        try:
            last = [each async for each in stub.SubscribeToTask(request, metadata=VERSION)][-1]
            assert last.status_update.status.state == a2a_pb2.TASK_STATE_COMPLETED
        except grpc.aio.AioRpcError as ended:
            assert ended.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_card_and_a_server_that_disagree_about_grpc_are_refused(tmp_path: Path) -> None:
    async with running_agent(tmp_path) as agent:
        with pytest.raises(WireError):
            create_agent_app(
                agent.card,
                Scripted(),
                database_url=f"sqlite:///{tmp_path}/other.db",
                options=Options(grpc="127.0.0.1:0"),
            )


async def test_the_client_of_the_sdk_works_over_grpc(served: tuple[Running, Any]) -> None:
    agent, _ = served
    async with httpx.AsyncClient() as http:
        card = await A2ACardResolver(http, agent.url).get_agent_card()
        config = ClientConfig(
            httpx_client=http,
            grpc_channel_factory=grpc.aio.insecure_channel,
            supported_protocol_bindings=["GRPC"],
        )
        client = ClientFactory(config).create(card)
        request = send_request("count 1")
        kinds = [event.WhichOneof("payload") async for event in client.send_message(request)]
        assert kinds == ["task", "status_update", "artifact_update", "status_update"]
        await client.close()


async def test_nobody_unknown_has_a_request_read(tmp_path: Path) -> None:
    tokens = Tokens({"alice-token": "alice"})
    known = (*VERSION, ("authorization", "Bearer alice-token"))
    rubbish = b"\xff" * 1000
    async with serving(tmp_path, tokens=tokens) as (agent, _):
        port = next(each.url for each in agent.card.interfaces if each.binding == "GRPC")
        async with grpc.aio.insecure_channel(port) as channel:
            for metadata, expected in (
                (VERSION, grpc.StatusCode.UNAUTHENTICATED),
                ((("authorization", "Bearer x"),), grpc.StatusCode.UNAUTHENTICATED),
                (known, grpc.StatusCode.INVALID_ARGUMENT),
            ):
                call = channel.unary_unary("/lf.a2a.v1.A2AService/SendMessage")
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await call(rubbish, metadata=metadata)
                assert refused.value.code() is expected
                assert "protobuf" not in str(refused.value.details())
            # It is not even waited for.
            stream = channel.stream_unary("/lf.a2a.v1.A2AService/SendMessage")(metadata=VERSION)
            with pytest.raises(grpc.aio.AioRpcError) as told:
                await stream
            assert details(told.value).reason == "UNAUTHENTICATED"


async def test_so_many_calls_at_once_and_no_more(tmp_path: Path) -> None:
    tester = Scripted()
    async with serving(tmp_path, tester, limits=Limits(calls=2)) as (_, stub):
        waiting = [
            stub.SendStreamingMessage(send_request("wait"), metadata=VERSION) for _ in range(2)
        ]
        for each in waiting:
            await each.read()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ListTasks(a2a_pb2.ListTasksRequest(), metadata=VERSION)
        tester.gate.set()
        for each in waiting:
            await rest_of(each)
        listed = await stub.ListTasks(a2a_pb2.ListTasksRequest(), metadata=VERSION)

    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert len(listed.tasks) == 2
