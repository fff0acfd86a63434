"""A coordinator whose database is a Postgres, through its REST API."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.coordinator.engine.test_events import ANNOUNCE, BY_ORDER, event, listens, send
from tests.coordinator.engine.test_people import ASK
from tests.coordinator.world import CALL, World, until, world
from tests.postgres import server
from tests.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

CHILD = """\
  - other:
      metadata: {label: Run the other one}
      run: {workflow: {namespace: tests, name: announce, version: '1.0.0', input: "${ . }"}}
      timeout: {after: {seconds: 60}}
"""
TICK = """\
  - say: {metadata: {label: Say it}, set: {said: true}}
schedule: {every: {seconds: 1}}
"""
GATHER = """\
  - say: {metadata: {label: Say it}, set: {got: "${ . }"}}
schedule: {on: {all: [{with: {type: com.example.a}}, {with: {type: com.example.b}}]}}
"""


async def started(mesh: World, workflow: str) -> Any:
    return (await mesh.get(f"/v1/runs?workflow={workflow}"))["runs"]


async def test_calls_people_events_children_and_schedules_work_as_in_a_file(
    tmp_path: Path, postgres_url: str
) -> None:
    documents = {
        "call": CALL,
        "ask": ASK,
        "paid": BY_ORDER,
        "announce": ANNOUNCE,
        "parent": CHILD,
        "tick": TICK,
        "both": GATHER,
    }
    vendor = ScriptedAgent(streaming=True)
    env = {"PARLEY_DATABASE_URL": postgres_url}
    async with world(tmp_path, documents, vendor, env=env) as mesh:
        called = await mesh.start("call", {"do": "complete"}, key="once")
        again = await mesh.post(
            "/v1/runs", {"workflow": "call", "input": {"do": "complete"}}, key="once"
        )
        asked = await mesh.start("ask", {"amount": "120.00"})
        paid = await mesh.start("paid", {"order": 7})
        item = await mesh.item(asked, role="approver")
        decisions = await asyncio.gather(
            *(mesh.decide(item, each, values={"costCentre": "4711"}) for each in item["outcomes"])
        )
        await listens(mesh, paid)
        sent = [await send(mesh, event("com.example.paid", 1, {"order": 7})) for _ in range(2)]
        await send(mesh, event("com.example.a", 2, 1), event("com.example.b", 3, 2))
        parent = await mesh.run("parent", {"x": 1})
        ended = [await mesh.ended(each) for each in (called, asked, paid)]

        assert [run["state"] for run in (parent, *ended)] == ["completed"] * 4
        assert again.json()["id"] == called
        assert vendor.runs == 1
        assert sorted(each.status_code for each in decisions) == [200, 409]
        assert [each.json()["accepted"] for each in sent] == [1, 0]
        for workflow in ("tick", "both"):
            await until(partial(started, mesh, workflow))
        for path in ("runs", "items", "workflows"):
            odd = await mesh.http.get(f"{mesh.url}/v1/{path}/%00", headers=mesh.as_role("operator"))
            assert odd.status_code in (400, 404), odd.text
        why = await mesh.get(f"/v1/runs/{paid}/why")
        assert why["run"]["id"] == paid
    assert not (tmp_path / "coordinator.db").exists()


@pytest.mark.crash
async def test_a_restart_of_the_database_in_mid_run_costs_no_run_and_repeats_no_call(
    tmp_path: Path,
) -> None:
    vendor = ScriptedAgent(streaming=True)
    with server() as own:
        env = {"PARLEY_DATABASE_URL": own.create()}
        async with world(tmp_path, {"call": CALL}, vendor, env=env) as mesh:
            runs = [await mesh.start("call", {"do": "work"}) for _ in range(3)]
            await asyncio.to_thread(own.restart, mode="immediate")
            runs += [await mesh.start("call", {"do": "work"}) for _ in range(3)]
            vendor.finish_all()
            ended = [await mesh.ended(run, seconds=60) for run in runs]

    assert [run["state"] for run in ended] == ["completed"] * 6
    assert set(vendor.ran.values()) == {1}
