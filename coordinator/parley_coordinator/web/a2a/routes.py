"""Where the agents of the workflows are: `/workflows/{name}`, looked up with each request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from a2a.server.context import ServerCallContext
from a2a.server.routes import create_jsonrpc_routes, create_rest_routes
from a2a.server.routes.common import ServerCallContextBuilder
from a2a.types import TaskState
from a2a.utils.errors import InvalidParamsError, VersionNotSupportedError
from parley_cards.canonical import digest_bytes
from starlette.responses import Response
from starlette.routing import Mount, Route, Router

from parley_coordinator.web.a2a.card import card_bytes
from parley_coordinator.web.a2a.handler import PRINCIPAL, SCOPE, WorkflowHandler
from parley_coordinator.web.authentication import principal_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from parley_coordinator.web.ports import Document, Inbox, Runs, Workflows

CARD_PATH = "/.well-known/agent-card.json"
VERSION = "1.0"
_STATES = frozenset(TaskState.keys())


class WorkflowAgents:
    """ASGI app, mounted at `/workflows/{name}`.

    The routes of a workflow are made at its first request and again when another version becomes
    current.
    """

    def __init__(self, *, runs: Runs, workflows: Workflows, inbox: Inbox, public_url: str) -> None:
        self._runs = runs
        self._workflows = workflows
        self._inbox = inbox
        self._public_url = public_url
        self._made: dict[str, tuple[str, Router]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises UnknownWorkflowError."""
        document = await self._workflows.document(scope["path_params"]["name"])
        digest, router = self._made.get(document.name, ("", None))
        if router is None or digest != document.digest:
            router = self._router(document)
            self._made[document.name] = (document.digest, router)
        await router(scope, receive, send)

    def _router(self, document: Document) -> Router:
        handler = WorkflowHandler(document.name, runs=self._runs, inbox=self._inbox)
        contexts = _Contexts()
        rest = create_rest_routes(handler, context_builder=contexts)
        return Router(
            routes=[
                card_route(
                    card_bytes(document, url=f"{self._public_url}/workflows/{document.name}")
                ),
                *create_jsonrpc_routes(handler, rpc_url="/a2a", context_builder=contexts),
                # The SDK's last route takes any first segment for a tenant; the card declares none.
                Mount("/rest", routes=[route for route in rest if isinstance(route, Route)]),
            ]
        )


def card_route(card: bytes) -> Route:
    """Serve a card's bytes with a strong ETag (A2A 1.0 8.6)."""
    etag = f'"{digest_bytes(card)}"'
    headers = {"etag": etag, "cache-control": "public, max-age=60"}

    async def serve_card(request: Request) -> Response:
        known = {
            each.strip().removeprefix("W/")
            for each in request.headers.get("if-none-match", "").split(",")
        }
        if etag in known or "*" in known:
            return Response(status_code=304, headers=headers)
        return Response(card, media_type="application/json", headers=headers)

    return Route(CARD_PATH, serve_card, methods=["GET"])


class _Contexts(ServerCallContextBuilder):
    """Checks what the SDK does not, before it dispatches."""

    def build(self, request: Request) -> ServerCallContext:
        headers = dict(request.headers)
        version = headers.get("a2a-version") or request.query_params.get("A2A-Version", "")
        if ".".join(version.split(".")[:2]) != VERSION:
            raise VersionNotSupportedError(
                f"A2A-Version {version[:20] or '0.3 (none was sent)'} is not supported; send 1.0"
            )
        headers["a2a-version"] = VERSION
        _check_status(_parameters(request).get("status"))
        return ServerCallContext(
            state={
                "headers": headers,
                PRINCIPAL: principal_of(request),
                SCOPE: request.scope,
            }
        )


def _parameters(request: Request) -> Any:
    """Return the parameters of an operation as they came; protobuf drops what it does not know."""
    if request.method == "GET":
        return request.query_params
    body = getattr(request, "_json", None)
    parameters = body.get("params") if isinstance(body, dict) else None
    return parameters if isinstance(parameters, dict) else {}


def _check_status(status: object) -> None:
    if isinstance(status, str) and status not in _STATES:
        raise InvalidParamsError(f"status is not a task state: {status[:60]!r}")
