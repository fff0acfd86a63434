"""Every sample invoice through the whole mesh: processes, A2A, MCP, a person's decision, why."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from parley_coordinator.cli.mesh import find_workflows

from tests.coordinator.world import until
from tests.mesh.running import FINAL, RunningMesh, running_mesh

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

SAMPLES = find_workflows() / "invoice-exception" / "samples"

EXPECTED = {
    # sample: (rule, who decides, what the approver says, what becomes of it)
    "matching": ("all-checks-passed", "policy", None, "posted"),
    "above-tolerance": ("unit-price", "approver", "approve", "posted"),
    "quantity-over-receipt": ("receipt", "approver", "approve", "posted"),
    "missing-order": ("order", "approver", "approve", "posted"),
    "tax-error": ("tax", "approver", "approve", "posted"),
    "bank-changed": ("bank-account", "approver", "reject", "blocked"),
    "duplicate": ("duplicate", "approver", "reject", "blocked"),
    "blocked-supplier": ("supplier", "approver", "reject", "blocked"),
}

HOSTILE = {
    "not XML": "Dear Sir or Madam, please pay",
    "an entity": '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Invoice>&e;</Invoice>',
    "an amount like 1e3": (SAMPLES / "matching.xml").read_text().replace("2380.00", "2.38e3"),
}


async def start(mesh: RunningMesh, invoice: str) -> str:
    response = await mesh.http.post(
        f"{mesh.url}/v1/runs",
        json={"workflow": "invoice-exception", "input": {"invoice": invoice}},
        headers=mesh.header("requester"),
    )
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


async def ended(mesh: RunningMesh, run: str) -> dict[str, Any]:
    async def over() -> Any:
        found = await mesh.get(f"/v1/runs/{run}")
        return found if found["state"] in FINAL else None

    found: dict[str, Any] = await until(over, seconds=60)
    return found


async def through(mesh: RunningMesh, sample: str, says: str | None) -> dict[str, Any]:
    run = await start(mesh, (SAMPLES / f"{sample}.xml").read_text())
    if says is not None:

        async def asked() -> Any:
            return (await mesh.get(f"/v1/items?run={run}", role="approver"))["items"]

        (item,) = await until(asked, seconds=60)
        response = await mesh.decide(item, says)
        assert response.status_code == 200, response.text
    return await ended(mesh, run)


async def test_every_sample_ends_as_its_readme_says_and_can_be_explained(tmp_path: Path) -> None:
    async with running_mesh(tmp_path) as mesh:
        results = await asyncio.gather(
            *(through(mesh, sample, says) for sample, (_, _, says, _) in EXPECTED.items())
        )
        why = await mesh.get(f"/v1/runs/{results[1]['id']}/why", role="auditor")
        refused = {
            name: await ended(mesh, await start(mesh, document))
            for name, document in HOSTILE.items()
        }
        effects = await mesh.effects()
        agents = (await mesh.get("/v1/agents"))["agents"]

    for (sample, (rule, decider, _, state)), run in zip(EXPECTED.items(), results, strict=True):
        assert run["state"] == "completed", (sample, run["error"])
        assert run["output"]["rule"] == rule, sample
        assert run["output"]["decidedBy"] == decider, sample
        assert run["output"]["posting"]["state"] == state, sample
    for name, run in refused.items():
        assert run["state"] == "faulted", name
        assert run["error"]["instance"] == "/do/0/capture/try/0/captureInvoice", name
        assert "passwd" not in str(run["error"]), name
    assert sum(effect["tool"] == "ap.invoice.capture" for effect in effects) == len(EXPECTED)
    assert {agent["name"] for agent in agents} == {"documents", "matching", "posting"}
    _check_why(why)


def _check_why(why: dict[str, Any]) -> None:
    """It names the path, the rule, the compared values with their source, agents and person."""
    steps = why["steps"]
    assert [step["kind"] for step in steps] == [
        *("started", "called", "called", "called", "called", "called"),
        *("chose", "asked", "decided", "chose", "called", "completed"),
    ]
    match = next(step for step in steps if step["path"].endswith("/matchInvoice"))
    compared = {fact["name"]: (fact["value"], fact["source"]) for fact in match["facts"]}
    assert match["rule"] == "unit-price"
    assert match["agent"]["name"] == "matching"
    assert match["agent"]["card"].startswith("sha256:")
    assert compared["line 1: unit price"][0] == "89.60"
    assert compared["line 1: unit price"][1].startswith("erp:ap.invoice.get/")
    assert compared["order line 1: unit price"] == ("80.00", "erp:ap.order.get/PO-1002")
    decided = next(step for step in steps if step["kind"] == "decided")
    asked = next(step for step in steps if step["kind"] == "asked")
    assert decided["person"]["subject"] == "approver"
    assert decided["person"]["digest"].startswith("sha256:")
    assert asked["person"]["excluded"] == ["requester"]
