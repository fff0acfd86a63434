"""The specification's own conformance kit, unchanged: `make ctk CTK=...` says where it is.

Not collected with the other tests: its text is not ours, and is in no folder of this repository.
"""

from __future__ import annotations

import asyncio
import atexit
import io
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from pytest_bdd import scenarios, when

from tests.conformance.engine import play_in_engine
from tests.conformance.public_services import services
from tests.conformance.running import Played, Stage, play

FEATURES = "ctk/features"


def _features() -> Path:
    """Return the folder of features of a checkout, or a temporary copy out of a git directory."""
    named = os.environ.get("CTK", "")
    if not named:
        pytest.exit("say where the kit is, a checkout or a git directory: make ctk CTK=...", 2)
    kit = Path(named).resolve()
    if (kit / FEATURES).is_dir():
        return kit / FEATURES
    command = ["git", f"--git-dir={kit}", "archive", "HEAD", FEATURES]
    archive = subprocess.run(command, check=False, capture_output=True)
    if archive.returncode != 0:
        pytest.exit(f"there is no {FEATURES} in {kit}: {archive.stderr.decode().strip()}", 2)
    held = tempfile.TemporaryDirectory()
    atexit.register(held.cleanup)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
        packed.extractall(held.name, filter="data")
    return Path(held.name) / FEATURES


scenarios(str(_features()))


@pytest.fixture
def stage() -> Stage:
    return Stage(servers=services)


@pytest.fixture(autouse=True, params=["interpreter", "coordinator"])
def runner(request: pytest.FixtureRequest) -> str:
    """What runs the kit: the interpreter alone, or a whole coordinator."""
    return str(request.param)


@when("the workflow is executed", target_fixture="played")
def _executed(stage: Stage, runner: str) -> Played:
    if runner == "coordinator":
        return asyncio.run(play_in_engine(stage))
    return asyncio.run(play(stage, "straight"))
