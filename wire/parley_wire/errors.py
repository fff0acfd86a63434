"""The wire's branch of the error tree.

::

    WireError
    ├── DatabaseUnusableError   503 database_unusable
    │   └── DatabaseUnreachableError 503 database_unreachable
    ├── UnstorableTextError     400 unstorable_text
    ├── UnauthorizedError       401 unauthenticated
    ├── BodyTooLargeError       413 body_too_large
    ├── UnsupportedAgentError   422 unsupported_agent
    ├── CannotListenError       409 cannot_listen
    └── AgentError ...          parley_wire.agent_errors: what a call to an agent can end in
"""

from __future__ import annotations

from typing import ClassVar

from parley_cards.errors import Kind, ParleyError


class WireError(ParleyError):
    """The root of what this package raises."""

    code: ClassVar[str] = "wire"


class DatabaseUnusableError(WireError):
    """The database cannot be used by this version, or was closed."""

    code: ClassVar[str] = "database_unusable"
    kind: ClassVar[Kind] = Kind.UNAVAILABLE


class DatabaseUnreachableError(DatabaseUnusableError):
    """The database server did not answer for too long."""

    code: ClassVar[str] = "database_unreachable"


class UnstorableTextError(WireError):
    """Postgres stores every text but one with the character U+0000."""

    code: ClassVar[str] = "unstorable_text"
    kind: ClassVar[Kind] = Kind.INVALID

    def __init__(self) -> None:
        super().__init__("a text with the character U+0000 cannot be stored; send it without")


class UnauthorizedError(WireError):
    """There is no bearer token, or it is not one that this service knows."""

    code: ClassVar[str] = "unauthenticated"
    kind: ClassVar[Kind] = Kind.UNAUTHENTICATED

    def __init__(self) -> None:
        super().__init__("send a valid token: Authorization: Bearer ...")


class BodyTooLargeError(WireError):
    """A request or response body is longer than the limit."""

    code: ClassVar[str] = "body_too_large"
    kind: ClassVar[Kind] = Kind.TOO_LARGE

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"the body is larger than the {limit} bytes that are allowed", limit=limit)


class CannotListenError(WireError):
    """Somebody has the address that gRPC is to be served on, or this machine does not have it.

    Args:
        address: `HOST:PORT`.
    """

    code: ClassVar[str] = "cannot_listen"
    kind: ClassVar[Kind] = Kind.CONFLICT

    def __init__(self, address: str) -> None:
        super().__init__(
            f"cannot listen on {address} for gRPC;"
            " stop what listens there, or choose another port: PARLEY_GRPC_PORT"
        )


class UnsupportedAgentError(WireError):
    """The agent's card offers no interface that this client speaks."""

    code: ClassVar[str] = "unsupported_agent"
    kind: ClassVar[Kind] = Kind.UNSUPPORTED
