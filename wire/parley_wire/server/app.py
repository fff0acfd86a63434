"""An agent as an ASGI app: the card, both bindings, health, and the agent's own account."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from parley_cards.canonical import digest_bytes
from parley_cards.card import Card, load_card
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from parley_wire.auth import ANONYMOUS, Tokens, bearer_middleware
from parley_wire.database import Database
from parley_wire.errors import WireError
from parley_wire.problems import exception_handlers
from parley_wire.server.endpoint import DEFAULT_LIMITS, Batch, Endpoint, Limits
from parley_wire.server.extended_card import ExtendedCard
from parley_wire.server.jsonrpc import JsonRpc
from parley_wire.server.older_card import serves_older, with_older_fields
from parley_wire.server.push_operations import PushOperations
from parley_wire.server.push_rows import TaskOutbox
from parley_wire.server.push_sender import DEFAULT_PATIENCE, Patience, PushSender
from parley_wire.server.rest import Rest
from parley_wire.server.running import AfterRestart
from parley_wire.server.service import DEFAULT_RULES, Rules, TaskService
from parley_wire.server.store import TaskStore
from parley_wire.server.tables import prepare
from parley_wire.serving import GRACE_S
from parley_wire.tls import NO_TLS, Tls
from parley_wire.webhooks import Webhooks

if TYPE_CHECKING:
    from parley_cards.keys import SigningKey
    from starlette.requests import Request

    from parley_wire.server.grpc_binding import GrpcServer
    from parley_wire.server.outcomes import Executor

Resource: TypeAlias = Callable[[Starlette], AbstractAsyncContextManager[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What only some agents need."""

    grpc: str | None = None
    """`HOST:PORT` to listen on for gRPC; given exactly if the card lists a GRPC interface."""
    extended_card: Card | None = None
    """For callers with a token (A2A 1.0 3.1.11)."""
    webhooks: Sequence[str] = ()
    """`host` or `host:port` that notifications may be sent to although they are inside, or not https."""
    limits: Limits = DEFAULT_LIMITS
    """Of what it takes and how long it keeps silent."""
    patience: Patience = DEFAULT_PATIENCE
    rules: Rules = DEFAULT_RULES
    tls: Tls = NO_TLS
    """Of the gRPC port, and whom notifications trust; who serves the app does the same for HTTP."""
    signer: SigningKey | None = None
    """Signs both cards."""


DEFAULT_OPTIONS: Final = Options()
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
    options: Options = DEFAULT_OPTIONS,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Starlette:
    """Serve an agent: JSON-RPC at `/a2a`, HTTP+JSON at `/rest`, its card, `/healthz`, `/executions`.

    Args:
        card: Served byte for byte, unless we are to sign it.
        executor: The agent's code.
        database_url: `sqlite:///FILE`, of this agent alone and used by one process at a time.
        tokens: None: every caller is `anonymous`; for loopback only.
        resume: What becomes of a task that was worked on when the process ended.
        lifespan: Entered in order before, and left after, the tasks run.
        options: What only some agents need.
        now: The clock.
    """
    interfaces = {each.binding for each in card.interfaces}
    if ("GRPC" in interfaces) != (options.grpc is not None):
        raise WireError("list a GRPC interface in the card exactly if there is an address for it")
    extensions = _extensions(card)
    card, extended = with_older_fields(card), options.extended_card
    if options.signer is not None:
        card = _signed(card, options.signer)
        extended = extended and _signed(extended, options.signer)

    @asynccontextmanager
    async def running(app: Starlette) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            database = Database(database_url, prepare, sole=True)
            stack.push_async_callback(database.aclose)
            pushes = bool(card.json["capabilities"].get("pushNotifications"))
            outbox = TaskOutbox(database) if pushes else None
            webhooks = Webhooks(options.webhooks, tls=options.tls)
            sender = None
            if outbox is not None:
                sender = PushSender(
                    outbox,
                    webhooks,
                    keys=tokens.signing_keys if tokens else lambda _: (),
                    now=now,
                    patience=options.patience,
                )
            service = TaskService(
                card,
                executor,
                TaskStore(database, dedupe=options.rules.dedupe, push=pushes),
                push=PushOperations(
                    outbox, webhooks, wake=sender.wake if sender else lambda: None, now=now
                ),
                extended_card=ExtendedCard(card, extended, anonymous=not tokens),
                after_restart=resume,
                rules=options.rules,
                now=now,
            )
            for resource in lifespan:
                await stack.enter_async_context(resource(app))
            if sender is not None:
                await stack.enter_async_context(_kept_running(sender.run()))
            stack.push_async_callback(service.stop)
            app.state.tasks = service
            proxy.target = service
            await service.start()
            if options.grpc is not None:
                # gRPC takes 12 MB, which only who serves it should pay.
                from parley_wire.server.grpc_binding import (  # noqa: PLC0415
                    A2AServicer,
                    GrpcServer,
                )

                servicer = A2AServicer(proxy, tokens=tokens, extensions=extensions)
                server = GrpcServer(servicer, options.grpc, limits=options.limits, tls=options.tls)
                await server.start()
                stack.push_async_callback(_end, server, service)
            yield

    proxy = _Late()
    return Starlette(
        routes=[
            card_route(card.raw, since=now()),
            *a2a_routes(
                proxy,
                extensions=extensions,
                limits=options.limits,
                older=serves_older(card),
            ),
            Route("/healthz", _healthy, methods=["GET"]),
            Route("/executions", _executions, methods=["GET"]),
        ],
        middleware=[bearer_middleware(tokens)],
        exception_handlers=exception_handlers(),
        lifespan=running,
    )


async def _end(server: GrpcServer, service: TaskService) -> None:
    """Take no more calls, and end those that wait for something."""
    async with asyncio.TaskGroup() as group:
        group.create_task(server.stop(GRACE_S))
        group.create_task(service.stop())


@asynccontextmanager
async def _kept_running(work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def a2a_routes(
    endpoint: Endpoint,
    *,
    rpc_path: str = "/a2a",
    rest_path: str = "/rest",
    extensions: frozenset[str] = frozenset(),
    limits: Limits = DEFAULT_LIMITS,
    older: bool = False,
) -> list[BaseRoute]:
    """Return the routes of both HTTP bindings; authentication is the middleware's before them."""
    rpc = JsonRpc(endpoint, extensions=extensions, limits=limits, older=older)
    rest = Rest(endpoint, extensions=extensions, limits=limits, older=older)
    return [
        # Clients that join addresses end this one with a slash.
        *(Route(each, rpc, methods=["POST"]) for each in (rpc_path, f"{rpc_path}/")),
        Route(f"{rest_path}/{{path:path}}", rest, methods=["GET", "POST", "DELETE"]),
    ]


def card_route(raw: bytes, *, path: str = CARD_PATH, since: datetime | None = None) -> Route:
    """Serve a card's bytes with a strong ETag, so that signatures and digests hold (A2A 1.0 8.6).

    Args:
        raw: Of the card.
        path: Where.
        since: When it became the card.
    """
    etag = f'"{digest_bytes(raw)}"'
    headers = {"etag": etag, "cache-control": "public, max-age=60"}
    if since is not None:
        headers["last-modified"] = format_datetime(since.astimezone(UTC), usegmt=True)

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


def _signed(card: Card, signer: SigningKey) -> Card:
    # Imported when it is needed: cryptography costs a start 80 ms.
    from parley_cards.signatures import sign  # noqa: PLC0415

    return load_card(sign(card.json, signer))


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
