"""`parley test` as a process: what it finds, what it prints, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.coordinator.cli import prepared
from tests.coordinator.cli.prepared import Ended

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
WORKFLOW = """\
document: {dsl: "1.0.3", namespace: test, name: greet, version: "1.0.0"}
do:
  - which:
      metadata: {label: "Is there a name?"}
      switch:
        - named: {when: "${ .name != null }", then: greet}
        - nobody: {then: giveUp}
  - greet: {metadata: {label: Greet}, set: {said: "${ \\"Hello, \\" + .name }"}, then: end}
  - giveUp:
      metadata: {label: Give up}
      raise: {error: {type: "https://example.com/nobody", status: 400, title: Nobody there}}
"""
GOOD = "case: A guest is greeted\ninput: {name: Ann}\nexpect: {output: {said: 'Hello, Ann'}}\n"
BAD = "case: A guest is insulted\ninput: {name: Ann}\nexpect: {output: {said: 'Go, Ann'}}\n"


async def parley(*words: str) -> Ended:
    env = {k: v for k, v in os.environ.items() if not k.startswith("PARLEY_")}
    ended = await asyncio.to_thread(prepared.parley, ("test", *words), env=env)
    assert "Traceback" not in ended.err
    return ended


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "greet/workflow.yaml", WORKFLOW)
    write(tmp_path, "greet/cases/guest.yaml", GOOD)
    return tmp_path


async def test_the_shipped_cases_pass_and_reach_all_of_their_workflow() -> None:
    ended = await parley(str(ROOT / "workflows"), "-o", "json")

    assert ended.status == 0, ended
    assert ended.json["failed"] == 0
    assert ended.json["passed"] >= 17
    for each in ended.json["coverage"]:
        assert each["unreached"] == []
        assert each["tasks"]["reached"] == each["tasks"]["of"]
    took = {case["case"]: case["took"] for case in ended.json["cases"]}
    assert took["Five days of silence fault the run, and nothing is paid"] == "5 days"
    assert not [case for case in ended.json["cases"] if case["warnings"]]


async def test_a_case_that_passes_is_one_line_and_what_none_reached_is_a_table(
    folder: Path,
) -> None:
    ended = await parley(str(folder))

    assert ended.status == 0
    assert "✓ A guest is greeted" in ended.out
    assert "greet: 2 of 3 tasks and 1 of 2 cases reached" in ended.out
    assert "Is there a name?  case nobody" in ended.out
    assert "Give up           the task" in ended.out
    assert ended.err.startswith("1 passed, 0 failed, in ")


async def test_a_case_that_fails_says_the_difference_the_way_and_where_it_stands(
    folder: Path,
) -> None:
    write(folder, "greet/insult.case.yaml", BAD)
    write(folder, "greet/nobody.case.yaml", "case: Nobody is greeted\nexpect: {state: completed}")
    ended = await parley(str(folder))

    assert ended.status == 1
    assert "✗ A guest is insulted" in ended.out
    assert "output.said\n        expected  Go, Ann\n        found     Hello, Ann\n" in ended.out
    assert "Is there a name?" in ended.out
    assert "faulted: Nobody there (nobody, 400) at /do/2/giveUp" in ended.out
    assert "it stands at Give up (/do/2/giveUp)" in ended.out
    assert ended.err.startswith("parley: 1 passed, 2 failed, in ")
    assert ended.err.endswith("[cases_failed]\n")


async def test_one_file_or_a_few_words_choose_the_cases(folder: Path) -> None:
    write(folder, "greet/cases/insult.yaml", BAD)
    named = await parley(str(folder / "greet/cases/guest.yaml"))
    chosen = await parley(str(folder), "-k", "GUEST greeted")
    none = await parley(str(folder), "-k", "nobody")

    assert (named.status, chosen.status) == (0, 0)
    assert "reached" not in named.out
    assert "insulted" not in chosen.out
    assert none.status == 2
    assert "no case has 'nobody' in its name or file" in none.err


async def test_results_are_json_and_junit_for_machines(folder: Path) -> None:
    write(folder, "greet/cases/insult.yaml", BAD)
    write(folder, "greet/cases/broken.yaml", "cases: 1")
    report = folder / "report.xml"
    ended = await parley(str(folder), "-o", "json", "--junit", str(report))
    suites = ET.parse(report).getroot()  # noqa: S314 - we wrote it

    assert ended.status == 1
    assert (ended.json["passed"], ended.json["failed"]) == (1, 2)
    failed = next(case for case in ended.json["cases"] if not case["passed"])
    assert failed["differences"] == [
        {"where": "output.said", "expected": "Go, Ann", "found": "Hello, Ann"}
    ]
    assert failed["path"] == ["Is there a name?", "Greet"]
    assert [case.get("name") for case in suites.iter("testcase") if not len(case)] == [
        "A guest is greeted"
    ]
    assert [each.get("message") for each in suites.iter("failure")] == ["output.said"]
    (broken,) = suites.iter("error")
    assert "broken.yaml:1:8: " in broken.get("message", "")


async def test_a_document_that_may_not_be_deployed_is_not_run(folder: Path) -> None:
    write(folder, "greet/workflow.yaml", WORKFLOW.replace("then: giveUp", "then: giveIn"))
    write(folder, "greet/cases/insult.yaml", BAD)
    ended = await parley(str(folder))

    assert ended.status == 1
    assert "workflow.yaml:7:26: unknown-target: there is no task 'giveIn'" in ended.out
    assert ended.out.count("unknown-target") == 1
    assert "may not run, see above" in ended.out


async def test_skills_are_those_of_the_cards_that_are_given(folder: Path) -> None:
    call = '  - ask: {metadata: {label: Ask}, call: "quote:1.0.0@agents", timeout: {after: PT1M}}\n'
    write(folder, "greet/workflow.yaml", WORKFLOW[: WORKFLOW.index("  - which")] + call)
    skill = {"version": "1.0.0", "effect": "read", "idempotent": True}
    schemas = {"input": {"type": "object"}, "output": {"type": "object", "required": ["price"]}}
    uri = "urn:parley:a2a:skill-contract:v1"
    params = {"skills": {"quote": {**skill, **schemas}}}
    card = json.loads((ROOT / "cards/parley_cards/library/posting.json").read_text())
    card["capabilities"]["extensions"] = [{"uri": uri, "params": params}]
    card["skills"] = [{**card["skills"][0], "id": "quote"}]
    write(folder, "cards/quoting.json", json.dumps(card))
    text = "case: A price\nagents: {quote: {output: %s}}\nexpect: {state: completed}\n"
    write(folder, "greet/cases/guest.yaml", text % "{price: 1}")

    unknown = await parley(str(folder))
    known = await parley(str(folder), "--cards", str(folder / "cards"))
    write(folder, "greet/cases/guest.yaml", text % "{cost: 1}")
    broken = await parley(str(folder), "--cards", str(folder / "cards"))

    assert "unknown" in unknown.out
    assert "--cards" in unknown.err
    assert known.status == 0, known
    assert broken.status == 1
    assert "breaks the contract of quote:1.0.0" in broken.out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "there are no cases in"),
        ("none.case.yaml", "cannot read"),
        ("lone/x.case.yaml", "say which: workflow: PATH"),
        ("bad/x.case.yaml", ": yaml: "),
    ],
)
async def test_what_cannot_be_read_is_told_in_a_line(
    tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "nothing").mkdir()
    write(tmp_path, "lone/x.case.yaml", GOOD)
    write(tmp_path, "bad/x.case.yaml", "case: [")
    ended = await parley(str(tmp_path / name))

    assert ended.status in (1, 2)
    assert message in ended.out + ended.err


async def test_a_file_that_never_ends_is_not_read(folder: Path) -> None:
    os.mkfifo(folder / "greet/cases/pipe.json")
    write(folder, "greet/cases/guest.yaml", GOOD + "secrets: {a: {fromFile: pipe.json}}\n")
    piped = await parley(str(folder))
    write(folder, "greet/cases/guest.yaml", GOOD + "secrets: {a: {fromFile: /dev/zero}}\n")
    absolute = await parley(str(folder))

    assert "pipe.json: it is not a file" in piped.out
    assert "/dev/zero: the path is relative to the case file" in absolute.out


async def test_an_expression_that_never_ends_fails_its_case_only(folder: Path) -> None:
    endless = WORKFLOW.replace('"${ .name != null }"', '"${ .name != null and last(repeat(1)) }"')
    write(folder, "greet/workflow.yaml", endless)
    write(folder, "greet/cases/next.yaml", "case: z\nexpect: {error: {status: 400}}")
    ended = await parley(str(folder))

    assert ended.status == 1
    assert "✓ z" in ended.out
    assert "An expression failed" in ended.out


async def test_a_file_of_two_hundred_cases_is_run_at_once(folder: Path) -> None:
    body = GOOD.replace("case: ", "case: %d ").replace("\n", "\n    ")
    text = "cases:\n" + "".join(f"  - {body % number}\n" for number in range(200))
    write(folder, "greet/cases/guest.yaml", text)
    ended = await parley(str(folder))

    assert ended.err.startswith("200 passed, 0 failed")
