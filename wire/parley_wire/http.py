"""The one way to open an HTTP client: the httpx API over aiohttp's connections.

Plain httpx manages 40 requests a second at 256 at once, this one 1186 (ADR-0003). The adapter is our
own because what a failed call means hangs on it: a connection that broke after the request was sent
must never look like one that was never made, or the caller sends again what the agent has begun.

=====================================  ======================  =====================
what happened                          httpx exception         was anything sent?
=====================================  ======================  =====================
refused, no route, DNS, bad TLS        ConnectError            no
no connection in time                  ConnectTimeout          no
address is not http(s)                 UnsupportedProtocol     no
silence longer than the read timeout   ReadTimeout             yes, maybe all
reset, closed, cut off                 ReadError               yes, maybe all
not HTTP, or an encoding not asked     RemoteProtocolError     yes, maybe all
=====================================  ======================  =====================
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import aiohttp
import httpx
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

CONNECT_TIMEOUT_S: Final = 5.0
KEEP_ALIVE_S: Final = 4.0
"""Below every server's (ours: 65 s), so that we never write to a connection that is being closed."""
_MAX_CONNECTIONS: Final = 512
_CHUNK_BYTES: Final = 65_536
_HEADERS: Final = {"accept-encoding": "identity", "user-agent": "parley"}


def open_http(*, timeout_s: float = 30) -> httpx.AsyncClient:
    """Open a client; close it with `aclose` or `async with`.

    No redirects, no proxy or credentials from the environment, no compression. The size of a response
    is the caller's to limit: read it with `stream`.

    Args:
        timeout_s: Longest silence while a response is read. A call may set its own:
            `timeout=httpx.Timeout(30, connect=5, read=None)`.
    """
    return _Client(
        transport=_Transport(),
        timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
        headers=_HEADERS,
        follow_redirects=False,
        trust_env=False,
    )


@asynccontextmanager
async def exchange(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    content: bytes | None,
    timeout: httpx.Timeout,  # noqa: ASYNC109 - of a read, not of the whole
) -> AsyncGenerator[httpx.Response]:
    """Send a request and yield the response, its body unread; the same as `http.stream`.

    A client of `open_http` has no cookies, redirects or hooks, so the request goes straight to its
    connections, at two thirds of the cost.
    """
    if not isinstance(http, _Client):
        async with http.stream(
            method, url, headers=dict(headers), content=content, timeout=timeout
        ) as response:
            yield response
        return
    request = httpx.Request(
        method,
        url,
        headers={**_HEADERS, **headers},
        content=content,
        extensions={"timeout": timeout.as_dict()},
    )
    response = await http.transport.handle_async_request(request)
    try:
        yield response
    finally:
        await response.aclose()


class _Client(httpx.AsyncClient):
    @property
    def transport(self) -> httpx.AsyncBaseTransport:
        return self._transport


class _Transport(httpx.AsyncBaseTransport):
    """Bound to the event loop of the first request."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        session = self._session or self._open()
        timeout = request.extensions.get("timeout", {})
        body = await request.aread()
        try:
            response = await session.request(
                request.method,
                # Encoded already: quoting it again would change what was asked for.
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=body or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    connect=timeout.get("connect"), sock_read=timeout.get("read")
                ),
            )
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise _translated(exc, request) from exc
        encoding = response.headers.get("content-encoding", "identity")
        if encoding != "identity":
            response.close()
            raise httpx.RemoteProtocolError(
                f"the response is encoded as {encoding[:40]!r}, which was not asked for",
                request=request,
            )
        return httpx.Response(
            response.status,
            headers=response.raw_headers,
            stream=_Body(response, request),
            request=request,
        )

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_MAX_CONNECTIONS, keepalive_timeout=KEEP_ALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        return self._session


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._response = response
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        content = self._response.content
        try:
            while chunk := await content.readany():
                for start in range(0, len(chunk), _CHUNK_BYTES):
                    yield chunk[start : start + _CHUNK_BYTES]
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise _translated(exc, self._request) from exc

    async def aclose(self) -> None:
        if self._response.content.at_eof():
            self._response.release()
        else:
            # Half read: the rest must not become the start of somebody's next response.
            self._response.close()


def _translated(exc: Exception, request: httpx.Request) -> httpx.TransportError:
    """Say in httpx's words what happened; see the table above. The order matters."""
    told = f"{type(exc).__name__}: {exc}"
    if isinstance(exc, aiohttp.ConnectionTimeoutError):
        return httpx.ConnectTimeout(told, request=request)
    if isinstance(exc, TimeoutError):
        return httpx.ReadTimeout(told, request=request)
    if isinstance(exc, aiohttp.ClientConnectorError):
        return httpx.ConnectError(told, request=request)
    if isinstance(exc, (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)):
        return httpx.UnsupportedProtocol(told, request=request)
    if isinstance(exc, (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError)):
        return httpx.ReadError(told, request=request)
    return httpx.RemoteProtocolError(told, request=request)
