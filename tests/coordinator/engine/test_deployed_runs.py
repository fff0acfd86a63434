"""Runs and the A2A face while versions come and go, in a whole mesh."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.coordinator.engine.test_people import ASK
from tests.coordinator.world import CALL, DOCUMENT, World, world
from tests.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

CHANGED = ASK + "  - after:\n      metadata: {label: After}\n      set: {changed: true}\n"
YAML = {"content-type": "application/yaml"}


async def deploy(
    mesh: World, name: str, tasks: str, version: str, *, path: str = "/v1/workflows"
) -> httpx.Response:
    return await mesh.http.post(
        mesh.url + path,
        content=DOCUMENT.format(name=name, version=version, tasks=tasks),
        headers=mesh.as_role("operator") | YAML,
    )


async def test_a_run_under_way_stays_on_its_version_whatever_happens_to_that(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, {"ask": ASK}) as mesh:
        run = await mesh.start("ask", {"amount": "7.00"})
        item = await mesh.item(run)
        await deploy(mesh, "ask", CHANGED, "1.1.0")
        deprecated = await mesh.post(
            "/v1/workflows/ask/versions/1.0.0:deprecate", {}, role="operator"
        )
        refused = await mesh.post(
            "/v1/runs", {"workflow": "ask", "input": {"amount": "1"}, "version": "1.0.0"}
        )
        new = await mesh.start("ask", {"amount": "7.00"})
        await mesh.decide(item, "approved")
        await mesh.decide(await mesh.item(new), "approved")

        assert deprecated.json()["state"] == "deprecated"
        assert (refused.status_code, refused.json()["code"]) == (409, "version_deprecated")
        assert (await mesh.ended(run))["output"]["outcome"] == "approved"
        assert (await mesh.ended(new))["output"] == {"changed": True}


async def test_a_key_gives_its_run_again_after_its_version_was_deprecated(tmp_path: Path) -> None:
    async with world(tmp_path, {"ask": ASK}) as mesh:
        body = {"workflow": "ask", "input": {"amount": "7.00"}, "version": "1.0.0"}
        first = await mesh.post("/v1/runs", body, key="k")
        await deploy(mesh, "ask", CHANGED, "1.1.0")
        await mesh.post("/v1/workflows/ask/versions/1.0.0:deprecate", {}, role="operator")
        again = await mesh.post("/v1/runs", body, key="k")
        other = await mesh.post("/v1/runs", {**body, "version": "1.1.0"}, key="k")

        assert (first.status_code, again.status_code) == (201, 200)
        assert again.json()["id"] == first.json()["id"]
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


async def test_a_roll_back_survives_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path, {"ask": ASK}):
        pass
    async with world(tmp_path, {"ask": CHANGED}, version="1.1.0") as mesh:
        back = await mesh.post("/v1/workflows/ask:roll-back", {}, role="operator")
    async with world(tmp_path, {"ask": CHANGED}, version="1.1.0") as mesh:
        card = await mesh.http.get(f"{mesh.url}/workflows/ask/.well-known/agent-card.json")
        run = await mesh.start("ask", {"amount": "7.00"})

        assert back.json()["version"] == "1.0.0"
        assert card.json()["version"] == "1.0.0"
        assert (await mesh.get(f"/v1/runs/{run}"))["version"] == "1.0.0"


async def test_a_file_that_changed_without_a_new_version_stops_the_start_with_one_line(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, {"ask": ASK}):
        pass
    file = tmp_path / "workflows" / "ask" / "workflow.yaml"
    file.write_text(DOCUMENT.format(name="ask", version="1.0.0", tasks=CHANGED))

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "parley_coordinator", "--home", str(tmp_path), "--port", "0"),
        *("--workflows", str(tmp_path / "workflows")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()

    assert (process.returncode, out) == (6, b"")
    assert err.decode() == (
        f"coordinator: version_taken: {file}: ask 1.0.0 is deployed with other content;"
        " raise `document.version` and deploy again\n"
    )


async def test_a_deploy_is_checked_against_the_agents_that_there_are(tmp_path: Path) -> None:
    async with world(tmp_path, {"ask": ASK}) as mesh:
        alone = await deploy(mesh, "act", CALL, "1.0.0")
    async with world(tmp_path, {"ask": ASK}, ScriptedAgent()) as mesh:
        checked = await deploy(mesh, "act", CALL, "1.0.0", path="/v1/workflows:check")
        joined = await deploy(mesh, "act", CALL, "1.0.0")
        ended = await mesh.run("act", {"do": "complete"})

        assert (alone.status_code, alone.json()["code"]) == (400, "invalid_workflow")
        assert [each["rule"] for each in alone.json()["findings"]] == ["unknown-function"]
        assert checked.json()["findings"] == []
        assert joined.status_code == 201
        assert (ended["state"], ended["version"]) == ("completed", "1.0.0")
