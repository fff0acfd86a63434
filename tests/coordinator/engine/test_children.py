"""Workflows that run workflows: through REST, each run with a journal of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from parley_cards.delegation import MAX_DEPTH

from tests.coordinator.world import CALL, World, until, world
from tests.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

PARENT = """\
  - sub:
      metadata: {{label: Run the other workflow}}
      run:
        workflow: {{namespace: tests, name: {name}, version: "{version}", input: "${{ . }}"}}
        await: {awaited}
      timeout: {{after: {{seconds: {seconds}}}}}
"""
DOUBLE = """\
  - double:
      metadata: {label: Double it}
      set: "${ {n: (.n * 2)} }"
"""
BROKEN = """\
  - give up:
      metadata: {label: Give up}
      raise:
        error: {type: "https://example.com/errors/odd", status: 409, title: Odd number}
""".replace("give up", "giveUp")


def parent(name: str, *, version: str = "1.0.0", awaited: str = "true", seconds: int = 60) -> str:
    return PARENT.format(name=name, version=version, awaited=awaited, seconds=seconds)


async def child_of(mesh: World, run: str) -> dict[str, Any]:
    """Return the run that a waiting run waits for."""

    async def waits() -> Any:
        found = await mesh.get(f"/v1/runs/{run}")
        waiting = [each for each in found["waitingFor"] if each["kind"] == "run"]
        return waiting[0] if waiting else None

    waiting = await until(waits)
    found: dict[str, Any] = await mesh.get(f"/v1/runs/{waiting['run']}")
    return found


@pytest.mark.parametrize("version", ["1.0.0", "latest"])
async def test_the_output_of_the_other_workflow_is_the_output_of_the_task(
    tmp_path: Path, version: str
) -> None:
    documents = {"top": parent("double", version=version), "double": DOUBLE}
    async with world(tmp_path, documents) as mesh:
        run = await mesh.run("top", {"n": 21})

        assert run["state"] == "completed", run["error"]
        assert run["output"] == {"n": 42}
        runs = (await mesh.get("/v1/runs?workflow=double"))["runs"]
        assert [each["requestedBy"] for each in runs] == [run["requestedBy"]]


async def test_an_error_of_the_other_workflow_is_the_error_of_the_task(tmp_path: Path) -> None:
    async with world(tmp_path, {"top": parent("broken"), "broken": BROKEN}) as mesh:
        run = await mesh.run("top", {})

        assert run["state"] == "faulted"
        assert run["error"]["title"] == "Odd number"
        assert run["error"]["instance"] == "/do/0/sub"


async def test_a_workflow_that_is_not_waited_for_ends_by_itself(tmp_path: Path) -> None:
    documents = {"top": parent("act", awaited="false"), "act": CALL}
    async with world(tmp_path, documents, ScriptedAgent()) as mesh:
        run = await mesh.run("top", {"do": "ask"})

        assert run["output"] == {"do": "ask"}
        child = (await mesh.get("/v1/runs?workflow=act"))["runs"][0]
        item = await mesh.item(child["id"])
        await mesh.decide(item, "answer", role="operator", values={"text": "yes"})
        assert (await mesh.ended(child["id"]))["state"] == "completed"


async def test_a_workflow_that_is_not_there_is_refused_before_anything_starts(
    tmp_path: Path,
) -> None:
    wanted = parent("double", version="9.9.9")
    async with world(tmp_path, {"top": wanted, "double": DOUBLE}) as mesh:
        response = await mesh.post("/v1/runs", {"workflow": "top", "input": {"n": 1}})

        assert response.status_code == 400
        assert response.json()["findings"][0]["rule"] == "unknown-version"


async def test_cancelling_a_run_cancels_what_it_waits_for(tmp_path: Path) -> None:
    async with world(tmp_path, {"top": parent("act"), "act": CALL}, ScriptedAgent()) as mesh:
        run = await mesh.start("top", {"do": "ask"})
        child = await child_of(mesh, run)
        await mesh.item(child["id"])
        await mesh.post(f"/v1/runs/{run}:cancel", {"reason": "changed my mind"})

        assert (await mesh.ended(child["id"]))["state"] == "cancelled"
        assert (await mesh.get(f"/v1/items?run={child['id']}"))["items"] == []


async def test_a_child_that_is_cancelled_is_an_error_of_its_parent(tmp_path: Path) -> None:
    async with world(tmp_path, {"top": parent("act"), "act": CALL}, ScriptedAgent()) as mesh:
        run = await mesh.start("top", {"do": "ask"})
        child = await child_of(mesh, run)
        await mesh.post(f"/v1/runs/{child['id']}:cancel", {"reason": "no"})
        ended = await mesh.ended(run)

        assert ended["state"] == "faulted"
        assert ended["error"]["title"] == "act was cancelled"


async def test_a_deadline_ends_the_wait_and_the_child(tmp_path: Path) -> None:
    documents = {"top": parent("act", seconds=4), "act": CALL}
    async with world(tmp_path, documents, ScriptedAgent()) as mesh:
        run = await mesh.start("top", {"do": "ask"})
        ended = await mesh.ended(run)

        assert ended["error"]["status"] == 408
        child = (await mesh.get("/v1/runs?workflow=act"))["runs"][0]
        assert (await mesh.ended(child["id"]))["state"] == "cancelled"


async def test_workflows_that_run_each_other_end_at_a_depth(tmp_path: Path) -> None:
    documents = {"ping": parent("pong"), "pong": parent("ping")}
    async with world(tmp_path, documents) as mesh:
        run = await mesh.run("ping", {}, seconds=60)

        assert run["state"] == "faulted"
        assert f"more than {MAX_DEPTH} workflows" in run["error"]["detail"]


async def test_why_names_the_run_that_was_started(tmp_path: Path) -> None:
    async with world(tmp_path, {"top": parent("double"), "double": DOUBLE}) as mesh:
        run = await mesh.run("top", {"n": 1})
        why = await mesh.get(f"/v1/runs/{run['id']}/why")

        titles = [step["title"] for step in why["steps"]]
        assert "Run the other workflow: started double 1.0.0" in titles
