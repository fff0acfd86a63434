"""The public services that conformance documents call, as a server on loopback.

`petstore.swagger.io` and `httpbin.org` with as much as is called, `shop.example` for what our own
features need. Requests take the product's real way out; only their connection leads here.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
from parley_coordinator.delegation.gates import Gates
from parley_coordinator.delegation.guarding import AgentGuards
from parley_coordinator.protocols.egress import Egress
from parley_coordinator.protocols.outcome import Trail
from parley_coordinator.protocols.performer import Performer
from parley_coordinator.workflow.effects import Request as Asked
from parley_coordinator.workflow.rehearsal import STARTED
from parley_wire.http import open_http
from parley_wire.serving import Background
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Host, Route, Router

from tests.conformance.running import Perform

ALLOWED: Final = "petstore.swagger.io, httpbin.org, shop.example"
PETS: Final = {
    number: {"id": number, "name": name, "status": status, "photoUrls": [], "tags": []}
    for number, name, status in (
        (1, "Rex", "available"),
        (2, "Tom", "available"),
        (3, "Bo", "sold"),
    )
}
NO_LOG: Final[Any] = None
"""HTTP and OpenAPI look nothing up: whether they have begun is the caller's to know."""
NOT_FOUND: Final = {"code": 1, "type": "error", "message": "Pet not found"}
SWAGGER: Final = {
    "swagger": "2.0",
    "info": {"title": "A part of the pet store", "version": "1.0.0"},
    "host": "petstore.swagger.io",
    "basePath": "/v2",
    "schemes": ["https"],
    "paths": {
        "/pet/findByStatus": {
            "get": {
                "operationId": "findPetsByStatus",
                "produces": ["application/json"],
                "parameters": [
                    {
                        "name": "status",
                        "in": "query",
                        "required": True,
                        "type": "array",
                        "items": {"type": "string", "enum": ["available", "pending", "sold"]},
                        "collectionFormat": "multi",
                    }
                ],
                "responses": {"200": {"description": "pets"}},
            }
        },
        "/pet/{petId}": {
            "get": {
                "operationId": "getPetById",
                "produces": ["application/json"],
                "parameters": [
                    {
                        "name": "petId",
                        "in": "path",
                        "required": True,
                        "type": "integer",
                        "format": "int64",
                    }
                ],
                "responses": {"200": {"description": "a pet"}, "404": {"description": "none"}},
            }
        },
    },
}


def _now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def services() -> AsyncGenerator[Perform]:
    """Serve, and yield what sends protocol requests there."""
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(Background(public_services()))
        http = await stack.enter_async_context(rerouted(open_http(), httpx.URL(served.url)))
        performer = Performer(
            http,
            Egress.parse(ALLOWED),
            now=_now,
            patience=timedelta(seconds=5),
            guards=AgentGuards(Gates(now=_now), now=_now, draw=lambda: 0.1),
        )

        async def perform(asked: Asked) -> Any:
            prepared = await performer.prepare(asked, "run-1")
            return await prepared.send(
                Trail(log=NO_LOG, place=asked.place, since=STARTED, begun=False, confidential=tuple)
            )

        yield perform


def rerouted(http: httpx.AsyncClient, server: httpx.URL) -> httpx.AsyncClient:
    """Return a client that sends what it is told through `http`, to one server; it closes `http`."""
    return httpx.AsyncClient(transport=_Rerouted(http, server), trust_env=False)


class _Rerouted(httpx.AsyncBaseTransport):
    """Connects to one server, whatever the host; the request still names it."""

    def __init__(self, inner: httpx.AsyncClient, server: httpx.URL) -> None:
        self._inner = inner
        self._server = server

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        server = self._server
        rerouted = httpx.Request(
            request.method,
            request.url.copy_with(scheme=server.scheme, host=server.host, port=server.port),
            headers=request.headers,
            content=await request.aread(),
            extensions=request.extensions,
        )
        return await self._inner.send(rerouted, stream=True)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _pet(request: Request) -> Response:
    number = request.path_params["number"]
    known = PETS.get(int(number)) if number.isdecimal() else None
    return JSONResponse(NOT_FOUND, 404) if known is None else JSONResponse(known)


def _pets(request: Request) -> Response:
    wanted = request.query_params.getlist("status")
    return JSONResponse([pet for pet in PETS.values() if pet["status"] in wanted])


def _basic(request: Request) -> Response:
    user, password = request.path_params["user"], request.path_params["password"]
    expected = base64.b64encode(f"{user}:{password}".encode()).decode()
    if request.headers.get("authorization") != f"Basic {expected}":
        return Response(status_code=401, headers={"www-authenticate": 'Basic realm="stub"'})
    return JSONResponse({"authenticated": True, "user": user})


async def _echo(request: Request) -> Response:
    told = ("authorization", "content-type", "x-trace", "idempotency-key")
    return JSONResponse(
        {
            "method": request.method,
            "path": request.url.path,
            "query": dict(request.query_params),
            "headers": {name: request.headers[name] for name in told if name in request.headers},
            "body": (await request.body()).decode(),
        }
    )


def _status(request: Request) -> Response:
    return PlainTextResponse("as asked for", int(request.path_params["status"]))


def _moved(_request: Request) -> Response:
    return RedirectResponse("https://shop.example/echo", 302)


def _text(_request: Request) -> Response:
    return PlainTextResponse("plain words")


def public_services() -> Starlette:
    petstore = Router(
        [
            Route("/v2/swagger.json", lambda _request: JSONResponse(SWAGGER)),
            Route("/v2/pet/findByStatus", _pets),
            Route("/v2/pet/{number}", _pet),
        ]
    )
    httpbin = Router([Route("/basic-auth/{user}/{password}", _basic)])
    shop = Router(
        [
            Route("/echo", _echo, methods=["GET", "POST", "PUT", "DELETE"]),
            Route("/status/{status}", _status),
            Route("/moved", _moved),
            Route("/text", _text),
        ]
    )
    return Starlette(
        routes=[
            Host("petstore.swagger.io", petstore),
            Host("httpbin.org", httpbin),
            Host("shop.example", shop),
        ]
    )
