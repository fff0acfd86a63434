"""The client against agents that speak A2A 0.3 only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from a2a.types import Message, Task, TaskArtifactUpdateEvent, TaskState, TaskStatusUpdateEvent
from google.protobuf.json_format import MessageToDict
from parley_wire.agent_errors import (
    AgentConnectionLostError,
    AgentProtocolError,
    AgentRefusedError,
    TaskUnknownError,
)
from parley_wire.client import AgentClient, fetch_card
from parley_wire.http import open_http
from parley_wire.serving import Background

from tests.older_agent import OlderAgent

pytestmark = pytest.mark.anyio

both = pytest.mark.parametrize("transport", ["JSONRPC", "HTTP+JSON"])


@asynccontextmanager
async def older(transport: str = "JSONRPC") -> AsyncIterator[tuple[OlderAgent, AgentClient]]:
    agent = OlderAgent(transport=transport)
    async with Background(agent.app()) as served, open_http() as http:
        agent.url = served.url
        yield agent, AgentClient(await fetch_card(http, served.url), http, token="secret")


def said(text: str = "", data: Any = None, **ids: str) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"text": text}] if text else []
    if data is not None:
        parts.append({"data": data})
    return {"messageId": "m-1", "contextId": "c-1", "role": "ROLE_USER", "parts": parts, **ids}


def nested(levels: int) -> dict[str, Any]:
    """A data part."""
    data: Any = 1
    for _ in range(levels):
        data = {"in": data}
    return {"kind": "data", "data": data}


@both
async def test_a_message_is_sent_in_the_words_of_a2a_0_3(transport: str) -> None:
    async with older(transport) as (agent, client):
        task = await client.send(said(data={"amount": 3, "lines": [1.5, "x"]}))

    assert isinstance(task, Task)
    assert task.status.state == TaskState.TASK_STATE_COMPLETED
    assert task.context_id == "c-1"
    echoed, linked = task.artifacts[0].parts
    assert MessageToDict(echoed.data) == {"amount": 3, "lines": [1.5, "x"]}
    assert (linked.url, linked.media_type) == ("https://x.example/f", "x/y")
    assert agent.headers[0]["a2a-version"] == "0.3"
    assert agent.headers[0]["authorization"] == "Bearer secret"
    sent = agent.messages[0]
    assert sent["parts"][0]["data"]["amount"] == 3
    assert not agent.configurations[0].get("blocking", False)


@both
async def test_a_stream_of_a2a_0_3_is_one_of_1_0(transport: str) -> None:
    async with older(transport) as (agent, client):
        events = []
        async for event in client.send_streaming(said("wait", {"a": 1})):
            events.append(event)
            agent.released.set()

    kinds = [type(event) for event in events]
    assert kinds == [Task, TaskArtifactUpdateEvent, TaskStatusUpdateEvent]
    last = events[-1]
    assert isinstance(last, TaskStatusUpdateEvent)
    assert last.status.state == TaskState.TASK_STATE_COMPLETED
    assert "historyLength" not in agent.configurations[0]


@both
async def test_a_question_is_answered_in_its_task(transport: str) -> None:
    async with older(transport) as (agent, client):
        asked = await client.send(said("ask"))
        assert isinstance(asked, Task)
        assert asked.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
        assert asked.status.message.parts[0].text == "which one?"
        done = await client.send(said(data={"one": True}, taskId=asked.id))

    assert isinstance(done, Task)
    assert done.id == asked.id
    assert done.status.state == TaskState.TASK_STATE_COMPLETED
    assert agent.messages[1]["taskId"] == asked.id


@both
async def test_tasks_are_got_cancelled_and_subscribed_to(transport: str) -> None:
    async with older(transport) as (agent, client):
        task = await client.send(said("wait"))
        assert isinstance(task, Task)
        assert (await client.get_task(task.id)).status.state == TaskState.TASK_STATE_WORKING
        agent.released.set()
        events = [event async for event in client.subscribe(task.id)]
        waiting = await client.send(said("wait"))
        assert isinstance(waiting, Task)
        cancelled = await client.cancel_task(waiting.id)
        with pytest.raises((TaskUnknownError, AgentRefusedError)):
            await client.get_task("t-99")

    assert [type(event) for event in events] == [TaskArtifactUpdateEvent, TaskStatusUpdateEvent]
    assert cancelled.status.state == TaskState.TASK_STATE_CANCELED


@both
async def test_a_bare_message_is_an_answer(transport: str) -> None:
    async with older(transport) as (_, client):
        reply = await client.send(said("hello"))

    assert isinstance(reply, Message)
    assert reply.parts[0].text == "hello to you"


@both
async def test_tasks_cannot_be_listed_in_a2a_0_3(transport: str) -> None:
    async with older(transport) as (agent, client):
        with pytest.raises(AgentRefusedError) as refused:
            await client.list_tasks("c-1")

    assert refused.value.a2a_code == "UNSUPPORTED_OPERATION"
    assert agent.headers == []


async def test_a_state_that_a2a_0_3_does_not_know_is_unspecified() -> None:
    async with older() as (agent, client):
        agent.state = "on-holiday"
        task = await client.send(said("wait"))

    assert isinstance(task, Task)
    assert task.status.state == TaskState.TASK_STATE_UNSPECIFIED


async def test_a_lost_answer_is_uncertain() -> None:
    async with older() as (agent, client):
        agent.lost = 1
        with pytest.raises(AgentConnectionLostError):
            await client.send(said("wait"))

    assert len(agent.tasks) == 1


@pytest.mark.parametrize(
    "reply",
    [
        None,
        [],
        "task",
        {},
        {"kind": "task"},
        {"kind": "message"},
        {"kind": "status-update", "taskId": 7},
        {"kind": "task", "id": "t", "contextId": "c", "status": 7},
        {"kind": "task", "id": "t", "contextId": "c", "status": {"state": {}}},
        {"kind": "nonsense", "id": "t"},
        {"kind": "message", "messageId": "m", "role": "agent", "parts": [nested(45)]},
        {"kind": "message", "messageId": "m", "role": "agent", "parts": [nested(60)]},
    ],
)
async def test_an_answer_that_is_not_a2a_0_3_is_a_protocol_error(reply: Any) -> None:
    async with older() as (agent, client):
        agent._accept = lambda _: reply  # type: ignore[assignment,method-assign]
        agent._shown = lambda result: result  # type: ignore[method-assign]
        with pytest.raises(AgentProtocolError):
            await client.send(said("hi"))


@both
async def test_what_does_not_fit_into_a2a_0_3_is_not_sent(transport: str) -> None:
    async with older(transport) as (agent, client):
        for data in (nested(60), {"number": 10**400}):
            with pytest.raises(AgentRefusedError, match="nothing was sent"):
                await client.send(said(data=data))

    assert agent.messages == []


async def test_webhooks_are_set_read_and_taken_back_in_a2a_0_3() -> None:
    async with older() as (agent, client):
        wanted = {
            "taskId": "t-1",
            "id": "p-1",
            "url": "http://127.0.0.1:9/hook",
            "token": "once",
            "authentication": {"scheme": "Bearer", "credentials": "x"},
        }
        made = await client.create_push_config(wanted)
        assert agent.configs["p-1"]["pushNotificationConfig"]["authentication"]["schemes"] == [
            "Bearer"
        ]
        read = await client.get_push_config("t-1", "p-1")
        listed = await client.list_push_configs("t-1")
        await client.delete_push_config("t-1", "p-1")

    assert made == read == listed[0]
    assert (made.task_id, made.id, made.url, made.token) == (
        "t-1",
        "p-1",
        "http://127.0.0.1:9/hook",
        "once",
    )
    assert agent.configs == {}
