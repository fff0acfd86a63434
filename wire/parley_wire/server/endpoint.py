"""What the two bindings talk to, and how failures look in each of them.

=============================  ============================  ==================================
raised by the endpoint         JSON-RPC (HTTP 200)           HTTP+JSON
=============================  ============================  ==================================
a2a.utils.errors.A2AError      the code of A2A 1.0 5.4       the status of A2A 1.0 5.4
ParleyError                    its face's code               its face's status
anything else                  -32603 and a reference        500 and a reference; never its text
=============================  ============================  ==================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from a2a.utils.error_handlers import build_error_details, build_rest_error_payload
from a2a.utils.errors import (
    JSON_RPC_ERROR_CODE_MAP,
    A2AError,
    InternalError,
    VersionNotSupportedError,
)
from parley_cards.errors import ParleyError

from parley_wire.auth import ANONYMOUS
from parley_wire.problems import log_defect, retry_after_s

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from starlette.types import Scope

STREAMS: Final = frozenset({"SendStreamingMessage", "SubscribeToTask"})
METHODS: Final = STREAMS | {
    "SendMessage",
    "GetTask",
    "ListTasks",
    "CancelTask",
    "CreateTaskPushNotificationConfig",
    "GetTaskPushNotificationConfig",
    "ListTaskPushNotificationConfigs",
    "DeleteTaskPushNotificationConfig",
    "GetExtendedAgentCard",
}
_VERSION: Final = re.compile(r"1\.0(\.\d{1,9})?", re.ASCII)
_OLDER: Final = re.compile(r"(0\.3(\.\d{1,9})?)?", re.ASCII)
_INTERNAL: Final = -32603
_NEWER_CODES: Final = frozenset({-32008, -32009})


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Who calls, and what the headers said."""

    caller: str
    authenticated: bool
    """Whether a token said who calls; not so where there are no tokens."""
    version: str
    """As sent; empty means 0.3 (A2A 1.0 3.6.2)."""
    extensions: frozenset[str]
    headers: Mapping[str, str]
    """Names in lower case."""


class Limits(NamedTuple):
    """Of an agent's bindings."""

    body_bytes: int = 1_048_576
    ping_s: float = 10.0
    """Longest silence in a stream: a third of the idle timeouts that proxies usually have."""
    calls: int = 1024
    """At once over gRPC, streams included; others are refused with RESOURCE_EXHAUSTED."""


DEFAULT_LIMITS: Final = Limits()


class Batch(NamedTuple):
    """Events that became known together, and are written together."""

    texts: Sequence[str]
    """The JSON of an A2A StreamResponse each."""
    last: bool
    """Whether nothing follows."""


class Endpoint(Protocol):
    """An agent, seen from a binding. `params` is JSON that nobody has looked at yet."""

    async def answer(self, method: str, params: Any, call: Call) -> str:
        """Return the JSON text of the result of an operation that is not one of `STREAMS`."""
        ...

    def stream(self, method: str, params: Any, call: Call) -> AsyncGenerator[Batch]:
        """Yield what there is to tell, as soon as there is something; at least once."""
        ...


def call_of(scope: Scope) -> Call:
    headers: dict[str, str] = {}
    extensions: list[str] = []
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = value
        if name == "a2a-extensions":
            extensions.extend(each.strip() for each in value.split(",") if each.strip())
    version = headers.get("a2a-version", "")
    if not version and b"a2a-version" in scope["query_string"].lower():
        version = _version_in_query(scope["query_string"])
    user = scope.get("user")
    caller = user.display_name if user is not None and user.is_authenticated else ANONYMOUS
    return Call(
        caller=caller,
        authenticated=caller != ANONYMOUS,
        version=version.strip(),
        extensions=frozenset(extensions),
        headers=headers,
    )


def check_version(call: Call) -> None:
    """Let A2A 1.0 pass; the patch level never matters (A2A 1.0 3.6).

    Raises:
        VersionNotSupportedError: If another version, or none, was asked for.
    """
    if not _VERSION.fullmatch(call.version):
        shown = call.version[:20] or "0.3 (no A2A-Version header)"
        raise VersionNotSupportedError(f"A2A {shown} is not spoken here; send A2A-Version: 1.0")


def is_older(call: Call) -> bool:
    """Whether A2A 0.3 was asked for: by name, or by no name (A2A 1.0 3.6.2)."""
    return _OLDER.fullmatch(call.version) is not None


def activated(call: Call, offered: frozenset[str]) -> list[tuple[bytes, bytes]]:
    """Return the header that tells which extensions a request activated (A2A 1.0 4.6)."""
    active = shared_extensions(call, offered)
    return [(b"a2a-extensions", active.encode())] if active else []


def shared_extensions(call: Call, offered: frozenset[str]) -> str:
    return ", ".join(sorted(call.extensions & offered))


def jsonrpc_error(request_id: str | int | None, error: Exception, *, doing: str) -> dict[str, Any]:
    if isinstance(error, ParleyError):
        code, message, data = error.face.jsonrpc, error.message, _details(error)
    else:
        shown = error if isinstance(error, A2AError) else hidden(error, doing)
        code = JSON_RPC_ERROR_CODE_MAP.get(type(shown), _INTERNAL)
        message, data = str(shown), build_error_details(shown)
    told = {"code": code, "message": message, "data": data}
    return {"jsonrpc": "2.0", "id": request_id, "error": told}


def older_error(error: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON-RPC error without codes that A2A 0.3 has not heard of."""
    if error["error"]["code"] not in _NEWER_CODES:
        return error
    return {**error, "error": {**error["error"], "code": -32600}}


def rest_error(error: Exception, *, doing: str) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and the body."""
    if isinstance(error, ParleyError):
        body = {
            "code": error.face.http,
            "status": error.kind.upper(),
            "message": error.message,
            "details": _details(error),
        }
        return error.face.http, {"error": body}
    shown = error if isinstance(error, A2AError) else hidden(error, doing)
    payload = build_rest_error_payload(shown)
    return int(payload["error"]["code"]), payload


def hidden(error: Exception, doing: str) -> InternalError:
    """Log a defect; return what the caller sees of it."""
    reference = log_defect(error, doing=doing)
    return InternalError(f"something went wrong here; the log has it under {reference}")


def _details(error: ParleyError) -> list[dict[str, Any]]:
    """Return what google.rpc has for it."""
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": error.code.upper(),
        "domain": "parley",
        "metadata": {key: str(value)[:1000] for key, value in error.facts.items()},
    }
    wait_s = retry_after_s(error)
    if wait_s is None:
        return [info]
    return [info, {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{wait_s}s"}]


def _version_in_query(query: bytes) -> str:
    for pair in query.decode("latin-1").split("&"):
        name, _, value = pair.partition("=")
        if name.lower() == "a2a-version":
            return value
    return ""
