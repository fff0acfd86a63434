"""ListTasks (A2A 1.0 3.1.4)."""

from __future__ import annotations

from typing import Any

import pytest
from a2a.types import Task

from tests.wire.support import Running, message

pytestmark = pytest.mark.anyio


async def fill(agent: Running, texts: list[str], context: str = "ctx") -> list[str]:
    ids = []
    for text in texts:
        sent = message(text, contextId=context)
        ids.append((await agent.rpc("SendMessage", {"message": sent}))["result"]["task"]["id"])
    return ids


async def listed(agent: Running, **params: Any) -> dict[str, Any]:
    answer = await agent.rpc("ListTasks", params)
    result: dict[str, Any] = answer["result"]
    return result


async def test_pages_are_newest_first_and_hold_each_task_once(agent: Running) -> None:
    ids = await fill(agent, ["hi"] * 7)
    seen: list[str] = []
    token, pages = "", 0
    while True:
        page = await listed(agent, pageSize=3, **({"pageToken": token} if token else {}))
        assert page["totalSize"] == 7
        assert page["pageSize"] == 3
        seen += [task["id"] for task in page["tasks"]]
        token, pages = page["nextPageToken"], pages + 1
        if not token:
            break

    assert pages == 3
    assert sorted(seen) == sorted(ids)
    stamps = [(await agent.rpc("GetTask", {"id": each}))["result"]["status"] for each in seen]
    assert [each["timestamp"] for each in stamps] == sorted(
        (each["timestamp"] for each in stamps), reverse=True
    )


async def test_filters_narrow(agent: Running) -> None:
    (done,) = await fill(agent, ["hi"], "a")
    (asked,) = await fill(agent, ["ask"], "b")

    by_context = await listed(agent, contextId="a")
    by_state = await listed(agent, status="TASK_STATE_INPUT_REQUIRED")
    by_number = await listed(agent, status=6)
    since = (await agent.rpc("GetTask", {"id": asked}))["result"]["status"]["timestamp"]
    by_time = await listed(agent, statusTimestampAfter=since)
    later = await listed(agent, statusTimestampAfter="2999-01-01T00:00:00.123456789+02:00")

    assert [task["id"] for task in by_context["tasks"]] == [done]
    assert [task["id"] for task in by_state["tasks"]] == [asked]
    assert [task["id"] for task in by_number["tasks"]] == [asked]
    assert asked in [task["id"] for task in by_time["tasks"]]
    assert later == {"tasks": [], "nextPageToken": "", "pageSize": 50, "totalSize": 0}


async def test_artifacts_are_absent_unless_asked_for(agent: Running) -> None:
    await fill(agent, ["hi"])

    without = (await listed(agent))["tasks"][0]
    with_them = (await listed(agent, includeArtifacts=True, historyLength=0))["tasks"][0]

    assert "artifacts" not in without
    assert without["history"][0]["parts"] == [{"text": "hi"}]
    assert with_them["artifacts"][0]["name"] == "result"
    assert "history" not in with_them


async def test_history_is_cut_to_the_newest(agent: Running) -> None:
    (task_id,) = await fill(agent, ["count 5"])

    def texts(answer: dict[str, Any]) -> list[str]:
        return [each["parts"][0]["text"] for each in answer["result"].get("history", [])]

    assert texts(await agent.rpc("GetTask", {"id": task_id, "historyLength": 2})) == ["3", "4"]
    assert texts(await agent.rpc("GetTask", {"id": task_id, "historyLength": 0})) == []
    assert len(texts(await agent.rpc("GetTask", {"id": task_id}))) == 6


@pytest.mark.parametrize(
    "params",
    [
        {"status": "BOGUS"},
        {"status": 99},
        {"status": True},
        {"pageSize": 0},
        {"pageSize": 101},
        {"pageSize": "x"},
        {"pageToken": "made up"},
        {"pageToken": "WzEsMl0="},
        {"pageToken": "bnVsbA=="},
        {"historyLength": -1},
        {"statusTimestampAfter": "yesterday"},
        {"statusTimestampAfter": "2026-13-01T00:00:00Z"},
        {"statusTimestampAfter": "2026-01-01T00:00:00"},
        {"contextId": 7},
    ],
)
async def test_a_parameter_that_means_nothing_is_refused(
    agent: Running, params: dict[str, Any]
) -> None:
    assert (await agent.rpc("ListTasks", params))["error"]["code"] == -32602


@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])
async def test_the_client_reads_all_pages_with_artifacts_and_history(
    agent: Running, binding: str
) -> None:
    ids = await fill(agent, ["hi"] * 53)
    await fill(agent, ["hi"], "other")

    tasks = await agent.client(binding=binding).list_tasks("ctx")

    assert {task.id for task in tasks} == set(ids)
    assert all(isinstance(task, Task) and task.artifacts and task.history for task in tasks)
