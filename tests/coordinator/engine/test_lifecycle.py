"""What happened in a run, as CloudEvents of the workflow language."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_coordinator.engine.lifecycle import lifecycle
from parley_coordinator.model import Entry, Run, RunState
from parley_coordinator.workflow.cloudevents import problems

from tests.coordinator.engine.test_events import listens
from tests.coordinator.world import CALL, World, until, world
from tests.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

PREFIX = "io.serverlessworkflow."
ENDS = [f"{PREFIX}workflow.{what}.v1" for what in ("completed", "faulted", "cancelled")]
WATCH = """\
  - ended:
      metadata: {label: Another workflow has ended}
      listen:
        to:
          any:
            - with: {type: io.serverlessworkflow.workflow.completed.v1, source: /tests/act/.*}
            - with: {type: io.serverlessworkflow.workflow.faulted.v1}
            - with: {type: io.serverlessworkflow.workflow.cancelled.v1}
      timeout: {after: {seconds: 60}}
"""
EVERYTHING = """\
  - all:
      metadata: {label: Whatever comes}
      listen: {to: {any: []}}
      timeout: {after: {seconds: 60}}
"""


async def told(mesh: World, run: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await mesh.get(f"/v1/runs/{run}/lifecycle")
    return found


async def test_the_life_of_a_run_is_told_in_order_and_always_the_same(tmp_path: Path) -> None:
    async with world(tmp_path, {"act": CALL}, ScriptedAgent()) as mesh:
        run = await mesh.run("act", {"do": "complete", "output": {"n": 1}})
        first, again = await told(mesh, run["id"]), await told(mesh, run["id"])
        log = (await mesh.get("/v1/events"))["events"]

        assert [each["type"].removeprefix(PREFIX) for each in first] == [
            "workflow.started.v1",
            "task.started.v1",
            "task.completed.v1",
            "workflow.completed.v1",
        ]
        assert first == again
        assert first[0]["data"]["name"] == f"{run['id']}.tests"
        assert first[1]["data"]["task"] == "/do/0/act"
        assert first[-1]["data"]["output"] == run["output"]
        assert {each["source"] for each in first} == {"/tests/act/1.0.0"}
        assert log == [], "nobody asked for them"


async def test_a_run_that_fails_tells_its_error(tmp_path: Path) -> None:
    async with world(tmp_path, {"act": CALL}, ScriptedAgent()) as mesh:
        run = await mesh.run("act", {"do": "fail"})
        task, workflow = (await told(mesh, run["id"]))[-2:]

        assert task["type"] == f"{PREFIX}task.faulted.v1"
        assert workflow["type"] == f"{PREFIX}workflow.faulted.v1"
        assert workflow["data"]["error"] == run["error"]


@pytest.mark.parametrize("how", ["complete", "fail", "cancel"])
async def test_a_workflow_may_wait_for_the_end_of_another(tmp_path: Path, how: str) -> None:
    documents = {"act": CALL, "watch": WATCH, "everything": EVERYTHING}
    async with world(tmp_path, documents, ScriptedAgent()) as mesh:
        waiting = await mesh.start("watch", {})
        deaf = await mesh.start("everything", {})
        await listens(mesh, waiting)
        await listens(mesh, deaf)
        run = await mesh.start("act", {"do": "work" if how == "cancel" else how})
        if how == "cancel":
            await mesh.post(f"/v1/runs/{run}:cancel", {})
        (data,) = (await mesh.ended(waiting))["output"]
        (end,) = (each for each in await told(mesh, run) if each["type"] in ENDS)

        async def delivered() -> Any:
            return [each["event"] for each in (await mesh.get("/v1/events"))["events"]]

        events = await until(delivered)
        assert data["name"] == f"{run}.tests"
        assert end in events, "the same event, read from the journal"
        assert (await mesh.get(f"/v1/runs/{deaf}"))["state"] == "waiting", (
            "only who names their type hears of other workflows"
        )


KINDS = st.sampled_from(
    [
        *("started", "intended", "observed", "failed", "cancelled", "asked.1", "asked.1.expired"),
        *("answered.1", "emitted", "listening", "heard", "unheard", "retrying", "time.started"),
        *("completed", "faulted", "event:x", "checkpoint", "child", "chose", "note"),
    ]
)
PLACES = st.tuples(
    st.sampled_from(["", "/do/0/a", "/do/1/b"]), st.sampled_from(["1", "1.2", "1~2"]), KINDS
)


@given(st.lists(PLACES, unique=True))
def test_whatever_is_in_a_journal_makes_events_each_with_an_id_of_its_own(
    keys: list[tuple[str, str, str]],
) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    body = {"error": {"type": "about:blank", "status": 500}, "output": None}
    entries = [
        Entry(run_id="r", seq=n, path=path, attempt=attempt, kind=kind, at=at, body=body)
        for n, (path, attempt, kind) in enumerate(keys, start=1)
        if path or attempt == "1"
    ]
    run = Run(
        id="r",
        workflow="w",
        version="1.0.0",
        digest="",
        state=RunState.RUNNING,
        input=None,
        output=None,
        error=None,
        waiting_for=[],
        requested_by="requester",
        created_at=at,
        updated_at=at + timedelta(1),
    )
    found = lifecycle(run, "tests", entries)

    assert [problems(each) for each in found] == [[]] * len(found)
    assert len({each["id"] for each in found}) == len(found)
