"""Checking, deploying and taking back, with the command as a process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.coordinator.cli.shell import Shell
from tests.coordinator.cli.test_commands import refused
from tests.coordinator.web.memory import REVIEW

pytestmark = pytest.mark.anyio

NEWER = REVIEW.replace(b"'1.0.0'", b"'1.1.0'").replace(b"Review an amount", b"Look at an amount")
WRONG = NEWER.replace(b"timeout: {after: {hours: 1}}", b"timeuot: {after: {hours: 1}}")
CALLS = b"""\
document: {dsl: '1.0.3', namespace: tests, name: match, version: '1.0.0'}
timeout: {after: {minutes: 5}}
do:
  - match:
      metadata: {label: Match}
      call: match-invoice:9.9.9@agents
      with: {}
      timeout: {after: {minutes: 1}}
"""
CARDS = Path(__file__).parents[3] / "cards/parley_cards/library"


def written(folder: Path, raw: bytes, name: str = "workflow.yaml") -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)
    return str(path)


async def test_a_version_is_deployed_listed_compared_and_taken_back(
    parley: Shell, tmp_path: Path
) -> None:
    file = written(tmp_path, NEWER)

    deployed = await parley("deploy", file)
    listed = await parley("workflows")
    run = await parley("run", "review", "--set", "amount=1", "-o", "json")
    diff = await parley("diff", "review", "1.0.0", "1.1.0")
    back = await parley("rollback", "review")
    older = await parley("run", "review", "--set", "amount=1", "-o", "json")
    named = await parley("run", "review", "--set", "amount=1", "--version", "1.1.0", "-o", "json")
    deprecated = await parley("deprecate", "review", "1.1.0")
    gone = await parley("run", "review", "--set", "amount=1", "--version", "1.1.0")
    shown = await parley("workflows", "review")

    assert (deployed.status, deployed.out) == (0, "review 1.1.0 is current\n")
    assert "1.1.0" in listed.out
    assert "operator" in listed.out
    assert [each.json["version"] for each in (run, older, named)] == ["1.1.0", "1.0.0", "1.1.0"]
    assert "-  title: Review an amount\n" in diff.out
    assert back.out == "review 1.0.0 is current\n"
    assert deprecated.out == "review 1.1.0 is deprecated\n"
    refused(gone, 6, "version_deprecated")
    assert "operator: rolled back 1.0.0 (current: 1.1.0 -> 1.0.0)" in shown.out
    assert "operator: deprecated 1.1.0\n" in shown.out
    assert max(map(len, (shown.out + listed.out).splitlines())) <= 100


async def test_what_is_deployed_already_stays_as_it_is(parley: Shell, tmp_path: Path) -> None:
    file = written(tmp_path, NEWER)
    await parley("deploy", file)
    await parley("rollback", "review")

    again = await parley("deploy", file)

    assert (again.status, again.out) == (0, "review 1.1.0 is active\n")
    assert "stays as it is" in again.err


async def test_a_document_with_findings_is_not_deployed(parley: Shell, tmp_path: Path) -> None:
    ended = await parley("deploy", written(tmp_path, WRONG))

    refused(ended, 2, "invalid_workflow")
    assert "workflow.yaml:13:1: unknown-key: there is no key 'timeuot' here\n" in ended.err
    assert "  fix: did you mean 'timeout'?\n" in ended.err
    assert (await parley("workflows", "-o", "json")).json[0]["version"] == "1.0.0"


async def test_a_changed_document_needs_a_new_version(parley: Shell, tmp_path: Path) -> None:
    changed = REVIEW.replace(b"approved: true", b"approved: false")

    ended = await parley("deploy", written(tmp_path, changed))

    refused(ended, 6, "version_taken")
    assert "raise `document.version`" in ended.err


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("deploy", "nowhere.yaml"), 2, "usage"),
        (("workflows", "nope"), 5, "unknown_workflow"),
        (("workflows", "../x"), 2, "usage"),
        (("diff", "review", "1.0.0", "9.0.0"), 5, "unknown_version"),
        (("deprecate", "review", "1.0.0"), 6, "current_version"),
        (("deprecate", "review", ""), 2, "usage"),
        (("rollback", "review"), 6, "no_previous_version"),
        (("rollback", "review", "1.0.0", "--as", "auditor"), 4, "not_permitted"),
        (("check", "nowhere.yaml"), 2, "usage"),
        (("check", "--offline", "nowhere.yaml"), 2, "usage"),
    ],
)
async def test_what_cannot_be_done_is_one_line_and_a_status(
    parley: Shell, words: tuple[str, ...], status: int, code: str
) -> None:
    refused(await parley(*words), status, code)


async def test_a_coordinator_checks_skills_and_versions_too(parley: Shell, tmp_path: Path) -> None:
    calls = written(tmp_path, CALLS, "match/workflow.yaml")

    asked = await parley("check", calls)
    here = await parley("check", "--offline", calls)
    cards = await parley("check", calls, "--cards", str(CARDS))

    assert (asked.status, here.status, cards.status) == (1, 0, 1)
    assert f"{calls}:6:13: unknown-version: 'match-invoice' has no version 9.9.9\n" in asked.out
    assert "  fix: use one of: 1.0.0\n" in asked.out
    assert "1 finding in 1 of 1 document [findings]" in asked.err
    assert asked.out == cards.out
    assert here.out == ""
    assert "what agents offer is not checked" in here.err


async def test_without_a_coordinator_the_rest_is_checked_and_that_is_said(
    parley: Shell, tmp_path: Path
) -> None:
    fine = written(tmp_path, CALLS)
    words = ("check", fine, "--home", str(tmp_path / "nothing"))

    silent = await parley(*words, PARLEY_URL="")
    named = await parley(*words[:2], PARLEY_URL="http://127.0.0.1:9")

    assert silent.status == 0, silent
    assert "what agents offer is not checked" in silent.err
    refused(named, 7, "unreachable")


async def test_a_folder_stands_for_its_workflows_or_else_for_its_documents(
    parley: Shell, tmp_path: Path
) -> None:
    written(tmp_path / "w", REVIEW, "one/workflow.yaml")
    written(tmp_path / "w", b"limit: 7\n", "one/policy.yaml")
    written(tmp_path / "d", WRONG, "a.yaml")
    written(tmp_path / "d", b"a: [", "b.yml")
    (tmp_path / "e").mkdir()

    workflows = await parley("check", "--offline", str(tmp_path / "w"), "-o", "json")
    documents = await parley("check", "--offline", str(tmp_path / "d"), "-o", "json")
    empty = await parley("check", "--offline", str(tmp_path / "e"))

    assert [(each["name"], each["findings"]) for each in workflows.json] == [("review", [])]
    assert documents.status == 1
    assert [Path(each["file"]).name for each in documents.json] == ["a.yaml", "b.yml"]
    assert [each["findings"][0]["rule"] for each in documents.json] == ["unknown-key", "yaml"]
    refused(empty, 2, "usage")


async def test_hostile_files_end_in_findings(parley: Shell, tmp_path: Path) -> None:
    written(tmp_path, os.urandom(2_000), "a.yaml")
    written(tmp_path, b"[" * 100_000, "b.yaml")
    written(tmp_path, b"a: &a [" + b"*a, " * 1000 + b"]", "c.yaml")
    written(tmp_path, b"#" * 2_000_000, "d.yaml")
    written(tmp_path, NEWER.replace(b"Review", b"\x1b[2J"), "e\x1b[2J\n.yaml")

    for words in (("--offline",), ()):
        ended = await parley("check", *words, str(tmp_path))
        assert ended.status in (1, 2), ended
        assert "Traceback" not in ended.err
        assert "\x1b" not in ended.out + ended.err


async def test_each_command_imports_only_what_it_needs(parley: Shell) -> None:
    ended = await parley("check", "--help", PYTHONPROFILEIMPORTTIME="1")

    assert ended.status == 0
    assert not {"httpx", "jq", "jsonschema", "sqlalchemy", "yaml"} & {
        line.rpartition("|")[2].strip() for line in ended.err.splitlines()
    }
