"""What becomes of a step whose agent misbehaves: through REST, with a vendor's agent for each oddity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from starlette.responses import Response

from tests.coordinator.engine.odd_agents import (
    OddAgent,
    answered,
    piece,
    result,
    said,
    task,
    told,
    update,
)
from tests.coordinator.world import CALL, World, until, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

LATE = "2026-01-01T00:00:09.000Z"
EARLY = "2025-12-31T23:59:59.000Z"
AGENTS = {
    agent.skill: agent
    for agent in (
        OddAgent(skill="doubles", streaming=True),
        OddAgent(skill="regresses", streaming=True),
        OddAgent(skill="disorders", streaming=True),
        OddAgent(skill="chats", streaming=True),
        OddAgent(skill="falls-silent", streaming=True),
        OddAgent(skill="floods", streaming=True),
        OddAgent(skill="nests"),
        OddAgent(skill="babbles", idempotent=True),
        OddAgent(skill="bloats"),
        OddAgent(skill="forgets"),
        OddAgent(skill="changes-its-mind"),
        OddAgent(skill="thanks"),
        OddAgent(skill="moves"),
        OddAgent(skill="leaves"),
        OddAgent(skill="renews"),
        OddAgent(skill="recovers"),
    )
}
for _agent in AGENTS.values():
    _agent.name = f"agent-that-{_agent.skill}"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One mesh for all: each test has an agent and a workflow of its own."""
    documents = {skill: CALL.replace("call: act:", f"call: {skill}:") for skill in AGENTS}
    home = tmp_path_factory.mktemp("odd")
    async with world(home, documents, *AGENTS.values()) as found:
        yield found


async def waiting(mesh: World, run: str) -> dict[str, Any]:
    async def parked() -> Any:
        found = await mesh.get(f"/v1/runs/{run}")
        return found["state"] == "waiting" and found

    found: dict[str, Any] = await until(parked)
    return found


async def why_of(mesh: World, run: str) -> str:
    """Return what the item of an incident says about it."""
    item = await mesh.item(run)
    assert item["kind"] == "incident"
    return str({fact["name"]: fact["value"] for fact in item["summary"]}["why"])


async def test_a_chunk_that_comes_twice_is_in_the_output_once(mesh: World) -> None:
    agent = AGENTS["doubles"]
    agent.stream = [
        task("WORKING"),
        piece({"n": 1}, append=False),
        piece({"n": 1}, append=True),
        update("COMPLETED"),
    ]

    run = await mesh.run("doubles", {"do": "complete", "output": {"n": 1}})

    assert run["output"] == {"n": 1}
    assert agent.calls["GetTask"] == 1


async def test_a_task_that_has_ended_does_not_begin_again(mesh: World) -> None:
    agent = AGENTS["regresses"]
    agent.stream = [task("WORKING"), piece({"n": 1}, append=True), update("COMPLETED")]

    run = await mesh.run("regresses", {"do": "work"})

    assert run["output"] == {"n": 1}
    assert agent.calls["GetTask"] == 1  # which says that it works


async def test_a_status_that_was_overtaken_is_passed_over(mesh: World) -> None:
    agent = AGENTS["disorders"]
    agent.stream = [
        task("WORKING"),
        update("WORKING", LATE),
        update("INPUT_REQUIRED", EARLY),
        update("COMPLETED", EARLY),
    ]

    run = await mesh.run("disorders", {"do": "complete", "output": {"n": 1}})

    assert run["state"] == "faulted"  # it completed, and its stream has brought nothing
    assert run["error"]["detail"] == "it has no artifact with data"


async def test_what_is_said_during_a_task_is_no_result_of_it(mesh: World) -> None:
    agent = AGENTS["chats"]
    agent.stream = [task("WORKING"), said({"n": 0}), task("COMPLETED", {"n": 1}), said({"n": 2})]

    run = await mesh.run("chats", {"do": "work"})

    assert run["output"] == {"n": 1}


async def test_an_agent_that_falls_silent_is_asked_and_then_left_to_itself(mesh: World) -> None:
    agent = AGENTS["falls-silent"]
    agent.stream = [task("WORKING"), {}]
    run = await mesh.start("falls-silent", {"do": "work"})
    await waiting(mesh, run)
    asked = agent.calls["GetTask"]
    agent.finish_all()

    assert asked == 1
    assert (await mesh.ended(run))["output"] == {"done": True}
    assert agent.runs == 1


async def test_a_stream_is_read_up_to_a_bound(mesh: World) -> None:
    agent = AGENTS["floods"]
    agent.stream = [
        task("WORKING"),
        *[piece("x" * 3_000_000, append=True)] * 4,
        update("COMPLETED"),
    ]

    run = await mesh.run("floods", {"do": "complete", "output": {"n": 1}})

    assert run["output"] == {"n": 1}  # as the task says that was looked up then
    assert agent.runs == 1


@pytest.mark.parametrize(("levels", "problem"), [(64, ""), (65, "more than 64 levels deep")])
async def test_an_output_that_is_nested_too_deep_is_an_error(
    mesh: World, levels: int, problem: str
) -> None:
    output: Any = {}
    for _ in range(levels - 1):
        output = {"in": output}
    AGENTS["nests"].always["SendMessage"] = lambda call: result(
        call, told(task("COMPLETED", output), call["params"]["message"]["contextId"])
    )

    run = await mesh.run("nests", {"do": "complete"})

    assert run["state"] == ("faulted" if problem else "completed")
    assert problem in str(run["error"])


async def test_the_same_rubbish_again_and_again_is_an_incident(mesh: World) -> None:
    agent = AGENTS["babbles"]
    agent.always["SendMessage"] = lambda call: result(call, {"task": {"id": 7}})

    run = await mesh.start("babbles", {"do": "complete"})

    assert "again and again, not of A2A" in await why_of(mesh, run)
    assert agent.calls["SendMessage"] == 3


async def test_answers_larger_than_allowed_are_an_incident(mesh: World) -> None:
    agent = AGENTS["bloats"]
    large = b'{"x":"' + b"y" * 8_400_000 + b'"}'
    agent.always["GetTask"] = lambda _: Response(large, media_type="application/json")

    run = await mesh.start("bloats", {"do": "work"})

    assert "answered with more than 8388608 bytes" in await why_of(mesh, run)
    assert agent.runs == 1


async def test_a_forgotten_task_of_a_skill_that_is_not_idempotent_is_an_incident(
    mesh: World,
) -> None:
    agent = AGENTS["forgets"]
    run = await mesh.start("forgets", {"do": "work"})
    await waiting(mesh, run)
    agent.tasks.clear()

    assert await why_of(mesh, run) == "the agent has forgotten the task"
    assert agent.runs == 1


async def test_an_answer_is_given_to_the_question_that_was_asked_and_no_other(
    mesh: World,
) -> None:
    agent = AGENTS["changes-its-mind"]
    run = await mesh.start("changes-its-mind", {"do": "auth"})
    first = await mesh.item(run)
    agent.ask_all()  # it went on by itself, and asks something else

    async def asked_anew() -> Any:
        found = (await mesh.get(f"/v1/items?run={run}"))["items"]
        return found and found[0]["id"] != first["id"] and found[0]

    await mesh.decide(first, "done", role="operator")
    second = await until(asked_anew)
    await mesh.decide(second, "answer", values={"text": "4711"})

    assert (first["kind"], second["kind"]) == ("auth", "input")
    assert (await mesh.ended(run))["state"] == "completed"
    assert agent.answers == [{"text": "4711"}]


async def test_a_message_in_return_for_an_answer_is_no_result(mesh: World) -> None:
    agent = AGENTS["thanks"]
    run = await mesh.start("thanks", {"do": "ask"})
    item = await mesh.item(run)
    answering = agent._send

    async def thank(call: Any, message: dict[str, Any], *, stream: bool) -> Response:
        await answering(call, message, stream=stream)
        return result({"id": call}, said({"thank": "you"}))

    agent._send = thank  # type: ignore[method-assign]
    await mesh.decide(item, "answer", values={"text": "4711"})

    assert (await mesh.ended(run))["output"] == {"answers": [{"text": "4711"}]}


async def test_a_step_stays_with_the_address_that_it_began_with(mesh: World) -> None:
    agent = AGENTS["moves"]
    run = await mesh.start("moves", {"do": "work"})
    await waiting(mesh, run)
    agent.path = "/elsewhere"
    await _registered(mesh, agent)
    agent.finish_all()

    assert (await mesh.ended(run))["output"] == {"done": True}
    assert agent.runs == 1


async def test_an_agent_that_is_only_where_the_step_did_not_begin_is_an_incident(
    mesh: World,
) -> None:
    agent = AGENTS["leaves"]
    run = await mesh.start("leaves", {"do": "work"})
    await waiting(mesh, run)
    agent.path = "/elsewhere"
    agent.always["GetTask"] = lambda _: answered(500)
    await _registered(mesh, agent)

    assert f"now names another address: {agent.url}/elsewhere" in await why_of(mesh, run)


async def test_a_step_stays_with_the_contract_that_it_began_with(mesh: World) -> None:
    agent = AGENTS["renews"]
    run = await mesh.start("renews", {"do": "work"})
    await waiting(mesh, run)
    agent.output_schema = {"type": "string"}
    await _registered(mesh, agent)
    agent.finish_all()

    assert (await mesh.ended(run))["output"] == {"done": True}


async def test_an_authorization_that_was_given_elsewhere_lets_the_step_go_on(mesh: World) -> None:
    agent = AGENTS["recovers"]
    run = await mesh.start("recovers", {"do": "auth"})
    item = await mesh.item(run)
    agent.finish_all()
    await mesh.decide(item, "done", role="operator")

    assert (await mesh.ended(run))["output"] == {"done": True}
    assert agent.answers == []


async def _registered(mesh: World, agent: OddAgent) -> None:
    """Have the registry read the card again, which has changed."""
    response = await mesh.http.post(f"{mesh.registry_url}/v1/agents", json={"url": agent.url})
    assert response.status_code in (200, 201), response.text
