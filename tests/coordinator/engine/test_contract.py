"""The contract that travels with work: what a run gets, what it passes on, and what it refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from parley_cards.delegation import written
from parley_cards.extensions import DELEGATION

from tests.coordinator.world import CALL, World, until, world
from tests.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

pytestmark = pytest.mark.anyio

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
DONE: dict[str, Any] = {"do": "complete"}
TWICE = """\
  - first:
      metadata: {label: First}
      call: act:1.0.0@agents
      with: ${ . }
      output: {as: '${ $input }'}
      timeout: {after: {seconds: 60}}
  - second:
      metadata: {label: Second}
      call: act:1.0.0@agents
      with: ${ . }
      timeout: {after: {seconds: 60}}
"""
BOTH = """\
  - both:
      metadata: {label: Both}
      fork:
        branches:
          - left: {metadata: {label: Left}, call: 'act:1.0.0@agents', with: '${ . }', timeout: {after: {seconds: 60}}}
          - right: {metadata: {label: Right}, call: 'act:1.0.0@agents', with: '${ . }', timeout: {after: {seconds: 60}}}
"""
ABOVE = """\
  - below:
      metadata: {label: Below}
      run: {workflow: {namespace: tests, name: act, version: "1.0.0", input: '${ . }'}}
      output: {as: '${ $input }'}
      timeout: {after: {seconds: 50}}
  - after:
      metadata: {label: After}
      call: act:1.0.0@agents
      with: ${ . }
      timeout: {after: {seconds: 60}}
"""
UNDONE = """\
  - safe:
      metadata: {label: Safe}
      try:
        - first: {metadata: {label: First}, call: 'act:1.0.0@agents', with: {do: complete}, timeout: {after: {seconds: 60}}}
        - second: {metadata: {label: Second}, call: 'act:1.0.0@agents', with: {do: complete}, timeout: {after: {seconds: 60}}}
      catch:
        do:
          - undo: {metadata: {label: Undo, compensates: first}, call: 'act:1.0.0@agents', with: {do: complete}, timeout: {after: {seconds: 60}}}
"""


SAY = """\
  - say:
      metadata: {label: Say}
      call: a2a
      with:
        agentCard: {endpoint: '${ .url }'}
        method: message/send
        parameters: '${ {message: (.message + {metadata: {"urn:parley:a2a:delegation:v1": {skill: "act"}}})} }'
      timeout: {after: {seconds: 60}}
"""
LOOP = SAY


def vendor(**more: Any) -> ScriptedAgent:
    return ScriptedAgent(extensions=(DELEGATION,), **more)


def received(agent: ScriptedAgent, index: int = -1) -> dict[str, Any]:
    """What a message of the agent said under the extension."""
    found: dict[str, Any] = agent.messages[index]["metadata"][DELEGATION]
    return found


async def ask(
    mesh: World, workflow: str, given: Any, *, message_id: str = "m-1", **contract: Any
) -> httpx.Response:
    """Start a workflow over A2A, as an agent that passes work on."""
    message = {
        "messageId": message_id,
        "role": "ROLE_USER",
        "parts": [{"data": given}],
        "metadata": {DELEGATION: contract},
    }
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "SendMessage",
        "params": {"message": message, "configuration": {"returnImmediately": True}},
    }
    headers = {"a2a-version": "1.0", "a2a-extensions": DELEGATION}
    return await mesh.post(f"/workflows/{workflow}/a2a", call, headers=headers)


async def test_a_call_carries_the_limits_of_its_run_and_narrower_ones_of_its_step(
    tmp_path: Path,
) -> None:
    agent = vendor()
    late = datetime.now(UTC) + timedelta(hours=1)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start(
            "act",
            DONE,
            deadline=written(late),
            budget={"calls": 5, "cost": {"amount": "2.50", "unit": "EUR"}},
            headers={"traceparent": TRACE},
        )
        await mesh.ended(run)
        why = await mesh.get(f"/v1/runs/{run}/why")
        own = await mesh.start("act", DONE)
        await mesh.ended(own)

    told, plain = received(agent, 0), received(agent, 1)
    step = datetime.fromisoformat(told["deadline"])
    assert step < datetime.now(UTC) + timedelta(seconds=61)
    assert told["budget"] == {"calls": 4, "cost": {"amount": "2.50", "unit": "EUR"}}
    assert told["ancestors"] == [
        {"name": "act", "url": f"{mesh.url}/workflows/act/a2a", "run": run}
    ]
    assert told["traceparent"][3:35] == TRACE[3:35]
    assert told["traceparent"] != TRACE
    assert told["idempotencyKey"] != plain["idempotencyKey"]
    assert "budget" not in plain
    assert plain["traceparent"][3:35] != TRACE[3:35]
    facts = {fact["name"]: fact["value"] for fact in why["steps"][0]["facts"]}
    assert facts["trace"] == TRACE[3:35]
    assert facts["budget"]["calls"] == 5
    assert why["steps"][1]["agent"]["trace"] == told["traceparent"]


async def test_an_agent_that_does_not_know_the_extension_is_not_told_who_is_above(
    tmp_path: Path,
) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        await mesh.run("act", DONE)

    assert received(agent).keys() == {"skill", "version", "run", "path", "attempt"}


@pytest.mark.parametrize("tasks", [TWICE, BOTH], ids=["in-turn", "at-once"])
async def test_a_budget_ends_before_the_call_that_it_does_not_cover(
    tmp_path: Path, tasks: str
) -> None:
    agent = vendor()
    async with world(tmp_path, {"more": tasks}, agent) as mesh:
        run = await mesh.ended(await mesh.start("more", DONE, budget={"calls": 1}))

    assert run["error"]["type"].endswith("/authorization")
    assert "no calls are left" in run["error"]["title"]
    assert agent.runs == 1


async def test_what_agents_report_is_taken_from_the_budget_but_no_more_than_they_got(
    tmp_path: Path,
) -> None:
    agent = vendor()
    report = {DELEGATION: {"spent": {"calls": 900, "cost": {"amount": "1.75", "unit": "EUR"}}}}
    budget = {"calls": 4, "cost": {"amount": "2.00", "unit": "EUR"}}
    async with world(tmp_path, {"more": TWICE}, agent) as mesh:
        cost = {**report[DELEGATION]["spent"], "calls": 1}
        given = {**DONE, "report": {DELEGATION: {"spent": cost}}}
        await mesh.ended(await mesh.start("more", given, budget=budget))
        second = received(agent)["budget"]
        run = await mesh.ended(await mesh.start("more", {**DONE, "report": report}, budget=budget))

    assert second == {"calls": 1, "cost": {"amount": "0.25", "unit": "EUR"}}
    assert "no calls are left" in run["error"]["title"]


async def test_what_was_called_stays_called_when_a_run_is_repaired(tmp_path: Path) -> None:
    agent = vendor()
    heals = {"do": "fail-until-healed"}
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        for left, state in ((1, "faulted"), (2, "completed")):
            agent.healed = False
            run = await mesh.ended(await mesh.start("act", heals, budget={"calls": left}))
            agent.healed = True
            body = {"reason": "it is well again", "act": "retry"}
            answer = await mesh.post(f"/v1/runs/{run['id']}:repair", body, role="operator")
            again = await mesh.ended(answer.json()["id"])
            assert again["state"] == state, again

    assert agent.runs == 3
    assert received(agent)["budget"] == {"calls": 0}


async def test_what_an_operator_sends_again_has_as_much_time_as_it_had_at_first(
    tmp_path: Path,
) -> None:
    agent = ScriptedAgent(lists=False, lose_answers=1, extensions=(DELEGATION,))
    hasty = CALL.replace("seconds: 60", "seconds: 6")
    async with world(tmp_path, {"act": hasty}, agent) as mesh:
        run = await mesh.start("act", DONE)
        item = await mesh.item(run)
        first = datetime.fromisoformat(received(agent)["deadline"])

        async def late() -> bool:
            return datetime.now(UTC) > first

        await until(late)
        decided = datetime.now(UTC)
        await mesh.decide(item, "resend", role="operator")
        assert (await mesh.ended(run))["state"] == "completed"

    again = datetime.fromisoformat(received(agent)["deadline"])
    assert timedelta(0) < again - decided < timedelta(seconds=60)
    assert again - first >= timedelta(seconds=6)
    assert len(agent.ran) == 1


async def test_a_budget_of_the_document_holds_for_every_run(tmp_path: Path) -> None:
    agent = vendor()
    async with world(tmp_path, {"more": TWICE}, agent) as mesh:
        text = (mesh.home / "workflows/more/workflow.yaml").read_text()
        limited = text.replace("'1.0.0'}", "'2.0.0', metadata: {budget: {calls: 1}}}")
        headers = {**mesh.as_role("operator"), "content-type": "application/yaml"}
        deployed = await mesh.http.post(
            f"{mesh.url}/v1/workflows", content=limited, headers=headers
        )
        wrong = await mesh.http.post(
            f"{mesh.url}/v1/workflows",
            content=limited.replace("calls: 1", "call: 1").replace("2.0.0", "3.0.0"),
            headers=headers,
        )
        run = await mesh.ended(await mesh.start("more", DONE, budget={"calls": 9}))

    assert deployed.status_code == 201, deployed.text
    assert wrong.status_code == 400
    assert "/call is unknown" in wrong.text
    assert "no calls are left" in run["error"]["title"]
    assert agent.runs == 1


async def test_what_undoes_something_is_not_held_back_by_a_budget(tmp_path: Path) -> None:
    agent = vendor()
    async with world(tmp_path, {"safe": UNDONE}, agent) as mesh:
        run = await mesh.ended(await mesh.start("safe", {}, budget={"calls": 1}))

    assert run["state"] == "completed", run["error"]
    assert agent.runs == 2


async def test_a_run_below_another_works_under_its_contract_and_spends_its_budget(
    tmp_path: Path,
) -> None:
    agent = vendor()
    async with world(tmp_path, {"act": CALL, "above": ABOVE}, agent) as mesh:
        run = await mesh.start("above", DONE, budget={"calls": 3}, headers={"traceparent": TRACE})
        ended = await mesh.ended(run)

    below, after = received(agent, 0), received(agent, 1)
    assert ended["state"] == "completed", ended["error"]
    assert [each["name"] for each in below["ancestors"]] == ["above", "act"]
    assert below["ancestors"][0]["run"] == run
    assert below["traceparent"][3:35] == after["traceparent"][3:35] == TRACE[3:35]
    assert (below["budget"]["calls"], after["budget"]["calls"]) == (2, 1)


async def test_work_that_comes_back_to_its_workflow_is_refused_and_nothing_starts(
    tmp_path: Path,
) -> None:
    agent = vendor()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        me = {"name": "whatever", "url": f"{mesh.url}/workflows/act/a2a"}
        back = await ask(mesh, "act", DONE, ancestors=[me, {"name": "helper"}])
        deep = await ask(
            mesh, "act", DONE, message_id="m-2", ancestors=[{"name": f"a{n}"} for n in range(17)]
        )
        late = await ask(mesh, "act", DONE, message_id="m-3", deadline="2020-01-01T00:00:00Z")
        rubbish = await ask(mesh, "act", DONE, message_id="m-4", budget={"calls": "many"})
        runs = (await mesh.get("/v1/runs"))["runs"]

    reasons = [each.json()["error"]["data"][0]["reason"] for each in (back, deep, late, rubbish)]
    assert [reason.lower() for reason in reasons] == [
        "delegation_cycle",
        "delegation_too_deep",
        "deadline_exceeded",
        "invalid_delegation",
    ]
    assert "whatever > helper > act" in back.json()["error"]["message"]
    assert runs == []
    assert agent.runs == 0


async def test_an_agent_that_is_above_a_call_does_not_get_it(tmp_path: Path) -> None:
    agent = vendor()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        above = {"name": "x", "url": f"{agent.url}/a2a"}
        answer = await ask(mesh, "act", DONE, ancestors=[above])
        run = await mesh.ended(answer.json()["result"]["task"]["id"])

    assert run["error"]["type"].endswith("/configuration")
    assert "vendor has passed this work on itself" in run["error"]["title"]
    assert agent.runs == 0


async def test_a_caller_over_a2a_narrows_what_the_run_may_do(tmp_path: Path) -> None:
    agent = vendor()
    async with world(tmp_path, {"act": CALL, "more": TWICE}, agent) as mesh:
        soon = written(datetime.now(UTC) + timedelta(seconds=4))
        answer = await ask(mesh, "act", {"do": "work"}, deadline=soon, traceparent=TRACE)
        late = await mesh.ended(answer.json()["result"]["task"]["id"])
        told = received(agent)
        answer = await ask(mesh, "more", DONE, message_id="m-2", budget={"calls": 1})
        poor = await mesh.ended(answer.json()["result"]["task"]["id"])

        async def cancelled() -> Any:
            return agent.cancelled

        await until(cancelled)

    assert late["error"]["status"] == 408
    assert told["deadline"] == soon
    assert told["traceparent"][3:35] == TRACE[3:35]
    assert "no calls are left" in poor["error"]["title"]


async def test_an_agent_that_stops_at_the_deadline_has_not_failed_but_run_out_of_time(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, {"act": CALL}, vendor()) as mesh:
        run = await mesh.run("act", {"do": "fail", "code": "deadline_exceeded"})

    assert run["error"]["type"].endswith("/timeout")
    assert run["error"]["detail"].startswith("deadline_exceeded: ")


async def test_a_message_by_protocol_carries_the_contract_and_never_goes_back_up(
    tmp_path: Path,
) -> None:
    agent = vendor()
    env = {"PARLEY_EGRESS": "127.0.0.1"}
    given = {"parts": [{"data": DONE}]}
    async with world(tmp_path, {"say": SAY, "loop": LOOP}, agent, env=env) as mesh:
        start = {"url": f"{agent.url}/.well-known/agent-card.json", "message": given}
        run = await mesh.ended(
            await mesh.start("say", start, budget={"calls": 5}, headers={"traceparent": TRACE})
        )
        poor = await mesh.ended(await mesh.start("say", start, budget={"calls": 0}))
        card = f"{mesh.url}/workflows/loop/.well-known/agent-card.json"
        loop = await mesh.ended(await mesh.start("loop", {"url": card, "message": given}))
        runs = (await mesh.get("/v1/runs?workflow=loop"))["runs"]

    told = received(agent)
    assert run["state"] == "completed", run["error"]
    assert told["skill"] == "act"
    assert told["budget"] == {"calls": 4}
    assert told["ancestors"][0]["run"] == run["id"]
    assert told["traceparent"][3:35] == TRACE[3:35]
    assert "no calls are left" in poor["error"]["title"]
    assert loop["error"]["type"].endswith("/configuration")
    assert "has passed this work on itself" in loop["error"]["detail"]
    assert len(runs) == 1
    assert agent.runs == 1


async def test_limits_that_cannot_be_read_start_nothing(tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"deadline": "tomorrow"}, "/deadline"),
        ({"budget": {"calls": -1}}, "/calls"),
        ({"budget": {"cost": {"amount": 5, "unit": "EUR"}}}, "amount"),
        ({"budget": {"call": 1}}, "/call is unknown"),
    ]
    async with world(tmp_path, {"act": CALL}, vendor()) as mesh:
        for limits, problem in wrong:
            response = await mesh.post("/v1/runs", {"workflow": "act", "input": DONE, **limits})

            assert response.status_code == 400
            assert response.json()["code"] == "invalid_request"
            assert problem in response.json()["detail"]
