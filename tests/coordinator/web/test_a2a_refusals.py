"""What the A2A face refuses, and that nothing happens then."""

from __future__ import annotations

import dataclasses
from typing import Any

import httpx
import pytest
from a2a.client.errors import A2AClientError
from a2a.utils.errors import A2AError
from parley_coordinator.model import ItemKind

from tests.coordinator.web.a2a_client import (
    agent,
    answered,
    message,
    one,
    rpc,
    said,
    waiting_task,
)
from tests.coordinator.web.serving import Served

pytestmark = pytest.mark.anyio

DIGEST = "sha256:" + "0" * 64


async def test_the_wrong_person_gets_an_error_and_the_question_stays(served: Served) -> None:
    task = await waiting_task(served)

    async with agent(served, streaming=False) as client:
        with pytest.raises((A2AClientError, A2AError), match="others"):
            await one(client.send_message(said("approve", message_id="m2", task=task.id)))
    digest = served.memory.items["item-1"].digest
    async with agent(served, "operator", streaming=False) as client:
        with pytest.raises((A2AClientError, A2AError), match="may not decide"):
            await one(
                client.send_message(
                    said({"outcome": "approve", "digest": digest}, message_id="m2", task=task.id)
                )
            )

    assert served.memory.items["item-1"].decision is None


async def test_a_wrong_person_is_told_so_with_the_code_of_the_one_table(served: Served) -> None:
    task = await waiting_task(served)

    body = await rpc(
        served, "SendMessage", message(taskId=task.id, parts=[{"text": "approve"}], messageId="m2")
    )

    assert body["error"]["code"] == -32043
    assert body["error"]["data"][0]["reason"] == "NOT_ELIGIBLE"
    async with served.http("requester") as http:
        response = await http.post(
            "/workflows/review/rest/message:send",
            json=message(taskId=task.id, parts=[{"text": "approve"}], messageId="m2"),
            headers={"A2A-Version": "1.0"},
        )
    assert response.status_code == 403
    assert response.json()["error"]["details"][0]["reason"] == "NOT_ELIGIBLE"


@pytest.mark.parametrize(
    "part",
    [
        {"text": "approve"},
        {"data": {"outcome": "approve"}},
        {"data": {"outcome": "approve", "item": "item-1"}},
        {"data": {"outcome": "approve", "digest": None}},
    ],
)
async def test_nothing_is_approved_that_nobody_says_they_have_seen(
    served: Served, part: dict[str, Any]
) -> None:
    task = await waiting_task(served)

    body = await rpc(
        served,
        "SendMessage",
        message(taskId=task.id, messageId="m2", parts=[part]),
        role="approver",
    )

    assert body["error"]["code"] == -32602
    assert body["error"]["data"][0]["reason"] == "INVALID_DECISION"
    assert '{"outcome", "digest"}' in body["error"]["message"]
    assert served.memory.items["item-1"].decision is None


async def test_an_answer_in_words_is_not_another_persons_to_repeat(served: Served) -> None:
    task = await waiting_task(served)
    items = served.memory.items
    items["item-1"] = dataclasses.replace(items["item-1"], kind=ItemKind.INPUT)
    words = message(taskId=task.id, messageId="m2", parts=[{"text": "approve"}])

    await rpc(served, "SendMessage", words, role="approver")
    other = await rpc(served, "SendMessage", words, role="operator")
    changed = await rpc(
        served,
        "SendMessage",
        message(taskId=task.id, messageId="m3", parts=[{"text": "reject"}]),
        role="approver",
    )

    assert other["error"]["code"] == -32004
    assert changed["error"]["code"] == -32004


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("GetTask", {"id": "run-1", "historyLength": -1}),
        ("ListTasks", {"historyLength": -1}),
        ("SendMessage", message() | {"configuration": {"historyLength": -1}}),
    ],
)
async def test_a_negative_history_length_is_refused(
    served: Served, method: str, params: dict[str, Any]
) -> None:
    body = await rpc(served, method, params)

    assert body["error"]["code"] == -32602
    assert "historyLength" in body["error"]["message"]
    assert not served.memory.runs


async def test_a_stale_digest_is_refused(served: Served) -> None:
    task = await waiting_task(served)

    body = await rpc(
        served,
        "SendMessage",
        message(
            taskId=task.id,
            messageId="m2",
            parts=[{"data": {"outcome": "approve", "digest": "sha256:" + "0" * 64}}],
        ),
        role="approver",
    )

    assert body["error"]["code"] == -32049
    assert body["error"]["data"][0]["reason"] == "STALE_DIGEST"
    assert served.memory.items["item-1"].decision is None


@pytest.mark.parametrize(
    "parts",
    [
        [{"text": "maybe"}],
        [{"data": {"outcome": "approve", "digest": DIGEST, "surprise": 1}}],
        [{"data": {"outcome": "approve", "digest": "sha256:abc"}}],
        [{"data": {}}],
        [{"data": []}],
        [{"data": {"outcome": "approve"}}, {"data": {"outcome": "reject"}}],
    ],
)
async def test_an_answer_that_is_none_changes_nothing(served: Served, parts: Any) -> None:
    task = await waiting_task(served)

    body = await rpc(
        served,
        "SendMessage",
        message(taskId=task.id, messageId="m2", parts=parts),
        role="approver",
    )

    assert body["error"]["code"] == -32602
    assert served.memory.items["item-1"].decision is None


async def test_an_outcome_that_is_not_offered_changes_nothing(served: Served) -> None:
    task = await waiting_task(served)

    body = await rpc(served, "SendMessage", answered(served, task, "maybe"), role="approver")

    assert body["error"]["code"] == -32602
    assert served.memory.items["item-1"].decision is None


async def test_a_finished_task_takes_no_more_messages(served: Served) -> None:
    async with agent(served, streaming=False) as client:
        task = await one(client.send_message(said({"amount": "7"})))

    body = await rpc(
        served, "SendMessage", message(taskId=task.id, messageId="m2", parts=[{"text": "approve"}])
    )
    subscribed = await rpc(served, "SubscribeToTask", {"id": task.id})

    assert body["error"]["code"] == -32004
    assert subscribed["error"]["code"] == -32004


async def test_a_task_that_asks_nothing_takes_no_answer(served: Served) -> None:
    started = await rpc(
        served,
        "SendMessage",
        message(parts=[{"data": {"stuck": True}}]) | {"configuration": {"returnImmediately": True}},
    )
    task = started["result"]["task"]

    body = await rpc(
        served,
        "SendMessage",
        message(taskId=task["id"], messageId="m2", parts=[{"text": "approve"}]),
    )

    assert task["status"]["state"] == "TASK_STATE_WORKING"
    assert body["error"]["code"] == -32004


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"parts": []}, -32602),
        ({"parts": [{}]}, -32602),
        ({"role": "ROLE_AGENT"}, -32602),
        ({"messageId": ""}, -32602),
        ({"messageId": "x" * 300}, -32602),
        ({"taskId": "nope"}, -32001),
        ({"parts": [{"url": "http://127.0.0.1/secret"}]}, -32005),
        ({"parts": [{"raw": "AAAA"}]}, -32005),
        ({"parts": [{"data": {}}]}, -32602),
        ({"parts": [{"data": {"amount": "1"}}, {"data": {"amount": "2"}}]}, -32602),
    ],
)
async def test_a_bad_message_starts_nothing(
    served: Served, changes: dict[str, Any], code: int
) -> None:
    body = await rpc(served, "SendMessage", message(**changes))

    assert body["error"]["code"] == code
    assert not served.memory.runs


async def test_a_context_that_is_not_the_tasks_is_refused(served: Served) -> None:
    task = await waiting_task(served)

    body = await rpc(
        served,
        "SendMessage",
        message(taskId=task.id, contextId="other", messageId="m2", parts=[{"text": "approve"}]),
        role="approver",
    )

    assert body["error"]["code"] == -32602


@pytest.mark.parametrize("version", [None, "0.3", "2.0", "1.7", "x"])
async def test_another_version_is_refused(served: Served, version: str | None) -> None:
    body = await rpc(served, "GetTask", {"id": "x"}, version=version)

    assert body["error"]["code"] == -32009


async def test_what_is_not_yours_is_not_found(served: Served) -> None:
    async with agent(served, streaming=False) as client:
        task = await one(client.send_message(said({"amount": "7"})))

    foreign = await rpc(served, "GetTask", {"id": task.id}, role="approver")
    missing = await rpc(served, "GetTask", {"id": "nope"}, role="approver")

    assert foreign["error"] == missing["error"]
    assert foreign["error"]["code"] == -32001


async def test_an_auditor_may_look_but_not_start(served: Served) -> None:
    task = await waiting_task(served)

    seen = await rpc(served, "GetTask", {"id": task.id}, role="auditor")
    started = await rpc(served, "SendMessage", message(), role="auditor")

    assert seen["result"]["id"] == task.id
    assert started["error"]["code"] == -32043


async def test_an_unknown_state_or_page_size_is_refused(served: Served) -> None:
    odd = await rpc(served, "ListTasks", {"status": "BOGUS"})
    large = await rpc(served, "ListTasks", {"pageSize": 1000})
    async with served.http("requester") as http:
        rest = await http.get(
            "/workflows/review/rest/tasks?status=BOGUS", headers={"A2A-Version": "1.0"}
        )

    assert odd["error"]["code"] == -32602
    assert large["error"]["code"] == -32602
    assert rest.status_code == 400


async def test_a_defect_shows_a_reference_and_no_secret(served: Served) -> None:
    served.memory.broken = True

    body = await rpc(served, "GetTask", {"id": "run-1"})

    assert body["error"]["code"] == -32603
    assert "hunter2" not in str(body)


@pytest.mark.parametrize("body", [b"{", b'{"a":1,"a":2}', b"[" * 80 + b"]" * 80, b"[NaN]"])
async def test_hostile_json_is_a_parse_error(served: Served, body: bytes) -> None:
    async with served.http("requester") as http:
        response = await http.post(
            "/workflows/review/a2a", content=body, headers={"content-type": "application/json"}
        )

    assert response.json()["error"]["code"] == -32700


async def test_without_a_token_nothing_is_answered(served: Served) -> None:
    async with httpx.AsyncClient(base_url=served.url) as http:
        response = await http.post("/workflows/review/a2a", json={"jsonrpc": "2.0"})

    assert response.status_code == 401
    assert "www-authenticate" in response.headers


async def test_push_notifications_are_refused_as_the_card_says(served: Served) -> None:
    with_push = message() | {
        "configuration": {"taskPushNotificationConfig": {"url": "http://127.0.0.1:1/hook"}}
    }

    body = await rpc(served, "SendMessage", with_push)
    extended = await rpc(served, "GetExtendedAgentCard", {})

    assert body["error"]["code"] == -32003
    assert not served.memory.runs
    assert extended["error"]["code"] == -32004
