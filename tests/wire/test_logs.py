"""One record of the log is one record, whatever somebody outside has written into it."""

from __future__ import annotations

import asyncio
import io
import logging
import re
import sys
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_wire.logs import MARK, MAX_TRACE_LINES, RecordFormatter
from parley_wire.problems import exception_handlers
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

FORGED = "x\n2026-01-01 00:00:00,000 ERROR parley: forged\r\x1b[2J\u2028y"
BEGINS = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ [\w.]+: ")
ANY = st.text(st.characters(codec=None, categories=None))


def written(*args: object, error: BaseException | None = None) -> str:
    record = logging.LogRecord("a.b", logging.ERROR, "f.py", 1, "%s said %s", args, None)
    if error is not None:
        record.exc_info = (type(error), error, error.__traceback__)
    return RecordFormatter().format(record)


def assert_is_one_record(text: str) -> None:
    first, *others = text.splitlines()
    assert BEGINS.match(first)
    assert all(line.startswith(MARK) for line in others)
    assert text.replace("\n", "").isprintable()


@given(ANY, ANY)
def test_no_text_begins_a_record_of_its_own(said: str, cause: str) -> None:
    text = written("agent", said, error=ValueError(cause))
    first, *others = text.split("\n")

    assert BEGINS.match(first)
    assert all(line.startswith(MARK) for line in others)
    assert len(text.splitlines()) == len(others) + 1
    text.encode("utf-8")


def test_messages_and_traces_are_bounded_and_the_end_of_a_trace_is_kept() -> None:
    text = written(
        "agent", "x" * 100_000, error=ValueError("\n".join("y" * 2000 for _ in range(500)))
    )

    assert len(text.splitlines()) == MAX_TRACE_LINES + 2
    assert "lines before" in text.splitlines()[1]
    assert len(text) < 300_000


def test_no_password_of_a_url_is_logged() -> None:
    url = "postgresql://me:geheim@db/parley"

    assert "geheim" not in written("driver", url, error=ValueError(f"no answer from {url}"))


@pytest.mark.anyio
async def test_a_defect_that_a_request_has_caused_is_logged_as_one_record() -> None:
    async def defect(scope: Scope, _: Receive, __: Send) -> None:
        raise RuntimeError(scope["path"])

    app = Starlette(exception_handlers=exception_handlers())
    app.router.default = defect
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(RecordFormatter())
    logger = logging.getLogger("parley_wire.problems")
    logger.addHandler(handler)
    try:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
            answer = await http.get(f"http://x/{quote(FORGED)}")
    finally:
        logger.removeHandler(handler)

    assert answer.status_code == 500
    assert answer.json()["reference"] in stream.getvalue()
    assert_is_one_record(stream.getvalue())


@pytest.mark.anyio
async def test_a_process_writes_records_and_warnings_in_this_form_alone() -> None:
    program = (
        "import logging, sys, warnings; from parley_wire.logs import log_to_stderr;"
        "log_to_stderr(logging.WARNING); logging.getLogger('a').warning(sys.argv[1]);"
        "logging.getLogger('a').info('not told'); warnings.warn(sys.argv[1])"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, FORGED), stderr=asyncio.subprocess.PIPE
    )
    _, err = await process.communicate()
    lines = err.decode().splitlines()

    assert len(lines) == 2
    assert all(BEGINS.match(line) for line in lines)
