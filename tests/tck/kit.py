"""The kit itself: its text is not ours and is in no folder of this repository."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REVISIONS = ("origin/1.0-dev", "1.0-dev")
"""A clone has the branch as the first, a mirror as the second."""
PLACE = Path(__file__).parents[2] / ".venv" / "tck"


class KitError(Exception):
    """The kit cannot be made ready, or did not run to its end."""


@dataclass(frozen=True, slots=True)
class Results:
    revision: str
    cases: Counter[str]
    """Of the kit's test cases: passed, failed, skipped, xfailed."""
    requirements: dict[str, dict[str, Any]]
    """By id: level, status, transports (name to status), transport_errors."""
    transports: dict[str, dict[str, int]]
    """By name: total, passed, failed, skipped."""


def prepare(source: Path) -> tuple[Path, str]:
    """Unpack the kit and install it into an environment of its own; once for each revision.

    Args:
        source: A checkout, or a git directory.
    """
    git_dir = source / ".git" if (source / ".git").exists() else source
    revision = next(filter(None, (_revision(git_dir, each) for each in REVISIONS)), "")
    if not revision:
        raise KitError(
            f"{source} has no branch 1.0-dev; is it a git directory of a2aproject/a2a-tck?"
        )
    home = PLACE / revision[:12]
    if not (home / "ready").exists():
        archive = subprocess.run(
            ["git", f"--git-dir={git_dir}", "archive", revision], check=True, capture_output=True
        ).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
            packed.extractall(home / "kit", filter="data")
        print(f"installing the kit into {home}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", home / "venv"], check=True)
        pip = [str(home / "venv/bin/python"), "-m", "pip", "install", "-q", "-e", str(home / "kit")]
        subprocess.run(pip, check=True)
        (home / "ready").touch()
    return home, revision[:12]


def run(home: Path, revision: str, url: str, *, transports: str, log: Path) -> Results:
    """Run the kit against `url`; its own exit code is of no interest."""
    kit = home / "kit"
    reports = kit / "reports"
    for name in ("compatibility.json", "junitreport.xml"):
        (reports / name).unlink(missing_ok=True)
    command = [str(home / "venv/bin/python"), "run_tck.py", "--sut-host", url]
    command += ["--transport", transports]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with log.open("wb") as output:
        subprocess.run(
            command, cwd=kit, check=False, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
    try:
        report = json.loads((reports / "compatibility.json").read_bytes())
        cases = _cases(reports / "junitreport.xml")
    except (OSError, ValueError, ET.ParseError) as exc:
        tail = log.read_text(errors="replace")[-2000:]
        raise KitError(f"the kit wrote no report ({exc}); its log ends with\n{tail}") from exc
    return Results(revision, cases, report["per_requirement"], report["per_transport"])


def _cases(path: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    for case in ET.parse(path).iter("testcase"):  # noqa: S314 - written by the kit that we run
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            counts["failed"] += 1
        elif skipped is not None:
            counts["xfailed" if skipped.get("type") == "pytest.xfail" else "skipped"] += 1
        else:
            counts["passed"] += 1
    return counts


def _revision(git_dir: Path, name: str) -> str:
    command = ["git", f"--git-dir={git_dir}", "rev-parse", "--verify", "-q", f"{name}^{{commit}}"]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()
