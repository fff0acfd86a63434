"""What a call to an agent can end in. `parley_wire.failures` has the table of what ends in which.

============================  ===========  ====================================================
raised                        disposition  when
============================  ===========  ====================================================
AgentUnreachableError         retry        refused, DNS, no connection in time: nothing was sent
AgentBusyError                retry        it declined for now
AgentConnectionLostError      uncertain    sent, but silence, reset or a stream cut off
AgentServerError              uncertain    it broke, or says what nobody knows
AgentProtocolError            uncertain    not JSON, not A2A, too large, a redirect, HTML with 200
AgentRefusedError             final        an A2A error, any other 4xx
└── TaskUnknownError          final        TaskNotFound: there is no such task for this caller
AgentAuthError                final        it does not accept this caller
============================  ===========  ====================================================
"""

from __future__ import annotations

import unicodedata
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Final

from a2a.utils.errors import A2A_ERROR_REASONS, JSON_RPC_ERROR_CODE_MAP
from parley_cards.errors import Kind

from parley_wire import failures
from parley_wire.errors import UnsupportedAgentError, WireError
from parley_wire.failures import Disposition, Meaning

MAX_TOLD: Final = 500
"""Characters of an agent's own words that are passed on."""
MAX_RETRY_AFTER_S: Final = 300.0
"""No agent is left alone for longer, whatever it asks for."""


class AgentError(WireError):
    """A call to an agent did not work; see the table above."""

    code: ClassVar[str] = "agent_error"
    kind: ClassVar[Kind] = Kind.BAD_GATEWAY
    disposition: ClassVar[Disposition] = "uncertain"
    unwell: bool = False
    """Whether it says that the agent is not well, whatever it was asked."""


class AgentUnreachableError(AgentError):
    """There was no connection, so nothing was sent."""

    code: ClassVar[str] = "agent_unreachable"
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    disposition: ClassVar[Disposition] = "retry"
    unwell = True


class AgentBusyError(AgentError):
    """The agent declined for now."""

    code: ClassVar[str] = "agent_busy"
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    disposition: ClassVar[Disposition] = "retry"

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float | None = None,
        unwell: bool = False,
        **facts: Any,
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s, **facts)
        self.unwell = unwell
        self.retry_after_s = retry_after_s
        """How long the agent asks to be left alone; None if it does not say."""


class AgentConnectionLostError(AgentError):
    """The request was sent, and the answer was lost or never came."""

    code: ClassVar[str] = "agent_connection_lost"
    unwell = True


class AgentServerError(AgentError):
    """The agent, or something before it, broke."""

    code: ClassVar[str] = "agent_server_error"
    unwell = True


class AgentProtocolError(AgentError):
    """What came back is not A2A."""

    code: ClassVar[str] = "agent_protocol_error"
    unwell = True


class AgentRefusedError(AgentError):
    """The agent does not do what it was asked."""

    code: ClassVar[str] = "agent_refused"
    disposition: ClassVar[Disposition] = "final"

    def __init__(self, message: str, *, a2a_code: str = "", **facts: Any) -> None:
        super().__init__(message, a2a_code=a2a_code, **facts)
        self.a2a_code = a2a_code
        """The reason as A2A names it, `UNSUPPORTED_OPERATION`; `HTTP_418` if there was none."""


class TaskUnknownError(AgentRefusedError):
    """The agent has no such task, or not for this caller."""

    code: ClassVar[str] = "agent_task_unknown"


class AgentAuthError(AgentError):
    """The agent does not accept this caller."""

    code: ClassVar[str] = "agent_auth"
    disposition: ClassVar[Disposition] = "final"


_ERRORS: Final[dict[Meaning, type[AgentError]]] = {
    Meaning.UNREACHABLE: AgentUnreachableError,
    Meaning.LOST: AgentConnectionLostError,
    Meaning.SERVER: AgentServerError,
    Meaning.PROTOCOL: AgentProtocolError,
    Meaning.REFUSED: AgentRefusedError,
    Meaning.TASK_UNKNOWN: TaskUnknownError,
    Meaning.AUTH: AgentAuthError,
}
_REASONS: Final = {
    code: A2A_ERROR_REASONS.get(error, error.__name__.removesuffix("Error").upper())
    for error, code in JSON_RPC_ERROR_CODE_MAP.items()
}
_TRANSPORT_WORDS: Final = {
    Meaning.UNREACHABLE: "{} could not be reached: {}",
    Meaning.UNSUPPORTED: "{} has an address that cannot be used: {}",
    Meaning.PROTOCOL: "{} did not answer in HTTP: {}",
}


def from_transport(name: str, exc: Exception) -> AgentError | UnsupportedAgentError:
    """Class an httpx exception of a request to the agent `name`."""
    meaning = failures.of_transport([each.__name__ for each in type(exc).__mro__])
    told = _TRANSPORT_WORDS.get(meaning, "the answer of {} was lost: {}").format(name, exc)
    if meaning is Meaning.UNSUPPORTED:
        return UnsupportedAgentError(told)
    return _ERRORS[meaning](told)


def from_jsonrpc(name: str, error: Any) -> AgentError:
    """Class the `error` member of a JSON-RPC response of the agent `name`."""
    if not isinstance(error, dict) or not isinstance(error.get("code"), int):
        return AgentProtocolError(f"{name} answered with an error that is not JSON-RPC")
    code = int(error["code"])
    reason = _reason(error.get("data"))
    meaning = failures.refined(failures.of_jsonrpc(code), failures.A2A.get(reason))
    reason = reason or _REASONS.get(code, str(code)[:20])
    return _error(meaning, f"{name}: {_told(error.get('message')) or reason}", reason)


def from_http(
    name: str, status: int, *, retry_after: str | None, body: Any, date: str | None = None
) -> AgentError:
    """Class an HTTP response that is not 2xx.

    Args:
        name: The agent.
        status: Of the response.
        retry_after: The header.
        body: The JSON of the response; None if it has none.
        date: The header: what a date in Retry-After is compared with.
    """
    error = body.get("error") if isinstance(body, dict) else None
    error = error if isinstance(error, dict) else {}
    reason = _reason(error.get("details")) or _reason(error.get("data"))
    code = error.get("code")
    meaning = failures.refined(
        failures.of_http(status),
        failures.A2A.get(reason),
        failures.JSONRPC.get(code) if isinstance(code, int) else None,
    )
    if meaning is Meaning.PROTOCOL:
        return AgentProtocolError(f"{name} answered with status {status}; redirects are refused")
    told = f"{name}: {_told(error.get('message')) or f'HTTP status {status}'}"
    asked = _seconds(retry_after, date)
    return _error(meaning, told, reason or f"HTTP_{status}", asked, unwell=status == 503)


def from_grpc(
    name: str,
    status: str,
    *,
    reason: str = "",
    message: str = "",
    retry_after_s: float | None = None,
    connected: bool = True,
) -> AgentError:
    """Class a gRPC status other than OK.

    Args:
        name: The agent.
        status: `NOT_FOUND` and so on.
        reason: Of the google.rpc.ErrorInfo in the status details.
        message: The agent's words.
        retry_after_s: Of a google.rpc.RetryInfo.
        connected: False: there was no connection, so nothing was sent.
    """
    if not connected:
        return AgentUnreachableError(f"{name} could not be reached: {_told(message) or status}")
    reason = _told(reason)[:80]
    meaning = failures.refined(failures.of_grpc(status), failures.A2A.get(reason))
    told = f"{name}: {_told(message) or f'gRPC status {status[:40]}'}"
    asked = None if retry_after_s is None else min(max(retry_after_s, 0.0), MAX_RETRY_AFTER_S)
    return _error(meaning, told, reason or f"GRPC_{status[:40]}", asked)


def _error(
    meaning: Meaning,
    told: str,
    reason: str,
    retry_after_s: float | None = None,
    *,
    unwell: bool = False,
) -> AgentError:
    if meaning is Meaning.BUSY:
        asked = retry_after_s
        return AgentBusyError(
            told, retry_after_s=asked, unwell=unwell and asked is None, a2a_code=reason
        )
    return _ERRORS[meaning](told, a2a_code=reason)


def _reason(details: Any) -> str:
    """Return the reason of the google.rpc.ErrorInfo among the details."""
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and isinstance(detail.get("reason"), str):
            return _told(detail["reason"])[:80]
    return ""


def _told(message: Any) -> str:
    """An agent's words, made harmless: one line of printable characters, not long."""
    if not isinstance(message, str):
        return ""
    clean = (" " if unicodedata.category(char)[0] in "CZ" else char for char in message[:MAX_TOLD])
    return " ".join("".join(clean).split())


def _seconds(retry_after: str | None, date: str | None) -> float | None:
    """Read Retry-After: delta-seconds, or a date by the clock of who sent it (RFC 9110 10.2.3)."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return min(float(retry_after[:6]), MAX_RETRY_AFTER_S)
    try:
        left = parsedate_to_datetime(retry_after[:64]) - parsedate_to_datetime((date or "")[:64])
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(left.total_seconds(), 0.0), MAX_RETRY_AFTER_S)
