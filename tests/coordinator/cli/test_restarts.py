"""Commands while the coordinator restarts."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from parley_coordinator.cli import client
from parley_coordinator.cli.client import Coordinator
from parley_coordinator.cli.errors import UnreachableError
from parley_coordinator.model import RunState

from tests.coordinator.cli.shell import Shell
from tests.coordinator.web.memory import Memory
from tests.coordinator.web.serving import TOKENS, serving
from tests.ports import free_port


@pytest.mark.anyio
async def test_a_run_is_followed_over_restarts_and_its_id_is_told_at_once(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.json"
    tokens.write_text(json.dumps(TOKENS))
    tokens.chmod(0o600)
    memory = Memory()
    port = free_port()
    async with serving(memory, port=port) as first:
        shell = Shell(first, tmp_path)
        process = await shell.open(
            "run", "review", "--input", "-", "--wait", stdin=b'{"stuck": true}'
        )
        assert process.stderr is not None
        async with asyncio.timeout(60):
            told = (await process.stderr.readline()).decode()
            shown = await process.stderr.readline()

    async with serving(memory, port=port):
        await memory.row("run-1", "cancelled", path="", by="operator", reason="")
        await memory.change("run-1", state=RunState.CANCELLED, waiting_for=[])
        async with asyncio.timeout(60):
            out, err = await process.communicate()

    assert b"started" in shown
    assert told == "run run-1 is started: parley why run-1\n"
    assert process.returncode == 8, err
    assert b"cancelled" in out
    assert b"[run_failed]" in err


class Answering(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"{}"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def late() -> Iterator[http.server.HTTPServer]:
    """A server whose port refuses connections until it is activated."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Answering, bind_and_activate=False)
    server.server_bind()
    yield server
    server.server_close()


def test_a_coordinator_that_is_back_after_some_pauses_is_asked_again(
    late: http.server.HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[float] = []

    def pause(seconds: float) -> None:
        paused.append(seconds)
        if len(paused) == 3:
            late.server_activate()
            threading.Thread(target=late.handle_request, daemon=True).start()

    monkeypatch.setattr(time, "sleep", pause)
    with Coordinator(f"http://127.0.0.1:{late.server_port}", "pt_x") as coordinator:
        assert coordinator.get("v1", "runs") == {}

    assert paused == list(client.CONNECT_PAUSES_S[:3])


def test_a_coordinator_that_stays_away_is_given_up(
    late: http.server.HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[float] = []
    monkeypatch.setattr(time, "sleep", paused.append)
    with Coordinator(f"http://127.0.0.1:{late.server_port}", "pt_x") as coordinator:
        with pytest.raises(UnreachableError, match="parley up"):
            coordinator.get("v1", "runs")
        asked = sum(paused)
        paused.clear()
        with pytest.raises(UnreachableError, match="parley up"):
            list(coordinator.events("run-1"))

    assert 4 <= asked <= 6
    assert 28 <= sum(paused) <= 33
