"""The command line as a process, against the web over real HTTP."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.coordinator.cli.prepared import Ended
from tests.coordinator.cli.shell import Shell

pytestmark = pytest.mark.anyio


def refused(ended: Ended, status: int, code: str) -> None:
    assert ended.status == status, ended
    assert ended.out == ""
    said = [line for line in ended.err.splitlines() if line.startswith("parley: ")]
    assert len(said) == 1, ended
    assert f"[{code}]" in said[0]
    assert "Traceback" not in ended.err


async def test_a_run_is_started_decided_and_explained(parley: Shell) -> None:
    started = await parley("run", "review", "--set", "amount=120.00", "--wait")
    listed = await parley("inbox")
    item = (await parley("inbox", "-o", "json")).json[0]
    shown = await parley("inbox", item["id"])
    decided = await parley(
        "decide", item["id"], "approve", "--comment", "fine", "--digest", item["digest"][7:19]
    )
    explained = await parley("why", item["runId"])

    assert started.status == 0
    assert "waiting" in started.out
    assert f"parley inbox {item['id']}" in started.err
    assert "Approve 120.00?" in listed.out
    assert "The amount is above 100.00." in shown.out
    assert f"parley decide {item['id']} approve --digest {item['digest'][7:19]}" in shown.out
    assert "approver decided approve" in decided.out
    assert "approver decided: approve" in explained.out
    assert "fine" in explained.out
    assert max(map(len, explained.out.splitlines())) <= 100


async def test_a_run_that_needs_nobody_is_waited_for_and_printed_as_json(parley: Shell) -> None:
    ended = await parley("run", "review", "--set", "amount=7", "--wait", "-o", "json")

    assert ended.status == 0
    assert ended.json["state"] == "completed"
    assert ended.json["output"] == {"approved": True}


async def test_a_run_that_fails_while_it_is_waited_for_has_a_status_of_its_own(
    parley: Shell,
) -> None:
    run = (await parley("run", "review", "--set", "amount=500", "-o", "json")).json["id"]
    await parley("decide", "item-1", "reject", "--yes")

    again = await parley("run", "review", "--set", "amount=500", "--key", "k", "-o", "json")
    await parley("cancel", again.json["id"])
    waited = await parley("run", "review", "--set", "amount=500", "--key", "k", "--wait")

    assert (await parley("runs", run, "-o", "json")).json["state"] == "faulted"
    assert waited.status == 8
    assert "[run_failed]" in waited.err


async def test_the_same_key_starts_nothing_twice(parley: Shell) -> None:
    first = await parley("run", "review", "--set", "amount=7", "--key", "k", "-o", "json")
    again = await parley("run", "review", "--set", "amount=7", "--key", "k", "-o", "json")
    other = await parley("run", "review", "--set", "amount=8", "--key", "k")

    assert first.json["id"] == again.json["id"]
    refused(other, 6, "idempotency_conflict")


async def test_the_input_comes_from_a_file_from_stdin_and_from_fields(
    parley: Shell, tmp_path: Path
) -> None:
    file = tmp_path / "input.json"
    file.write_text('{"amount": "1", "note": "x"}')
    text = tmp_path / "amount.txt"
    text.write_text("2")

    from_file = await parley(
        "run", "review", "--input", str(file), "--set", f"amount=@{text}", "-o", "json"
    )
    from_stdin = await parley(
        "run", "review", "--input", "-", "-o", "json", stdin=b'{"amount": "3"}'
    )

    assert from_file.json["input"] == {"amount": "2", "note": "x"}
    assert from_stdin.json["input"] == {"amount": "3"}


@pytest.mark.parametrize(
    "words",
    [
        ("run", "review"),
        ("run", "review", "--input", "nowhere.json"),
        ("run", "review", "--set", "amount"),
        ("run", "review", "--set", "amount=@nowhere.xml"),
        ("run", "review", "--set", "amount=1", "--as", "king"),
        ("run", "review", "--set", "amount=1", "--key", ""),
        ("run", "review", "--set", "amount=1", "--key", "schlüssel"),
        ("run", "review", "--set", "amount=1", "--key", "a\nb"),
        ("run", "review", "--set", "amount=\udcff"),
        ("runs", ""),
        ("runs", ".."),
        ("why", ""),
        ("why", "a/../b"),
        ("cancel", ""),
        ("inbox", "a b"),
        ("decide", "item-1", "approve", "--digest", "xyz"),
        ("decide", "item-1", "approve"),
        ("decide", "item-1", "approve", "--yes", "--digest", "0" * 64),
        ("decide", "", "approve", "--yes"),
    ],
)
async def test_a_command_that_makes_no_sense_says_so_in_one_line(
    parley: Shell, words: tuple[str, ...]
) -> None:
    await parley("run", "review", "--set", "amount=500")

    refused(await parley(*words), 2, "usage")
    assert len(parley.served.memory.runs) == 1
    assert parley.served.memory.items["item-1"].decision is None


async def test_each_kind_of_refusal_has_its_exit_status(parley: Shell) -> None:
    run = (await parley("run", "review", "--set", "amount=500", "-o", "json")).json["id"]

    refused(await parley("run", "nope", "--set", "a=1"), 5, "unknown_workflow")
    refused(await parley("run", "review", "--set", "a=1"), 2, "invalid_input")
    refused(await parley("why", "nope"), 5, "unknown_run")
    refused(await parley("cancel", run, "--as", "requester"), 4, "not_permitted")
    refused(
        await parley("decide", "item-1", "approve", "--yes", "--as", "operator"), 4, "not_eligible"
    )
    refused(await parley("decide", "item-1", "perhaps", "--yes"), 2, "invalid_decision")
    refused(await parley("decide", "item-1", "approve", "--digest", "0" * 12), 6, "stale_digest")
    refused(await parley("runs", PARLEY_TOKEN="pt_wrong"), 3, "unauthenticated")
    refused(await parley("runs", PARLEY_TOKEN="pt_\nX-Other: 1"), 2, "usage")
    refused(await parley("runs", PARLEY_TOKEN="pt_ü"), 2, "usage")
    refused(await parley("runs", PARLEY_URL="http://host:port"), 2, "usage")
    refused(await parley("runs", PARLEY_URL="http://127.0.0.1:9"), 7, "unreachable")


async def test_something_else_at_the_address_is_named_as_such(parley: Shell) -> None:
    refused(await parley("runs", PARLEY_URL=f"{parley.served.url}/nowhere"), 5, "not_found")


async def test_without_tokens_it_says_where_they_come_from(parley: Shell, tmp_path: Path) -> None:
    ended = await parley("runs", PARLEY_HOME=str(tmp_path / "empty"))

    refused(ended, 2, "usage")
    assert "PARLEY_TOKEN" in ended.err


async def test_runs_and_agents_are_tables_that_fit(parley: Shell) -> None:
    await parley("run", "review", "--set", "amount=500")
    await parley("run", "review", "--set", "amount=5")

    runs = await parley("runs")
    agents = await parley("agents")
    waiting = await parley("runs", "--state", "waiting", "-o", "json")

    assert "waiting (person)" in runs.out
    assert "completed" in runs.out
    assert "matching" in agents.out
    assert "match-invoice:1.0.0" in agents.out
    assert [run["id"] for run in waiting.json] == ["run-1"]
    for ended in (runs, agents):
        assert max(map(len, ended.out.splitlines())) <= 100
        assert ended.err == ""


async def test_an_empty_list_is_empty_json_and_talk_on_stderr(parley: Shell) -> None:
    assert (await parley("inbox", "-o", "json")).json == []
    empty = await parley("inbox")

    assert (empty.out, empty.err) == ("", "nothing to decide\n")


async def test_help_needs_no_http_library() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-X",
        "importtime",
        "-m",
        "parley_coordinator.cli",
        "--help",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()

    imported = {line.rsplit("|", 1)[-1].strip() for line in err.decode().splitlines()}
    assert b"decide" in out
    assert not imported & {"httpx", "a2a", "starlette", "sqlalchemy", "rich", "aiohttp"}


async def test_an_address_that_is_none_is_refused_and_no_password_in_one_is_told(
    parley: Shell,
) -> None:
    for url in ("http://", "http://127.0.0.1:99999", "me:geheim@127.0.0.1", "ftp://me:geheim@x"):
        ended = await parley("runs", "--url", url)
        refused(ended, 2, "usage")
        assert "geheim" not in ended.err


async def test_a_token_that_the_coordinator_does_not_know_is_said_to_be_one(
    parley: Shell,
) -> None:
    ended = await parley("runs", PARLEY_TOKEN="of-another")

    refused(ended, 3, "unauthenticated")
    assert "--home" in ended.err


@pytest.mark.parametrize(
    "words",
    [
        ("--markdown", "nowhere/table.md"),
        ("--keep", "file"),
        ("--database-url", "me:geheim@host"),
        ("--adapter", "'"),
    ],
)
async def test_what_no_scenario_could_be_played_with_is_refused_at_once(
    parley: Shell, tmp_path: Path, words: tuple[str, str]
) -> None:
    (tmp_path / "file").touch()
    option, value = words
    given = str(tmp_path / value) if option in ("--markdown", "--keep") else value
    ended = await parley("torture", "--only", "failed", option, given)

    refused(ended, *((7, "adapter_broken") if option == "--adapter" else (2, "usage")))
    assert "geheim" not in ended.err
    assert "pass" not in ended.err
