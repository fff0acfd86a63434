"""The HTTP+JSON binding (A2A 1.0 11): paths to operations, and strict bodies."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from a2a.utils.errors import (
    ContentTypeNotSupportedError,
    InvalidRequestError,
    VersionNotSupportedError,
)
from parley_cards import strict_json
from parley_cards.errors import Kind, ParleyError

from parley_wire.limits import (
    ClientGoneError,
    is_json,
    media_type,
    read_body,
    send_json,
    send_text,
)
from parley_wire.problems import retry_after_s
from parley_wire.server.endpoint import (
    DEFAULT_LIMITS,
    STREAMS,
    Batch,
    Call,
    Endpoint,
    Limits,
    activated,
    call_of,
    check_version,
    is_older,
    rest_error,
)
from parley_wire.server.forms import invalid
from parley_wire.server.streaming import Framing, send_stream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from starlette.types import Receive, Scope, Send

    from parley_wire.server.older_endpoint import OlderRest

MEDIA_TYPE: Final = "application/a2a+json"
_ERROR_TYPE: Final = "application/json"
_PUSH: Final = "pushNotificationConfigs"
_TASK_VERBS: Final = {
    ("GET", ""): "GetTask",
    ("POST", "cancel"): "CancelTask",
    # The proto says GET, the text of the specification says POST (A2A 1.0 11.3.2).
    ("GET", "subscribe"): "SubscribeToTask",
    ("POST", "subscribe"): "SubscribeToTask",
}
_COLLECTIONS: Final = {
    ("POST", "message:send"): "SendMessage",
    ("POST", "message:stream"): "SendStreamingMessage",
    ("GET", "tasks"): "ListTasks",
    ("GET", "extendedAgentCard"): "GetExtendedAgentCard",
}
_PUSH_VERBS: Final = {
    ("POST", False): "CreateTaskPushNotificationConfig",
    ("GET", False): "ListTaskPushNotificationConfigs",
    ("GET", True): "GetTaskPushNotificationConfig",
    ("DELETE", True): "DeleteTaskPushNotificationConfig",
}
_INTEGERS: Final = frozenset({"pageSize", "historyLength"})
_BOOLEANS: Final = {"true": True, "false": False}


class _NoSuchPathError(ParleyError):
    code = "not_found"
    kind = Kind.NOT_FOUND


class _WrongMediaTypeError(ContentTypeNotSupportedError):
    """Of the request itself, which is HTTP's business: 415. Of a part it is A2A's: 400."""


@dataclass(frozen=True, slots=True)
class _Operation:
    method: str
    named: Mapping[str, str] = field(default_factory=dict)
    """Parameters in the path."""


class Rest:
    """ASGI app behind a path prefix; `path_params["path"]` is the rest of the path.

    Args:
        extensions: URIs of the card; those that a request activates are echoed.
        older: Speak A2A 0.3 too, below `/v1`.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        extensions: frozenset[str],
        limits: Limits = DEFAULT_LIMITS,
        older: bool = False,
    ) -> None:
        self._endpoint = endpoint
        self._older = _older(endpoint) if older else None
        self._extensions = extensions
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path_params"]["path"]
        call = call_of(scope)
        try:
            if self._older is not None and path.startswith("v1/"):
                endpoint: Endpoint = self._older
                method, params = await self._older_request(self._older, scope, receive, path, call)
                streams, media = self._older.streams, _ERROR_TYPE
            else:
                endpoint, streams, media = self._endpoint, STREAMS, MEDIA_TYPE
                operation = _operation(scope["method"], path)
                method, params = operation.method, await self._params(scope, receive)
                params |= operation.named
                check_version(call)
            if method in streams:
                events = endpoint.stream(method, params, call)
                await self._stream(scope, receive, send, events, call)
                return
            result = await endpoint.answer(method, params, call)
        except ClientGoneError:
            return
        except Exception as exc:  # noqa: BLE001 - process edge: every failure is an A2A error body
            status, body = _shown(exc, doing=f"{scope['method']} {scope['path']}")
            wait_s = retry_after_s(exc)
            headers = [] if wait_s is None else [(b"retry-after", str(wait_s).encode())]
            await send_json(send, body, status=status, content_type=_ERROR_TYPE, headers=headers)
            return
        await send_text(send, result.encode(), media, activated(call, self._extensions))

    async def _older_request(
        self, older: OlderRest, scope: Scope, receive: Receive, path: str, call: Call
    ) -> tuple[str, Any]:
        """Return the method and the parameters that JSON-RPC of A2A 0.3 would have."""
        found = older.operation(scope["method"], path.removeprefix("v1/"))
        if found is None:
            raise _NoSuchPathError(f"A2A 0.3 has no {scope['method']} /{path[:80]}")
        if not is_older(call):
            check_version(call)
            raise VersionNotSupportedError("paths of A2A 0.3 are below /v1, those of 1.0 are not")
        method, named = found
        return method, older.params(method, named, await self._params(scope, receive))

    async def _params(self, scope: Scope, receive: Receive) -> dict[str, Any]:
        if scope["method"] != "POST":
            return _query(scope["query_string"])
        body = await read_body(scope, receive, max_bytes=self._limits.body_bytes)
        if not body:
            return {}
        if not is_json(media_type(scope)):
            raise _WrongMediaTypeError(f"send {MEDIA_TYPE} or application/json")
        params = strict_json.loads(body, max_bytes=self._limits.body_bytes)
        if not isinstance(params, dict):
            raise InvalidRequestError("the body must be a JSON object")
        return params

    async def _stream(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        events: AsyncGenerator[Batch],
        call: Call,
    ) -> None:
        # What fails before the first event has a status of its own.
        first = await anext(events)
        await send_stream(
            scope,
            receive,
            send,
            first=first,
            rest=events,
            framing=Framing(lambda event: f"data: {event}\n\n".encode(), _failed(scope["path"])),
            headers=activated(call, self._extensions),
            ping_s=self._limits.ping_s,
        )


def _older(endpoint: Endpoint) -> OlderRest:
    # The models of 0.3 take 5 MB, which only who speaks it should pay.
    from parley_wire.server.older_endpoint import OlderRest  # noqa: PLC0415

    return OlderRest(endpoint)


def _operation(method: str, path: str) -> _Operation:
    collection = _COLLECTIONS.get((method, path))
    if collection is not None:
        return _Operation(collection)
    match path.split("/"):
        case ["tasks", last] if last:
            task_id, colon, verb = last.rpartition(":")
            name = _TASK_VERBS.get((method, verb)) if colon else None
            if name is not None and task_id:
                return _Operation(name, {"id": task_id})
            if method == "GET":
                return _Operation("GetTask", {"id": last})
        case ["tasks", task_id, push, *rest] if push == _PUSH and len(rest) < 2:
            name = _PUSH_VERBS.get((method, bool(rest)))
            if name is not None:
                return _Operation(name, {"taskId": task_id, **({"id": rest[0]} if rest else {})})
    raise _NoSuchPathError(f"A2A 1.0 has no {method} /{path[:80]}")


def _query(query: bytes) -> dict[str, Any]:
    """Read query parameters as the JSON that they stand for (A2A 1.0 11.5)."""
    try:
        pairs = parse_qsl(query.decode("ascii"), errors="strict", max_num_fields=32)
    except ValueError as exc:
        raise InvalidRequestError("the query cannot be read") from exc
    params: dict[str, Any] = {}
    for name, value in pairs:
        if name.lower() == "a2a-version":
            continue
        if name in _INTEGERS:
            if not (value.removeprefix("-").isdecimal() and value.isascii() and len(value) < 10):
                raise invalid(name, "must be a whole number")
            params[name] = int(value)
        elif name == "includeArtifacts":
            if value.lower() not in _BOOLEANS:
                raise invalid(name, "must be true or false")
            params[name] = _BOOLEANS[value.lower()]
        else:
            params[name] = value
    return params


def _shown(error: Exception, *, doing: str) -> tuple[int, dict[str, Any]]:
    if not isinstance(error, _WrongMediaTypeError):
        return rest_error(error, doing=doing)
    _, body = rest_error(ContentTypeNotSupportedError(error.message), doing=doing)
    body["error"]["code"] = 415
    return 415, body


def _failed(path: str) -> Callable[[Exception], bytes]:
    def event(exc: Exception) -> bytes:
        _, body = rest_error(exc, doing=f"the stream {path}")
        return f"event: error\ndata: {json.dumps(body)}\n\n".encode()

    return event
