"""What becomes of a step, by what its agent does: through REST, with a vendor's agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.coordinator.world import CALL, until, world
from tests.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_a_completed_task_becomes_the_output_of_the_step(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.run("act", {"do": "complete", "output": {"total": "12.50"}})

        assert run["state"] == "completed"
        assert run["output"] == {"total": "12.50"}
        assert agent.runs == 1


@pytest.mark.parametrize(
    ("behaviour", "title"),
    [
        ("fail", "vendor answered TASK_STATE_FAILED"),
        ("reject", "vendor answered TASK_STATE_REJECTED"),
        ("cancel", "vendor answered TASK_STATE_CANCELED"),
        ("empty", "vendor completed act without a valid result"),
        ("refuse", "the agent refused the message"),
    ],
)
async def test_a_failed_agent_never_looks_like_success(
    tmp_path: Path, behaviour: str, title: str
) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.run("act", {"do": behaviour})

        assert run["state"] == "faulted"
        assert run["output"] is None
        assert run["error"]["title"] == title
        assert run["error"]["instance"] == "/do/0/act"
        assert agent.runs == 1


async def test_an_output_outside_the_contract_is_refused_and_not_passed_on(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"total": {"type": "string"}}, "required": ["total"]}
    agent = ScriptedAgent(output_schema=schema)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.run("act", {"do": "complete", "output": {"total": 12.5}})

        assert run["state"] == "faulted"
        assert "total must be string" in run["error"]["detail"]


async def test_a_bare_message_is_a_valid_answer(tmp_path: Path) -> None:
    async with world(tmp_path, {"act": CALL}, ScriptedAgent()) as mesh:
        run = await mesh.run("act", {"do": "message"})

        assert run["output"] == {"said": "hello"}


async def test_an_error_of_an_agent_can_be_caught_by_the_workflow(tmp_path: Path) -> None:
    caught = """\
  - guarded:
      metadata: {label: Guarded act}
      try:
        - act:
            metadata: {label: Act}
            call: act:1.0.0@agents
            with: {do: fail}
            timeout: {after: {seconds: 60}}
      catch:
        as: problem
        do:
          - note: {set: {handled: '${ $problem.title }'}}
"""
    async with world(tmp_path, {"act": caught}, ScriptedAgent()) as mesh:
        run = await mesh.run("act", {})

        assert run["output"] == {"handled": "vendor answered TASK_STATE_FAILED"}


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_slow_agent_is_waited_for_while_the_run_is_parked(
    tmp_path: Path, *, streaming: bool
) -> None:
    agent = ScriptedAgent(streaming=streaming)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": "work"})

        async def parked() -> Any:
            found = await mesh.get(f"/v1/runs/{run}")
            return found["state"] == "waiting" and found

        waiting = await until(parked)
        agent.finish_all()

        assert waiting["waitingFor"][0]["agent"] == "vendor"
        assert (await mesh.ended(run))["output"] == {"done": True}
        assert agent.runs == 1


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_lost_answer_is_looked_up_and_the_agent_runs_once(
    tmp_path: Path, *, streaming: bool
) -> None:
    agent = ScriptedAgent(streaming=streaming, lose_answers=1)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.run("act", {"do": "complete"})

        assert run["state"] == "completed"
        assert agent.runs == 1


async def test_a_lost_answer_of_an_idempotent_skill_is_asked_for_again(tmp_path: Path) -> None:
    agent = ScriptedAgent(lists=False, idempotent=True, lose_answers=1)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.run("act", {"do": "complete"})

        assert run["state"] == "completed"
        assert list(agent.ran.values()) == [2]  # one message, sent twice, as its card allows


async def test_what_nobody_can_know_becomes_an_incident_and_is_never_sent_twice(
    tmp_path: Path,
) -> None:
    agent = ScriptedAgent(lists=False, lose_answers=1)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": "complete"})
        item = await mesh.item(run)
        wrong = await mesh.decide(item, "ran", role="approver", values={"result": "{}"})
        not_json = await mesh.decide(item, "ran", role="operator", values={"result": "done"})
        answer = await mesh.decide(item, "ran", role="operator", values={"result": '{"ok": 1}'})

        assert item["kind"] == "incident"
        assert item["outcomes"] == ["ran", "resend", "stop"]
        assert wrong.status_code == 404
        assert not_json.json()["code"] == "invalid_decision"
        assert answer.status_code == 200, answer.text
        assert (await mesh.ended(run))["output"] == {"ok": 1}
        assert agent.runs == 1


async def test_an_operator_may_rule_that_it_did_not_run(tmp_path: Path) -> None:
    agent = ScriptedAgent(lists=False, lose_answers=1)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": "complete"})
        item = await mesh.item(run)
        await mesh.decide(item, "resend", role="operator", comment="checked with the vendor")

        assert (await mesh.ended(run))["state"] == "completed"
        assert list(agent.ran.values()) == [2]


@pytest.mark.parametrize("behaviour", ["html", "rubbish", "not-json", "huge", "unknown-state"])
async def test_rubbish_from_an_agent_stops_the_step_until_a_person_rules(
    tmp_path: Path, behaviour: str
) -> None:
    agent = ScriptedAgent(lists=False)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": behaviour})
        item = await mesh.item(run)
        await mesh.decide(item, "stop", role="operator")

        ended = await mesh.ended(run)
        assert item["kind"] == "incident"
        assert ended["state"] == "faulted"
        assert ended["error"]["title"] == "operator chose to stop"
        assert agent.runs == 1


async def test_a_task_of_another_context_is_not_accepted(tmp_path: Path) -> None:
    async with world(tmp_path, {"act": CALL}, ScriptedAgent()) as mesh:
        run = await mesh.start("act", {"do": "foreign"})
        item = await mesh.item(run)

        assert item["kind"] == "incident"
        assert "another context" in str(item["summary"])


async def test_an_agent_that_comes_back_in_time_is_simply_tried_again(tmp_path: Path) -> None:
    agent = ScriptedAgent(down=True)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": "complete"})

        async def intended() -> bool:
            rows = await mesh.get(f"/v1/runs/{run}/why")
            return rows is not None

        await until(intended)
        agent.down = False

        assert (await mesh.ended(run))["state"] == "completed"
        assert agent.runs == 1


async def test_a_deadline_ends_the_wait_and_cancels_the_remote_task(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    hasty = CALL.replace("seconds: 60", "seconds: 4")
    async with world(tmp_path, {"act": hasty}, agent) as mesh:
        run = await mesh.run("act", {"do": "work"})

        assert run["error"]["type"].endswith("/timeout")
        assert agent.cancelled == ["t-1"]


async def test_an_unknown_skill_is_refused_before_anything_happens(tmp_path: Path) -> None:
    unknown = CALL.replace("act:1.0.0@agents", "fly:1.0.0@agents")
    async with world(tmp_path, {"act": unknown}, ScriptedAgent()) as mesh:
        response = await mesh.post("/v1/runs", {"workflow": "act", "input": {}})

        assert response.status_code == 400
        assert response.json()["code"] == "invalid_workflow"
        assert "fly" in response.json()["detail"]
        assert (await mesh.get("/v1/runs"))["runs"] == []


async def test_cancelling_a_run_cancels_its_remote_tasks(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": "work"})

        async def sent() -> bool:
            return bool(agent.tasks)

        await until(sent)
        response = await mesh.post(f"/v1/runs/{run}:cancel", {"reason": "ordered twice"})

        assert response.status_code == 200, response.text
        assert (await mesh.ended(run))["state"] == "cancelled"
        assert agent.cancelled == ["t-1"]


async def test_an_agent_that_is_never_reached_is_an_error_and_no_incident(tmp_path: Path) -> None:
    agent = ScriptedAgent(down=True)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.run("act", {"do": "complete"}, seconds=60)

        assert run["state"] == "faulted"
        assert run["error"]["type"].endswith("/communication")
        assert agent.runs == 0


async def test_an_agent_that_nobody_can_speak_to_is_an_error_at_once(tmp_path: Path) -> None:
    async with world(tmp_path, {"act": CALL}, ScriptedAgent(binding="GRPC")) as mesh:
        run = await mesh.run("act", {})

        assert run["error"]["type"].endswith("/configuration")
        assert run["error"]["title"] == "vendor cannot be spoken to"


async def test_an_incident_has_no_deadline_and_does_not_keep_the_run_busy(tmp_path: Path) -> None:
    agent = ScriptedAgent(lists=False, lose_answers=1)
    hasty = CALL.replace("seconds: 60", "seconds: 4")
    async with world(tmp_path, {"act": hasty}, agent) as mesh:
        run = await mesh.start("act", {"do": "complete"})
        item = await mesh.item(run)

        async def parked() -> Any:
            return (await mesh.get(f"/v1/runs/{run}"))["waitingFor"]

        (wait,) = await until(parked)

        assert item["decideBy"] is None
        assert (wait["kind"], wait["until"]) == ("item", None)


async def test_a_ruling_to_resend_counts_although_a_task_is_known(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": "unknown-state"})
        item = await mesh.item(run)
        agent.tasks["t-1"]["metadata"]["wanted"]["do"] = "complete"
        await mesh.decide(item, "resend", role="operator")

        async def sent_again() -> bool:
            return agent.runs == 2

        await until(sent_again)
        assert list(agent.ran.values()) == [2]


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_forgotten_task_of_an_idempotent_skill_is_opened_once_more(
    tmp_path: Path, *, streaming: bool
) -> None:
    agent = ScriptedAgent(idempotent=True, streaming=streaming)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": "work"})

        async def waits() -> bool:
            return bool((await mesh.get(f"/v1/runs/{run}"))["state"] == "waiting")

        await until(waits)
        first = agent.tasks.pop("t-1")

        async def opened_again() -> bool:
            return agent.runs == 2

        await until(opened_again)
        await until(waits)
        agent.finish_all()

        assert first["id"] == "t-1"
        assert (await mesh.ended(run))["state"] == "completed"
        assert agent.runs == 2


async def test_a_subscription_that_is_refused_is_no_failure_of_the_step(tmp_path: Path) -> None:
    agent = ScriptedAgent(streaming=True, subscribes=False)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": "work"})

        async def waits() -> bool:
            return bool((await mesh.get(f"/v1/runs/{run}"))["state"] == "waiting")

        await until(waits)
        agent.finish_all()

        assert (await mesh.ended(run))["output"] == {"done": True}
        assert agent.runs == 1


async def test_a_step_under_way_is_told_by_why(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": "work"})

        async def calling() -> Any:
            steps = (await mesh.get(f"/v1/runs/{run}/why"))["steps"]
            return steps[-1]["agent"].get("task") and steps[-1]

        step = await until(calling)
        agent.finish_all()
        await mesh.ended(run)
        after = (await mesh.get(f"/v1/runs/{run}/why"))["steps"]

        assert step["kind"] == "calling"
        assert step["title"] == "Act: vendor was asked, it has the task, no result yet"
        assert [each["kind"] for each in after] == ["started", "called", "completed"]
