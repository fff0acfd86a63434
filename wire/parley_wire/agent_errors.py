"""What a call to an agent can end in, and what the caller may conclude from it.

============================  ===========  ====================================================
raised                        disposition  when
============================  ===========  ====================================================
AgentUnreachableError         retry        refused, DNS, no connection in time: nothing was sent
AgentBusyError                retry        429, 503, JSON-RPC -32050: it declined for now
AgentConnectionLostError      uncertain    sent, but silence, reset or a stream cut off
AgentServerError              uncertain    500, 502, 504, 408, JSON-RPC -32603, -32006
AgentProtocolError            uncertain    not JSON, not A2A, too large, a redirect, HTML with 200
AgentRefusedError             final        an A2A or JSON-RPC error, any other 4xx
└── TaskUnknownError          final        TaskNotFound: there is no such task for this caller
AgentAuthError                final        401, 403, JSON-RPC -32041, -32043
============================  ===========  ====================================================

*retry*: it has not run, send it again. *final*: it has not run and will not. *uncertain*: it may have
run; find out before sending anything again.
"""

from __future__ import annotations

import unicodedata
from typing import Any, ClassVar, Final, Literal, TypeAlias

from a2a.utils.errors import A2A_ERROR_REASONS, JSON_RPC_ERROR_CODE_MAP
from parley_cards.errors import Kind

from parley_wire.errors import WireError

Disposition: TypeAlias = Literal["retry", "final", "uncertain"]

MAX_TOLD: Final = 500
"""Characters of an agent's own words that are passed on."""


class AgentError(WireError):
    """A call to an agent did not work; see the table above."""

    code: ClassVar[str] = "agent_error"
    kind: ClassVar[Kind] = Kind.BAD_GATEWAY
    disposition: ClassVar[Disposition] = "uncertain"


class AgentUnreachableError(AgentError):
    """There was no connection, so nothing was sent."""

    code: ClassVar[str] = "agent_unreachable"
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    disposition: ClassVar[Disposition] = "retry"


class AgentBusyError(AgentError):
    """The agent declined for now."""

    code: ClassVar[str] = "agent_busy"
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    disposition: ClassVar[Disposition] = "retry"

    def __init__(self, message: str, *, retry_after_s: float | None = None, **facts: Any) -> None:
        super().__init__(message, retry_after_s=retry_after_s, **facts)
        self.retry_after_s = retry_after_s
        """How long the agent asks to be left alone; None if it does not say."""


class AgentConnectionLostError(AgentError):
    """The request was sent, and the answer was lost or never came."""

    code: ClassVar[str] = "agent_connection_lost"


class AgentServerError(AgentError):
    """The agent, or something before it, broke."""

    code: ClassVar[str] = "agent_server_error"


class AgentProtocolError(AgentError):
    """What came back is not A2A."""

    code: ClassVar[str] = "agent_protocol_error"


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


_REASONS: Final = {
    code: A2A_ERROR_REASONS.get(error, error.__name__.removesuffix("Error").upper())
    for error, code in JSON_RPC_ERROR_CODE_MAP.items()
}
_UNCERTAIN: Final = frozenset({-32603, -32006, -32051, -32054})
_AUTH: Final = frozenset({-32041, -32043})
_BUSY: Final = -32050
_TASK_NOT_FOUND: Final = -32001


def from_jsonrpc(name: str, error: Any) -> AgentError:
    """Class the `error` member of a JSON-RPC response of the agent `name`."""
    if not isinstance(error, dict) or not isinstance(error.get("code"), int):
        return AgentProtocolError(f"{name} answered with an error that is not JSON-RPC")
    code = int(error["code"])
    reason = _reason(error.get("data")) or _REASONS.get(code, str(code))
    told = f"{name}: {_told(error.get('message')) or reason}"
    if code in _UNCERTAIN:
        return AgentServerError(told, a2a_code=reason)
    if code in _AUTH:
        return AgentAuthError(told, a2a_code=reason)
    if code == _BUSY:
        return AgentBusyError(told, a2a_code=reason)
    if code == _TASK_NOT_FOUND:
        return TaskUnknownError(told, a2a_code=reason)
    return AgentRefusedError(told, a2a_code=reason)


def from_http(name: str, status: int, *, retry_after: str | None, body: Any) -> AgentError:
    """Class an HTTP response that is not 2xx.

    Args:
        name: The agent.
        status: Of the response.
        retry_after: The header.
        body: The JSON of the response; None if it has none.
    """
    error = body.get("error") if isinstance(body, dict) else None
    error = error if isinstance(error, dict) else {}
    reason = _reason(error.get("details")) or _reason(error.get("data")) or f"HTTP_{status}"
    told = f"{name}: {_told(error.get('message')) or f'HTTP status {status}'}"
    if status in {401, 403}:
        return AgentAuthError(told, a2a_code=reason)
    if status in {429, 503}:
        return AgentBusyError(told, retry_after_s=_seconds(retry_after), a2a_code=reason)
    if status == 408 or status >= 500:
        return AgentServerError(told, a2a_code=reason)
    if status < 400:
        return AgentProtocolError(f"{name} answered with status {status}; redirects are refused")
    if reason == "TASK_NOT_FOUND":
        return TaskUnknownError(told, a2a_code=reason)
    return AgentRefusedError(told, a2a_code=reason)


def _reason(details: Any) -> str:
    """Return the reason of the google.rpc.ErrorInfo among the details."""
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and isinstance(detail.get("reason"), str):
            return str(detail["reason"])[:80]
    return ""


def _told(message: Any) -> str:
    """An agent's words, made harmless: one line of printable characters, not long."""
    if not isinstance(message, str):
        return ""
    clean = (" " if unicodedata.category(char)[0] in "CZ" else char for char in message[:MAX_TOLD])
    return " ".join("".join(clean).split())


def _seconds(retry_after: str | None) -> float | None:
    """Read delta-seconds; a date is not worth trusting somebody else's clock for (RFC 9110 10.2.3)."""
    if retry_after is not None and retry_after.isascii() and retry_after.isdigit():
        return float(min(int(retry_after[:6]), 300))
    return None
