"""The kit finds what it is there to find, in an orchestrator that is known to be bad at it."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from parley_torture.adapters import argv_of
from parley_torture.errors import AdapterError, TortureError
from parley_torture.orchestrator import Orchestrator
from parley_torture.protocol import read_hello, read_look
from parley_torture.report import compared, from_json, markdown, to_json
from parley_torture.running import torture
from parley_torture.scenarios import SCENARIOS
from parley_torture.verdict import Result

from tests.torture import naive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parley_torture.report import Report
    from parley_torture.verdict import Verdict

pytestmark = pytest.mark.anyio

NAIVE = (sys.executable, str(Path(naive.__file__)))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The agents break off answers on purpose; their server logs each."""
    log = logging.getLogger("uvicorn.error")
    before = log.level
    log.setLevel(logging.CRITICAL)
    yield
    log.setLevel(before)


async def played(folder: Path, argv: tuple[str, ...], *names: str) -> Report:
    return await torture(argv, [SCENARIOS[name] for name in names], folder=folder)


def of(report: Report, name: str) -> Verdict:
    return next(verdict for verdict in report.verdicts if verdict.scenario == name)


@pytest.mark.crash
async def test_what_goes_on_after_a_failure_and_runs_twice_after_a_kill_is_found(
    tmp_path: Path,
) -> None:
    names = ("all-well", "failed", "input-required", "kill-after-send")
    report = await played(tmp_path, NAIVE, *names)
    well, failed, asked, killed = (of(report, name) for name in names)

    assert (well.result, well.ran) == (Result.PASSED, {"a": 1, "b": 1, "c": 1})
    assert (failed.result, failed.outcome, failed.ran["c"]) == (Result.FAILED, "completed", 1)
    assert [f.expected for f in failed.findings] == ["the outcome is failed", "c never ran"]
    assert (asked.result, asked.note) == (Result.SKIPPED, "it asks nobody")
    assert (killed.result, killed.ran["b"]) == (Result.FAILED, 2)
    assert [f.expected for f in killed.findings] == ["b ran once"]
    assert not report.good


async def test_what_looks_at_the_state_of_the_task_passes(tmp_path: Path) -> None:
    report = await played(tmp_path, (*NAIVE, "--careful"), "failed", "rejected", "canceled")

    assert [(v.result, v.outcome) for v in report.verdicts] == [(Result.PASSED, "failed")] * 3
    assert report.good


async def test_an_adapter_that_does_not_come_up_is_told_with_its_last_words(tmp_path: Path) -> None:
    dies = (sys.executable, "-c", "import sys; sys.exit('no licence')")

    with pytest.raises(AdapterError, match="no licence"):
        await played(tmp_path, dies, "all-well")


async def test_a_command_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="cannot be started"):
        await played(tmp_path, ("there-is-no-such-command",), "all-well")


async def test_a_report_survives_json_and_fills_the_tables(tmp_path: Path) -> None:
    report = await played(tmp_path, (*NAIVE, "--careful"), "failed", "input-required")
    again = from_json(json.loads(json.dumps(to_json(report))))

    assert again == report
    assert "| failed | An agent answers FAILED" in markdown(report, SCENARIOS)
    table = compared([again])
    assert "| input-required | - |" in table
    assert "| **passed** | **1 of 1** |" in table


@pytest.mark.parametrize("value", [{}, [], {"product": "x", "verdicts": [{}], "seconds": 1}])
def test_what_is_no_report_is_refused(value: object) -> None:
    with pytest.raises(TortureError):
        from_json(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        {},
        {"state": "done"},
        {"state": "waiting", "asks": [{"id": 1}]},
        {"state": "waiting", "asks": [{"id": "1", "kind": "coffee"}]},
    ],
)
def test_a_look_that_is_none_is_refused(said: object) -> None:
    with pytest.raises(AdapterError):
        read_look(said)


@pytest.mark.parametrize("said", [None, {}, {"name": "x", "can": 7}, {"name": "x", "parts": "xml"}])
def test_a_hello_that_is_none_is_refused(said: object) -> None:
    with pytest.raises(AdapterError):
        read_hello(said)


async def test_an_adapter_is_told_its_database_where_others_do_not_see_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORTURE_DATABASE_URL", "postgresql://the-one-of-this-user")
    program = """
import sys
from parley_torture.adapting import Adapter, serve

class Telling(Adapter):
    async def open(self, given):
        Telling.name = given.database_url or "none"
        Telling.cannot = {"see": " ".join([repr(given), *sys.orig_argv])}

serve(Telling())
"""
    told = []
    for url in ("postgresql://me:geheim@127.0.0.1/x", None):
        each = Orchestrator((sys.executable, "-c", program), state=tmp_path, database_url=url)
        told.append(await each.start())
        await each.kill()

    assert [hello.name for hello in told] == ["postgresql://me:geheim@127.0.0.1/x", "none"]
    assert "geheim" not in told[0].cannot["see"]


def test_an_adapter_is_a_name_or_a_command() -> None:
    assert argv_of("parley")[0] == sys.executable
    assert argv_of("python 'my adapter.py'") == ("python", "my adapter.py")
    for broken in ("", "'"):
        with pytest.raises(AdapterError):
            argv_of(broken)


def test_every_scenario_says_in_a_sentence_what_is_expected() -> None:
    assert len(SCENARIOS) >= 40
    for each in SCENARIOS.values():
        assert each.expects.endswith(".")
        assert 40 < len(each.expects) < 160, each.name
