"""`parley up` with all its processes, used as a person and as a foreign program would."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from parley_coordinator.cli.errors import MeshError
from parley_coordinator.cli.mesh import Mesh, find_workflows, open_mesh

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "workflows" / "invoice-exception" / "samples"


def free_base() -> int:
    """A port base at which all processes find their port free.

    Below 32768, where Linux takes the ports of outgoing connections from.
    """
    while True:
        base = 10_000 + secrets.randbelow(20_000)
        mesh = Mesh(home=Path(), workflows=Path(), token="", port_base=base)
        with contextlib.suppress(MeshError):
            mesh.check_ports()
            return base


async def ended(*argv: str, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *argv,
        env=os.environ | (env or {}),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(120):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@dataclass
class Up:
    process: asyncio.subprocess.Process
    url: str
    home: Path
    said: str = ""

    async def until(self, words: str) -> None:
        """Read on until `words` were said."""
        assert self.process.stderr is not None
        async with asyncio.timeout(180):
            while words not in self.said:
                line = await self.process.stderr.readline()
                assert line, f"ended without {words!r}: {self.said}"
                self.said += line.decode()

    async def parley(self, *words: str) -> Any:
        env = {"PARLEY_URL": self.url, "PARLEY_HOME": str(self.home)}
        status, out, err = await ended("-m", "parley_coordinator.cli", *words, "-ojson", env=env)
        assert status == 0, err
        return json.loads(out)

    def tokens(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.home / "tokens.json").read_text())
        return found


@contextlib.asynccontextmanager
async def up(home: Path, *words: str) -> AsyncIterator[Up]:
    base = free_base()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "parley_coordinator.cli", "up", "--home", str(home), "--port-base", str(base)),
        *("--workflows", str(find_workflows()), *words),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Up(process, f"http://127.0.0.1:{base}", home)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        async with asyncio.timeout(60):
            await process.communicate()


async def test_a_mesh_comes_up_works_heals_and_goes_down(tmp_path: Path) -> None:
    async with up(tmp_path / "home") as mesh:
        await mesh.until("try: parley run")
        invoice = f"invoice=@{SAMPLES / 'matching.xml'}"
        agents = await mesh.parley("agents")
        run = await mesh.parley("run", "invoice-exception", "--wait", "--set", invoice)
        why = await mesh.parley("why", run["id"])

        assert {agent["name"] for agent in agents} == {"documents", "matching", "posting"}
        assert {agent["health"] for agent in agents} == {"up"}
        assert (run["state"], run["output"]["decision"]) == ("completed", "approve")
        assert any(step["agent"].get("name") == "matching" for step in why["steps"])

        foreign = await ended(
            str(ROOT / "docs" / "examples" / "foreign_client.py"),
            f"{mesh.url}/workflows/invoice-exception",
            str(SAMPLES / "above-tolerance.xml"),
            *("--requester", mesh.tokens()["requester"]),
            *("--approver", mesh.tokens()["approver"]),
        )

        assert foreign[0] == 0, foreign[2]
        assert "TASK_STATE_INPUT_REQUIRED" in foreign[2]
        assert json.loads(foreign[1])["decidedBy"] == "approver"

        listed = (tmp_path / "home" / "logs").iterdir()
        assert {log.stem for log in listed} >= {"registry", "erp", "coordinator", *AGENTS}

        async with httpx.AsyncClient() as http:
            healthy = [(await http.get(f"{url}/healthz")).status_code for url in addresses(mesh)]
        assert healthy == [200] * 6

        mesh.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(60):
            status = await mesh.process.wait()

        assert status == 0
        async with httpx.AsyncClient() as http:
            with pytest.raises(httpx.ConnectError):
                await http.get(f"{mesh.url}/healthz")


AGENTS = ("documents", "matching", "posting")


def addresses(mesh: Up) -> list[str]:
    base = int(mesh.url.rpartition(":")[2])
    return [f"http://127.0.0.1:{base + offset}" for offset in (0, 1, 10, 11, 12, 13)]


async def test_a_second_mesh_on_the_same_ports_is_refused_before_it_starts(tmp_path: Path) -> None:
    base = free_base()
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", base + 1)
    async with server:
        status, out, err = await ended(
            *("-m", "parley_coordinator.cli", "up", "--home", str(tmp_path)),
            *("--port-base", str(base)),
        )

    assert (status, out) == (7, "")
    assert f"port {base + 1} for registry is taken" in err
    assert not (tmp_path / "logs").exists()


async def test_a_second_mesh_in_the_same_home_is_refused_before_it_starts(tmp_path: Path) -> None:
    with open_mesh(tmp_path, workflows=find_workflows()).alone():
        status, out, err = await ended(
            *("-m", "parley_coordinator.cli", "up", "--home", str(tmp_path)),
            *("--port-base", str(free_base())),
        )

    assert (status, out) == (6, "")
    assert "[mesh_running]" in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "logs").exists()


async def test_a_permanent_mistake_is_told_before_anything_starts(tmp_path: Path) -> None:
    status, out, err = await ended(
        *("-m", "parley_coordinator.cli", "up", "--home", str(tmp_path)),
        *("--workflows", "/nope"),
    )

    assert (status, out) == (2, "")
    assert "/nope" in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "logs").exists()


async def test_a_second_coordinator_on_a_home_ends_with_one_line(tmp_path: Path) -> None:
    with (tmp_path / "queue.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        status, out, err = await ended(
            *("-m", "parley_coordinator", "--home", str(tmp_path), "--port", "0"),
            *("--workflows", str(find_workflows())),
        )

    assert (status, out) == (6, "")
    assert err.startswith("coordinator: database_in_use: another coordinator")
    assert len(err.splitlines()) == 1


async def test_the_example_uses_the_sdk_and_nothing_of_ours() -> None:
    example = (ROOT / "docs" / "examples" / "foreign_client.py").read_text()

    imports = [line for line in example.splitlines() if line.startswith(("import ", "from "))]
    assert imports
    assert not any("parley" in line for line in imports)


async def test_a_mesh_keeps_its_runs_on_postgres_and_the_doctor_finds_it_well(
    tmp_path: Path, postgres_url: str
) -> None:
    async with up(tmp_path / "home", "--database-url", postgres_url) as mesh:
        await mesh.until("try: parley run")
        invoice = f"invoice=@{SAMPLES / 'matching.xml'}"
        run = await mesh.parley("run", "invoice-exception", "--wait", "--set", invoice)
        port = int(mesh.url.rpartition(":")[2])
        _, out, _ = await ended(
            *("-m", "parley_coordinator.cli", "doctor", "-ojson", "--home", str(mesh.home)),
            *("--database-url", postgres_url, "--registry", f"http://127.0.0.1:{port + 1}"),
        )

    assert (run["state"], run["output"]["decision"]) == ("completed", "approve")
    found = json.loads(out)["findings"]
    # The server for tests does not care for a loss of power.
    unwell = [each for each in found if each["status"] != "ok" and each["check"] != "durability"]
    assert unwell == []
    assert next(each["what"] for each in found if each["check"] == "leases").endswith("s ago")
    assert not (tmp_path / "home" / "coordinator.db").exists()
