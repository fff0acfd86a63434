"""The ASGI app of the coordinator."""

from __future__ import annotations

import functools
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from parley_wire.limits import StrictBody
from parley_wire.problems import exception_handlers
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from parley_coordinator.web.a2a.reach import Reach
from parley_coordinator.web.a2a.relay import Relay
from parley_coordinator.web.a2a.relay_routes import RelayedAgents
from parley_coordinator.web.a2a.routes import WorkflowAgents
from parley_coordinator.web.a2a.tenants import Tenants
from parley_coordinator.web.authentication import Authenticate
from parley_coordinator.web.events_rest import EventRest
from parley_coordinator.web.openapi import openapi
from parley_coordinator.web.operations import operations
from parley_coordinator.web.pages import WorkflowPages
from parley_coordinator.web.push import PushReceiver
from parley_coordinator.web.rest import Rest, healthy
from parley_coordinator.web.workflows import WorkflowRest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from parley_cards.keys import SigningKey
    from starlette.requests import Request

    from parley_coordinator.governance.accounts import Accounts
    from parley_coordinator.web.a2a.pushing import Push
    from parley_coordinator.web.a2a.relay_ports import Lines, PassedOn, RelayedActs
    from parley_coordinator.web.events_rest import Events, Schedules
    from parley_coordinator.web.operations import Operation
    from parley_coordinator.web.ports import (
        Agents,
        Inbox,
        Repairs,
        Runs,
        Workflows,
    )
    from parley_coordinator.web.push import Pushes

    Endpoint = Callable[[Request], Awaitable[Response]]


def _routes(table: Sequence[Operation]) -> list[Route]:
    """Make one route per path, in the order of the table: a 405 lists the methods of a route."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for operation in table:
        by_path.setdefault(operation.path, {})[operation.method] = operation.endpoint
    return [
        Route(path, _dispatched(endpoints), methods=list(endpoints))
        for path, endpoints in by_path.items()
    ]


def _dispatched(endpoints: Mapping[str, Endpoint]) -> Endpoint:
    async def dispatch(request: Request) -> Response:
        # The route lets through what is in the table, and HEAD where there is GET.
        method = "GET" if request.method == "HEAD" else request.method
        return await endpoints[method](request)

    return dispatch


def create_app(  # noqa: PLR0913 - one for each port
    *,
    runs: Runs,
    repairs: Repairs,
    workflows: Workflows,
    inbox: Inbox,
    events: Events,
    schedules: Schedules,
    accounts: Accounts,
    registry: Agents,
    lines: Lines,
    passed_on: PassedOn,
    acts: RelayedActs,
    pushes: Pushes,
    push: Push,
    public_url: str,
    grpc: str | None = None,
    older: bool = False,
    signer: SigningKey | None = None,
    lifespan: Callable[[Starlette], AbstractAsyncContextManager[Any]] | None = None,
) -> Starlette:
    """Put the faces together: REST below `/v1`, A2A below `/workflows/{name}` and `/agents/{name}`.

    Args:
        public_url: How others reach this server; it is in the cards.
        grpc: Where others reach A2A over gRPC (`Reach.grpc`); None: they do not. It is in the cards.
        older: Speak A2A 0.3 too.
        signer: Signs the cards.
        lifespan: Entered before the first request, left after the last.

    Returns:
        The app; what it serves over A2A is `state.a2a`, an `Endpoint` for bindings of other ports.
    """
    public_url = public_url.rstrip("/")
    reach = Reach(public_url, grpc, older=older, signer=signer)
    relay = Relay(lines, passed_on, acts, reach)
    table = operations(
        Rest(runs=runs, repairs=repairs, inbox=inbox, registry=registry, acts=acts),
        WorkflowRest(workflows=workflows, public_url=public_url),
        EventRest(events, schedules),
    )

    @functools.cache
    def described() -> dict[str, Any]:
        # When it is first asked for: making it takes as long as half of the start.
        return openapi(table, url=public_url, version=version("parley-mesh"))

    async def describe(_: Request) -> Response:
        return JSONResponse(described(), headers={"cache-control": "public, max-age=60"})

    app = Starlette(
        routes=[
            Route("/healthz", healthy, methods=["GET"]),
            Route("/openapi.json", describe, methods=["GET"]),
            *_routes(table),
            *WorkflowPages(workflows).routes(),
            Mount(
                "/workflows/{name}",
                app=WorkflowAgents(
                    runs=runs,
                    workflows=workflows,
                    inbox=inbox,
                    push=push,
                    reach=reach,
                ),
            ),
            Mount(
                "/agents/{name}",
                app=RelayedAgents(relay),
            ),
        ],
        middleware=[
            # Agents have no account: a push is known by the token of its webhook.
            Middleware(PushReceiver, pushes=pushes),
            # Who calls comes first: nobody unknown makes us read a body.
            Middleware(Authenticate, accounts=accounts),
            Middleware(StrictBody),
        ],
        exception_handlers=exception_handlers(),
        lifespan=lifespan,
    )
    app.state.a2a = Tenants(
        accounts=accounts,
        runs=runs,
        workflows=workflows,
        inbox=inbox,
        push=push,
        relay=relay,
    )
    return app
