"""Repair: a new run goes on for one that ended without success, and repeats nothing that was done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.coordinator.world import World, until, world
from tests.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

REASON = "the disk has been emptied"


def call(name: str, given: str, *, indent: int = 2, seconds: int = 60) -> str:
    pad = " " * indent
    return f"""\
{pad}- {name}:
{pad}    metadata: {{label: {name.title()}}}
{pad}    call: act:1.0.0@agents
{pad}    with: {given}
{pad}    timeout: {{after: {{seconds: {seconds}}}}}
"""


HEALS = '{do: fail-until-healed, output: {step: second, of: "${ .step }"}}'
CHAIN = (
    call("first", "{do: complete, output: {step: first}}")
    + call("second", HEALS)
    + call("third", '{do: complete, output: {step: third, of: "${ .of }"}}')
)
FORK = (
    """\
  - gather:
      metadata: {label: Gather}
      fork:
        branches:
"""
    + call("good", "{do: complete, output: {step: good}}", indent=10)
    + call("slow", "{do: work, output: {step: slow}}", indent=10)
    + call("bad", "{do: fail-until-healed, output: {step: bad}}", indent=10)
)
LOOP = """\
  - each:
      metadata: {label: Each}
      for: {each: one, in: '${ [1, 2, 3, 4] }'}
      do:
""" + call(
    "act",
    '{do: "${ if $one == 3 then \\"fail-until-healed\\" else \\"complete\\" end }",'
    ' output: {one: "${ $one }"}}',
    indent=8,
)
RETRIED = (
    """\
  - carefully:
      metadata: {label: Carefully}
      try:
"""
    + call("act", "{do: fail-until-healed, output: {step: act}}", indent=8)
    + """\
      catch:
        errors: {with: {status: 500}}
        retry: {delay: {milliseconds: 1}, limit: {attempt: {count: 2}}}
"""
    + call("after", "{do: complete, output: {step: after}}")
)

PAY = """\
  - carefully:
      metadata: {label: Carefully}
      do:
        - approve:
            metadata: {label: Approve}
            call: human-task:1.0.0@parley
            with:
              title: Pay?
              candidates: ['role:approver']
              excludeActors: ['${ $workflow.requestedBy }']
              outcomes: [approved, rejected]
              proposal: {action: pay}
            timeout: {after: {seconds: 60}}
  - asks:
      metadata: {label: Ask}
      call: decide
      timeout: {after: {seconds: 60}}
use:
  functions:
    decide:
      call: human-task:1.0.0@parley
      with:
        title: Pay?
        candidates: ['role:approver']
        outcomes: [approved, rejected]
        proposal: {action: pay}
"""


async def repair(mesh: World, run: str, *, role: str = "operator", **body: Any) -> Any:
    return await mesh.post(f"/v1/runs/{run}:repair", {"reason": REASON, **body}, role=role)


async def repaired(mesh: World, run: str, **body: Any) -> dict[str, Any]:
    response = await repair(mesh, run, **body)
    assert response.status_code == 201, response.text
    return await mesh.ended(response.json()["id"])


def done(agent: ScriptedAgent) -> list[Any]:
    asked = (task["metadata"]["wanted"].get("output", {}) for task in agent.tasks.values())
    return [output.get("step") for output in asked]


async def sent(agent: ScriptedAgent, number: int) -> None:
    async def all_() -> bool:
        return len(agent.tasks) == number

    await until(all_)


async def test_a_run_goes_on_from_the_step_that_failed_and_repeats_nothing_before_it(
    tmp_path: Path,
) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"chain": CHAIN}, agent) as mesh:
        failed = await mesh.run("chain", {})
        assert failed["state"] == "faulted"
        agent.healed = True
        run = await repaired(mesh, failed["id"])

    assert run["state"] == "completed", run
    assert run["output"] == {"step": "third", "of": "first"}
    assert run["requestedBy"] == failed["requestedBy"]
    assert done(agent) == ["first", "second", "second", "third"]


async def test_both_runs_explain_who_repaired_them_and_why(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"chain": CHAIN}, agent) as mesh:
        failed = await mesh.run("chain", {})
        agent.healed = True
        run = await repaired(mesh, failed["id"])
        old = await mesh.get(f"/v1/runs/{failed['id']}/why")
        new = await mesh.get(f"/v1/runs/{run['id']}/why")

    last, first = old["steps"][-1], new["steps"][0]
    assert last["kind"] == "repaired"
    assert last["person"]["subject"] == first["person"]["subject"]
    assert run["id"] in last["title"]
    assert failed["id"] in first["title"]
    assert REASON in last["title"]
    assert REASON in first["title"]
    assert old["run"]["state"] == "faulted"  # what has been seen to fail stays failed


async def test_of_parallel_branches_only_what_failed_or_was_stopped_is_done_again(
    tmp_path: Path,
) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"fork": FORK}, agent) as mesh:
        failed = await mesh.run("fork", {})
        agent.healed = True
        response = await repair(mesh, failed["id"])
        assert response.status_code == 201, response.text
        await sent(agent, 5)
        agent.finish_all()
        run = await mesh.ended(response.json()["id"])

    assert run["state"] == "completed", run
    assert run["output"] == [{"step": "good"}, {"done": True}, {"step": "bad"}]
    assert sorted(done(agent)) == ["bad", "bad", "good", "slow", "slow"]
    assert agent.cancelled


async def test_a_loop_goes_on_in_the_iteration_that_failed(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"loop": LOOP}, agent) as mesh:
        failed = await mesh.run("loop", {})
        agent.healed = True
        run = await repaired(mesh, failed["id"])

    assert run["output"] == {"one": 4}
    asked = [task["metadata"]["wanted"]["output"]["one"] for task in agent.tasks.values()]
    assert asked == [1, 2, 3, 3, 4]


async def test_attempts_that_were_used_up_are_not_given_again(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"retried": RETRIED}, agent) as mesh:
        failed = await mesh.run("retried", {})
        again = await repaired(mesh, failed["id"])
        assert again["state"] == "faulted"
        assert done(agent) == ["act"] * 4  # three attempts, and the one of the repair
        agent.healed = True
        run = await repaired(mesh, again["id"])

    assert run["output"] == {"step": "after"}
    assert done(agent) == ["act"] * 5 + ["after"]


async def test_a_step_whose_time_ran_out_gets_new_time(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    document = call("act", "{do: work, output: {step: act}}", seconds=4)
    async with world(tmp_path, {"late": document}, agent) as mesh:
        failed = await mesh.run("late", {})
        assert failed["error"]["type"].endswith("/timeout")
        agent.finish_all()
        refused = await repair(mesh, failed["id"])
        assert refused.json()["code"] == "would_run_again"  # nobody knows what it did in its time
        response = await repair(mesh, failed["id"], again=True)
        assert response.status_code == 201, response.text
        await sent(agent, 2)
        agent.finish_all()
        run = await mesh.ended(response.json()["id"])

    assert run["state"] == "completed", run


async def test_a_step_can_be_skipped_with_the_result_that_somebody_has_seen_to(
    tmp_path: Path,
) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"chain": CHAIN}, agent) as mesh:
        failed = await mesh.run("chain", {})
        run = await repaired(mesh, failed["id"], act="skip", output={"of": "by hand"})
        why = await mesh.get(f"/v1/runs/{run['id']}/why")

    assert run["output"] == {"step": "third", "of": "by hand"}
    assert done(agent) == ["first", "second", "third"]
    given = next(step for step in why["steps"] if step["kind"] == "repaired")
    assert given["facts"][0]["value"] == {"of": "by hand"}


async def test_a_skipped_step_without_a_result_passes_on_what_it_was_given(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"chain": CHAIN}, agent) as mesh:
        failed = await mesh.run("chain", {})
        run = await repaired(mesh, failed["id"], act="skip", step="second")

    assert run["output"] == {"step": "third", "of": None}


async def test_an_agent_can_be_called_with_corrected_arguments(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"chain": CHAIN}, agent) as mesh:
        failed = await mesh.run("chain", {})
        corrected = {"do": "complete", "output": {"step": "second", "of": "corrected"}}
        run = await repaired(mesh, failed["id"], arguments=corrected)

    assert run["output"] == {"step": "third", "of": "corrected"}


async def test_what_was_done_is_repeated_only_when_that_is_said(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"chain": CHAIN}, agent) as mesh:
        failed = await mesh.run("chain", {})
        agent.healed = True
        refused = await repair(mesh, failed["id"], step="first")
        assert refused.status_code == 409
        assert refused.json()["code"] == "would_run_again"
        assert refused.json()["steps"] == ["/do/0/first"]
        assert done(agent) == ["first", "second"]
        run = await repaired(mesh, failed["id"], step="first", again=True)

    assert run["state"] == "completed"
    assert done(agent) == ["first", "second", "first", "second", "third"]


async def test_another_input_starts_over_and_says_what_that_repeats(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    document = call("act", "${ . }") + call("then", "{do: fail, output: {step: then}}")
    async with world(tmp_path, {"input": document}, agent) as mesh:
        failed = await mesh.run("input", {"do": "complete", "output": {"step": "wrong"}})
        right = {"do": "complete", "output": {"step": "right"}}
        refused = await repair(mesh, failed["id"], input=right)
        assert refused.json()["code"] == "would_run_again"
        run = await repaired(mesh, failed["id"], input=right, again=True)

    assert run["input"] == right
    assert done(agent) == ["wrong", "then", "right", "then"]


async def test_what_cannot_be_repaired_is_said_before_anything_happens(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    documents = {"chain": CHAIN, "fine": call("act", "${ . }"), "waits": call("act", "{do: work}")}
    async with world(tmp_path, documents, agent) as mesh:
        failed = (await mesh.run("chain", {}))["id"]
        fine = (await mesh.run("fine", {}))["id"]
        waits = await mesh.start("waits", {})
        refusals = {
            "unknown_step": await repair(mesh, failed, step="fourth"),
            "invalid_request": await repair(mesh, failed, output={"no": "skip"}),
            "not_permitted": await repair(mesh, failed, role="requester"),
            "unknown_run": await repair(mesh, "nowhere"),
            "run_finished": await repair(mesh, fine),
            "not_repairable": await repair(mesh, waits),
        }
        assert {code: each.json()["code"] for code, each in refusals.items()} == {
            code: code for code in refusals
        }
        assert done(agent)[:2] == ["first", "second"]
        await repaired(mesh, failed)
        twice = await repair(mesh, failed)
        agent.finish_all()

    assert twice.status_code == 409
    assert twice.json()["code"] == "not_repairable"


async def test_nobody_is_passed_over_who_has_to_decide(tmp_path: Path) -> None:
    async with world(tmp_path, {"pay": PAY}) as mesh:
        run = await mesh.start("pay", {})
        await mesh.item(run)
        await mesh.post(f"/v1/runs/{run}:cancel", {}, role="operator")
        decided = {"outcome": "approved", "by": "approver"}
        refusals = [
            await repair(mesh, run, act="skip", step=step, output=decided)
            for step in ("approve", "carefully", "asks")
        ]
        response = await repair(mesh, run, step="approve")
        asked_again = await mesh.item(response.json()["id"])

    assert [each.json()["code"] for each in refusals] == ["invalid_request"] * 3
    assert asked_again["state"] == "ready"


async def test_after_a_decision_nothing_else_is_done_than_what_was_decided(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    asked = PAY.partition("  - asks:")[0]
    document = asked + call("pay", "{do: fail-until-healed, output: {amount: 10}}")
    async with world(tmp_path, {"pay": document}, agent) as mesh:
        run = await mesh.start("pay", {})
        await mesh.decide(await mesh.item(run, role="approver"), "approved")
        await mesh.ended(run)
        refused = await repair(mesh, run, arguments={"do": "complete", "output": {"amount": 99}})
        agent.healed = True
        paid = await repaired(mesh, run)

    assert refused.json()["code"] == "invalid_request"
    assert "/do/0/carefully/do/0/approve" in refused.json()["detail"]
    assert paid["output"] == {"amount": 10}


async def test_a_cancelled_run_goes_on_with_what_was_left_open(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    document = call("first", "{do: complete, output: {step: first}}") + call(
        "then", "{do: ask, output: {step: then}}"
    )
    async with world(tmp_path, {"asks": document}, agent) as mesh:
        run = await mesh.start("asks", {})
        await mesh.item(run)
        cancelled = await mesh.post(f"/v1/runs/{run}:cancel", {}, role="operator")
        assert cancelled.status_code == 200
        response = await repair(mesh, run)
        assert response.status_code == 201, response.text
        item = await mesh.item(response.json()["id"])
        await mesh.decide(item, "answer", values={"text": "4711"}, role="operator")
        ended = await mesh.ended(response.json()["id"])

    assert ended["state"] == "completed", ended
    assert done(agent) == ["first", "then", "then"]


async def test_stuck_runs_are_those_that_wait_for_an_operator(tmp_path: Path) -> None:
    agent = ScriptedAgent(lists=False)
    documents = {"fine": call("act", "{do: work}"), "lost": call("act", "{do: complete}")}
    async with world(tmp_path, documents, agent) as mesh:
        await mesh.start("fine", {})
        await sent(agent, 1)
        agent.lose_answers = 1
        lost = await mesh.start("lost", {})
        await mesh.item(lost)
        stuck = await mesh.get("/v1/runs?stuck=true")
        agent.finish_all()

    assert [run["id"] for run in stuck["runs"]] == [lost]


async def test_what_a_run_that_was_waited_for_had_done_is_repeated_only_when_that_is_said(
    tmp_path: Path,
) -> None:
    agent = ScriptedAgent()
    documents = {
        "top": """\
  - sub:
      metadata: {label: Sub}
      run: {workflow: {namespace: tests, name: below, version: 1.0.0, input: "${ . }"}}
      timeout: {after: {minutes: 5}}
""",
        "below": call("first", "${ .first }") + call("second", HEALS),
    }
    does, fails = ({"do": what, "output": {"step": "first"}} for what in ("complete", "fail"))
    async with world(tmp_path, documents, agent) as mesh:
        failed = await mesh.run("top", {"first": does})
        refused = await repair(mesh, failed["id"])
        idle = await mesh.run("top", {"first": fails})
        allowed = await repair(mesh, idle["id"])
        agent.healed = True
        run = await repaired(mesh, failed["id"], again=True)

    assert (failed["state"], idle["state"]) == ("faulted", "faulted")
    assert refused.json()["code"] == "would_run_again"
    assert refused.json()["steps"] == ["/do/0/sub"]
    assert allowed.status_code == 201, allowed.text
    assert run["state"] == "completed", run


async def test_tasks_around_what_a_cancelled_run_left_open_get_new_time(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    document = """\
  - block:
      metadata: {label: Block}
      timeout: {after: {seconds: 5}}
      do:
""" + call("then", "{do: ask, output: {step: then}}", indent=8)
    async with world(tmp_path, {"asks": document}, agent) as mesh:
        run = await mesh.start("asks", {})
        began = asyncio.get_running_loop().time()
        await mesh.item(run)
        await mesh.post(f"/v1/runs/{run}:cancel", {}, role="operator")

        async def late() -> bool:
            return asyncio.get_running_loop().time() > began + 5

        await until(late)
        response = await repair(mesh, run, again=True)
        new = response.json()["id"]
        item = await mesh.item(new)
        await mesh.decide(item, "answer", values={"text": "4711"}, role="operator")
        ended = await mesh.ended(new)

    assert ended["state"] == "completed", ended
