from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from a2a.types import Task
from parley_wire import serving
from parley_wire.client import AgentClient
from parley_wire.http import open_http
from parley_wire.serving import Background
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.wire.support import message, running_agent

pytestmark = pytest.mark.anyio


async def hello(_: Request) -> Response:
    return PlainTextResponse("hello")


async def test_an_app_is_served_in_the_running_loop_and_gone_afterwards() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        seen.append("up")
        yield
        seen.append("down")

    async with Background(Starlette(routes=[Route("/", hello)], lifespan=lifespan)) as served:
        async with open_http() as http:
            response = await http.get(served.url)
        assert response.text == "hello"
        assert "server" not in response.headers
        assert seen == ["up"]
    assert seen == ["up", "down"]
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", int(served.url.rsplit(":", 1)[1]))


async def test_an_app_that_fails_to_start_says_so(caplog: pytest.LogCaptureFixture) -> None:
    url = ""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        if not url:
            raise RuntimeError("no database")
        yield

    with pytest.raises(RuntimeError, match="did not start"):
        async with Background(Starlette(lifespan=lifespan)):
            pass
    assert "no database" in caplog.text


async def test_headers_beyond_the_limit_are_refused() -> None:
    async with Background(Starlette(routes=[Route("/", hello)])) as served, open_http() as http:
        response = await http.get(served.url, headers={"x": "y" * 1_000_000})

    assert response.status_code in {400, 431}


async def test_a_stopping_server_ends_its_streams_instead_of_waiting_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "GRACE_S", 3600)
    async with open_http() as http:
        async with asyncio.timeout(60), running_agent(tmp_path) as agent:
            stream = AgentClient(agent.card, http).send_streaming(message("wait"))
            assert isinstance(await anext(stream), Task)

        assert [event async for event in stream] == []


async def test_a_client_that_leaves_ends_its_stream_on_the_server(tmp_path: Path) -> None:
    async with running_agent(tmp_path) as agent:
        stream = agent.client().send_streaming(message("wait"))
        assert isinstance(await anext(stream), Task)
        assert agent.app.state.tasks.load == (1, 1)

        await stream.aclose()  # type: ignore[attr-defined]
        async with asyncio.timeout(60):
            while agent.app.state.tasks.load != (1, 0):
                await agent.http.get(f"{agent.url}/healthz")


SERVER = """
from parley_wire.serving import serve
from starlette.applications import Starlette
serve(Starlette(), host="127.0.0.1", port=int(__import__("sys").argv[1]), name="thing",
      ready=lambda port: print("ready", port, flush=True))
"""


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
async def test_a_process_says_where_it_listens_and_ends_when_told(told: int) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, "0", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        listening = (await process.stdout.readline()).decode()
        ready = (await process.stdout.readline()).decode()
        process.send_signal(told)
        status = await process.wait()

    port = ready.split()[1]
    assert listening == f"thing listening on http://127.0.0.1:{port}\n"
    assert status == 0


FAILING = """
from contextlib import asynccontextmanager
from parley_wire.errors import CannotListenError
from parley_wire.serving import serve
from starlette.applications import Starlette

@asynccontextmanager
async def lifespan(app):
    raise CannotListenError("127.0.0.1:1")
    yield

serve(Starlette(lifespan=lifespan), host="127.0.0.1", port=0, name="thing")
"""


async def test_a_start_that_cannot_be_is_said_in_one_line() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FAILING, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()

    assert process.returncode == 6
    assert said.decode().splitlines() == [
        "thing: cannot_listen: cannot listen on 127.0.0.1:1 for gRPC;"
        " stop what listens there, or choose another port: PARLEY_GRPC_PORT"
    ]


async def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVER, str(port), stderr=asyncio.subprocess.PIPE
        )
        _, said = await process.communicate()

    assert process.returncode == 3
    assert (
        said.decode()
        == f"thing: cannot listen on 127.0.0.1:{port}: Address already in use; stop what listens there, or choose another port\n"
    )
