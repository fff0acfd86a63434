"""The JavaScript SDK as a client of ours, and as an agent of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from a2a.types import Message, Task, TaskState
from google.protobuf.json_format import MessageToDict
from parley_wire.client import AgentClient, fetch_card
from parley_wire.http import open_http

from tests.coordinator.web.serving import TOKENS, serving
from tests.coordinator.world import CALL, world
from tests.interop.javascript import calls, javascript_agent
from tests.wire.support import running_agent

pytestmark = pytest.mark.anyio

both = pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])


def said(text: str = "", data: Any = None, **ids: Any) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"text": text}] if text else []
    if data is not None:
        parts.append({"data": data})
    return {"message": {"messageId": "m1", "role": "ROLE_USER", "parts": parts, **ids}}


@both
async def test_the_javascript_client_speaks_with_an_agent(tmp_path: Path, binding: str) -> None:
    async with running_agent(tmp_path) as running:
        card = f"{running.url}/.well-known/agent-card.json"
        sent, streamed, asked, again, listed, missing = await calls(
            card,
            ("SendMessage", said("hi", {"a": 1})),
            ("SendStreamingMessage", said("count 2", messageId="m2")),
            ("SendMessage", said("ask", messageId="m3", contextId="c-9")),
            ("SendMessage", said("hi", {"a": 1})),
            ("ListTasks", {"contextId": "c-9"}),
            ("GetTask", {"id": "nope"}),
            binding=binding,
        )
        question = asked["result"]
        (answered, ended) = await calls(
            card,
            ("SendMessage", said("Oslo", messageId="m4", taskId=question["id"])),
            ("CancelTask", {"id": question["id"]}),
            binding=binding,
        )

    assert sent["result"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert again["result"]["id"] == sent["result"]["id"]
    assert "task" in streamed["result"][0]
    assert streamed["result"][-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert question["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    assert [task["id"] for task in listed["result"]["tasks"]] == [question["id"]]
    assert missing["name"].endswith("TaskNotFoundError")
    assert answered["result"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert ended["name"].endswith("TaskNotCancelableError")


@both
async def test_the_javascript_client_runs_a_workflow_and_answers_it(binding: str) -> None:
    async with serving() as served:
        card = f"{served.url}/workflows/review/.well-known/agent-card.json"
        quick, asked, listed = await calls(
            card,
            ("SendStreamingMessage", said(data={"amount": "7"})),
            ("SendMessage", said(data={"amount": "120.00"}, messageId="m2")),
            ("ListTasks", {"status": "TASK_STATE_INPUT_REQUIRED"}),
            token=TOKENS["requester"],  # type: ignore[index]
            binding=binding,
        )
        task = asked["result"]
        answer = {"outcome": "approve", "digest": served.memory.items["item-1"].digest}
        seen, decided, got = await calls(
            card,
            ("GetTask", {"id": task["id"]}),
            ("SendMessage", said(data=answer, messageId="m3", taskId=task["id"])),
            ("GetTask", {"id": task["id"]}),
            token=TOKENS["approver"],  # type: ignore[index]
            binding=binding,
        )

    last = quick["result"][-1]
    assert (last.get("statusUpdate") or last["task"])["status"]["state"] == "TASK_STATE_COMPLETED"
    assert task["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    assert listed["result"]["totalSize"] == 1
    assert seen["result"]["status"]["message"]["parts"][1]["data"]["outcomes"] == [
        "approve",
        "reject",
    ]
    assert decided["result"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert got["result"]["artifacts"][0]["parts"][0]["data"] == {"approved": True, "n": 2}
    assert [message["messageId"] for message in got["result"]["history"]] == ["m2", "m3"]


async def test_an_agent_on_the_javascript_sdk_is_called() -> None:
    async with javascript_agent() as url, open_http() as http:
        client = AgentClient(await fetch_card(http, url), http)
        done = await client.send(message(do="go", amount=3), return_immediately=False)
        reply = await client.send(message("m2", do="message"))
        failed = await client.send(message("m3", do="fail"), return_immediately=False)
        asked = await client.send(message("m4", do="ask"), return_immediately=False)
        assert isinstance(asked, Task)
        ids = {"taskId": asked.id, "contextId": asked.context_id}
        answer = {**message("m5", city="Oslo"), **ids}
        events = [event async for event in client.send_streaming(answer)]
        found = await client.list_tasks(asked.context_id)

    assert isinstance(done, Task)
    assert done.status.state == TaskState.TASK_STATE_COMPLETED
    assert MessageToDict(done.artifacts[0].parts[0].data) == {"ran": True, "amount": 3.0}
    assert isinstance(reply, Message)
    assert isinstance(failed, Task)
    assert failed.status.state == TaskState.TASK_STATE_FAILED
    assert asked.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
    assert isinstance(events[0], Task)
    assert {task.id for task in found} == {asked.id}


async def test_an_agent_on_the_javascript_sdk_works_through_a_workflow(tmp_path: Path) -> None:
    async with javascript_agent() as url, world(tmp_path, {"act": CALL}) as mesh:
        joined = await mesh.http.post(f"{mesh.registry_url}/v1/agents", json={"url": url})
        assert joined.status_code == 201, joined.text
        done = await mesh.run("act", {"do": "go", "amount": 3})
        failed = await mesh.run("act", {"do": "fail"})
        replied = await mesh.run("act", {"do": "message"})
        run = await mesh.start("act", {"do": "ask"})
        item = await mesh.item(run)
        decided = await mesh.decide(item, "answer", role="operator", values={"text": "Oslo"})
        asked = await mesh.ended(run)

    assert (done["state"], done["output"]) == ("completed", {"ran": True, "amount": 3})
    assert failed["state"] == "faulted"
    assert replied["output"] == {"said": "hello"}
    assert item["kind"] == "input"
    assert decided.status_code == 200, decided.text
    assert (asked["state"], list(asked["output"])) == ("completed", ["answered"])


def message(message_id: str = "m1", **data: Any) -> dict[str, Any]:
    return {"messageId": message_id, "role": "ROLE_USER", "parts": [{"data": data}]}
