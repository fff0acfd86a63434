"""Clients that speak A2A 0.3, if the coordinator is told to serve them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from a2a.types import Task, TaskState
from google.protobuf.json_format import MessageToDict
from parley_cards.card import load_card
from parley_wire.client import AgentClient, fetch_card

from tests.coordinator.world import CALL, World, world
from tests.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def older_client(
    mesh: World, path: str, binding: str, *, role: str = "requester"
) -> AgentClient:
    """A client that sees of the card only what one of 0.3 does."""
    described = (await fetch_card(mesh.http, f"{mesh.url}{path}")).json
    addresses = {described["preferredTransport"]: described["url"]} | {
        each["transport"]: each["url"] for each in described.get("additionalInterfaces", [])
    }
    older = {key: value for key, value in described.items() if key != "supportedInterfaces"}
    older |= {"url": addresses[binding], "preferredTransport": binding}
    older.pop("additionalInterfaces", None)
    card = load_card(older)
    assert card.interfaces[0].protocol_version.startswith("0.3")
    return AgentClient(card, mesh.http, token=mesh.as_role(role)["authorization"].partition(" ")[2])


def said(message_id: str, **data: Any) -> dict[str, Any]:
    parts = [{"data": {"do": "complete", "output": {"n": 1}, **data}}]
    return {"messageId": message_id, "contextId": "c1", "role": "ROLE_USER", "parts": parts}


@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])
async def test_an_older_client_runs_a_workflow_and_calls_an_agent(
    tmp_path: Path, binding: str
) -> None:
    async with world(tmp_path, {"act": CALL}, ScriptedAgent(), env={"PARLEY_OLDER": "1"}) as mesh:
        workflow = await older_client(mesh, "/workflows/act", binding)
        done = await workflow.send(said("m1"), return_immediately=False)
        events = [event async for event in workflow.send_streaming(said("m2"))]
        agent = await older_client(mesh, "/agents/vendor", binding, role="operator")
        called = await agent.send(said("m3"))
        assert isinstance(called, Task)
        seen = await agent.get_task(called.id)

    assert isinstance(done, Task)
    assert done.status.state == TaskState.TASK_STATE_COMPLETED
    assert MessageToDict(done.artifacts[0].parts[0].data) == {"n": 1.0}
    assert isinstance(events[0], Task)
    assert seen.status.state == TaskState.TASK_STATE_COMPLETED


async def test_without_being_told_the_coordinator_speaks_1_0_only(tmp_path: Path) -> None:
    async with world(tmp_path, {"act": CALL}, ScriptedAgent()) as mesh:
        card = (await fetch_card(mesh.http, f"{mesh.url}/workflows/act")).json
        body = {"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {}}
        answer = await mesh.http.post(
            f"{mesh.url}/workflows/act/a2a", json=body, headers=mesh.as_role("requester")
        )

    assert "url" not in card
    assert answer.json()["error"]["code"] in (-32009, -32601)
