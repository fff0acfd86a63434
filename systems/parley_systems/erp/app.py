"""The ERP as an ASGI app: MCP at `/mcp`, its account of its writes at `/effects`, `/healthz`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from parley_wire.auth import Tokens, bearer_middleware
from parley_wire.database import Database
from parley_wire.limits import StrictBody
from parley_wire.problems import exception_handlers
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from parley_systems.erp.ledger import Ledger
from parley_systems.erp.seed import Seed, sow
from parley_systems.erp.tables import metadata
from parley_systems.erp.tools import tools
from parley_systems.errors import InvalidArgumentsError
from parley_systems.tools import create_server

MAX_BODY_BYTES: Final = 4_194_304
"""A document of 1 MiB, with every character escaped in JSON."""
MAX_PAGE: Final = 1_000
_VERSION: Final = "1.0.0"


def _now() -> datetime:
    return datetime.now(UTC)


def create_erp_app(
    database_url: str,
    *,
    host: str = "127.0.0.1",
    tokens: Tokens | None = None,
    seed: Seed | None = None,
    now: Callable[[], datetime] = _now,
) -> Starlette:
    """Return the ERP.

    Args:
        host: What it listens on. On loopback, requests must name a loopback host: a web page cannot
            reach it by rebinding its own name.
        seed: Master data to load before the first request; loading it again changes nothing.

    Raises:
        DatabaseUnusableError: If the database cannot be opened.
    """
    database = Database(database_url, metadata, sole=True)
    ledger = Ledger(database, now=now)
    server = create_server("erp", version=_VERSION, tools=tools(ledger))
    mcp = server.streamable_http_app(
        json_response=True,
        stateless_http=True,
        max_request_body_size=MAX_BODY_BYTES,
        host=host,
    )

    async def effects(request: Request) -> Response:
        invoice_id = request.query_params.get("invoice_id")
        found = await ledger.effects(
            invoice_id=invoice_id,
            after=_number(request, "after", default=0, maximum=2**53),
            limit=_number(request, "limit", default=MAX_PAGE, maximum=MAX_PAGE),
        )
        return JSONResponse({"effects": found})

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            if seed is not None:
                await sow(seed, database, ledger)
            async with server.session_manager.run():
                yield
        finally:
            await database.aclose()

    return Starlette(
        routes=[
            *mcp.routes,
            Route("/effects", effects, methods=["GET"]),
            Route("/healthz", healthz, methods=["GET"]),
        ],
        middleware=[
            bearer_middleware(tokens, public=("/healthz",)),
            Middleware(StrictBody, max_bytes=MAX_BODY_BYTES, jsonrpc=("/mcp",)),
        ],
        exception_handlers=exception_handlers(),
        lifespan=lifespan,
    )


def database_url(home: Path) -> str:
    """Return the URL of the database in `home`, creating the directory."""
    home.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{home.resolve() / 'erp.db'}"


def _number(request: Request, name: str, *, default: int, maximum: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 17 and int(text) <= maximum):
        raise InvalidArgumentsError(f"{name} must be a whole number from 0 to {maximum}")
    return int(text)
