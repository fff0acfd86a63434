"""Who is calling: bearer tokens, compared in constant time, before anything else is looked at."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    BaseUser,
)
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware

from parley_wire.errors import UnauthorizedError
from parley_wire.problems import problem_response
from parley_wire.webhooks import signing_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import HTTPConnection
    from starlette.responses import Response

ANONYMOUS: Final = "anonymous"
"""Every caller of a service without tokens; such a service must listen on loopback only."""
PUBLIC: Final = ("/.well-known/", "/healthz")
_MAX_HEADER: Final = 4096


class Tokens:
    """The bearer tokens that a service accepts.

    Args:
        tokens: Token to the name of the caller who holds it.
    """

    def __init__(self, tokens: Mapping[str, str]) -> None:
        if any(not token or not caller for token, caller in tokens.items()):
            raise ValueError("an empty token or an empty caller name would let anybody in")
        self._callers = {_fingerprint(token): caller for token, caller in tokens.items()}

    def __bool__(self) -> bool:
        return bool(self._callers)

    def signing_keys(self, caller: str) -> list[bytes]:
        """Return the keys of what is sent to a caller, one for each of its tokens (`webhooks`)."""
        return [signing_key(known) for known, name in self._callers.items() if name == caller]

    def caller(self, authorization: str | None) -> str | None:
        """Return who sends this `Authorization` header, or None if nobody known does.

        Every known token is compared, in constant time.
        """
        if authorization is None or len(authorization) > _MAX_HEADER:
            return None
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        given = _fingerprint(token.strip())
        found: str | None = None
        for known, caller in self._callers.items():
            if hmac.compare_digest(known, given):
                found = caller
        return found


class Caller(BaseUser):
    """An authenticated caller, for Starlette and the A2A SDK."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def display_name(self) -> str:
        return self._name

    @property
    def identity(self) -> str:
        return self._name


class BearerBackend(AuthenticationBackend):
    """Let known tokens in, refuse all others with 401, and leave public paths open.

    Args:
        tokens: None or empty: everybody is `anonymous`.
        public: Path prefixes that need no token: those ending in `/`; others are whole paths.
    """

    def __init__(self, tokens: Tokens | None, public: Sequence[str] = PUBLIC) -> None:
        self._tokens = tokens
        self._public = tuple(public)

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        if not self._tokens:
            return AuthCredentials(["authenticated"]), Caller(ANONYMOUS)
        caller = self._tokens.caller(conn.headers.get("authorization"))
        if caller is not None:
            return AuthCredentials(["authenticated"]), Caller(caller)
        if self._is_public(conn.scope["path"]):
            return None
        raise AuthenticationError

    def _is_public(self, path: str) -> bool:
        return any(
            path.startswith(each) if each.endswith("/") else path == each for each in self._public
        )


def bearer_middleware(tokens: Tokens | None, public: Sequence[str] = PUBLIC) -> Middleware:
    """Return the Starlette middleware; afterwards `request.user.display_name` is the caller."""
    return Middleware(
        AuthenticationMiddleware, backend=BearerBackend(tokens, public), on_error=_refuse
    )


def _refuse(_: HTTPConnection, __: AuthenticationError) -> Response:
    return problem_response(UnauthorizedError())


def _fingerprint(token: str) -> bytes:
    """Equal lengths, so that comparing does not tell how long a token is."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
