"""The life of a task, over both bindings and with the client of the A2A SDK."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types import (
    GetTaskRequest,
    Message,
    SendMessageRequest,
    Task,
    TaskArtifactUpdateEvent,
    TaskState,
    TaskStatusUpdateEvent,
)
from google.protobuf.json_format import MessageToDict, ParseDict
from parley_cards.extensions import DELEGATION, FORM
from parley_wire.agent_errors import AgentRefusedError, TaskUnknownError

from tests.wire.support import Running, message, running_agent, until

pytestmark = pytest.mark.anyio

BINDINGS = pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])


@BINDINGS
async def test_a_stream_tells_the_task_then_its_artifacts_then_its_end(
    agent: Running, binding: str
) -> None:
    data = {"n": 3, "amount": "12.50", "nested": [1, {"ü": None}]}

    events = [
        event
        async for event in agent.client(binding=binding).send_streaming(message("hi", data=data))
    ]

    task, artifact, status = events
    assert isinstance(task, Task)
    assert task.status.state == TaskState.TASK_STATE_WORKING
    assert isinstance(artifact, TaskArtifactUpdateEvent)
    assert MessageToDict(artifact.artifact.parts[0].data) == {"text": "hi", "data": data}
    assert isinstance(status, TaskStatusUpdateEvent)
    assert status.status.state == TaskState.TASK_STATE_COMPLETED


@BINDINGS
async def test_a_blocking_send_returns_the_finished_task(agent: Running, binding: str) -> None:
    client = agent.client(binding=binding)

    task = await client.send(message("hi"), return_immediately=False)

    assert isinstance(task, Task)
    assert task.status.state == TaskState.TASK_STATE_COMPLETED
    assert [each.parts[0].text for each in task.history] == ["hi"]
    assert await client.get_task(task.id) == task


@BINDINGS
async def test_an_immediate_send_returns_before_the_work_is_done(
    agent: Running, binding: str
) -> None:
    client = agent.client(binding=binding)

    task = await client.send(message("wait"))
    assert isinstance(task, Task)
    assert task.status.state == TaskState.TASK_STATE_WORKING
    agent.tester.gate.set()
    _ = [event async for event in _subscribed(client, task.id)]

    assert (await client.get_task(task.id)).status.state == TaskState.TASK_STATE_COMPLETED


async def _subscribed(client: Any, task_id: str) -> Any:
    try:
        async for event in client.subscribe(task_id):
            yield event
    except AgentRefusedError as exc:
        assert exc.a2a_code == "UNSUPPORTED_OPERATION"


@BINDINGS
async def test_a_question_waits_and_its_answer_goes_on_with_the_task(
    agent: Running, binding: str
) -> None:
    client = agent.client(binding=binding)
    asked = await client.send(message("ask"), return_immediately=False)
    assert isinstance(asked, Task)
    assert asked.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
    text, form = asked.status.message.parts
    assert text.text == "Where to?"
    assert MessageToDict(form.metadata)[FORM]["requestedSchema"]["type"] == "object"

    answer = message("", data={"city": "Oslo"}, taskId=asked.id, contextId=asked.context_id)
    done = await client.send(answer, return_immediately=False)

    assert isinstance(done, Task)
    assert done.status.state == TaskState.TASK_STATE_COMPLETED
    assert MessageToDict(done.artifacts[0].parts[0])["data"] == [{"city": "Oslo"}]
    roles = [MessageToDict(each)["role"] for each in done.history]
    assert roles == ["ROLE_USER", "ROLE_AGENT", "ROLE_USER"]


@BINDINGS
@pytest.mark.parametrize(
    ("text", "state", "told", "code"),
    [
        ("fail", TaskState.TASK_STATE_FAILED, "cannot be done", "impossible"),
        ("reject", TaskState.TASK_STATE_REJECTED, "not for me", None),
    ],
)
async def test_a_failure_says_why_and_in_a_code(
    agent: Running, binding: str, text: str, state: int, told: str, code: str | None
) -> None:
    task = await agent.client(binding=binding).send(message(text), return_immediately=False)

    assert isinstance(task, Task)
    assert task.status.state == state
    assert task.status.message.parts[0].text == told
    assert MessageToDict(task.status.message).get("metadata", {}).get("code") == code


@BINDINGS
async def test_cancelling_stops_the_executor_and_the_second_time_is_refused(
    agent: Running, binding: str
) -> None:
    client = agent.client(binding=binding)
    task = await client.send(message("wait"))
    assert isinstance(task, Task)
    await until(lambda: task.id in agent.tester.started)

    cancelled = await client.cancel_task(task.id)

    assert cancelled.status.state == TaskState.TASK_STATE_CANCELED
    await until(lambda: agent.tester.cancelled == [task.id])
    with pytest.raises(AgentRefusedError) as refused:
        await client.cancel_task(task.id)
    assert refused.value.a2a_code == "TASK_NOT_CANCELABLE"
    assert (await client.get_task(task.id)).status.state == TaskState.TASK_STATE_CANCELED


async def test_a_stream_of_a_cancelled_task_ends_with_canceled(agent: Running) -> None:
    client = agent.client()
    events: list[Any] = []
    async for event in client.send_streaming(message("wait")):
        events.append(event)
        if isinstance(event, Task):
            await client.cancel_task(event.id)

    assert events[-1].status.state == TaskState.TASK_STATE_CANCELED


async def test_the_executor_sees_the_skill_that_the_message_addresses(agent: Running) -> None:
    named = message("hi", metadata={DELEGATION: {"skill": "other", "run": "r1"}})
    await agent.client().send(named, return_immediately=False)
    await agent.client().send(message("hi"), return_immediately=False)

    first, second = agent.tester.seen
    assert (first.skill, second.skill) == ("other", "test")
    assert first.metadata[DELEGATION]["run"] == "r1"
    assert first.message.message_id == first.message_id == named["messageId"]
    assert first.caller == "anonymous"


@BINDINGS
async def test_the_client_of_the_sdk_works(agent: Running, binding: str) -> None:
    async with httpx.AsyncClient() as http:
        card = await A2ACardResolver(http, agent.url).get_agent_card()
        config = ClientConfig(httpx_client=http, supported_protocol_bindings=[binding])
        client = ClientFactory(config).create(card)

        sent = ParseDict(message("ask"), Message())
        states, task_id = [], ""
        async for event in client.send_message(SendMessageRequest(message=sent)):
            if event.HasField("task"):
                task_id = event.task.id
            states.append(event.WhichOneof("payload"))
        assert states == ["task", "status_update"]

        answer = ParseDict(message("Oslo", taskId=task_id), Message())
        answered = [
            event.WhichOneof("payload")
            async for event in client.send_message(SendMessageRequest(message=answer))
        ]
        assert answered == ["task", "artifact_update", "status_update"]
        task = await client.get_task(GetTaskRequest(id=task_id))
        assert task.status.state == TaskState.TASK_STATE_COMPLETED
        await client.close()


@BINDINGS
async def test_an_unknown_task_is_not_found_by_any_operation(agent: Running, binding: str) -> None:
    client = agent.client(binding=binding)

    with pytest.raises(TaskUnknownError):
        await client.get_task("nope")
    with pytest.raises(TaskUnknownError):
        await client.cancel_task("nope")
    with pytest.raises(TaskUnknownError):
        _ = [event async for event in client.subscribe("nope")]
    with pytest.raises(TaskUnknownError):
        await client.send(message("hi", taskId="nope"))


async def test_a_task_at_rest_is_subscribed_once_and_a_finished_one_not_at_all(
    agent: Running,
) -> None:
    client = agent.client()
    asked = await client.send(message("ask"), return_immediately=False)
    assert isinstance(asked, Task)

    events = [event async for event in client.subscribe(asked.id)]

    assert [type(event) for event in events] == [Task]
    await client.cancel_task(asked.id)
    with pytest.raises(AgentRefusedError) as refused:
        _ = [event async for event in client.subscribe(asked.id)]
    assert refused.value.a2a_code == "UNSUPPORTED_OPERATION"


async def test_a_finished_task_takes_no_message(agent: Running) -> None:
    client = agent.client()
    done = await client.send(message("hi"), return_immediately=False)
    assert isinstance(done, Task)

    with pytest.raises(AgentRefusedError) as refused:
        await client.send(message("more", taskId=done.id))

    assert refused.value.a2a_code == "UNSUPPORTED_OPERATION"


async def test_of_two_answers_to_one_question_exactly_one_wins(agent: Running) -> None:
    client = agent.client()
    asked = await client.send(message("ask"), return_immediately=False)
    assert isinstance(asked, Task)

    outcomes = await asyncio.gather(
        *(
            client.send(message(city, taskId=asked.id), return_immediately=False)
            for city in ("Oslo", "Bergen", "Bodø")
        ),
        return_exceptions=True,
    )

    assert sum(isinstance(each, Task) for each in outcomes) == 1
    assert sum(isinstance(each, AgentRefusedError) for each in outcomes) == 2
    assert agent.tester.started[asked.id] == 2


async def test_an_agent_that_does_not_stream_says_so(tmp_path: Path) -> None:
    def no_streams(card: dict[str, Any]) -> None:
        card["capabilities"]["streaming"] = False

    async with running_agent(tmp_path, change=no_streams) as agent:
        with pytest.raises(AgentRefusedError) as refused:
            _ = [event async for event in agent.client().send_streaming(message("hi"))]

    assert refused.value.a2a_code == "UNSUPPORTED_OPERATION"


async def test_a_required_extension_must_be_activated_and_is_echoed(tmp_path: Path) -> None:
    def require(card: dict[str, Any]) -> None:
        card["capabilities"]["extensions"] = [{"uri": "urn:x", "required": True}]

    async with running_agent(tmp_path, change=require) as agent:
        refused = await agent.rpc("SendMessage", {"message": message("hi")})
        response = await agent.http.post(
            f"{agent.url}/rest/message:send",
            json={"message": message("hi")},
            headers={"a2a-version": "1.0", "a2a-extensions": "urn:y, urn:x"},
        )

    assert refused["error"]["code"] == -32008
    assert response.status_code == 200
    assert response.headers["a2a-extensions"] == "urn:x"
