"""Who calls: established once, before anything else looks at a request."""

from __future__ import annotations

import base64
import binascii
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
    r"/healthz|/openapi\.json|/(?:workflows|agents)/[^/]+/\.well-known/agent-card\.json", re.ASCII
)
_PAGE = re.compile(r"/workflows/[^/]+(?:/diagram\.svg|/outline\.txt|/document\.json)?", re.ASCII)
_USER: Final = "token"
_BASIC: Final = 'Basic realm="parley", charset="UTF-8"'


class Authenticate:
    """Pure ASGI middleware: puts the principal into the scope, or answers 401 and stops.

    Public are the health check, the description of the API and the agent cards, nothing else. The
    pages of workflows take HTTP Basic, too, with the user `token` and the token as the password:
    a browser can send that. They change nothing, so it does no harm that it sends it by itself.
    """

    def __init__(self, app: ASGIApp, *, accounts: Accounts) -> None:
        self._app = app
        self._accounts = accounts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _PUBLIC.fullmatch(scope["path"]):
            given = Headers(scope=scope).get("authorization")
            page = scope["method"] in ("GET", "HEAD") and _PAGE.fullmatch(scope["path"]) is not None
            try:
                scope[_KEY] = self._accounts.principal(_as_bearer(given) if page else given)
            except UnauthenticatedError as exc:
                answer = problem_response(exc)
                if page:
                    # A header of its own: browsers read no second challenge in the first.
                    answer.headers.append("www-authenticate", _BASIC)
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


def principal_of(request: HTTPConnection) -> Principal:
    """Return who sent the request; only behind `Authenticate` and not on a public path."""
    return principal_in(request.scope)


def principal_in(scope: Scope) -> Principal:
    """`principal_of`, for who has no request yet."""
    principal: Principal = scope[_KEY]
    return principal


def _as_bearer(authorization: str | None) -> str | None:
    """Return HTTP Basic (RFC 7617) of our user as the bearer token that it holds."""
    scheme, _, given = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return authorization
    try:
        user, _, token = base64.b64decode(given.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return f"Bearer {token}" if user == _USER else None
