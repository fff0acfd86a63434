"""An agent as an ASGI app: the card, both bindings, health, and the agent's own account."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from parley_cards.canonical import digest_bytes
from parley_cards.card import Card
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from parley_wire.auth import ANONYMOUS, Tokens, bearer_middleware
from parley_wire.database import Database
from parley_wire.errors import WireError
from parley_wire.problems import exception_handlers
from parley_wire.server.endpoint import DEFAULT_LIMITS, Batch, Endpoint, Limits
from parley_wire.server.jsonrpc import JsonRpc
from parley_wire.server.rest import Rest
from parley_wire.server.service import AfterRestart, TaskService
from parley_wire.server.store import TaskStore
from parley_wire.server.tables import metadata

if TYPE_CHECKING:
    from starlette.requests import Request

    from parley_wire.server.outcomes import Executor

Resource: TypeAlias = Callable[[Starlette], AbstractAsyncContextManager[Any]]

CARD_PATH: Final = "/.well-known/agent-card.json"
MAX_LISTED: Final = 1000


def create_agent_app(
    card: Card,
    executor: Executor,
    *,
    database_url: str,
    tokens: Tokens | None = None,
    resume: AfterRestart = "rerun",
    lifespan: Sequence[Resource] = (),
    limits: Limits = DEFAULT_LIMITS,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Starlette:
    """Serve an agent: JSON-RPC at `/a2a`, HTTP+JSON at `/rest`, its card, `/healthz`, `/executions`.

    Args:
        card: Served byte for byte.
        executor: The agent's code.
        database_url: `sqlite:///FILE`, of this agent alone and used by one process at a time.
        tokens: None: every caller is `anonymous`; for loopback only.
        resume: What becomes of a task that was worked on when the process ended.
        lifespan: Entered in order before, and left after, the tasks run.
        limits: Of what it takes and how long it keeps silent.
        now: The clock.
    """

    @asynccontextmanager
    async def running(app: Starlette) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            database = Database(database_url, metadata, sole=True)
            stack.push_async_callback(database.aclose)
            service = TaskService(
                card, executor, TaskStore(database), after_restart=resume, now=now
            )
            for resource in lifespan:
                await stack.enter_async_context(resource(app))
            stack.push_async_callback(service.stop)
            app.state.tasks = service
            proxy.target = service
            await service.start()
            yield

    proxy = _Late()
    return Starlette(
        routes=[
            card_route(card.raw),
            *a2a_routes(proxy, extensions=_extensions(card), limits=limits),
            Route("/healthz", _healthy, methods=["GET"]),
            Route("/executions", _executions, methods=["GET"]),
        ],
        middleware=[bearer_middleware(tokens)],
        exception_handlers=exception_handlers(),
        lifespan=running,
    )


def a2a_routes(
    endpoint: Endpoint,
    *,
    rpc_path: str = "/a2a",
    rest_path: str = "/rest",
    extensions: frozenset[str] = frozenset(),
    limits: Limits = DEFAULT_LIMITS,
) -> list[BaseRoute]:
    """Return the routes of both bindings; authentication is the middleware's before them."""
    rpc = JsonRpc(endpoint, extensions=extensions, limits=limits)
    rest = Rest(endpoint, extensions=extensions, limits=limits)
    return [
        Route(rpc_path, rpc, methods=["POST"]),
        Route(f"{rest_path}/{{path:path}}", rest, methods=["GET", "POST", "DELETE"]),
    ]


def card_route(raw: bytes, *, path: str = CARD_PATH) -> Route:
    """Serve a card's bytes with a strong ETag, so that signatures and digests hold (A2A 1.0 8.6)."""
    etag = f'"{digest_bytes(raw)}"'
    headers = {"etag": etag, "cache-control": "public, max-age=60"}

    async def serve_card(request: Request) -> Response:
        asked = request.headers.get("if-none-match", "")
        known = {each.strip().removeprefix("W/") for each in asked.split(",")}
        if etag in known or "*" in known:
            return Response(status_code=304, headers=headers)
        return Response(raw, media_type="application/json", headers=headers)

    return Route(path, serve_card, methods=["GET"])


class _Late:
    """The endpoint before the lifespan has made it."""

    def __init__(self) -> None:
        self.target: TaskService | None = None

    async def answer(self, method: str, params: Any, call: Any) -> str:
        return await self._ready().answer(method, params, call)

    def stream(self, method: str, params: Any, call: Any) -> AsyncGenerator[Batch]:
        return self._ready().stream(method, params, call)

    def _ready(self) -> TaskService:
        if self.target is None:
            raise WireError("the agent has not started; run the app with its lifespan")
        return self.target


def _extensions(card: Card) -> frozenset[str]:
    return frozenset(each["uri"] for each in card.json["capabilities"].get("extensions") or [])


async def _healthy(request: Request) -> Response:
    working, followed = request.app.state.tasks.load
    return JSONResponse({"status": "ok", "working": working, "followed": followed})


async def _executions(request: Request) -> Response:
    """Tell how often the executor was started for each message of the caller."""
    given = request.query_params.get("limit", "")
    limit = int(given) if given.isascii() and given.isdigit() and len(given) < 8 else 100
    user = request.user
    found = await request.app.state.tasks.executions(
        user.display_name if user.is_authenticated else ANONYMOUS,
        request.query_params.get("contextId", ""),
        max(1, min(limit, MAX_LISTED)),
    )
    body = {"executions": [each.as_json() for each in found]}
    return Response(json.dumps(body), media_type="application/json")
