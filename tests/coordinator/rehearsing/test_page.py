"""The page about testing workflows: its example runs as printed, and it names every key."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from parley_coordinator.rehearsing.cases import AgentAnswer, CaseBody, Decision
from parley_coordinator.rehearsing.expect import AskedSpec, CallSpec, Expect

PAGE = Path(__file__).parents[3] / "docs" / "testing-workflows.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_the_example_comes_to_what_is_printed(tmp_path: Path) -> None:
    for name, body in re.findall(r"```yaml\n# (\S+)\n(.*?)```", TEXT, re.DOTALL):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body)
    (command, printed), *_ = re.findall(r"```console\n\$ parley (.*?)\n(.*?)```", TEXT, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-m", "parley_coordinator.cli", *command.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert _timeless(done.stdout + done.stderr) == _timeless(printed)


@pytest.mark.parametrize("model", [CaseBody, AgentAnswer, Decision, Expect, CallSpec, AskedSpec])
def test_the_page_names_every_key(model: type[CaseBody]) -> None:
    keys = {field.alias or name for name, field in model.model_fields.items()}

    assert {key for key in keys if not re.search(rf"\b{key}\b", TEXT)} == set()


def _timeless(printed: str) -> str:
    return re.sub(r" *\d+ ms", " ms", printed)
