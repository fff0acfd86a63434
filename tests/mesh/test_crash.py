"""SIGKILL of real processes at chosen moments; `make chaos` does it at random ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.coordinator.world import until
from tests.mesh.invoices import Invoice, write_seed
from tests.mesh.running import FINAL, RunningMesh, running_mesh

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.crash, pytest.mark.timeout(240)]

WORKING = "TASK_STATE_WORKING"
PACE_S = 1.5
"""How long a step of an agent takes: long enough to be seen and killed in the middle of it."""


async def begin(mesh: RunningMesh, invoice: Invoice) -> str:
    response = await mesh.start(invoice)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


async def item_of(mesh: RunningMesh, run: str) -> dict[str, Any]:
    async def asked() -> Any:
        return (await mesh.get(f"/v1/items?run={run}", role="approver"))["items"]

    (item,) = await until(asked)
    found: dict[str, Any] = item
    return found


async def ended(mesh: RunningMesh, run: str) -> dict[str, Any]:
    async def over() -> Any:
        found = await mesh.get(f"/v1/runs/{run}")
        return found if found["state"] in FINAL else None

    found: dict[str, Any] = await until(over, seconds=60)
    return found


async def at_work(mesh: RunningMesh, agent: str) -> None:
    async def working() -> bool:
        return any(
            each["agent"] == agent and each["state"] == WORKING for each in await mesh.executions()
        )

    await until(working)


async def posted(mesh: RunningMesh) -> int:
    """Return how many invoices the system of record has posted."""
    return sum(effect["tool"] == "ap.invoice.post" for effect in await mesh.effects())


async def restart(mesh: RunningMesh, name: str) -> None:
    await mesh.supervisor.kill(name)
    await mesh.supervisor.start(name)
    await mesh.supervisor.ready(name)


async def test_what_is_killed_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    invoices = [Invoice(1, "matching"), Invoice(2, "above"), Invoice(3, "matching")]
    write_seed(tmp_path / "seed", invoices)
    async with running_mesh(tmp_path / "home", seed=tmp_path / "seed", pace_s=PACE_S) as mesh:
        await _a_killed_coordinator(mesh, *invoices[:2])
        await _a_killed_agent(mesh, invoices[2])


async def _a_killed_coordinator(mesh: RunningMesh, working: Invoice, waiting: Invoice) -> None:
    """Once in the middle of an agent's step, once while a person is asked, once after the answer."""
    asked = await begin(mesh, waiting)
    item = await item_of(mesh, asked)
    busy = await begin(mesh, working)
    await at_work(mesh, "documents")
    await restart(mesh, "coordinator")
    again = await item_of(mesh, asked)
    response = await mesh.decide(again, "approve")
    await at_work(mesh, "posting")
    await restart(mesh, "coordinator")
    repeated = await mesh.start(waiting)
    results = [await ended(mesh, run) for run in (busy, asked)]
    executions = await mesh.executions()

    assert response.status_code == 200, response.text
    assert (again["id"], again["digest"]) == (item["id"], item["digest"])
    assert (repeated.status_code, repeated.json()["id"]) == (200, asked)
    assert [run["state"] for run in results] == ["completed", "completed"]
    assert [run["output"]["decidedBy"] for run in results] == ["policy", "approver"]
    assert [each for each in executions if each["runs"] != 1] == []
    assert len(executions) == 12
    assert await posted(mesh) == 2


async def _a_killed_agent(mesh: RunningMesh, invoice: Invoice) -> None:
    """It takes its task up again: its own account says that it began twice, the ERP was written once."""
    before = await mesh.executions()
    run = await begin(mesh, invoice)
    await at_work(mesh, "posting")
    await restart(mesh, "posting")
    result = await ended(mesh, run)
    posting = [
        each
        for each in await mesh.executions()
        if each["agent"] == "posting" and each["taskId"] not in {old["taskId"] for old in before}
    ]

    assert result["state"] == "completed"
    assert [each["runs"] for each in posting] == [2]
    assert await posted(mesh) == 3
