"""The ASGI app of the coordinator."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from parley_wire.limits import StrictBody
from parley_wire.problems import exception_handlers
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from parley_coordinator.web.a2a.routes import WorkflowAgents
from parley_coordinator.web.authentication import Authenticate
from parley_coordinator.web.events_rest import EventRest
from parley_coordinator.web.openapi import openapi
from parley_coordinator.web.operations import operations
from parley_coordinator.web.pages import WorkflowPages
from parley_coordinator.web.rest import Rest, healthy
from parley_coordinator.web.workflows import WorkflowRest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from starlette.requests import Request

    from parley_coordinator.governance.accounts import Accounts
    from parley_coordinator.web.events_rest import Events, Schedules
    from parley_coordinator.web.operations import Operation
    from parley_coordinator.web.ports import Agents, Inbox, Runs, Workflows

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
    workflows: Workflows,
    inbox: Inbox,
    events: Events,
    schedules: Schedules,
    accounts: Accounts,
    registry: Agents,
    public_url: str,
    lifespan: Callable[[Starlette], AbstractAsyncContextManager[Any]] | None = None,
) -> Starlette:
    """Put the faces together: REST below `/v1`, A2A and pages below `/workflows/{name}`.

    Args:
        public_url: How others reach this server; it is in the cards.
        lifespan: Entered before the first request, left after the last.
    """
    public_url = public_url.rstrip("/")
    table = operations(
        Rest(runs=runs, inbox=inbox, registry=registry),
        WorkflowRest(workflows=workflows, public_url=public_url),
        EventRest(events, schedules),
    )
    described = openapi(table, url=public_url, version=version("parley-mesh"))

    async def describe(_: Request) -> Response:
        return JSONResponse(described, headers={"cache-control": "public, max-age=60"})

    return Starlette(
        routes=[
            Route("/healthz", healthy, methods=["GET"]),
            Route("/openapi.json", describe, methods=["GET"]),
            *_routes(table),
            *WorkflowPages(workflows).routes(),
            Mount(
                "/workflows/{name}",
                app=WorkflowAgents(
                    runs=runs, workflows=workflows, inbox=inbox, public_url=public_url
                ),
            ),
        ],
        middleware=[
            # Who calls comes first: nobody unknown makes us read a body.
            Middleware(Authenticate, accounts=accounts),
            Middleware(StrictBody),
        ],
        exception_handlers=exception_handlers(),
        lifespan=lifespan,
    )
