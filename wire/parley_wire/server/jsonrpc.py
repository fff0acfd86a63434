"""The JSON-RPC binding (A2A 1.0 9): one path, strict, and no more work than the request needs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from a2a.utils.errors import (
    ContentTypeNotSupportedError,
    InvalidRequestError,
    MethodNotFoundError,
)
from parley_cards import strict_json
from parley_cards.errors import ParleyError

from parley_wire.limits import (
    ClientGoneError,
    is_json,
    jsonrpc_refusal,
    jsonrpc_status,
    media_type,
    read_body,
    send_json,
    send_text,
)
from parley_wire.server.endpoint import (
    DEFAULT_LIMITS,
    METHODS,
    STREAMS,
    Call,
    Endpoint,
    Limits,
    activated,
    call_of,
    check_version,
    is_older,
    jsonrpc_error,
    older_error,
)
from parley_wire.server.streaming import Framing, send_stream
from parley_wire.server.texts import dumps

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from starlette.types import Receive, Scope, Send


class _Version(NamedTuple):
    """One version of A2A, as it is spoken here."""

    name: str
    endpoint: Endpoint
    methods: Container[str]
    streams: Container[str]
    error: Callable[[dict[str, Any]], dict[str, Any]]


class JsonRpc:
    """ASGI app for POST.

    Args:
        extensions: URIs of the card; those that a request activates are echoed.
        older: Speak A2A 0.3 too.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        extensions: frozenset[str],
        limits: Limits = DEFAULT_LIMITS,
        older: bool = False,
    ) -> None:
        self._current = _Version("1.0", endpoint, METHODS, STREAMS, lambda error: error)
        self._older = _older(endpoint) if older else None
        self._extensions = extensions
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await read_body(scope, receive, max_bytes=self._limits.body_bytes)
            if not is_json(media_type(scope)):
                raise ContentTypeNotSupportedError("send application/json")  # noqa: TRY301
            request = strict_json.loads(body, max_bytes=self._limits.body_bytes)
        except ClientGoneError:
            return
        except ParleyError as exc:
            await send_json(send, jsonrpc_refusal(exc), status=jsonrpc_status(exc))
            return
        except ContentTypeNotSupportedError as exc:
            await send_json(send, jsonrpc_error(None, exc, doing="JSON-RPC"), status=200)
            return
        request_id = request.get("id") if isinstance(request, dict) else None
        if isinstance(request_id, bool) or not isinstance(request_id, str | int | None):
            request_id = None
        call = call_of(scope)
        version = self._older if self._older is not None and is_older(call) else self._current
        try:
            method = _method(request, version)
            if version is self._current:
                check_version(call)
            params = request.get("params", {})
            if method in version.streams:
                await self._stream(scope, receive, send, version, method, params, call, request_id)
                return
            result = await version.endpoint.answer(method, params, call)
        except Exception as exc:  # noqa: BLE001 - process edge: every failure is a JSON-RPC error
            error = jsonrpc_error(request_id, exc, doing="a JSON-RPC request")
            await send_json(send, version.error(error), status=200)
            return
        text = f'{{"jsonrpc":"2.0","id":{dumps(request_id)},"result":{result}}}'.encode()
        await send_text(send, text, "application/json", activated(call, self._extensions))

    async def _stream(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        version: _Version,
        method: str,
        params: Any,
        call: Call,
        request_id: str | int | None,
    ) -> None:
        head = f'data: {{"jsonrpc":"2.0","id":{dumps(request_id)},"result":'
        events = version.endpoint.stream(method, params, call)
        # What fails before the first event is an ordinary error, not a stream.
        first = await anext(events)

        def failed(exc: Exception) -> bytes:
            error = jsonrpc_error(request_id, exc, doing="a JSON-RPC stream")
            return f"event: error\ndata: {json.dumps(version.error(error))}\n\n".encode()

        await send_stream(
            scope,
            receive,
            send,
            first=first,
            rest=events,
            framing=Framing(lambda event: f"{head}{event}}}\n\n".encode(), failed),
            headers=activated(call, self._extensions),
            ping_s=self._limits.ping_s,
        )


def _older(endpoint: Endpoint) -> _Version:
    # The models of 0.3 take 5 MB, which only who speaks it should pay.
    from parley_wire.server.older_endpoint import JSONRPC, OlderEndpoint  # noqa: PLC0415

    older = OlderEndpoint(endpoint, JSONRPC)
    return _Version("0.3", older, older.methods, older.streams, older_error)


def _method(request: Any, version: _Version) -> str:
    if isinstance(request, list):
        raise InvalidRequestError("batches are not supported; send one request at a time")
    if not isinstance(request, dict) or request.get("jsonrpc") != "2.0":
        raise InvalidRequestError("this is not a JSON-RPC 2.0 request")
    request_id = request.get("id", False)
    if isinstance(request_id, bool) or not isinstance(request_id, str | int | None):
        raise InvalidRequestError("id is required: a string, an integer or null")
    method = request.get("method")
    if not isinstance(method, str) or not method:
        raise InvalidRequestError("method is required")
    if method not in version.methods:
        raise MethodNotFoundError(f"there is no method {method[:80]!r} in A2A {version.name}")
    return method
