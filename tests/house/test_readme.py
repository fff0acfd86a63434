"""The first screen of the README, typed in as it stands, against a mesh started as it says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.sources import ROOT, text
from tests.ports import is_free

URL = "http://127.0.0.1:8420"
HOME = ".parley/"
OFFSETS = (0, 1, 10, 11, 12, 13)
START_S = 150


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """`parley up` as a process of its own: the coordinator's address, and the home."""
    base, home, said = _free_ports(), tmp_path / "home", tmp_path / "up.log"
    where = ("--home", str(home), "--port-base", str(base))
    with said.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "parley_coordinator.cli", "up", *where],
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
        try:
            deadline = time.monotonic() + START_S
            while "\nREST " not in said.read_text():
                assert process.poll() is None, said.read_text()
                assert time.monotonic() < deadline, said.read_text()
                time.sleep(0.1)
            yield f"http://127.0.0.1:{base}", home
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


@pytest.mark.timeout(240)
def test_the_first_screen_starts_a_run_sees_it_wait_decides_it_and_reads_why(
    mesh: tuple[str, Path],
) -> None:
    url, home = mesh
    (block,) = re.findall(r"^```bash\n(.*?)^```", text("README.md"), re.MULTILINE | re.DOTALL)
    assert URL in block
    assert HOME in block
    script = block.replace(URL, url).replace(HOME, f"{home}/")

    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        cwd=ROOT,
        env={"PATH": f"{Path(sys.executable).parent}:{os.defpath}", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    told, _, explained = done.stdout.partition("\n{\n")
    assert "Post invoice NW-2055" in told
    assert "12.00 %) above 80.00" in told
    assert told.splitlines()[-2:] == ["decided", "applied"]
    why = json.loads("{" + explained)
    assert why["run"]["state"] == "completed"
    assert [step["person"]["subject"] for step in why["steps"] if step["kind"] == "decided"] == [
        "approver"
    ]
    assert why["steps"][-1]["kind"] == "completed"


def _free_ports() -> int:
    """A base from which all ports of a mesh are free at this moment.

    Below 32768, where Linux takes the ports of outgoing connections from.
    """
    for base in range(10_000 + os.getpid() % 1_000 * 20, 30_000, 20):
        if all(is_free(base + offset) for offset in OFFSETS):
            return base
    raise AssertionError("no free ports")
