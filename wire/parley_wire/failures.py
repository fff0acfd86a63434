"""The one table of what a failed call to an agent means, for every binding.

A meaning is one of three dispositions: *retry*: it has not run, send it again. *final*: it has not run
and will not. *uncertain*: it may have run; find out before sending anything again. Whatever is not in
the table is uncertain: an agent that says something unknown has not said no.

docs/failure-semantics.md shows the table to people; a test compares the two (ADR-0016).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from a2a.utils.errors import A2A_ERROR_REASONS, JSON_RPC_ERROR_CODE_MAP

if TYPE_CHECKING:
    from collections.abc import Mapping

Disposition: TypeAlias = Literal["retry", "final", "uncertain"]


class Meaning(StrEnum):
    """What may be concluded; the value is the stable code of the error that is raised."""

    UNREACHABLE = "agent_unreachable"
    """There was no connection, so nothing was sent."""
    BUSY = "agent_busy"
    """The agent declined for now."""
    LOST = "agent_connection_lost"
    """The request was sent, and the answer was lost or never came."""
    SERVER = "agent_server_error"
    """The agent, or something before it, broke, or says what nobody knows."""
    PROTOCOL = "agent_protocol_error"
    """What came back is not A2A."""
    REFUSED = "agent_refused"
    """The agent does not do what it was asked."""
    TASK_UNKNOWN = "agent_task_unknown"
    """The agent has no such task, or not for this caller."""
    AUTH = "agent_auth"
    """The agent does not accept this caller."""
    UNSUPPORTED = "unsupported_agent"
    """No request can be made of it, so nothing was sent."""

    @property
    def disposition(self) -> Disposition:
        return _DISPOSITIONS[self]


_DISPOSITIONS: Final[Mapping[Meaning, Disposition]] = {
    Meaning.UNREACHABLE: "retry",
    Meaning.BUSY: "retry",
    Meaning.LOST: "uncertain",
    Meaning.SERVER: "uncertain",
    Meaning.PROTOCOL: "uncertain",
    Meaning.REFUSED: "final",
    Meaning.TASK_UNKNOWN: "final",
    Meaning.AUTH: "final",
    Meaning.UNSUPPORTED: "final",
}

TRANSPORT: Final[Mapping[str, Meaning]] = {
    "ConnectError": Meaning.UNREACHABLE,
    "ConnectTimeout": Meaning.UNREACHABLE,
    "PoolTimeout": Meaning.UNREACHABLE,
    "UnsupportedProtocol": Meaning.UNSUPPORTED,
    "InvalidURL": Meaning.UNSUPPORTED,
    "RemoteProtocolError": Meaning.PROTOCOL,
    "ReadTimeout": Meaning.LOST,
    "ReadError": Meaning.LOST,
    "TransportError": Meaning.LOST,
}
"""By the name of the httpx exception (`parley_wire.http`), or of the nearest of its bases."""

HTTP: Final[Mapping[str, Meaning]] = {
    "3xx": Meaning.PROTOCOL,
    "401": Meaning.AUTH,
    "403": Meaning.AUTH,
    "408": Meaning.SERVER,
    "425": Meaning.BUSY,
    "429": Meaning.BUSY,
    "4xx": Meaning.REFUSED,
    "501": Meaning.REFUSED,
    "503": Meaning.BUSY,
    "505": Meaning.REFUSED,
    "511": Meaning.AUTH,
    "5xx": Meaning.SERVER,
}
"""By status, else by its first digit. 2xx with something else than A2A is `PROTOCOL`."""

JSONRPC: Final[Mapping[int, Meaning]] = {
    **dict.fromkeys(JSON_RPC_ERROR_CODE_MAP.values(), Meaning.REFUSED),
    -32001: Meaning.TASK_UNKNOWN,
    -32006: Meaning.SERVER,
    -32010: Meaning.REFUSED,
    -32041: Meaning.AUTH,
    -32043: Meaning.AUTH,
    -32050: Meaning.BUSY,
    -32603: Meaning.SERVER,
}
"""By code: those of JSON-RPC 2.0, of A2A 1.0 5.4, of 1.1's generations, and of A2A SDKs."""

A2A: Final[Mapping[str, Meaning]] = {
    **{
        A2A_ERROR_REASONS[error]: JSONRPC[code]
        for error, code in JSON_RPC_ERROR_CODE_MAP.items()
        if error in A2A_ERROR_REASONS
    },
    "TASK_GENERATION_MISMATCH": Meaning.REFUSED,
}
"""By the reason of the google.rpc.ErrorInfo; it says more than the status beside it."""

GRPC: Final[Mapping[str, Meaning]] = {
    "CANCELLED": Meaning.LOST,
    "UNKNOWN": Meaning.SERVER,
    "INVALID_ARGUMENT": Meaning.REFUSED,
    "DEADLINE_EXCEEDED": Meaning.LOST,
    "NOT_FOUND": Meaning.TASK_UNKNOWN,
    "ALREADY_EXISTS": Meaning.REFUSED,
    "PERMISSION_DENIED": Meaning.AUTH,
    "RESOURCE_EXHAUSTED": Meaning.BUSY,
    "FAILED_PRECONDITION": Meaning.REFUSED,
    "ABORTED": Meaning.SERVER,
    "OUT_OF_RANGE": Meaning.REFUSED,
    "UNIMPLEMENTED": Meaning.REFUSED,
    "INTERNAL": Meaning.SERVER,
    "UNAVAILABLE": Meaning.LOST,
    "DATA_LOSS": Meaning.SERVER,
    "UNAUTHENTICATED": Meaning.AUTH,
}
"""By status, as the agent sent it. `UNAVAILABLE` without a connection is `UNREACHABLE`; what the
client library refuses by itself (an answer that is too large is its RESOURCE_EXHAUSTED) is `PROTOCOL`."""


def of_transport(names: list[str]) -> Meaning:
    """Args: the names of an exception's classes, most special first."""
    return next((TRANSPORT[name] for name in names if name in TRANSPORT), Meaning.LOST)


def of_http(status: int) -> Meaning:
    return HTTP.get(str(status)) or HTTP.get(f"{status // 100}xx", Meaning.PROTOCOL)


def of_jsonrpc(code: int) -> Meaning:
    return JSONRPC.get(code, Meaning.SERVER)


def of_grpc(status: str) -> Meaning:
    return GRPC.get(status, Meaning.SERVER)


def refined(meaning: Meaning, *others: Meaning | None) -> Meaning:
    """Combine what a status says with what is known beside it: one uncertain is uncertain, all told.

    A refusal is said more exactly by what stands beside it; any other meaning is the status's.
    """
    known = [each for each in others if each is not None]
    for each in (meaning, *known):
        if each.disposition == "uncertain":
            return each
    return known[0] if known and meaning is Meaning.REFUSED else meaning
