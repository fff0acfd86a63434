"""Two coordinators on one Postgres, asked the same things at the same time: each happens once."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos.fleet import Fleet, fleet
from tests.chaos.workers import Ledger, Worker
from tests.coordinator.engine.test_events import BY_ORDER, event, listens, send
from tests.coordinator.engine.test_people import ASK
from tests.coordinator.engine.test_schedules import deploy
from tests.coordinator.world import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

WORK = """\
  - act:
      metadata: {label: Act}
      call: act:1.0.0@agents
      with: {do: work, run: '${ $workflow.input.run }', step: act, seconds: 0.05}
      timeout: {after: {seconds: 60}}
"""
PAIR = """\
  - say: {metadata: {label: Take the pair}, set: {got: "${ [.[].n] }"}}
schedule: {on: {all: [{with: {type: com.example.a}}, {with: {type: com.example.b}}]}}
"""
TICK = """\
  - say: {metadata: {label: Say it}, set: {said: true}}
schedule: {every: {seconds: 1}}
"""


async def test_what_both_are_asked_at_once_happens_once(tmp_path: Path, postgres_url: str) -> None:
    ledger = Ledger(tmp_path / "ledger")
    documents = {"work": WORK, "ask": ASK, "paid": BY_ORDER, "pair": PAIR, "tick": TICK}
    env = {"PARLEY_DATABASE_URL": postgres_url}
    worker = Worker(ledger=ledger)
    async with fleet(tmp_path / "home", documents, [worker], names=("a", "b"), env=env) as mesh:
        await _one_run_for_a_key(mesh)
        await _the_first_decision_wins(mesh)
        await _an_event_reaches_a_run_of_the_other(mesh)
        await _each_event_starts_one_run(mesh)
        await _a_version_deployed_at_one_is_current_at_the_other(mesh)
        await _a_time_that_is_due_starts_one_run(mesh)
    ledger.close()

    assert set(ledger.counts.values()) == {1}
    assert len(ledger.counts) == 8


async def _one_run_for_a_key(mesh: Fleet) -> None:
    a, b = mesh.worlds["a"], mesh.worlds["b"]
    for number in range(8):
        key, body = f"k{number}", {"workflow": "work", "input": {"run": str(number)}}
        both = await asyncio.gather(*(each.post("/v1/runs", body, key=key) for each in (a, b)))
        assert sorted(each.status_code for each in both) == [200, 201]
        assert len({each.json()["id"] for each in both}) == 1
        assert (await b.ended(both[0].json()["id"]))["state"] == "completed"


async def _the_first_decision_wins(mesh: Fleet) -> None:
    a, b = mesh.worlds["a"], mesh.worlds["b"]
    for _ in range(3):
        run = await a.start("ask", {"amount": "1.00"})
        item = await b.item(run, role="approver")
        values = {"costCentre": "4711"}
        both = await asyncio.gather(
            a.decide(item, "approved", values=values), b.decide(item, "rejected", values=values)
        )
        assert sorted(each.status_code for each in both) == [200, 409]
        (won,) = [each.json()["decision"]["outcome"] for each in both if each.status_code == 200]
        assert (await b.ended(run))["output"]["outcome"] == won


async def _an_event_reaches_a_run_of_the_other(mesh: Fleet) -> None:
    a, b = mesh.worlds["a"], mesh.worlds["b"]
    run = await a.start("paid", {"order": 7})
    await listens(b, run)
    paid = event("com.example.paid", 1, {"order": 7})
    both = await asyncio.gather(send(a, paid), send(b, paid))

    assert sorted(each.json()["accepted"] for each in both) == [0, 1]
    assert (await a.ended(run))["output"] == [{"order": 7}]


async def _each_event_starts_one_run(mesh: Fleet) -> None:
    worlds = list(mesh.worlds.values())
    pairs = 10
    given = [(kind, number) for number in range(pairs) for kind in "ab"]
    responses = await asyncio.gather(
        *(
            send(worlds[(at + number) % 2], event(f"com.example.{kind}", 100 + at, {"n": at}))
            for at, (kind, number) in enumerate(given)
        )
    )
    assert {each.status_code for each in responses} == {202}

    async def all_started() -> Any:
        found = await _runs(mesh, "pair")
        return found if [run["state"] for run in found] == ["completed"] * pairs else None

    found = await until(all_started)
    used = [number for run in found for number in run["output"]["got"]]
    assert sorted(used) == list(range(2 * pairs))
    assert all(one % 2 != other % 2 for one, other in (run["output"]["got"] for run in found))


async def _a_version_deployed_at_one_is_current_at_the_other(mesh: Fleet) -> None:
    a, b = mesh.worlds["a"], mesh.worlds["b"]
    await deploy(a, "pair", PAIR.replace("com.example.", "com.example.new."), "1.1.0")
    # At once, and at the other one: it must not still go by the old schedule.
    await send(b, event("com.example.new.a", 201, {"n": 1}))
    await send(b, event("com.example.new.b", 202, {"n": 2}))

    async def new() -> Any:
        return [run for run in await _runs(mesh, "pair") if run["version"] == "1.1.0"]

    assert len(await until(new)) == 1


async def _a_time_that_is_due_starts_one_run(mesh: Fleet) -> None:
    async def several() -> Any:
        found = await _runs(mesh, "tick")
        return found if len(found) >= 3 else None

    found = await until(several)
    times = sorted(datetime.fromisoformat(run["createdAt"]) for run in found)
    # One that comes late may follow the next one closely; over all they are as many as the seconds.
    assert times[-1] - times[0] > timedelta(seconds=len(times) - 2), times


async def _runs(mesh: Fleet, workflow: str) -> list[dict[str, Any]]:
    found = (await mesh.worlds["b"].get(f"/v1/runs?workflow={workflow}&limit=100"))["runs"]
    return [await mesh.worlds["a"].get(f"/v1/runs/{run['id']}") for run in found]
