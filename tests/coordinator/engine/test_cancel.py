"""A cancellation reaches everything that a run has begun, and tells what it could not stop or undo."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from parley_coordinator.delegation import cancelling

from tests.coordinator.world import CALL, World, until, world
from tests.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

STEP = "{{metadata: {{label: {label}}}, call: 'act:1.0.0@agents', with: {{do: {do}}}, timeout: {{after: {{seconds: 60}}}}}}"


def step(label: str, do: str) -> str:
    return STEP.format(label=label, do=do)


MIXED = f"""\
  - order: {step("Order", "complete")}
  - safe:
      metadata: {{label: Safe}}
      try:
        - reserve: {step("Reserve", "complete")}
        - refused: {step("Refused", "fail")}
      catch:
        do:
          - release: {step("Release", "complete").replace("label: Release", "label: Release, compensates: reserve")}
  - both:
      metadata: {{label: Both}}
      fork:
        branches:
          - long: {step("Long", "work")}
          - below:
              metadata: {{label: Below}}
              run: {{workflow: {{namespace: tests, name: act, version: "1.0.0", input: {{do: work}}}}}}
              timeout: {{after: {{seconds: 60}}}}
"""


async def working(mesh: World, agent: ScriptedAgent, workflow: str, tasks: int) -> str:
    """Start a workflow; return its run once so many tasks are at work."""
    run = await mesh.start(workflow, {"do": "work"})

    async def begun() -> Any:
        states = [task["status"]["state"] for task in agent.tasks.values()]
        return states.count("TASK_STATE_WORKING") == tasks

    await until(begun)
    return run


async def cancel(mesh: World, run: str) -> dict[str, Any]:
    response = await mesh.post(f"/v1/runs/{run}:cancel", {"reason": "a mistake"}, role="operator")
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_a_cancellation_reaches_every_task_and_run_and_tells_what_stays(
    tmp_path: Path,
) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"mixed": MIXED, "act": CALL}, agent) as mesh:
        run = await working(mesh, agent, "mixed", 2)
        answer = await cancel(mesh, run)
        again = await cancel(mesh, run)
        child = (await mesh.get("/v1/runs?workflow=act"))["runs"][0]

    assert answer["state"] == child["state"] == "cancelled"
    told = {each["title"]: (each["state"], each["said"]) for each in answer["effects"]}
    assert told == {
        "Order": ("done", "done, and stays done"),
        "Long": ("cancelled", "TASK_STATE_CANCELED"),
        "Act": ("cancelled", "TASK_STATE_CANCELED"),
    }
    assert answer["effects"][-1]["runId"] == child["id"]
    assert all(each["agent"] == "vendor" and each["task"] for each in answer["effects"])
    assert again["effects"] == answer["effects"]
    assert len(agent.cancelled) == 2


@pytest.mark.parametrize(
    ("behaviour", "state", "said"),
    [
        ("refuses", "running", "vendor could not cancel"),
        ("too-late", "done", "TASK_STATE_COMPLETED"),
    ],
)
async def test_what_could_not_be_cancelled_is_told_with_its_agent_and_task(
    tmp_path: Path, behaviour: str, state: str, said: str
) -> None:
    agent = ScriptedAgent(cancels=behaviour)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await working(mesh, agent, "act", 1)
        (effect,) = (await cancel(mesh, run))["effects"]

    assert (effect["agent"], effect["task"], effect["state"]) == ("vendor", "t-1", state)
    assert said in effect["said"]


async def test_agents_that_do_not_answer_hold_a_cancellation_up_once_and_not_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancelling, "CANCEL_S", 1.0)
    branches = "".join(f"          - b{n}: {step(f'B{n}', 'work')}\n" for n in range(12))
    many = f"  - all:\n      metadata: {{label: All}}\n      fork:\n        branches:\n{branches}"
    agent = ScriptedAgent(cancels="hangs")
    async with world(tmp_path, {"many": many}, agent) as mesh:
        run = await working(mesh, agent, "many", 12)
        began = time.monotonic()
        effects = (await cancel(mesh, run))["effects"]
        took = time.monotonic() - began

    assert took < 12, "one after the other they would take 12 s at least"
    assert [each["state"] for each in effects] == ["running"] * 12
    assert {each["said"] for each in effects} == {
        "vendor could not cancel: no answer in time; it is asked again"
    }
