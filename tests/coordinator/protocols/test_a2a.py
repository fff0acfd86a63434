"""`call: a2a` against a vendor's agent: one message, looked up and followed, never sent twice in silence."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_coordinator.protocols.a2a_messages import opening, push_parameters
from parley_coordinator.protocols.outcome import identity
from parley_coordinator.workflow.effects import Request
from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_wire.serving import Background
from starlette.requests import Request as Received
from starlette.responses import JSONResponse, Response

from tests.coordinator.protocols.bench import PATIENT, PLACE, Bench, Service, a2a_request, bench
from tests.scripted_agent import ScriptedAgent

pytestmark = pytest.mark.anyio

MESSAGE = identity("r-1", PLACE)
CONTEXT = identity("r-1", PLACE, "context")


@pytest.fixture
def agent() -> ScriptedAgent:
    return ScriptedAgent()


@pytest.fixture
async def url(agent: ScriptedAgent) -> AsyncIterator[str]:
    served = Background()
    agent.url = served.url
    served.app = agent.app()
    async with served:
        yield served.url
        agent.finish_all()


def send(url: str, do: str = "complete", method: str = "message/send", **more: Any) -> Request:
    message = {"parts": [{"kind": "data", "data": {"do": do}}]}
    return a2a_request(url, method, parameters={"message": message}, **more)


async def crashed(run: Bench, **more: Any) -> None:
    """Write what a process had written that died after the first byte."""
    body = {
        "title": "Ask",
        "who": "vendor",
        "protocol": "a2a",
        "method": "message/send",
        "uri": "http://vendor/",
        "idempotent": False,
        "traceable": True,
        "headers": [],
    }
    await run.write("intended", {**body, **more})


async def test_a_message_returns_its_task_once_that_is_done(
    run: Bench, url: str, agent: ScriptedAgent
) -> None:
    result = await run.perform(send(url))

    assert result["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert result["task"]["artifacts"][0]["parts"] == [{"data": {"done": True}}]
    assert agent.ran == {MESSAGE: 1}
    (message,) = result["task"]["history"]
    assert (message["role"], message["contextId"]) == ("ROLE_USER", CONTEXT)
    assert await run.entry("sent") == {"task": "t-1", "context": CONTEXT}


async def test_an_agent_may_answer_with_a_message(run: Bench, url: str) -> None:
    result = await run.perform(send(url, "message"))

    assert result["message"]["parts"] == [{"data": {"said": "hello"}}]


def answering(member: dict[str, Any], *, later: dict[str, Any] | None = None) -> Service:
    """Make an agent that answers SendMessage with a task, and everything else with another."""

    async def answer(request: Received) -> Response:
        asked = json.loads(await request.body())
        message = asked["params"].get("message", {})
        task = {"contextId": message.get("contextId", CONTEXT), **member}
        if asked["method"] != "SendMessage":
            task = {**task, **(later or {})}
        task["id"] = task["id"].replace("{token}", request.headers.get("authorization", ""))
        result = {"task": task} if asked["method"] == "SendMessage" else task
        return JSONResponse({"jsonrpc": "2.0", "id": asked["id"], "result": result})

    return Service(answer)


WORKING: dict[str, Any] = {"id": "t-1", "status": {"state": "TASK_STATE_WORKING"}}
DONE: dict[str, Any] = {"id": "t-1", "status": {"state": "TASK_STATE_COMPLETED"}}
BEARER = {"scheme": "bearer", "token": "very-secret-token"}


async def test_a_secret_in_the_id_of_a_task_is_not_written_down(run: Bench) -> None:
    async with Background(answering({**DONE, "id": "t {token}"}).app()) as served:
        await run.perform(send("", server=f"{served.url}/a2a", authentication=BEARER))

    assert await run.entry("sent") == {"task": "t Bearer ***", "context": CONTEXT}
    assert "very-secret-token" not in await run.journaled()


async def test_an_id_that_is_too_long_is_a_question_and_not_written_down(run: Bench) -> None:
    async with Background(answering({**DONE, "id": "t" * 257}).app()) as served:
        wait = await run.parked(send("", server=f"{served.url}/a2a"))

    assert wait.kind == "item"
    assert await run.kinds() == ["intended", "asked.1"]
    assert "ttttt" not in await run.journaled()


async def test_an_answer_about_another_task_is_a_question(run: Bench) -> None:
    later = {**DONE, "id": "t-2"}
    async with Background(answering(WORKING, later=later).app()) as served:
        wait = await run.parked(send("", server=f"{served.url}/a2a"))

    assert wait.kind == "item"
    asked = await run.entry("asked.1")
    assert asked is not None
    assert "another task" in json.dumps(asked)


async def test_a_run_does_not_show_the_secret_in_the_name_of_whom_it_waits_for(
    run: Bench, url: str
) -> None:
    run.secrets = ["vendor"]

    wait = await run.parked(send(url, "work"))

    assert (wait.kind, wait.subject) == ("agent", "***")


async def test_an_agent_may_be_addressed_without_its_card(
    run: Bench, url: str, agent: ScriptedAgent
) -> None:
    result = await run.perform(send("", server=f"{url}/a2a"))

    assert "task" in result
    assert agent.runs == 1


async def test_a_long_task_parks_and_is_found_done_later(
    run: Bench, url: str, agent: ScriptedAgent
) -> None:
    wait = await run.parked(send(url, "work"))
    assert (wait.kind, wait.subject) == ("agent", "vendor")
    assert wait.until is not None

    agent.finish_all()
    result = await run.perform(send(url, "work"))

    assert result["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert agent.runs == 1


async def test_a_task_that_is_not_done_by_the_deadline_is_cancelled(
    run: Bench, url: str, agent: ScriptedAgent
) -> None:
    request = send(url, "work", deadline=run.clock() + timedelta(minutes=1))
    await run.parked(request)
    run.clock.forward(timedelta(minutes=2))

    error = await run.failure(request)

    assert error.is_a(Standard.TIMEOUT)
    assert agent.cancelled == ["t-1"]
    assert "TASK_STATE_CANCELED" in (error.detail or "")


async def test_a_task_that_the_document_wants_at_once_is_not_followed(run: Bench, url: str) -> None:
    request = send(url, "work")
    parameters = {**request.arguments["parameters"], "configuration": {"blocking": False}}
    request = replace(request, arguments={**request.arguments, "parameters": parameters})

    result = await run.perform(request)

    assert result["task"]["status"]["state"] == "TASK_STATE_WORKING"


@pytest.mark.parametrize(
    ("do", "kind", "status", "said"),
    [
        ("fail", Standard.RUNTIME, 500, "the disk is full"),
        ("reject", Standard.RUNTIME, 422, "not my job"),
        ("cancel", Standard.RUNTIME, 500, "somebody stopped me"),
        ("ask", Standard.RUNTIME, 428, "which cost centre?"),
        ("auth", Standard.AUTHENTICATION, 401, "sign in at the bank"),
    ],
)
async def test_a_task_that_is_not_done_is_an_error_that_a_document_may_catch(
    run: Bench, url: str, do: str, kind: Standard, status: int, said: str
) -> None:
    error = await run.failure(send(url, do))

    assert (error.is_a(kind), error.status) == (True, status)
    assert said in (error.detail or "")
    assert "task t-1" in (error.detail or "")


async def test_a_message_may_answer_a_task(run: Bench, url: str, agent: ScriptedAgent) -> None:
    await run.failure(send(url, "ask"))
    message = {
        "taskId": "t-1",
        "contextId": CONTEXT,
        "parts": [{"data": {"costCentre": "7"}}],
        "messageId": "mine",
    }
    later = replace(PLACE, path="/do/1/answer")

    result = await run.perform(
        replace(a2a_request(url, parameters={"message": message}), place=later)
    )

    assert result["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert agent.answers == [{"costCentre": "7"}]


async def test_a_lost_answer_is_found_among_the_tasks_and_nothing_is_sent_again(
    run: Bench, url: str, agent: ScriptedAgent
) -> None:
    agent.lose_answers = 1

    result = await run.perform(send(url))

    assert result["task"]["id"] == "t-1"
    assert agent.runs == 1


async def test_a_lost_answer_that_cannot_be_found_is_a_question(
    run: Bench, url: str, agent: ScriptedAgent
) -> None:
    agent.lose_answers, agent.lists = 1, False

    wait = await run.parked(send(url))

    assert wait.kind == "item"
    assert agent.runs == 1


async def test_a_message_that_is_said_to_be_idempotent_is_sent_again_with_the_same_id(
    run: Bench, url: str, agent: ScriptedAgent
) -> None:
    agent.lose_answers, agent.lists = 1, False

    result = await run.perform(send(url, idempotent=True))

    assert "task" in result
    assert agent.ran == {MESSAGE: 2}


async def test_after_a_crash_the_task_is_found_by_its_context(
    run: Bench, url: str, agent: ScriptedAgent
) -> None:
    message = {"messageId": MESSAGE, "contextId": CONTEXT, "parts": [{"data": {}}]}
    agent._open(message, {"do": "complete"})
    await crashed(run)

    result = await run.perform(send(url))

    assert result["task"]["id"] == "t-1"
    assert agent.runs == 0


async def test_after_a_crash_with_no_trace_a_person_decides_whether_it_is_sent(
    run: Bench, url: str, agent: ScriptedAgent
) -> None:
    await crashed(run)
    assert (await run.parked(send(url))).kind == "item"
    assert agent.runs == 0

    await run.decide(1, "resend")
    result = await run.perform(send(url))

    assert "task" in result
    assert agent.runs == 1
    assert await run.entry("resent.1") == {}


async def test_an_agent_that_is_away_after_a_crash_is_waited_for(run: Bench) -> None:
    away = Background(ScriptedAgent().app())
    async with away:
        pass
    await crashed(run)

    wait = await run.parked(send(away.url))

    assert wait.kind == "agent"


async def test_an_agent_that_is_down_was_sent_nothing(run: Bench) -> None:
    away = Background(ScriptedAgent().app())
    async with away:
        pass

    error = await run.failure(send(away.url))

    assert (error.is_a(Standard.COMMUNICATION), error.status) == (True, 503)


@pytest.mark.parametrize("do", ["foreign", "unknown-state"])
async def test_an_answer_that_tells_nothing_is_a_question(run: Bench, url: str, do: str) -> None:
    assert (await run.parked(send(url, do))).kind == "item"


async def test_a_refusal_is_an_error(run: Bench, url: str) -> None:
    error = await run.failure(send(url, "refuse"))

    assert (error.is_a(Standard.RUNTIME), error.status) == (True, 422)


async def test_a_stream_returns_all_that_it_brings(
    run: Bench, url: str, agent: ScriptedAgent
) -> None:
    agent.streaming = True
    agent.released.set()

    results = await run.perform(send(url, "work", "message/stream"))

    states = [result["task"]["status"]["state"] for result in results]
    assert states == ["TASK_STATE_WORKING", "TASK_STATE_COMPLETED"]
    assert agent.runs == 1


async def test_a_stream_that_ended_in_a_failure_is_an_error(
    run: Bench, url: str, agent: ScriptedAgent
) -> None:
    agent.streaming = True

    error = await run.failure(send(url, "fail", "message/stream"))

    assert (error.is_a(Standard.RUNTIME), error.status) == (True, 500)


async def test_a_task_is_read_listed_watched_and_cancelled(
    run: Bench, url: str, agent: ScriptedAgent
) -> None:
    agent.streaming = True
    agent._open({"messageId": "m", "contextId": "c", "parts": [{"data": {}}]}, {"do": "work"})

    async def at(step: int, method: str, parameters: dict[str, Any]) -> Any:
        request = a2a_request(url, method, parameters=parameters)
        return await run.perform(replace(request, place=replace(PLACE, path=f"/do/{step}/x")))

    assert (await at(1, "tasks/get", {"id": "t-1"}))["id"] == "t-1"
    assert (await at(2, "tasks/list", {"contextId": "c"}))["totalSize"] == 1
    cancelled = await at(3, "tasks/cancel", {"id": "t-1"})
    assert cancelled["status"]["state"] == "TASK_STATE_CANCELED"
    watched = await at(4, "tasks/resubscribe", {"id": "t-1"})
    assert watched[0]["task"]["id"] == "t-1"


async def test_a_task_that_is_not_there_is_an_error(run: Bench, url: str) -> None:
    error = await run.failure(a2a_request(url, "tasks/get", parameters={"id": "none"}))

    assert (error.is_a(Standard.RUNTIME), error.status) == (True, 422)


async def test_credentials_do_not_go_where_only_the_card_leads(run: Bench) -> None:
    elsewhere = ScriptedAgent()
    seen: list[tuple[str, str | None]] = []
    where, published = Background(), Background()
    elsewhere.url = where.url
    inner = elsewhere.app()

    async def watching(scope: Any, receive: Any, send_: Any) -> None:
        if scope["type"] == "http":
            seen.append(("agent", dict(scope["headers"]).get(b"authorization")))
        await inner(scope, receive, send_)

    service = Service()

    async def card(request: Received) -> Response:
        seen.append(("card", request.headers.get("authorization")))
        return JSONResponse(elsewhere.card())

    service.answer = card
    where.app, published.app = watching, service.app()
    async with where, published:
        bearer = {"scheme": "bearer", "token": "token-1"}
        await run.perform(send(published.url, authentication=bearer))

    assert seen == [("card", "Bearer token-1"), ("agent", None)]


async def test_a_card_that_leads_to_a_host_that_is_not_allowed_leads_nowhere(
    tmp_path: Path, url: str, agent: ScriptedAgent
) -> None:
    port = url.rpartition(":")[2]
    agent.url = "http://inner.example.com"
    async with bench(tmp_path, egress=f"127.0.0.1:{port}") as run:
        error = await run.failure(send(url))

    assert error.is_a(Standard.AUTHORIZATION)


def test_shapes_of_0_3_become_those_of_1_0() -> None:
    found = opening(
        {
            "message": {
                "kind": "message",
                "role": "user",
                "messageId": "mine",
                "parts": [
                    {"kind": "text", "text": "hi"},
                    {
                        "kind": "file",
                        "file": {"uri": "https://x/y", "mimeType": "a/b", "name": "y"},
                    },
                    {"kind": "file", "file": {"bytes": "eA=="}},
                ],
            },
            "configuration": {"blocking": True, "acceptedOutputModes": ["a/b"]},
            "metadata": {"k": 1},
        },
        message_id="m",
        context_id="c",
    )

    assert found.params == {
        "message": {
            "role": "ROLE_USER",
            "messageId": "mine",
            "contextId": "c",
            "parts": [
                {"text": "hi"},
                {"url": "https://x/y", "mediaType": "a/b", "filename": "y"},
                {"raw": "eA=="},
            ],
        },
        "configuration": {"acceptedOutputModes": ["a/b"], "returnImmediately": True},
        "metadata": {"k": 1},
    }
    assert (found.message_id, found.own_context, found.immediately) == ("mine", True, False)


@pytest.mark.parametrize(
    ("method", "parameters", "expected"),
    [
        (
            "set",
            {"taskId": "t", "pushNotificationConfig": {"id": "p", "url": "https://x/"}},
            {"taskId": "t", "id": "p", "url": "https://x/"},
        ),
        ("get", {"id": "t", "pushNotificationConfigId": "p"}, {"taskId": "t", "id": "p"}),
        ("delete", {"taskId": "t", "id": "p"}, {"taskId": "t", "id": "p"}),
        ("list", {"id": "t"}, {"taskId": "t"}),
    ],
)
def test_push_notification_settings_of_0_3_become_those_of_1_0(
    method: str, parameters: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert push_parameters(f"tasks/pushNotificationConfig/{method}", parameters) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["message", "parts", "kind", "text", "file", "role", "taskId", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@PATIENT
@given(parameters=st.dictionaries(st.sampled_from(["message", "configuration"]), JSON))
def test_any_parameters_are_a_message_or_a_clear_error(parameters: dict[str, Any]) -> None:
    try:
        found = opening(parameters, message_id="m", context_id="c")
    except WorkflowError as exc:
        assert exc.is_a(Standard.VALIDATION)
        return
    message = found.params["message"]
    assert message["messageId"] == found.message_id
    assert all("kind" not in part for part in message["parts"])
