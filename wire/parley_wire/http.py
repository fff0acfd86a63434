"""The one way to open an HTTP client: the httpx API over aiohttp's connections.

Plain httpx manages 40 requests a second at 256 at once, this one 1186 (ADR-0003). The adapter is our
own because what a failed call means hangs on it: a connection that broke after the request was sent
must never look like one that was never made, or the caller sends again what the agent has begun.

=====================================  ======================  =====================
what happened                          httpx exception         was anything sent?
=====================================  ======================  =====================
refused, no route, DNS, bad TLS        ConnectError            no
no connection in time                  ConnectTimeout          no
no request can be made of it           UnsupportedProtocol     no
silence longer than the read timeout   ReadTimeout             yes, maybe all
reset, closed, cut off                 ReadError               yes, maybe all
not HTTP, or an encoding not asked     RemoteProtocolError     yes, maybe all
=====================================  ======================  =====================
"""

from __future__ import annotations

import re
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from parley_wire.tls import NO_TLS, Tls

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Awaitable,
        Callable,
        Mapping,
        Sequence,
    )

    from parley_wire.grpc_channels import GrpcChannels

CONNECT_TIMEOUT_S: Final = 5.0
KEEP_ALIVE_S: Final = 4.0
"""Below every server's (ours: 65 s), so that we never write to a connection that is being closed."""
_MAX_CONNECTIONS: Final = 512
_CHUNK_BYTES: Final = 65_536
Addresses: TypeAlias = "Callable[[str, int], Awaitable[Sequence[str]]]"
"""Where to connect to for a host and a port: IP addresses. OSError: the name does not resolve; any
other exception reaches the caller as it is."""
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_CONTROL: Final = re.compile(r"[\r\n\0]")
_HEADERS: Final = {"accept-encoding": "identity", "user-agent": "parley"}


def open_http(
    *, timeout_s: float = 30, addresses: Addresses | None = None, tls: Tls = NO_TLS
) -> httpx.AsyncClient:
    """Open a client; close it with `aclose` or `async with`.

    No redirects, no proxy or credentials from the environment, no compression. The size of a response
    is the caller's to limit: read it with `stream`.

    Args:
        timeout_s: Longest silence while a response is read. A call may set its own:
            `timeout=httpx.Timeout(30, connect=5, read=None)`.
        addresses: Asked for every new connection to a name (not to an IP address), instead of the
            system's resolver; nothing is connected to but what it returns.
        tls: Says who is trusted besides those whom the system trusts.
    """
    return _Client(
        transport=_Transport(addresses, tls),
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
    try:
        request = httpx.Request(
            method,
            url,
            headers={**_HEADERS, **headers},
            content=content,
            extensions={"timeout": timeout.as_dict()},
        )
    except (httpx.InvalidURL, ValueError) as exc:
        raise httpx.UnsupportedProtocol(f"{type(exc).__name__}: {exc}") from exc
    response = await http.transport.handle_async_request(request)
    try:
        yield response
    finally:
        await response.aclose()


def grpc_channels(http: httpx.AsyncClient) -> GrpcChannels | None:
    """Return the gRPC connections that go and end with a client of `open_http`.

    None for any other client: what it does on the way of a request, gRPC would go around.
    """
    transport = http.transport if isinstance(http, _Client) else None
    return transport.grpc_channels() if isinstance(transport, _Transport) else None


class _Client(httpx.AsyncClient):
    @property
    def transport(self) -> httpx.AsyncBaseTransport:
        return self._transport


class _Transport(httpx.AsyncBaseTransport):
    """Bound to the event loop of the first request."""

    def __init__(self, addresses: Addresses | None = None, tls: Tls = NO_TLS) -> None:
        self._addresses = addresses
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._channels: GrpcChannels | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        session = self._session or self._open()
        timeout = request.extensions.get("timeout", {})
        body = await request.aread()
        # A ValueError after this is about what came back.
        url, headers = _sendable(request)
        try:
            response = await session.request(
                request.method,
                url,
                headers=headers,
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
        if self._channels is not None:
            await self._channels.aclose()
            self._channels = None

    def grpc_channels(self) -> GrpcChannels:
        if self._channels is None:
            # Imported when it is needed: gRPC costs a start 60 ms.
            from parley_wire.grpc_channels import GrpcChannels  # noqa: PLC0415

            self._channels = GrpcChannels(self._addresses, tls=self._tls)
        return self._channels

    def _open(self) -> aiohttp.ClientSession:
        resolver = None if self._addresses is None else _Resolver(self._addresses)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=_MAX_CONNECTIONS,
                keepalive_timeout=KEEP_ALIVE_S,
                resolver=resolver,
                use_dns_cache=resolver is None,
                ssl=self._tls.client_context() if self._tls.trusts else True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        return self._session


class _Resolver(AbstractResolver):
    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 - whatever there is
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in await self._addresses(host, port)
        ]

    async def close(self) -> None:
        pass


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


def _sendable(request: httpx.Request) -> tuple[URL, list[tuple[str, str]]]:
    """Return address and headers as aiohttp takes them.

    Raises:
        httpx.UnsupportedProtocol: It would not, or they would say something else than they should.
    """
    headers = request.headers.multi_items()
    wrong = [
        name for name, value in headers if not _TOKEN.fullmatch(name) or _CONTROL.search(value)
    ]
    if wrong or not _TOKEN.fullmatch(request.method):
        what = f"the header {wrong[0][:80]!r}" if wrong else "the method"
        raise httpx.UnsupportedProtocol(f"{what} cannot be sent", request=request)
    try:
        # Encoded already: quoting it again would change what was asked for.
        url = URL(str(request.url), encoded=True)
        known = url.raw_host and url.port  # read only now, and a ValueError if they are none
    except ValueError as exc:
        raise httpx.UnsupportedProtocol(f"{type(exc).__name__}: {exc}", request=request) from exc
    if not known:
        raise httpx.UnsupportedProtocol("the address has no host, or no port", request=request)
    return url, headers


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
