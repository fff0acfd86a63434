"""Agents that are reached through the coordinator, over every binding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from a2a.types import Message, Task, TaskState
from google.protobuf.json_format import MessageToDict
from parley_cards.card import load_card
from parley_wire.client import AgentClient, fetch_card
from parley_wire.http import open_http

from tests.coordinator.world import CALL, World, world
from tests.older_agent import OlderAgent
from tests.scripted_agent import ScriptedAgent
from tests.tck.suts import free_ports

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


def said(message_id: str = "m1", *, context: str = "c1", **data: Any) -> dict[str, Any]:
    return {
        "messageId": message_id,
        "contextId": context,
        "role": "ROLE_USER",
        "parts": [{"data": {"do": "complete", **data}}],
    }


async def client_of(
    mesh: World, name: str = "vendor", *, role: str = "operator", binding: str = ""
) -> AgentClient:
    card = await fetch_card(mesh.http, f"{mesh.url}/agents/{name}")
    described = card.json
    if binding:
        described["supportedInterfaces"] = [
            each for each in described["supportedInterfaces"] if each["protocolBinding"] == binding
        ]
    token = mesh.as_role(role)["authorization"].removeprefix("Bearer ")
    return AgentClient(load_card(described), mesh.http, token=token)


async def rpc(
    mesh: World, method: str, params: Any, *, role: str = "operator", name: str = "vendor"
) -> dict[str, Any]:
    response = await mesh.http.post(
        f"{mesh.url}/agents/{name}/a2a",
        json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params},
        headers={"a2a-version": "1.0", **mesh.as_role(role)},
    )
    body: dict[str, Any] = response.json()
    return body


@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON", "GRPC"])
async def test_an_agent_is_called_through_the_coordinator(tmp_path: Path, binding: str) -> None:
    agent = ScriptedAgent(streaming=True)
    env = {"PARLEY_GRPC_PORT": str(free_ports(1)[0])}
    async with world(tmp_path, {"act": CALL}, agent, env=env) as mesh:
        client = await client_of(mesh, binding=binding)
        done = await client.send(said(output={"n": 1}))
        reply = await client.send(said("m2", do="message"))
        events = []
        async for event in client.send_streaming(said("m3", do="work")):
            events.append(event)
            agent.released.set()
        asked = await client.send(said("m4", do="ask"))
        assert isinstance(asked, Task)
        answered = await client.send({**said("m5", cc=7), "taskId": asked.id})
        assert isinstance(done, Task)
        got = await client.get_task(done.id)
        listed = await client.list_tasks("c1")
        cancelled = await client.cancel_task(asked.id)

    assert MessageToDict(done.artifacts[0].parts[0].data) == {"n": 1.0}
    assert got == done
    assert agent.tasks[done.id]["id"] == done.id
    assert isinstance(reply, Message)
    assert isinstance(events[0], Task)
    last = events[-1]
    assert isinstance(last, Task)
    assert last.status.state == TaskState.TASK_STATE_COMPLETED
    assert asked.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
    assert isinstance(answered, Task)
    assert answered.id == asked.id
    assert {task.id for task in listed} == {"t-1", "t-2", "t-3"}
    assert cancelled.id == asked.id
    assert agent.cancelled == [asked.id]


async def test_the_card_names_our_addresses_and_keeps_what_the_agent_can_do(
    tmp_path: Path,
) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        url = f"{mesh.url}/agents/vendor/.well-known/agent-card.json"
        response = await mesh.http.get(url)
        unknown = await mesh.http.get(url.replace("vendor", "nobody"))

    card = load_card(response.content)
    assert [each.url for each in card.interfaces] == [
        f"{mesh.url}/agents/vendor/a2a",
        f"{mesh.url}/agents/vendor/rest",
    ]
    assert card.skill("act") is not None
    assert card.json["capabilities"] == agent.card()["capabilities"]
    assert unknown.status_code == 404
    assert unknown.json()["code"] == "unknown_agent"


async def test_who_may_not_call_agents_is_refused_before_the_agent_hears_of_it(
    tmp_path: Path,
) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        for role in ("requester", "approver", "auditor"):
            refused = await rpc(mesh, "SendMessage", {"message": said()}, role=role)
            assert refused["error"]["code"] == -32043
        nobody = await mesh.http.post(f"{mesh.url}/agents/vendor/a2a", json={})

    assert nobody.status_code == 401
    assert agent.runs == 0


async def test_a_task_that_was_not_asked_for_here_does_not_exist(tmp_path: Path) -> None:
    agent = ScriptedAgent(streaming=True)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        # Somebody else's: asked for at the agent itself.
        async with open_http() as http:
            direct = AgentClient(await fetch_card(http, agent.url), http)
            foreign = await direct.send(said("m9", context="c9"))
        assert isinstance(foreign, Task)
        mine = await rpc(mesh, "SendMessage", {"message": said()})
        answers = {
            method: await rpc(mesh, method, {"id": foreign.id})
            for method in ("GetTask", "CancelTask", "SubscribeToTask")
        }
        answers["SendMessage"] = await rpc(
            mesh, "SendMessage", {"message": {**said("m2"), "taskId": foreign.id}}
        )
        answers["push"] = await rpc(
            mesh,
            "CreateTaskPushNotificationConfig",
            {"taskId": foreign.id, "url": "http://127.0.0.1:1/"},
        )
        missing = await rpc(mesh, "GetTask", {"id": "nope"})
        listed = await rpc(mesh, "ListTasks", {"contextId": "c9"})

    assert mine["result"]["task"]["id"] == "t-2"
    for answer in answers.values():
        assert answer["error"] == missing["error"]
    assert listed["result"]["totalSize"] == 0
    assert agent.cancelled == []


async def test_what_the_agent_refuses_is_refused_in_its_words(tmp_path: Path) -> None:
    async with world(tmp_path, {"act": CALL}, ScriptedAgent(lists=False)) as mesh:
        refused = await rpc(mesh, "SendMessage", {"message": said(do="refuse")})
        unlisted = await rpc(mesh, "ListTasks", {})
        broken = await rpc(mesh, "SendMessage", {"message": said("m2", do="html")})

    assert refused["error"]["code"] == -32602
    assert unlisted["error"]["code"] == -32004
    assert broken["error"]["data"][0]["reason"] == "AGENT_PROTOCOL_ERROR"


async def test_an_agent_of_a2a_0_3_is_one_of_1_0_behind_the_coordinator(tmp_path: Path) -> None:
    async with world(tmp_path, {"act": CALL}, OlderAgent()) as mesh:
        client = await client_of(mesh, "older")
        done = await client.send(said(do="go", n=2))

    assert isinstance(done, Task)
    assert client.card.interfaces[0].protocol_version == "1.0"
    assert done.status.state == TaskState.TASK_STATE_COMPLETED
