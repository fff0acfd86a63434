"""Runs as tasks of A2A, from real databases: what a client sees over the whole mesh."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from a2a.types import Task, TaskState
from parley_wire.client import AgentClient, fetch_card

from tests.coordinator.world import CALL, World, until, world
from tests.scripted_agent import ScriptedAgent
from tests.tck.suts import free_ports

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def client_of(mesh: World, role: str = "requester", workflow: str = "act") -> AgentClient:
    card = await fetch_card(mesh.http, f"{mesh.url}/workflows/{workflow}")
    token = mesh.as_role(role)["authorization"].removeprefix("Bearer ")
    return AgentClient(card, mesh.http, token=token)


def said(message_id: str, *, context: str = "c1", **data: Any) -> dict[str, Any]:
    return {
        "messageId": message_id,
        "contextId": context,
        "role": "ROLE_USER",
        "parts": [{"data": data}],
    }


async def count(client: AgentClient, state: str = "", **filters: Any) -> int:
    params = {"pageSize": 1, **({"status": f"TASK_STATE_{state}"} if state else {}), **filters}
    page = await client.call("ListTasks", params)
    assert len(page["tasks"]) <= 1
    if state:
        assert all(task["status"]["state"] == f"TASK_STATE_{state}" for task in page["tasks"])
    return int(page["totalSize"])


async def test_tasks_are_counted_by_the_state_that_each_of_them_shows(tmp_path: Path) -> None:
    async with world(tmp_path, {"act": CALL}, ScriptedAgent()) as mesh:
        client = await client_of(mesh)
        sent = [
            await client.send(said(f"m{number}", do=do), return_immediately=False)
            for number, do in enumerate(["complete", "complete", "fail", "ask", "auth"])
        ]
        states = [task.status.state for task in sent if isinstance(task, Task)]
        counts = {
            state: await count(client, state)
            for state in (
                "COMPLETED",
                "FAILED",
                "CANCELED",
                "INPUT_REQUIRED",
                "AUTH_REQUIRED",
                "WORKING",
                "SUBMITTED",
                "REJECTED",
            )
        }
        every = await count(client)
        elsewhere = await count(client, contextId="c2")
        newest = await client.call("ListTasks", {})
        asked = sent[3]
        assert isinstance(asked, Task)
        operator = await client_of(mesh, "operator")
        item = await mesh.item(asked.id)
        answer = {"outcome": "answer", "digest": item["digest"], "values": {"text": "4711"}}
        answered = await operator.send({**said("m9", **answer), "taskId": asked.id})
        again = await operator.send({**said("m9", **answer), "taskId": asked.id})
        assert isinstance(answered, Task)
        done = await until(lambda: _completed(operator, asked.id))

    assert states == [
        TaskState.TASK_STATE_COMPLETED,
        TaskState.TASK_STATE_COMPLETED,
        TaskState.TASK_STATE_FAILED,
        TaskState.TASK_STATE_INPUT_REQUIRED,
        TaskState.TASK_STATE_AUTH_REQUIRED,
    ]
    assert counts == {
        "COMPLETED": 2,
        "FAILED": 1,
        "CANCELED": 0,
        "INPUT_REQUIRED": 1,
        "AUTH_REQUIRED": 1,
        "WORKING": 0,
        "SUBMITTED": 0,
        "REJECTED": 0,
    }
    assert (every, elsewhere) == (5, 0)
    timestamps = [task["status"]["timestamp"] for task in newest["tasks"]]
    assert timestamps == sorted(timestamps, reverse=True)
    assert isinstance(again, Task)
    assert again.id == asked.id
    assert [message.message_id for message in done.history] == ["m3", "m9"]


async def _completed(client: AgentClient, task_id: str) -> Task | None:
    task = await client.get_task(task_id)
    return task if task.status.state == TaskState.TASK_STATE_COMPLETED else None


async def test_a_workflow_is_run_over_grpc(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    env = {"PARLEY_GRPC_PORT": str(port)}
    async with world(tmp_path, {"act": CALL}, ScriptedAgent(), env=env) as mesh:
        card = await fetch_card(mesh.http, f"{mesh.url}/workflows/act")
        grpc = next(each for each in card.interfaces if each.binding == "GRPC")
        client = await client_of(mesh)
        token = mesh.as_role("requester")["authorization"].removeprefix("Bearer ")
        over_grpc = AgentClient(replace(card, interfaces=(grpc,)), mesh.http, token=token)
        task = await over_grpc.send(said("m1", do="complete"), return_immediately=False)
        assert isinstance(task, Task)
        same = await client.get_task(task.id)

    assert grpc.tenant == "workflows/act"
    assert task.status.state == TaskState.TASK_STATE_COMPLETED
    assert same.artifacts[0].parts[0].data == task.artifacts[0].parts[0].data
