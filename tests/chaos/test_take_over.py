"""Two coordinators on one Postgres: what one was doing when it died, the other finishes."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos.fleet import Fleet, fleet
from tests.chaos.workers import Ledger, Worker
from tests.coordinator.world import World, until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.crash]

LEASE_S = 2
CALL = """\
  - {name}:
      metadata: {{label: Work}}
      call: {skill}:1.0.0@agents
      with: {{do: {do}, run: '${{ $workflow.input.run }}', step: {name}, seconds: {seconds}}}
      timeout: {{after: {{minutes: 5}}}}
"""


def call(name: str, *, skill: str = "act", do: str = "work", seconds: float = 1) -> str:
    return CALL.format(name=name, skill=skill, do=do, seconds=seconds)


DOCUMENTS = {
    "work": call("one", seconds=3) + call("two", seconds=0.2),
    "ask": call("one", do="ask", seconds=0),
    "long": call("one", seconds=60),
}


async def ended(mesh: Fleet, name: str, runs: Sequence[str]) -> list[dict[str, Any]]:
    return [await mesh.worlds[name].ended(run) for run in runs]


@pytest.mark.timeout(180)
async def test_when_a_coordinator_is_killed_or_frozen_another_one_finishes_its_runs(
    tmp_path: Path, postgres_url: str
) -> None:
    ledger = Ledger(tmp_path / "ledger")
    worker = Worker(ledger=ledger)
    env = {"PARLEY_DATABASE_URL": postgres_url, "PARLEY_LEASE_S": str(LEASE_S)}
    async with fleet(tmp_path / "home", DOCUMENTS, [worker], names=("a", "b"), env=env) as mesh:
        a, b = mesh.worlds["a"], mesh.worlds["b"]

        # What one coordinator does, a caller of the other sees, and can stop.
        asked = await a.start("ask", {"run": "asked"})
        seen = asyncio.create_task(_followed(b, asked))
        item = await b.item(asked)
        response = await b.decide(item, "answer", role="operator", values={"text": "yes"})
        assert response.status_code == 200, response.text
        assert (await a.ended(asked))["state"] == "completed"
        assert await asyncio.wait_for(seen, timeout=20) == "completed"
        long = await a.start("long", {"run": "long"})
        await _begun(ledger, 1, "long")
        response = await b.post(f"/v1/runs/{long}:cancel", {}, role="operator")
        assert response.status_code == 200, response.text
        await until(lambda: _cancelled(worker))

        # SIGSTOP for longer than the lease, then SIGCONT.
        frozen = [await b.start("work", {"run": f"frozen-{n}"}) for n in range(5)]
        await _begun(ledger, 5, "frozen")
        starts = mesh.supervisor.starts("b")
        mesh.freeze("b")
        after_freeze = await ended(mesh, "a", frozen)
        mesh.thaw("b")
        await mesh.restarted("b", starts=starts)
        assert [each.startswith("b: ended with status 75 (") for each in mesh.deaths] == [True]
        assert "it ends now" in mesh.log("b")

        # SIGKILL, in the middle of calls; it stays dead.
        killed = [await a.start("work", {"run": f"killed-{n}"}) for n in range(5)]
        await _begun(ledger, 5, "killed")
        await mesh.kill("a")
        after_kill = await ended(mesh, "b", killed)
    ledger.close()

    for run in (*after_freeze, *after_kill):
        assert run["state"] == "completed", run["error"]
    assert set(ledger.counts.values()) == {1}, ledger.counts
    assert len(ledger.counts) == 2 + 2 * (5 + 5)


async def _followed(mesh: World, run: str) -> str:
    """Return the state in which the stream of a run leaves it."""
    last = "{}"
    headers = mesh.as_role("operator")
    async with mesh.http.stream(
        "GET", f"{mesh.url}/v1/runs/{run}/events", headers=headers
    ) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                last = line.removeprefix("data: ")
    return str(json.loads(last)["state"])


async def _cancelled(worker: Worker) -> bool:
    return len(worker.cancelled) > 0


async def _begun(ledger: Ledger, count: int, prefix: str) -> None:
    """Return once so many first steps have begun."""

    async def begun() -> bool:
        return sum(each.run.startswith(prefix) for each in ledger.begun) >= count

    await until(begun)
