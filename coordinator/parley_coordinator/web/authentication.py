"""Who calls: established once, before anything else looks at a request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from parley_wire.problems import problem_response
from starlette.datastructures import Headers

from parley_coordinator.errors import UnauthenticatedError
from parley_coordinator.governance.accounts import Accounts

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.types import ASGIApp, Receive, Scope, Send

    from parley_coordinator.governance.access import Principal

_KEY: Final = "parley.principal"
_PUBLIC = re.compile(
    r"/healthz|/openapi\.json|/workflows/[^/]+/\.well-known/agent-card\.json", re.ASCII
)


class Authenticate:
    """Pure ASGI middleware: puts the principal into the scope, or answers 401 and stops.

    Public are the health check, the description of the API and the agent cards, nothing else.
    """

    def __init__(self, app: ASGIApp, *, accounts: Accounts) -> None:
        self._app = app
        self._accounts = accounts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _PUBLIC.fullmatch(scope["path"]):
            try:
                scope[_KEY] = self._accounts.principal(Headers(scope=scope).get("authorization"))
            except UnauthenticatedError as exc:
                await problem_response(exc)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def principal_of(request: HTTPConnection) -> Principal:
    """Return who sent the request; only behind `Authenticate` and not on a public path."""
    principal: Principal = request.scope[_KEY]
    return principal
