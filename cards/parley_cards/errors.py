"""The root of every error that Parley raises on purpose, and the one table that shows it outside.

Each package grows its own branch::

    ParleyError
    ├── CardError ...            parley_cards
    ├── WireError ...            parley_wire
    ├── RegistryError ...        parley_registry
    ├── SystemOfRecordError ...  parley_systems
    └── CoordinatorError ...     parley_coordinator

A class has a `code`, stable for clients and for the audit trail, and a `kind`, from which its HTTP
status, its JSON-RPC code and the exit status of a command follow.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar, NamedTuple


class Kind(StrEnum):
    """What the caller can do about a failure."""

    INVALID = "invalid"
    """Change the request."""
    UNAUTHENTICATED = "unauthenticated"
    """Send a valid token."""
    FORBIDDEN = "forbidden"
    """Ask somebody who may."""
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    """Read again: somebody or something was faster."""
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"
    UNAVAILABLE = "unavailable"
    """Try again later."""
    BAD_GATEWAY = "bad_gateway"
    """An agent or a system answered something that it must not."""
    TIMEOUT = "timeout"
    INTERNAL = "internal"
    """A defect of ours; the log has the details."""


class Face(NamedTuple):
    """How one kind of failure looks from outside."""

    http: int
    jsonrpc: int
    exit: int


FACES: dict[Kind, Face] = {
    # JSON-RPC: A2A 1.0 section 5.4 owns -32001..-32009, we use -32040..-32060 of the server range.
    Kind.INVALID: Face(400, -32602, 2),
    Kind.UNAUTHENTICATED: Face(401, -32041, 3),
    Kind.FORBIDDEN: Face(403, -32043, 4),
    Kind.NOT_FOUND: Face(404, -32044, 5),
    Kind.CONFLICT: Face(409, -32049, 6),
    Kind.TOO_LARGE: Face(413, -32053, 2),
    Kind.UNSUPPORTED: Face(422, -32052, 2),
    Kind.UNAVAILABLE: Face(503, -32050, 7),
    Kind.BAD_GATEWAY: Face(502, -32051, 7),
    Kind.TIMEOUT: Face(504, -32054, 7),
    Kind.INTERNAL: Face(500, -32603, 1),
}
"""The one table from a failure to HTTP, JSON-RPC and the exit status of a command."""


class ParleyError(Exception):
    """A failure that was foreseen.

    Args:
        message: One sentence for people: what is wrong, and what to do.
        facts: What a program may want to know about it, as JSON.
    """

    code: ClassVar[str] = "error"
    kind: ClassVar[Kind] = Kind.INTERNAL

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts

    @property
    def face(self) -> Face:
        return FACES[self.kind]
