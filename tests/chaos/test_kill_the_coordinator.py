"""SIGKILL at random moments: every run ends right, and every agent ran every step once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.mesh.invoices import Invoice, Kind, write_seed
from tests.mesh.running import FINAL, RunningMesh, running_mesh

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.crash, pytest.mark.chaos]

RUNS = int(os.environ.get("PARLEY_CHAOS_RUNS", "40"))
KILLS = int(os.environ.get("PARLEY_CHAOS_KILLS", "20"))
KINDS: tuple[Kind, ...] = ("matching", "above", "bank")
STEPS = 6  # capture, order, receipts, supplier, match, and post or block


@pytest.mark.timeout(900)
async def test_killed_at_random_moments_all_runs_end_right_and_nothing_runs_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("PARLEY_CHAOS_SEED", str(time.time_ns() % 1_000_000)))
    dice = random.Random(seed)
    invoices = [Invoice(index, dice.choice(KINDS)) for index in range(RUNS)]
    write_seed(tmp_path / "seed", invoices)
    async with running_mesh(tmp_path / "home", seed=tmp_path / "seed", pace_s=0.1) as mesh:
        began = time.monotonic()
        kills = asyncio.create_task(_kill(mesh, dice))
        runs = await _start_all(mesh, invoices, dice)
        ended = await _decide_until_all_end(mesh, invoices, runs)
        await kills
        took = time.monotonic() - began
        executions, effects = await mesh.executions(), await mesh.effects()

    with capsys.disabled():
        twice = sum(each["runs"] != 1 for each in executions)
        print(
            f"\nseed {seed}: {RUNS} runs, {KILLS} SIGKILLs, {len(executions)} steps,"
            f" {twice} run twice, {took:.0f} s"
        )
    for invoice, run in zip(invoices, runs, strict=True):
        found = ended[run]
        assert found["state"] == "completed", (seed, invoice, found["error"])
        assert found["output"]["invoice"] == invoice.number
        assert found["output"]["decision"] == invoice.outcome
        assert found["output"]["decidedBy"] == invoice.decided_by
    assert [each for each in executions if each["runs"] != 1] == [], seed
    assert len(executions) == RUNS * STEPS, seed
    written = Counter(each["tool"] for each in effects)
    blocked = sum(invoice.outcome == "reject" for invoice in invoices)
    assert written["ap.invoice.capture"] == RUNS, seed
    assert written["ap.invoice.post"] == RUNS - blocked, seed
    assert written["ap.invoice.block"] == blocked, seed


async def _kill(mesh: RunningMesh, dice: random.Random) -> None:
    """Kill the coordinator again and again, a random while after it was healthy."""
    for _ in range(KILLS):
        await asyncio.sleep(dice.uniform(0.05, 1.5))
        await mesh.supervisor.kill("coordinator")
        await mesh.supervisor.start("coordinator")
        await mesh.supervisor.ready("coordinator")


async def _start_all(mesh: RunningMesh, invoices: list[Invoice], dice: random.Random) -> list[str]:
    """Start every run, as a careful caller does: the same key until there is an answer."""
    runs: list[str] = []
    for invoice in invoices:
        while True:
            with contextlib.suppress(httpx.TransportError):
                response = await mesh.start(invoice)
                assert response.status_code in (200, 201), response.text
                runs.append(response.json()["id"])
                break
            await asyncio.sleep(0.1)
        await asyncio.sleep(dice.uniform(0, 0.6))
    return runs


async def _decide_until_all_end(
    mesh: RunningMesh, invoices: list[Invoice], runs: list[str]
) -> dict[str, Any]:
    """Play the approver, and collect the runs as they end."""
    of = dict(zip(runs, invoices, strict=True))
    ended: dict[str, Any] = {}
    deadline = time.monotonic() + 300
    while len(ended) < len(runs):
        assert time.monotonic() < deadline, f"stuck: {set(runs) - set(ended)}"
        with contextlib.suppress(httpx.TransportError):
            for item in (await mesh.get("/v1/items?limit=200", role="approver"))["items"]:
                response = await mesh.decide(item, of[item["runId"]].outcome)
                assert response.status_code in (200, 409), response.text
            for run in runs:
                if run not in ended:
                    found = await mesh.get(f"/v1/runs/{run}")
                    if found["state"] in FINAL:
                        ended[run] = found
        await asyncio.sleep(0.1)
    return ended
