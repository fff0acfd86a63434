"""Bodies are bounded and strict JSON before anything parses them for meaning."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from parley_cards import strict_json
from parley_cards.errors import ParleyError

from parley_wire.errors import BodyTooLargeError
from parley_wire.problems import problem_response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES: Final = 1_048_576
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


class ClientGoneError(Exception):
    """The client hung up before its body was complete; there is nobody left to answer."""


async def read_body(scope: Scope, receive: Receive, *, max_bytes: int) -> bytes:
    """Read a request body up to `max_bytes`, and no further.

    Raises:
        BodyTooLargeError: If it is longer, or says that it will be.
        ClientGoneError: If the client disconnects half way.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value[:20]) > max_bytes:
            raise BodyTooLargeError(limit=max_bytes)
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGoneError
        chunk: bytes = message.get("body", b"")
        body = body + chunk if body else chunk
        if len(body) > max_bytes:
            raise BodyTooLargeError(limit=max_bytes)
        if not message.get("more_body", False):
            return body


def media_type(scope: Scope) -> str:
    """Return the content type without parameters, in lower case; empty if there is none."""
    for name, value in scope["headers"]:
        if name == b"content-type":
            return str(value.decode("latin-1").partition(";")[0].strip().lower())
    return ""


def is_json(content_type: str) -> bool:
    return content_type == "application/json" or (
        content_type.startswith("application/") and content_type.endswith("+json")
    )


class StrictBody:
    """ASGI middleware: refuse a body that is too large (413) or not strict JSON (400).

    The app behind it reads the same bytes again; bodies that do not claim to be JSON are bounded only.

    Args:
        jsonrpc: Paths, or path endings that begin with `/`, where the refusal is a JSON-RPC error.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_bytes: int = MAX_BODY_BYTES,
        *,
        jsonrpc: Sequence[str] = ("/a2a",),
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._jsonrpc = tuple(jsonrpc)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _WITH_BODY:
            await self._app(scope, receive, send)
            return
        try:
            body = await read_body(scope, receive, max_bytes=self._max_bytes)
            if body and is_json(media_type(scope)):
                strict_json.loads(body, max_bytes=self._max_bytes)
        except ClientGoneError:
            return
        except ParleyError as exc:
            await self._refuse(exc, scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    async def _refuse(self, error: ParleyError, scope: Scope, receive: Receive, send: Send) -> None:
        if any(scope["path"].endswith(path) for path in self._jsonrpc):
            await send_json(send, jsonrpc_refusal(error), status=jsonrpc_status(error))
        else:
            await problem_response(error)(scope, receive, send)


def jsonrpc_refusal(error: ParleyError) -> dict[str, Any]:
    """Return the JSON-RPC error for a body that was refused unread: no id is known."""
    code = -32600 if isinstance(error, BodyTooLargeError) else -32700
    return {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": code, "message": error.message, "data": [{"code": error.code}]},
    }


async def send_json(
    send: Send,
    value: Any,
    *,
    status: int,
    content_type: str = "application/json",
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    body = json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")
    await send_text(send, body, content_type, headers, status=status)


async def send_text(
    send: Send,
    body: bytes,
    content_type: str,
    headers: Sequence[tuple[bytes, bytes]],
    *,
    status: int = 200,
) -> None:
    lines = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})


def jsonrpc_status(error: ParleyError) -> int:
    return 413 if isinstance(error, BodyTooLargeError) else 200


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
