"""What A2A 1.0 demands and its compatibility kit does not test. The kit's number stands in each name."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from a2a.types import a2a_pb2
from google.protobuf.json_format import MessageToDict, ParseDict
from parley_cards.card import load_card
from parley_wire.agent_errors import AgentError
from parley_wire.auth import Tokens
from parley_wire.client import AgentClient
from parley_wire.http import open_http
from parley_wire.server import AuthRequired, Completed, DataArtifact, Outcome, TaskRequest
from parley_wire.serving import Background
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.wire.support import Running, Scripted, card_json, message, running_agent
from tests.wire.test_server_grpc import details, serving

pytestmark = pytest.mark.anyio

TOKENS = Tokens({"alice-token": "alice", "bob-token": "bob"})
ALICE = {"authorization": "Bearer alice-token"}
BOB = {"authorization": "Bearer bob-token"}
OPERATIONS = {
    "SendMessage": ("POST", "message:send", a2a_pb2.SendMessageRequest),
    "SendStreamingMessage": ("POST", "message:stream", a2a_pb2.SendMessageRequest),
    "GetTask": ("GET", "tasks/{id}", a2a_pb2.GetTaskRequest),
    "ListTasks": ("GET", "tasks", a2a_pb2.ListTasksRequest),
    "CancelTask": ("POST", "tasks/{id}:cancel", a2a_pb2.CancelTaskRequest),
    "SubscribeToTask": ("POST", "tasks/{id}:subscribe", a2a_pb2.SubscribeToTaskRequest),
    "GetExtendedAgentCard": ("GET", "extendedAgentCard", a2a_pb2.GetExtendedAgentCardRequest),
    "CreateTaskPushNotificationConfig": (
        "POST",
        "tasks/{id}/pushNotificationConfigs",
        a2a_pb2.TaskPushNotificationConfig,
    ),
    "GetTaskPushNotificationConfig": (
        "GET",
        "tasks/{id}/pushNotificationConfigs/mine",
        a2a_pb2.GetTaskPushNotificationConfigRequest,
    ),
    "ListTaskPushNotificationConfigs": (
        "GET",
        "tasks/{id}/pushNotificationConfigs",
        a2a_pb2.ListTaskPushNotificationConfigsRequest,
    ),
    "DeleteTaskPushNotificationConfig": (
        "DELETE",
        "tasks/{id}/pushNotificationConfigs/mine",
        a2a_pb2.DeleteTaskPushNotificationConfigRequest,
    ),
}
STREAMS = {"SendStreamingMessage", "SubscribeToTask"}


def params_of(method: str, task_id: str) -> dict[str, Any]:
    """What each operation needs, about a task."""
    if method in {"SendMessage", "SendStreamingMessage"}:
        return {"message": message("hi", taskId=task_id) if task_id else message("hi")}
    if "PushNotificationConfig" in method:
        named = {} if method.startswith("List") else {"id": "mine"}
        url = {"url": "https://example.com/"} if method.startswith("Create") else {}
        return {"taskId": task_id, **named, **url}
    return {"id": task_id} if "Task" in method and method != "ListTasks" else {}


class Callers:
    """The same operation over each binding; what comes back in one form: a result, or a reason."""

    def __init__(self, agent: Running, stub: Any) -> None:
        self._agent = agent
        self._stub = stub

    async def call(
        self, binding: str, method: str, task_id: str, headers: dict[str, str]
    ) -> tuple[str, Any]:
        params = params_of(method, task_id)
        found: tuple[str, Any] = await getattr(self, f"_{binding}")(
            method, params, task_id, headers
        )
        return found

    async def _jsonrpc(
        self, method: str, params: Any, _: str, headers: dict[str, str]
    ) -> tuple[str, Any]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        sent = {"a2a-version": "1.0", **headers}
        async with self._agent.http.stream(
            "POST", f"{self._agent.url}/a2a", json=body, headers=sent
        ) as response:
            if response.status_code != 200:
                return "http", response.status_code
            text = await _first(response)
        if "error" in text:
            return "reason", text["error"]["data"][0]["reason"]
        return "result", text["result"]

    async def _rest(
        self, method: str, params: Any, task_id: str, headers: dict[str, str]
    ) -> tuple[str, Any]:
        verb, path, _ = OPERATIONS[method]
        body = params if (verb == "POST" and "message" in params) or "url" in params else None
        async with self._agent.http.stream(
            verb,
            f"{self._agent.url}/rest/{path.format(id=task_id or 'x')}",
            json=body,
            headers={"a2a-version": "1.0", **headers},
        ) as response:
            if response.status_code == 401:
                return "http", 401
            text = await _first(response)
        if "error" in text:
            return "reason", text["error"]["details"][0]["reason"]
        return "result", text

    async def _grpc(
        self, method: str, params: Any, _: str, headers: dict[str, str]
    ) -> tuple[str, Any]:
        request = ParseDict(params, OPERATIONS[method][2]())
        metadata = tuple({"a2a-version": "1.0", **headers}.items())
        call = getattr(self._stub, method)(request, metadata=metadata)
        try:
            answer = await (call.read() if method in STREAMS else call)
        except grpc.aio.AioRpcError as refused:
            if refused.code() is grpc.StatusCode.UNAUTHENTICATED:
                return "http", 401
            return "reason", details(refused).reason
        if method in STREAMS:
            call.cancel()
        return "result", MessageToDict(answer)


async def _first(response: Any) -> Any:
    """The body, or the first event of a stream."""
    if not response.headers["content-type"].startswith("text/event-stream"):
        return json.loads(await response.aread())
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            return json.loads(line.removeprefix("data: "))
    raise AssertionError("the stream was empty")


@asynccontextmanager
async def called(home: Path, **options: Any) -> AsyncIterator[tuple[Callers, Running, Any]]:
    async with serving(home, **options) as (agent, stub):
        yield Callers(agent, stub), agent, stub


BINDINGS = ("jsonrpc", "rest", "grpc")


async def test_AUTH_SERVER_002_no_operation_is_answered_without_a_token(tmp_path: Path) -> None:  # noqa: N802
    async with called(tmp_path, tokens=TOKENS) as (callers, agent, _):
        for binding in BINDINGS:
            for method in OPERATIONS:
                for headers in ({}, {"authorization": "Bearer nope"}):
                    found = await callers.call(binding, method, "x", headers)
                    assert found == ("http", 401), (binding, method)
        assert not agent.tester.started


async def test_AUTH_SCOPE_001_002_003_a_foreign_task_is_like_one_that_there_is_not(  # noqa: N802
    tmp_path: Path,
) -> None:
    async with called(tmp_path, tokens=TOKENS) as (callers, agent, _):
        asked = await agent.rpc("SendMessage", {"message": message("ask")}, headers=ALICE)
        task_id = asked["result"]["task"]["id"]
        about_tasks = [method for method in OPERATIONS if "Task" in method or "Send" in method]
        for binding in BINDINGS:
            for method in about_tasks:
                if method == "ListTasks":
                    _, listed = await callers.call(binding, method, "", BOB)
                    assert not listed.get("tasks"), binding
                    continue
                foreign = await callers.call(binding, method, task_id, BOB)
                unknown = await callers.call(binding, method, "nope", BOB)
                assert foreign == unknown == ("reason", "TASK_NOT_FOUND"), (binding, method)
        assert (await agent.rpc("GetTask", {"id": task_id}, headers=ALICE))["result"]["status"][
            "state"
        ] == "TASK_STATE_INPUT_REQUIRED"


async def authorized_later(request: TaskRequest) -> Outcome:
    if request.answers and "granted" in str(request.answers[-1]):
        return Completed([DataArtifact("done")])
    return AuthRequired("Grant access to the ledger at https://example.com/grants/1, then say so.")


async def test_AUTH_INTASK_001_002_003_an_authorization_is_asked_for_in_a_task_that_says_why(  # noqa: N802
    tmp_path: Path,
) -> None:
    tester = Scripted(special={"ledger": authorized_later})
    async with running_agent(tmp_path, tester) as agent:
        task = (await agent.rpc("SendMessage", {"message": message("ledger")}))["result"]["task"]
        assert task["status"]["state"] == "TASK_STATE_AUTH_REQUIRED"
        assert "Grant access" in task["status"]["message"]["parts"][0]["text"]


async def test_AUTH_INTASK_004_the_credential_is_not_in_the_message_that_goes_on(  # noqa: N802
    tmp_path: Path,
) -> None:
    """And the state itself authorizes nothing: a message that brings none finds it as before."""
    tester = Scripted(special={"ledger": authorized_later})
    async with running_agent(tmp_path, tester) as agent:
        task = (await agent.rpc("SendMessage", {"message": message("ledger")}))["result"]["task"]
        more = message("please", taskId=task["id"])
        again = (await agent.rpc("SendMessage", {"message": more}))["result"]["task"]
        assert again["status"]["state"] == "TASK_STATE_AUTH_REQUIRED"
        granted = message("granted", taskId=task["id"])
        done = (await agent.rpc("SendMessage", {"message": granted}))["result"]["task"]
        assert done["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_VER_CLIENT_001_our_client_says_its_version_with_every_request() -> None:  # noqa: N802
    seen: list[str] = []

    async def refuse(request: Request) -> Response:
        seen.append(request.headers.get("a2a-version", "none"))
        return JSONResponse({}, 404)

    everything = Route("/{path:path}", refuse, methods=["GET", "POST", "DELETE"])
    grpc_server = grpc.aio.server()
    grpc_server.add_generic_rpc_handlers((_Refusing(seen),))
    grpc_port = grpc_server.add_insecure_port("127.0.0.1:0")
    await grpc_server.start()
    try:
        async with Background(Starlette(routes=[everything])) as served, open_http() as http:
            for card in (
                card_json(served.url, bindings=("JSONRPC",)),
                card_json(served.url, bindings=("HTTP+JSON",)),
                _over_grpc(served.url, grpc_port),
            ):
                await _ask_everything(AgentClient(load_card(card), http))
                assert seen == ["1.0"] * len(OPERATIONS), card["supportedInterfaces"]
                seen.clear()
    finally:
        await grpc_server.stop(0)


class _Refusing(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Knows no operation, but who has called it in which version."""

    def __init__(self, seen: list[str]) -> None:
        self._seen = seen

    def service(self, call: Any) -> None:
        self._seen.append(dict(call.invocation_metadata).get("a2a-version", "none"))


def _over_grpc(url: str, port: int) -> dict[str, Any]:
    interface = {"protocolBinding": "GRPC", "protocolVersion": "1.0"}
    return {**card_json(url), "supportedInterfaces": [{"url": f"127.0.0.1:{port}", **interface}]}


async def _ask_everything(client: AgentClient) -> None:
    for method in OPERATIONS:
        params = params_of(method, "x")
        asked = (
            anext(client.stream(method, params))
            if method in STREAMS
            else client.call(method, params)
        )
        with pytest.raises(AgentError):
            await asked


@pytest.mark.parametrize("binding", BINDINGS)
async def test_VER_CLIENT_002_patch_numbers_do_not_matter_and_other_versions_are_refused(  # noqa: N802
    tmp_path: Path, binding: str
) -> None:
    async with called(tmp_path) as (callers, agent, _):
        for version in ("", "0.3", "0.9", "1.1", "2.0", "one"):
            found = await callers.call(binding, "SendMessage", "", {"a2a-version": version})
            assert found == ("reason", "VERSION_NOT_SUPPORTED"), version
        assert not agent.tester.started
        kind, _ = await callers.call(binding, "SendMessage", "", {"a2a-version": "1.0.9"})
        assert kind == "result"
        card = card_json(agent.url, bindings=("HTTP+JSON",))
        card["supportedInterfaces"][0]["protocolVersion"] = "1.0.7"
        client = AgentClient(load_card(card), agent.http)
        sent = await client.send(ParseDict(message("hi"), a2a_pb2.Message()))
        assert isinstance(sent, a2a_pb2.Task)


async def test_VER_SERVER_001_each_request_is_answered_in_the_version_that_it_names(  # noqa: N802
    tmp_path: Path,
) -> None:
    def lists_older(card: dict[str, Any]) -> None:
        card["supportedInterfaces"].append(
            {**card["supportedInterfaces"][0], "protocolVersion": "0.3"}
        )

    async with running_agent(tmp_path, change=lists_older) as agent:
        asked = (await agent.rpc("SendMessage", {"message": message("ask")}))["result"]["task"]
        states = []
        for method, version in (("GetTask", "1.0"), ("tasks/get", "0.3"), ("tasks/get", "")):
            got = await agent.rpc(method, {"id": asked["id"]}, headers={"a2a-version": version})
            states.append(got["result"]["status"]["state"])
        assert states == ["TASK_STATE_INPUT_REQUIRED", "input-required", "input-required"]


IN_ORDER = (
    *("SendMessage", "GetTask", "ListTasks", "SendStreamingMessage"),
    *("CreateTaskPushNotificationConfig", "GetTaskPushNotificationConfig"),
    *("ListTaskPushNotificationConfigs", "DeleteTaskPushNotificationConfig"),
    *("SubscribeToTask", "CancelTask", "GetExtendedAgentCard"),
)
"""Each operation, after what it needs."""


async def test_BIND_EQUIV_001_002_every_operation_gives_the_same_over_each_binding(  # noqa: N802
    tmp_path: Path,
) -> None:
    """Each binding has a task of its own, which waits for an answer until it is cancelled."""
    assert set(IN_ORDER) == set(OPERATIONS)
    found: dict[str, list[Any]] = {method: [] for method in OPERATIONS}
    for binding in BINDINGS:
        home = tmp_path / binding
        home.mkdir()
        options = {"extended_card": load_card(card_json("https://agent.example"))}
        async with called(home, more=options) as (callers, agent, _):
            asked = (await agent.rpc("SendMessage", {"message": message("ask")}))["result"]["task"]
            for method in IN_ORDER:
                task_id = "" if "Message" in method else asked["id"]
                kind, result = await callers.call(binding, method, task_id, {})
                assert kind == "result", (binding, method, result)
                found[method].append(_plain(result))
    for method, results in found.items():
        assert results[0] == results[1] == results[2], method


MADE = {"id", "taskId", "contextId", "messageId", "artifactId", "timestamp", "nextPageToken"}
"""What is another in each agent."""


def _plain(value: Any) -> Any:
    """The same without what protobuf leaves out or writes as a double, and what was made up."""
    if isinstance(value, dict):
        shown = {key: key if key in MADE and each else _plain(each) for key, each in value.items()}
        return {key: each for key, each in shown.items() if each not in ("", None, [], {})}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


async def test_BIND_EQUIV_003_an_error_is_the_same_over_each_binding(tmp_path: Path) -> None:  # noqa: N802
    async with called(tmp_path) as (callers, agent, _):
        done = (await agent.rpc("SendMessage", {"message": message("hi")}))["result"]["task"]["id"]
        expected = {
            "GetTask": ("nope", "TASK_NOT_FOUND"),
            "CancelTask": (done, "TASK_NOT_CANCELABLE"),
            "SubscribeToTask": (done, "UNSUPPORTED_OPERATION"),
            "SendMessage": (done, "UNSUPPORTED_OPERATION"),
            "SendStreamingMessage": ("nope", "TASK_NOT_FOUND"),
            "GetExtendedAgentCard": ("", "UNSUPPORTED_OPERATION"),
            "GetTaskPushNotificationConfig": (done, "TASK_NOT_FOUND"),
        }
        for method, (task_id, reason) in expected.items():
            for binding in BINDINGS:
                found = await callers.call(binding, method, task_id, {})
                assert found == ("reason", reason), (binding, method)


async def test_BIND_EQUIV_004_the_same_tokens_are_good_for_each_binding(tmp_path: Path) -> None:  # noqa: N802
    async with called(tmp_path, tokens=TOKENS) as (callers, agent, _):
        asked = await agent.rpc("SendMessage", {"message": message("ask")}, headers=ALICE)
        task_id = asked["result"]["task"]["id"]
        for binding in BINDINGS:
            kind, task = await callers.call(binding, "GetTask", task_id, ALICE)
            assert (kind, task["id"]) == ("result", task_id)
