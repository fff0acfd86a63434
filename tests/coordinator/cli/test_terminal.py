"""The command line where a person sits: a terminal of 80 columns, and output that goes nowhere."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from parley_coordinator.model import ItemState

from tests.coordinator.cli.shell import Shell

pytestmark = pytest.mark.anyio

RUN = "run-1"


class Terminal:
    """A process on a pseudo-terminal."""

    def __init__(self, shell: Shell, columns: int = 80) -> None:
        self._shell = shell
        self._columns = columns
        self.said = ""

    async def __call__(self, *words: str, answer: tuple[str, str] | None = None) -> int:
        """Run a command; once the first text of `answer` is shown, type the second."""
        ours, theirs = pty.openpty()
        env = {k: v for k, v in os.environ.items() if not k.startswith("PARLEY_")} | {
            "PARLEY_URL": self._shell.served.url,
            "PARLEY_HOME": str(self._shell.home),
            "COLUMNS": str(self._columns),
            "TERM": "dumb",
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "parley_coordinator.cli", *words),
            env=env,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        async with asyncio.timeout(60):
            async for text in _read(ours):
                self.said += text
                if answer is not None and answer[0] in self.said:
                    os.write(ours, answer[1].encode())
                    answer = None
            status = await process.wait()
        os.close(ours)
        return status

    @property
    def lines(self) -> list[str]:
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.said)
        return [line.rstrip() for line in plain.splitlines()]


async def _read(terminal: int) -> AsyncIterator[str]:
    while True:
        try:
            data = await asyncio.to_thread(os.read, terminal, 65_536)
        except OSError:  # the last process has closed it
            return
        if not data:
            return
        yield data.decode()


async def test_without_a_digest_a_person_sees_the_question_and_is_asked(parley: Shell) -> None:
    await parley("run", "review", "--set", "amount=500")
    items = parley.served.memory.items
    declining, confirming = Terminal(parley), Terminal(parley)

    declined = await declining("decide", "item-1", "approve", answer=("Decide approve?", "n\n"))
    state_then = items["item-1"].state
    confirmed = await confirming("decide", "item-1", "approve", answer=("Decide approve?", "y\n"))

    assert declined == 2
    assert "[not_confirmed]" in declining.said
    assert state_then is ItemState.READY
    assert confirmed == 0
    assert "Approve 500?" in confirming.said
    assert items["item-1"].digest in "".join(confirming.lines)
    assert items["item-1"].decision is not None


async def test_yes_decides_and_shows_on_stderr_what_it_was(parley: Shell) -> None:
    await parley("run", "review", "--set", "amount=500")

    decided = await parley("decide", "item-1", "approve", "--yes", "-o", "json")

    digest = parley.served.memory.items["item-1"].digest
    assert decided.json["decision"]["digest"] == digest
    assert digest in decided.err
    assert "Approve 500?" in decided.err


async def test_a_value_that_is_not_json_is_a_text(parley: Shell) -> None:
    await parley("run", "review", "--set", "amount=500")

    fields = ("--set", "x=NaN", "--set", "y=1", "--set", 'z={"a":1,"a":2}')
    decided = await parley("decide", "item-1", "approve", "--yes", *fields, "-o", "json")

    assert decided.json["decision"]["values"] == {"x": "NaN", "y": 1, "z": '{"a":1,"a":2}'}


@pytest.mark.parametrize("columns", [80, 60])
@pytest.mark.parametrize(
    ("words", "whole"),
    [
        (("runs",), ("run-1", "review, by requester", "waiting (person)")),
        (("agents",), ("matching", "match-invoice:1.0.0", "http://127.0.0.1:8432")),
        (("inbox",), ("item-1", "Approve 500?", "The amount is above 100.00.")),
    ],
)
async def test_a_narrow_terminal_breaks_no_word(
    parley: Shell,
    words: tuple[str, ...],
    whole: tuple[str, ...],
    columns: int,
) -> None:
    await parley("run", "review", "--set", "amount=500")
    terminal = Terminal(parley, columns)

    status = await terminal(*words)

    assert status == 0
    assert all(any(each in line for line in terminal.lines) for each in whole), terminal.said
    assert max(map(len, terminal.lines)) <= columns


@pytest.mark.parametrize(
    "words", [("runs",), ("runs", "-o", "json"), ("why", RUN), ("inbox", "item-1"), ("--help",)]
)
async def test_a_full_device_is_one_line_and_no_trace(
    parley: Shell, words: tuple[str, ...]
) -> None:
    await parley("run", "review", "--set", "amount=500")

    status, err = await _into(parley, Path("/dev/full"), *words)

    assert status == 1
    assert err == "parley: the system refuses: No space left on device [system]\n"


async def test_a_closed_pipe_is_no_trace(parley: Shell) -> None:
    await parley("run", "review", "--set", "amount=500")
    for words in (("runs",), ("runs", "-o", "json"), ("--help",)):
        reading, writing = os.pipe()
        os.close(reading)
        try:
            status, err = await _into(parley, Path(f"/proc/self/fd/{writing}"), *words, fd=writing)
        finally:
            os.close(writing)

        assert status in (1, 141)
        assert "Traceback" not in err
        assert len(err.splitlines()) <= 1


async def _into(shell: Shell, path: Path, *words: str, fd: int | None = None) -> tuple[int, str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("PARLEY_")} | {
        "PARLEY_URL": shell.served.url,
        "PARLEY_HOME": str(shell.home),
    }
    out = os.open(path, os.O_WRONLY) if fd is None else fd
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "parley_coordinator.cli", *words),
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=asyncio.subprocess.PIPE,
        )
    finally:
        if fd is None:
            os.close(out)
    async with asyncio.timeout(60):
        _, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, err.decode()
