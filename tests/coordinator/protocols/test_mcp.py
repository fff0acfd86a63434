"""`call: mcp` against real servers of the SDK, over streamable HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from parley_coordinator.protocols.mcp import KEY
from parley_coordinator.protocols.outcome import identity
from parley_coordinator.workflow.errors import Standard
from parley_systems.erp.app import create_erp_app
from parley_systems.erp.seed import load_seed
from parley_wire.serving import Background
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.coordinator.protocols.bench import PLACE, Bench, Service, bench, mcp_request

pytestmark = pytest.mark.anyio

TIMEOUT_S = 4
"""Enough for a busy machine to call the tool, which then waits for longer."""

SAMPLES = Path(__file__).parents[3] / "workflows" / "invoice-exception" / "samples"


class Tools:
    """A small server, and what reached it."""

    def __init__(self) -> None:
        self.keys: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.released = asyncio.Event()
        self.cut = False

    def app(self) -> ASGIApp:
        server = MCPServer("tools")

        @server.tool()
        async def add(a: int, b: int, ctx: Context) -> dict[str, int]:
            meta = ctx.request_context.meta or {}
            self.keys.append(meta.get(KEY))
            return {"sum": a + b}

        @server.tool()
        async def fail() -> str:
            raise ToolError("the disk is full\nat line 7")

        @server.tool()
        async def wait() -> str:
            self.keys.append("waited")
            await self.released.wait()
            return "done"

        @server.tool()
        async def large() -> str:
            return "x" * 5_000_000

        @server.prompt()
        def greet(name: str) -> str:
            return f"Greet {name}"

        @server.resource("notes://{name}")
        def note(name: str) -> str:
            return f"note {name}"

        inner = server.streamable_http_app()

        async def outer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                self.headers.append({k.decode(): v.decode() for k, v in scope["headers"]})
            await inner(scope, receive, send)

        return outer


@asynccontextmanager
async def serving(tools: Tools) -> AsyncIterator[str]:
    async with Background(tools.app()) as served:
        yield f"{served.url}/mcp"
        tools.released.set()


@pytest.fixture
def tools() -> Tools:
    return Tools()


@pytest.fixture
async def url(tools: Tools) -> AsyncIterator[str]:
    async with serving(tools) as found:
        yield found


def call(url: str, name: str, arguments: dict[str, Any] | None = None, **more: Any) -> Any:
    parameters = {"name": name, "arguments": arguments or {}}
    return mcp_request(url, "tools/call", parameters=parameters, **more)


@pytest.mark.parametrize("version", ["2025-06-18", "2026-07-28"])
async def test_a_tool_is_called_with_a_key_that_tells_duplicates(
    run: Bench, url: str, tools: Tools, version: str
) -> None:
    result = await run.perform(call(url, "add", {"a": 1, "b": 2}, protocolVersion=version))

    assert result["structuredContent"] == {"sum": 3}
    assert result["content"][0]["type"] == "text"
    assert tools.keys == [identity("r-1", PLACE)]
    intended = await run.entry("intended")
    assert intended is not None
    assert (intended["name"], intended["idempotent"]) == ("add", False)


@pytest.mark.parametrize(
    ("method", "parameters", "member"),
    [
        ("tools/list", {}, "tools"),
        ("prompts/list", {}, "prompts"),
        ("prompts/get", {"name": "greet", "arguments": {"name": "Ada"}}, "messages"),
        ("resources/list", {}, "resources"),
        ("resources/templates/list", {}, "resourceTemplates"),
        ("resources/read", {"uri": "notes://one"}, "contents"),
    ],
)
async def test_what_only_looks_is_idempotent(
    run: Bench, url: str, method: str, parameters: dict[str, Any], member: str
) -> None:
    result = await run.perform(mcp_request(url, method, parameters=parameters))

    assert isinstance(result[member], list)
    intended = await run.entry("intended")
    assert intended is not None
    assert intended["idempotent"] is True


async def test_headers_and_credentials_go_with_every_request(
    run: Bench, url: str, tools: Tools
) -> None:
    await run.perform(
        call(
            url,
            "add",
            {"a": 1, "b": 1},
            headers={"X-Tenant": "t1"},
            authentication={"scheme": "bearer", "token": "token-1"},
        )
    )

    assert {headers.get("x-tenant") for headers in tools.headers} == {"t1"}
    assert {headers.get("authorization") for headers in tools.headers} == {"Bearer token-1"}
    assert "token-1" not in await run.journaled()


async def test_a_tool_that_failed_is_an_error_with_its_words(run: Bench, url: str) -> None:
    error = await run.failure(call(url, "fail"))

    assert (error.is_a(Standard.RUNTIME), error.status) == (True, 500)
    assert error.title == "fail failed"
    assert "the disk is full" in (error.detail or "")


async def test_parameters_that_are_none_are_refused_before_anything_leaves(
    run: Bench, url: str, tools: Tools
) -> None:
    error = await run.failure(mcp_request(url, "tools/call", parameters={"arguments": {}}))

    assert error.is_a(Standard.VALIDATION)
    assert tools.headers == []


async def test_a_version_that_is_none_is_told_with_those_that_are(run: Bench, url: str) -> None:
    error = await run.failure(call(url, "add", protocolVersion="1.0"))

    assert error.is_a(Standard.CONFIGURATION)
    assert "2025-06-18" in (error.detail or "")


async def test_an_error_of_the_server_is_an_error_of_the_call(run: Bench, url: str) -> None:
    error = await run.failure(mcp_request(url, "prompts/get", parameters={"name": "none"}))

    assert error.is_a(Standard.RUNTIME)


async def test_a_tool_that_takes_too_long_is_a_question(run: Bench, url: str, tools: Tools) -> None:
    wait = await run.parked(call(url, "wait", timeout=TIMEOUT_S))

    assert wait.kind == "item"
    assert tools.keys == ["waited"]


async def test_a_tool_that_is_said_to_be_idempotent_may_be_tried_again(
    run: Bench, url: str
) -> None:
    error = await run.failure(call(url, "wait", timeout=TIMEOUT_S, idempotent=True))

    assert (error.is_a(Standard.COMMUNICATION), error.status) == (True, 504)


async def test_an_answer_that_is_too_large_is_unusable(run: Bench, url: str) -> None:
    error = await run.failure(call(url, "large"))

    assert (error.is_a(Standard.RUNTIME), error.status) == (True, 502)


async def test_a_server_that_is_down_was_not_asked(run: Bench, tools: Tools) -> None:
    async with serving(tools) as url:
        pass

    error = await run.failure(call(url, "add", {"a": 1, "b": 2}))

    assert (error.is_a(Standard.COMMUNICATION), error.status) == (True, 503)


async def test_a_status_is_an_error_with_that_status(run: Bench) -> None:
    service = Service()

    async def refuse(_: Request) -> Response:
        return Response(status_code=403)

    service.answer = refuse
    async with Background(service.app()) as served:
        error = await run.failure(call(served.url, "add"))

    assert (error.is_a(Standard.COMMUNICATION), error.status) == (True, 403)


async def test_a_server_that_does_not_speak_mcp_is_an_error(run: Bench) -> None:
    async with Background(Service().app()) as served:
        error = await run.failure(call(served.url, "add"))

    assert error.is_a(Standard.COMMUNICATION) or error.is_a(Standard.RUNTIME)


async def test_nothing_is_sent_to_a_host_that_is_not_allowed(tmp_path: Path, tools: Tools) -> None:
    async with bench(tmp_path, egress="") as run, serving(tools) as url:
        error = await run.failure(call(url, "add"))

    assert error.is_a(Standard.AUTHORIZATION)
    assert tools.headers == []


async def test_the_embedded_erp_is_reached_as_any_server(run: Bench, tmp_path: Path) -> None:
    app = create_erp_app(f"sqlite:///{tmp_path / 'erp.db'}", seed=load_seed(SAMPLES))
    async with Background(app) as served:
        listed = await run.perform(mcp_request(f"{served.url}/mcp", "tools/list"))

    assert {"name", "inputSchema"} <= listed["tools"][0].keys()
