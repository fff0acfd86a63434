"""A2A 0.3, spoken to older clients by an agent whose card lists it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.compat.v0_3 import types as older
from a2a.types import SendMessageRequest
from google.protobuf.json_format import ParseDict
from parley_wire.server import Options

from tests.wire.support import Running, running_agent

pytestmark = pytest.mark.anyio


def lists_older(card: dict[str, Any]) -> None:
    card["supportedInterfaces"] += [
        {**each, "protocolVersion": "0.3"} for each in card["supportedInterfaces"]
    ]
    card["capabilities"]["pushNotifications"] = True
    card["securitySchemes"] = {"bearer": {"httpAuthSecurityScheme": {"scheme": "Bearer"}}}
    card["securityRequirements"] = [{"schemes": {"bearer": {"list": []}}}]


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Running]:
    options = Options(webhooks=("127.0.0.1",))
    async with running_agent(tmp_path, change=lists_older, options=options) as running:
        yield running


def nested(levels: int) -> dict[str, Any]:
    """A data part."""
    data: Any = 1
    for _ in range(levels):
        data = {"in": data}
    return {"kind": "data", "data": data}


def message(text: str, **fields: Any) -> dict[str, Any]:
    return {
        "kind": "message",
        "messageId": str(uuid4()),
        "role": "user",
        "parts": [{"kind": "text", "text": text}],
        **fields,
    }


async def call(agent: Running, method: str, params: Any = None, **headers: str) -> dict[str, Any]:
    body = {"jsonrpc": "2.0", "id": "1", "method": method}
    if params is not None:
        body["params"] = params
    response = await agent.http.post(f"{agent.url}/a2a", json=body, headers=headers)
    answer: dict[str, Any] = response.json()
    return answer


async def events(agent: Running, method: str, params: Any) -> list[dict[str, Any]]:
    body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    async with agent.http.stream("POST", f"{agent.url}/a2a", json=body) as response:
        found = [
            json.loads(line.removeprefix("data: "))
            async for line in response.aiter_lines()
            if line.startswith("data: ")
        ]
    assert all(each["id"] == 7 and each["jsonrpc"] == "2.0" for each in found)
    return [each["result"] for each in found]


@pytest.mark.parametrize("version", [{}, {"a2a-version": "0.3"}, {"a2a-version": "0.3.7"}])
async def test_a_message_without_a_version_is_one_of_0_3(
    agent: Running, version: dict[str, str]
) -> None:
    data = {"kind": "data", "data": {"whole": 3, "half": 0.5}}
    sent = message("hi", parts=[{"kind": "text", "text": "hi"}, data])
    answer = await call(agent, "message/send", {"message": sent}, **version)

    task = older.Task.model_validate(answer["result"])
    assert answer["id"] == "1"
    assert answer["result"]["kind"] == "task"
    assert task.status.state is older.TaskState.completed
    result = answer["result"]["artifacts"][0]["parts"][0]
    assert result["kind"] == "data"
    assert json.dumps(result["data"]["data"], sort_keys=True) == '{"half": 0.5, "whole": 3}'
    got = await call(agent, "tasks/get", {"id": task.id, "historyLength": 0})
    assert got["result"]["history"][0]["messageId"] == sent["messageId"]  # 0 was "all" in 0.3


async def test_a_question_is_answered_and_a_task_cancelled(agent: Running) -> None:
    asked = (await call(agent, "message/send", {"message": message("ask")}))["result"]
    assert asked["status"]["state"] == "input-required"
    answer = message("Oslo", taskId=asked["id"], contextId=asked["contextId"])
    done = (await call(agent, "message/send", {"message": answer}))["result"]
    assert (done["id"], done["status"]["state"]) == (asked["id"], "completed")

    waiting = await call(
        agent, "message/send", {"message": message("wait"), "configuration": {"blocking": False}}
    )
    task_id = waiting["result"]["id"]
    assert waiting["result"]["status"]["state"] == "working"
    cancelled = await call(agent, "tasks/cancel", {"id": task_id})
    assert cancelled["result"]["status"]["state"] == "canceled"
    assert (await call(agent, "tasks/cancel", {"id": task_id}))["error"]["code"] == -32002


async def test_only_the_last_event_of_a_stream_is_final(agent: Running) -> None:
    found = await events(agent, "message/stream", {"message": message("count 2")})
    assert [each["kind"] for each in found] == [
        "task",
        "status-update",
        "status-update",
        "artifact-update",
        "status-update",
    ]
    assert [each["final"] for each in found if "final" in each] == [False, False, True]
    asked = await events(agent, "message/stream", {"message": message("ask")})
    assert (asked[-1]["status"]["state"], asked[-1]["final"]) == ("input-required", True)


async def test_a_task_is_subscribed_to_again(agent: Running) -> None:
    waiting = await call(
        agent, "message/send", {"message": message("wait"), "configuration": {"blocking": False}}
    )
    agent.tester.gate.set()
    task_id = waiting["result"]["id"]
    found = await call(agent, "tasks/resubscribe", {"id": "nope"})
    assert found["error"]["code"] == -32001
    asked = await call(agent, "message/send", {"message": message("ask")})
    body = {
        "jsonrpc": "2.0",
        "id": 7,
        "method": "tasks/resubscribe",
        "params": {"id": asked["result"]["id"]},
    }
    async with agent.http.stream("POST", f"{agent.url}/a2a", json=body) as response:
        lines = response.aiter_lines()
        first = json.loads((await anext(lines)).removeprefix("data: "))
        assert first["result"]["kind"] == "task"
        done = message("Oslo", taskId=asked["result"]["id"])
        await call(agent, "message/send", {"message": done})
        rest = [json.loads(line[6:]) async for line in lines if line.startswith("data: ")]
    assert rest[-1]["result"]["final"]
    assert task_id


async def test_webhooks_are_configured(agent: Running) -> None:
    asked = (await call(agent, "message/send", {"message": message("ask")}))["result"]
    hook = {"id": "mine", "url": "https://example.com/hook", "token": "t0ken"}
    place = "tasks/pushNotificationConfig"
    made = await call(
        agent, f"{place}/set", {"taskId": asked["id"], "pushNotificationConfig": hook}
    )
    shown = {"id": "mine", "url": "https://example.com/hook"}
    assert made["result"] == {"taskId": asked["id"], "pushNotificationConfig": shown}
    named = {"id": asked["id"], "pushNotificationConfigId": "mine"}
    assert (await call(agent, f"{place}/get", named))["result"] == made["result"]
    listed = await call(agent, f"{place}/list", {"id": asked["id"]})
    assert listed["result"] == [made["result"]]
    assert (await call(agent, f"{place}/delete", named))["result"] is None
    assert (await call(agent, f"{place}/list", {"id": asked["id"]}))["result"] == []


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("tasks/get", {"id": "nope"}, -32001),
        ("tasks/get", {}, -32602),
        ("message/send", {"message": {"role": "user"}}, -32602),
        ("message/send", None, -32602),
        ("message/send", {"message": message("hi", parts=[])}, -32602),
        ("message/send", {"message": message("hi", role="agent")}, -32602),
        ("message/send", {"message": message("hi", parts=[nested(45)])}, -32602),
        ("message/send", {"message": message("hi", parts=[nested(58)])}, -32602),
        ("tasks/list", {}, -32601),
        ("SendMessage", {}, -32601),
    ],
)
async def test_what_is_wrong_has_a_code_of_0_3(
    agent: Running, method: str, params: Any, code: int
) -> None:
    answer = await call(agent, method, params)
    assert answer["error"]["code"] == code
    assert "pydantic" not in json.dumps(answer)


async def test_one_point_nought_is_spoken_beside_it(agent: Running) -> None:
    answer = await agent.rpc("ListTasks")
    assert answer["result"]["totalSize"] == 0
    answer = await agent.rpc("message/send")
    assert answer["error"]["code"] == -32601
    answer = await call(agent, "message/send", {}, **{"a2a-version": "0.2"})
    assert answer["error"]["code"] in {-32009, -32601}


async def test_the_card_can_be_read_as_one_of_0_3(agent: Running) -> None:
    served = (await agent.http.get(f"{agent.url}/.well-known/agent-card.json")).json()
    card = older.AgentCard.model_validate(served)
    assert (card.url, card.preferred_transport) == (f"{agent.url}/a2a", "JSONRPC")
    assert card.additional_interfaces is not None
    assert card.additional_interfaces[0].url == f"{agent.url}/rest"
    assert card.security == [{"bearer": []}]
    assert card.security_schemes is not None
    assert card.security_schemes["bearer"].root.type == "http"
    assert served["supportedInterfaces"] == agent.card.json["supportedInterfaces"]


async def test_rest_of_0_3_is_below_v1(agent: Running) -> None:
    sent = {
        "messageId": str(uuid4()),
        "role": "ROLE_USER",
        "content": [{"text": "ask"}],
    }
    rest = f"{agent.url}/rest/v1"
    answer = await agent.http.post(f"{rest}/message:send", json={"message": sent})
    task = answer.json()["task"]
    assert task["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    assert task["status"]["message"]["content"][0] == {"text": "Where to?"}
    got = (await agent.http.get(f"{rest}/tasks/{task['id']}?historyLength=5")).json()
    assert got["id"] == task["id"]
    hook = {"config": {"pushNotificationConfig": {"id": "mine", "url": "https://example.com/"}}}
    configs = f"{rest}/tasks/{task['id']}/pushNotificationConfigs"
    made = (await agent.http.post(configs, json=hook)).json()
    assert made["pushNotificationConfig"]["url"] == "https://example.com/"
    assert (await agent.http.get(f"{configs}/mine")).json() == made
    assert (await agent.http.get(configs)).json() == {"configs": [made]}
    cancelled = (await agent.http.post(f"{rest}/tasks/{task['id']}:cancel")).json()
    assert cancelled["status"]["state"] == "TASK_STATE_CANCELLED"

    streamed = {**sent, "messageId": str(uuid4()), "content": [{"text": "count 1"}]}
    async with agent.http.stream(
        "POST", f"{rest}/message:stream", json={"message": streamed}
    ) as response:
        found = [
            json.loads(line[6:])
            async for line in response.aiter_lines()
            if line.startswith("data: ")
        ]
    assert [next(iter(each)) for each in found] == [
        "task",
        "statusUpdate",
        "artifactUpdate",
        "statusUpdate",
    ]
    assert found[-1]["statusUpdate"]["final"]


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("GET", "v1/tasks/nope", 404),
        ("GET", "v1/tasks", 404),
        ("GET", "v1/card", 400),
        ("POST", "v1/message:send", 400),
    ],
)
async def test_rest_of_0_3_refuses(agent: Running, verb: str, path: str, status: int) -> None:
    response = await agent.http.request(verb, f"{agent.url}/rest/{path}", json={})
    assert response.status_code == status


async def test_an_agent_whose_card_does_not_list_it_does_not_speak_it(tmp_path: Path) -> None:
    async with running_agent(tmp_path) as agent:
        answer = await call(agent, "message/send", {"message": message("hi")})
        assert answer["error"]["code"] in {-32009, -32601}
        response = await agent.http.get(f"{agent.url}/rest/v1/tasks/x")
        assert response.status_code in {400, 404}


async def test_the_client_of_the_sdk_speaks_it_to_us(tmp_path: Path) -> None:
    """The SDK's client chooses 0.3 when a card lists nothing else."""

    def only_older(card: dict[str, Any]) -> None:
        for each in card["supportedInterfaces"]:
            each["protocolVersion"] = "0.3"

    async with running_agent(tmp_path, change=only_older) as agent, httpx.AsyncClient() as http:
        card = await A2ACardResolver(http, agent.url).get_agent_card()
        for binding in ("JSONRPC", "HTTP+JSON"):
            config = ClientConfig(httpx_client=http, supported_protocol_bindings=[binding])
            client = ClientFactory(config).create(card)
            sent = {"messageId": str(uuid4()), "role": "ROLE_USER", "parts": [{"text": "count 1"}]}
            request = ParseDict({"message": sent}, SendMessageRequest())
            kinds = [event.WhichOneof("payload") async for event in client.send_message(request)]
            assert kinds == ["task", "status_update", "artifact_update", "status_update"], binding
