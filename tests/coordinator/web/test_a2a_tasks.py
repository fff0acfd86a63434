"""Runs as A2A tasks: what is in them, in which order they change, and how they are found."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from parley_coordinator.model import ItemKind, ItemState, RunState
from parley_wire.server.texts import SEQUENCE

from tests.coordinator.web.a2a_client import answered, message, rpc, waiting_task
from tests.coordinator.web.serving import Served

pytestmark = pytest.mark.anyio


async def start(served: Served, amount: str, number: int = 1, **changes: Any) -> dict[str, Any]:
    parts = [{"data": {"amount": amount}}]
    sent = message(messageId=f"m{number}", parts=parts, **changes)
    body = await rpc(served, "SendMessage", sent)
    task: dict[str, Any] = body["result"]["task"]
    return task


def ask_again(served: Served, run_id: str) -> None:
    """Let the run ask a second question, as it would after an answer."""
    items = served.memory.items
    items["item-2"] = dataclasses.replace(
        items["item-1"],
        id="item-2",
        state=ItemState.READY,
        decision=None,
        digest="sha256:" + "2" * 64,
    )
    wait = {"kind": "item", "path": "/do/0/review", "item": "item-2"}
    served.memory.runs[run_id] = dataclasses.replace(
        served.memory.runs[run_id], state=RunState.WAITING, waiting_for=[wait], error=None
    )


async def streamed(served: Served, method: str, params: Any, role: str) -> AsyncIterator[Any]:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    async with (
        served.http(role) as http,
        http.stream(
            "POST", "/workflows/review/a2a", json=body, headers={"a2a-version": "1.0"}
        ) as response,
    ):
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))["result"]


async def test_the_history_has_the_messages_in_order(served: Served) -> None:
    task = await waiting_task(served)
    await rpc(served, "SendMessage", answered(served, task, comment="seen"), role="approver")

    whole = (await rpc(served, "GetTask", {"id": task.id}, role="approver"))["result"]
    newest = await rpc(served, "GetTask", {"id": task.id, "historyLength": 1}, role="approver")
    none = await rpc(served, "GetTask", {"id": task.id, "historyLength": 0}, role="approver")
    requester = (await rpc(served, "GetTask", {"id": task.id}))["result"]

    began, answer = whole["history"]
    assert (began["messageId"], began["role"]) == ("m1", "ROLE_USER")
    assert began["parts"][0]["data"] == {"amount": "120.00"}
    assert began["contextId"] == whole["contextId"]
    assert answer["messageId"] == "m2"
    assert answer["parts"][0]["data"]["comment"] == "seen"
    assert newest["result"]["history"] == [answer]
    assert "history" not in none["result"]
    assert requester["history"] == [began]


async def test_whole_numbers_stay_whole(served: Served) -> None:
    task = await start(served, "7")
    served.memory.runs[task["id"]] = dataclasses.replace(
        served.memory.runs[task["id"]], output={"n": 2, "big": 12345678901234567890, "x": 1.5}
    )

    seen = await rpc(served, "GetTask", {"id": task["id"]})

    data = seen["result"]["artifacts"][0]["parts"][0]["data"]
    assert json.dumps(data) == '{"n": 2, "big": 12345678901234567890, "x": 1.5}'


@pytest.mark.parametrize("role", ["requester", "approver"])
async def test_who_waits_for_an_authorization_only_says_so(served: Served, role: str) -> None:
    task = await waiting_task(served)
    items = served.memory.items
    items["item-1"] = dataclasses.replace(items["item-1"], kind=ItemKind.AUTH)

    seen = await rpc(served, "GetTask", {"id": task.id}, role=role)
    listed = await rpc(served, "ListTasks", {"status": "TASK_STATE_AUTH_REQUIRED"}, role=role)
    asking = await rpc(served, "ListTasks", {"status": "TASK_STATE_INPUT_REQUIRED"}, role=role)

    status = seen["result"]["status"]
    assert status["state"] == "TASK_STATE_AUTH_REQUIRED"
    assert status["message"]["parts"][0]["text"]
    assert listed["result"]["totalSize"] == 1
    assert asking["result"]["totalSize"] == 0


async def test_an_answer_that_is_sent_again_never_lands_on_a_newer_question(
    served: Served,
) -> None:
    task = await waiting_task(served)
    items = served.memory.items
    items["item-1"] = dataclasses.replace(items["item-1"], kind=ItemKind.INPUT)
    words = message(taskId=task.id, messageId="m2", parts=[{"text": "reject"}])
    await rpc(served, "SendMessage", words, role="approver")
    ask_again(served, task.id)
    served.memory.items["item-2"] = dataclasses.replace(
        served.memory.items["item-2"], kind=ItemKind.INPUT
    )
    sent_again = words | {"configuration": {"returnImmediately": True}}
    changed = message(taskId=task.id, messageId="m2", parts=[{"text": "approve"}])

    again = await rpc(served, "SendMessage", sent_again, role="approver")
    other = await rpc(served, "SendMessage", changed, role="approver")

    assert again["result"]["task"]["id"] == task.id
    assert other["error"]["code"] == -32602
    assert served.memory.items["item-2"].decision is None


async def test_a_follow_up_without_a_context_is_in_the_context_of_its_task(served: Served) -> None:
    task = await start(served, "120.00", contextId="case-9")
    digest = served.memory.items["item-1"].digest
    parts = [{"data": {"outcome": "approve", "digest": digest}}]

    body = await rpc(
        served,
        "SendMessage",
        message(taskId=task["id"], messageId="m2", parts=parts),
        role="approver",
    )

    assert body["result"]["task"]["contextId"] == "case-9"


async def test_tasks_are_counted_filtered_and_paged_by_their_last_change(served: Served) -> None:
    tasks = [await start(served, amount, n) for n, amount in enumerate(["1", "500", "2", "600"])]
    since = tasks[2]["status"]["timestamp"]

    first = (await rpc(served, "ListTasks", {"pageSize": 3}))["result"]
    rest = await rpc(served, "ListTasks", {"pageSize": 3, "pageToken": first["nextPageToken"]})
    done = await rpc(served, "ListTasks", {"status": "TASK_STATE_COMPLETED", "pageSize": 1})
    never = await rpc(served, "ListTasks", {"status": "TASK_STATE_REJECTED"})
    changed = await rpc(served, "ListTasks", {"statusTimestampAfter": since})
    foreign = await rpc(served, "ListTasks", {}, role="approver")

    assert [task["id"] for task in first["tasks"]] == ["run-4", "run-3", "run-2"]
    assert (first["totalSize"], first["pageSize"]) == (4, 3)
    assert [task["id"] for task in rest["result"]["tasks"]] == ["run-1"]
    assert rest["result"]["nextPageToken"] == ""
    assert done["result"]["totalSize"] == 2
    assert len(done["result"]["tasks"]) == 1
    assert never["result"] == {"tasks": [], "nextPageToken": "", "pageSize": 50, "totalSize": 0}
    assert [task["id"] for task in changed["result"]["tasks"]] == ["run-4", "run-3"]
    assert foreign["result"]["totalSize"] == 2


async def test_a_stream_begins_with_the_task_and_its_events_are_numbered(served: Served) -> None:
    task = await waiting_task(served)
    async with asyncio.timeout(60):
        events: list[Any] = []
        async for event in streamed(served, "SubscribeToTask", {"id": task.id}, "auditor"):
            if not events:
                await rpc(served, "SendMessage", answered(served, task), role="approver")
            events.append(event)
    after = (await rpc(served, "GetTask", {"id": task.id}))["result"]

    assert "task" in events[0]
    assert [next(iter(event)) for event in events[-2:]] == ["artifactUpdate", "statusUpdate"]
    numbers = [next(iter(event.values()))["metadata"][SEQUENCE] for event in events]
    assert numbers == sorted(set(numbers))
    assert after["metadata"][SEQUENCE] == numbers[-1]


async def test_a_stream_of_a_follow_up_begins_with_the_task(served: Served) -> None:
    task = await waiting_task(served)
    async with asyncio.timeout(60):
        sent = streamed(served, "SendStreamingMessage", answered(served, task), "approver")
        events = [event async for event in sent]

    assert events[0]["task"]["id"] == task.id
    last = events[-1].get("statusUpdate") or events[-1]["task"]
    assert last["status"]["state"] == "TASK_STATE_COMPLETED"


@pytest.mark.parametrize("version", ["1.0", "1.0.1", "1.0.99"])
async def test_the_patch_level_of_the_version_never_matters(served: Served, version: str) -> None:
    body = await rpc(served, "ListTasks", {}, version=version)

    assert body["result"]["totalSize"] == 0


async def test_a_version_may_come_in_the_query(served: Served) -> None:
    async with served.http("requester") as http:
        found = await http.get("/workflows/review/rest/tasks?A2A-Version=1.0")
        refused = await http.get("/workflows/review/rest/tasks")

    assert found.status_code == 200
    assert found.headers["content-type"] == "application/a2a+json"
    assert refused.json()["error"]["details"][0]["reason"] == "VERSION_NOT_SUPPORTED"


async def test_the_extensions_that_a_request_activates_are_echoed(served: Served) -> None:
    async with served.http("requester") as http:
        response = await http.get(
            "/workflows/review/rest/tasks",
            headers={
                "a2a-version": "1.0",
                "a2a-extensions": "urn:strange, urn:parley:a2a:dedupe:v1",
            },
        )

    assert response.headers["a2a-extensions"] == "urn:parley:a2a:dedupe:v1"


async def test_json_of_another_media_type_is_refused(served: Served) -> None:
    async with served.http("requester") as http:
        response = await http.post(
            "/workflows/review/a2a",
            content=b'{"jsonrpc":"2.0","id":1,"method":"ListTasks","params":{}}',
            headers={"a2a-version": "1.0", "content-type": "text/plain"},
        )

    assert response.json()["error"]["code"] == -32005
    assert response.json()["error"]["data"][0]["reason"] == "CONTENT_TYPE_NOT_SUPPORTED"
