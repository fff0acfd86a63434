"""The one way out for what documents ask for: allowed hosts, their credentials, bounded answers."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx
from parley_wire.http import CONNECT_TIMEOUT_S, exchange

from parley_coordinator.protocols.outcome import LostError, misconfigured, unreachable, unusable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from parley_coordinator.protocols.credentials import Credentials
    from parley_coordinator.protocols.egress import Egress
    from parley_coordinator.workflow.errors import WorkflowError

MAX_ANSWER_BYTES: Final = 4 * 1_048_576
SILENCE_S: Final = 300.0
"""Longest silence while an answer is waited for; a request has a budget of its own beside it."""
_TIMEOUT: Final = httpx.Timeout(SILENCE_S, connect=CONNECT_TIMEOUT_S)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, read whole."""

    status: int
    headers: httpx.Headers
    body: bytes
    url: httpx.URL

    @property
    def media_type(self) -> str:
        declared: str = self.headers.get("content-type", "")
        return declared.partition(";")[0].strip().lower()


class Outlet:
    """Sends requests to hosts that the operator allows.

    Args:
        http: From `open_http(addresses=egress.addresses)`, used for nothing else.
    """

    def __init__(self, http: httpx.AsyncClient, egress: Egress, credentials: Credentials) -> None:
        self._http = http
        self._egress = egress
        self._credentials = credentials

    @asynccontextmanager
    async def exchange(
        self,
        method: str,
        url: httpx.URL,
        *,
        headers: Mapping[str, str],
        content: bytes | None = None,
        authentication: dict[str, Any] | None = None,
    ) -> AsyncGenerator[httpx.Response]:
        """Send a request and yield its response, whatever its status, the body unread.

        A 401 refuses the request: with a token that was kept, it is sent once more with a new one.

        Raises:
            WorkflowError: The host is not allowed, or there are no credentials.
            httpx.TransportError: See `parley_wire.http`; also while the body is read.
        """
        self._egress.check(url)
        authorization, kept = await self._credentials.header(authentication)
        async with AsyncExitStack() as stack:
            while True:
                response = await stack.enter_async_context(
                    exchange(
                        self._http,
                        method,
                        str(url),
                        headers=_with(headers, authorization),
                        content=content,
                        timeout=_TIMEOUT,
                    )
                )
                if response.status_code != 401 or authorization is None or not kept:
                    break
                await stack.aclose()
                self._credentials.forget(authentication, authorization)
                authorization, kept = await self._credentials.header(authentication)
                kept = False
            yield response

    async def send(
        self,
        method: str,
        url: httpx.URL,
        *,
        headers: Mapping[str, str],
        content: bytes | None = None,
        authentication: dict[str, Any] | None = None,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> Answer:
        """Send a request and return its whole answer, whatever its status.

        Raises:
            WorkflowError: As `exchange`; or the host was not reached, or the answer is too large.
            LostError: It left, and the answer was lost.
        """
        try:
            async with self.exchange(
                method, url, headers=headers, content=content, authentication=authentication
            ) as response:
                body = b"" if method == "HEAD" else await read(response, max_bytes)
        except TooLargeError as exc:
            raise unusable(
                host_of(url), f"status {exc.status} with more than {max_bytes} bytes"
            ) from exc
        except httpx.TransportError as exc:
            raise failed(exc, host_of(url)) from exc
        return Answer(response.status_code, response.headers, body, url)

    def client(
        self, *, authentication: dict[str, Any] | None = None, origin: httpx.URL | None = None
    ) -> httpx.AsyncClient:
        """Return a client for whoever takes one, that goes this way.

        Args:
            authentication: For requests to `origin`; others get no credentials.
        """
        return httpx.AsyncClient(
            transport=_Through(self, authentication, origin),
            timeout=_TIMEOUT,
            headers={"accept-encoding": "identity", "user-agent": "parley"},
            follow_redirects=False,
            trust_env=False,
        )


def failed(exc: httpx.TransportError, who: str) -> WorkflowError | LostError:
    """Say what a failed exchange means: that nothing was sent, or that nobody knows."""
    if isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return unreachable(who, str(exc))
    if isinstance(exc, httpx.UnsupportedProtocol):
        return misconfigured(f"nothing was sent to {who}: {exc}")
    return LostError(f"the answer of {who} was lost: {exc}")


class TooLargeError(Exception):
    """An answer is longer than what is allowed."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


async def read(response: httpx.Response, max_bytes: int) -> bytes:
    """Read a body.

    Raises:
        TooLargeError: If it is longer, or says that it will be.
        httpx.TransportError: If it is cut off.
    """
    length = response.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > max_bytes:
        raise TooLargeError(response.status_code)
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > max_bytes:
            raise TooLargeError(response.status_code)
    return bytes(body)


def address(text: str) -> httpx.URL:
    """Read a URI without its fragment, which is never sent.

    Raises:
        WorkflowError: `configuration`.
    """
    try:
        return httpx.URL(text).copy_with(fragment=None)
    except (httpx.InvalidURL, TypeError, ValueError) as exc:
        raise misconfigured(f"{text[:200]!r} is no address: {exc}") from exc


def host_of(url: httpx.URL) -> str:
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{host}:{url.port}" if url.port else host


def same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    return _origin(one) == _origin(other)


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


def _with(headers: Mapping[str, str], authorization: str | None) -> dict[str, str]:
    if authorization is None:
        return dict(headers)
    kept = {name: value for name, value in headers.items() if name.lower() != "authorization"}
    return {**kept, "authorization": authorization}


class _Through(httpx.AsyncBaseTransport):
    """Takes requests of an httpx client out through the outlet."""

    def __init__(
        self, outlet: Outlet, authentication: dict[str, Any] | None, origin: httpx.URL | None
    ) -> None:
        self._outlet = outlet
        self._authentication = authentication
        self._origin = origin

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        ours = self._origin is not None and same_origin(request.url, self._origin)
        stack = AsyncExitStack()
        response = await stack.enter_async_context(
            self._outlet.exchange(
                request.method,
                request.url,
                headers=dict(request.headers),
                content=await request.aread() or None,
                authentication=self._authentication if ours else None,
            )
        )
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=_Held(response, stack),
            request=request,
        )


class _Held(httpx.AsyncByteStream):
    """A body whose connection is given back when it is closed."""

    def __init__(self, response: httpx.Response, stack: AsyncExitStack) -> None:
        self._response = response
        self._stack = stack

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._response.aiter_raw():
            yield chunk

    async def aclose(self) -> None:
        await self._stack.aclose()
