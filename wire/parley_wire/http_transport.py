"""Operations of A2A as HTTP requests: JSON-RPC and HTTP+JSON, whole answers and streams of events."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import httpx
from parley_cards import strict_json
from parley_cards.errors import ParleyError

from parley_wire.agent_errors import (
    AgentConnectionLostError,
    AgentError,
    AgentProtocolError,
    from_http,
    from_transport,
)
from parley_wire.bindings import MAX_VALUES, Binding, Request
from parley_wire.events import rests
from parley_wire.http import CONNECT_TIMEOUT_S, exchange
from parley_wire.sse import SseParser

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

MAX_DEPTH: Final = 80
"""64 levels of an agent's data, and what A2A puts around it."""
_MAX_ERROR_BYTES: Final = 65_536
_LAST_WORD_S: Final = 0.05
"""How long a server may take to end a stream after its last event, to save its connection."""


class HttpTransport:
    """One interface of one agent. A `Transport`."""

    def __init__(
        self, name: str, binding: Binding, http: httpx.AsyncClient, *, max_bytes: int
    ) -> None:
        self._name = name
        self._binding = binding
        self._http = http
        self._max_bytes = max_bytes
        self._ids = itertools.count(1)

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        request = self._binding.request(method, params, next(self._ids))
        async with opened(self._name, self._http, request) as response:
            body = await body_of(self._name, response, self._max_bytes)
        if not body and request.method == "DELETE":
            return {}
        return self._event(body, request)

    async def stream(
        self,
        method: str,
        params: dict[str, Any],
        idle_timeout_s: float,
        *,
        to_end: bool = False,
    ) -> AsyncGenerator[Any]:
        request = self._binding.request(method, params, next(self._ids))
        silence = httpx.Timeout(idle_timeout_s, connect=CONNECT_TIMEOUT_S)
        seen = False
        async with opened(self._name, self._http, request, silence) as response:
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "text/event-stream":
                # An error comes as plain JSON; so does the answer of an agent that cannot stream.
                yield self._event(await body_of(self._name, response, self._max_bytes), request)
                return
            parser = SseParser(max_bytes=self._max_bytes)
            async with aclosing(_chunks(response)) as chunks:
                chunk = await anext(chunks, b"")
                while chunk:
                    following: bytes | None = None
                    found = self._fed(parser, chunk)
                    for place, data in enumerate(found, start=1):
                        event = self._event(data, request)
                        if place == len(found) and rests(event, for_good=to_end):
                            # Whoever stops here would cost us the connection: see the end first.
                            following = await _last_word(chunks)
                        seen = True
                        yield event
                    chunk = await anext(chunks, b"") if following is None else following
                self._fed(parser, b"")
        if not seen:
            raise AgentConnectionLostError(f"{self._name} ended the stream without an event")

    def _fed(self, parser: SseParser, chunk: bytes) -> list[bytes]:
        try:
            return parser.feed(chunk)
        except ParleyError as exc:
            raise AgentProtocolError(f"{self._name} sent an event that is too large") from exc

    def _event(self, data: bytes, request: Request) -> Any:
        return self._binding.result(self._name, self._loads(data), request)

    def _loads(self, raw: bytes) -> Any:
        try:
            return strict_json.loads(
                raw, max_bytes=self._max_bytes, max_depth=MAX_DEPTH, max_values=MAX_VALUES
            )
        except ParleyError as exc:
            raise AgentProtocolError(f"{self._name} did not answer in JSON: {exc.message}") from exc


@asynccontextmanager
async def opened(
    name: str,
    http: httpx.AsyncClient,
    request: Request,
    silence: httpx.Timeout | None = None,
    *,
    unchanged: bool = False,
) -> AsyncGenerator[httpx.Response]:
    """Send a request and yield its 2xx response; classes every failure, also of reading it.

    Args:
        unchanged: The request asks whether something has changed: 304 is an answer.
    """
    try:
        async with exchange(
            http,
            request.method,
            request.url,
            headers=request.headers,
            content=request.content,
            timeout=silence if silence is not None else http.timeout,
        ) as response:
            if not (response.is_success or (unchanged and response.status_code == 304)):
                raise await _failure(name, response)
            yield response
    except (httpx.TransportError, httpx.InvalidURL) as exc:
        raise from_transport(name, exc) from exc


async def body_of(name: str, response: httpx.Response, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async with aclosing(_chunks(response)) as raw:
        async for chunk in raw:
            size += len(chunk)
            if size > max_bytes:
                raise AgentProtocolError(f"{name} answered with more than {max_bytes} bytes")
            chunks.append(chunk)
    return b"".join(chunks)


async def _failure(name: str, response: httpx.Response) -> AgentError:
    try:
        body = strict_json.loads(await body_of(name, response, _MAX_ERROR_BYTES))
    except (ParleyError, httpx.TransportError):
        body = None
    return from_http(
        name,
        response.status_code,
        retry_after=response.headers.get("retry-after"),
        body=body,
        date=response.headers.get("date"),
    )


def _chunks(response: httpx.Response) -> AsyncGenerator[bytes]:
    return cast("AsyncGenerator[bytes]", response.aiter_raw())


async def _last_word(chunks: AsyncGenerator[bytes]) -> bytes:
    """Read on after the last event that is expected: mostly the end, which frees the connection."""
    try:
        async with asyncio.timeout(_LAST_WORD_S):
            return await anext(chunks, b"")
    except (TimeoutError, httpx.TransportError):
        return b""
