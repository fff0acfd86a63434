"""Takes the requests of the MCP SDK, which has an HTTP client of its own, out through the outlet."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import httpx
import httpx2

from parley_coordinator.protocols.outlet import MAX_ANSWER_BYTES, TooLargeError
from parley_coordinator.workflow.errors import WorkflowError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from parley_coordinator.protocols.outlet import Outlet


class Bridge(httpx2.AsyncBaseTransport):
    """A transport that remembers why it failed: the SDK passes that on in ways of its own.

    Args:
        headers: Sent with every request, beside those of the protocol.
    """

    def __init__(
        self, outlet: Outlet, headers: Mapping[str, str], authentication: dict[str, Any] | None
    ) -> None:
        self._outlet = outlet
        self._headers = headers
        self._authentication = authentication
        self.failure: Exception | None = None
        """The first of a message, as the outlet raised it; other requests may fail unseen."""
        self.status: int | None = None
        """Of the last message that was answered."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        message = request.method == "POST"
        note = self._note if message else _ignore
        stack = AsyncExitStack()
        try:
            response = await stack.enter_async_context(
                self._outlet.exchange(
                    request.method,
                    httpx.URL(str(request.url)),
                    headers={**dict(request.headers), **self._headers},
                    content=await request.aread() or None,
                    authentication=self._authentication,
                )
            )
        except (WorkflowError, httpx.TransportError) as exc:
            note(exc)
            raise httpx2.ConnectError(str(exc), request=request) from exc
        if message:
            self.status = response.status_code
        return httpx2.Response(
            response.status_code,
            headers=response.headers.multi_items(),
            stream=_Body(response, stack, note),
            request=request,
        )

    def _note(self, exc: Exception) -> None:
        self.failure = self.failure or exc


def _ignore(_: Exception) -> None:
    pass


class _Body(httpx2.AsyncByteStream):
    def __init__(
        self, response: httpx.Response, stack: AsyncExitStack, note: Callable[[Exception], None]
    ) -> None:
        self._response = response
        self._stack = stack
        self._note = note

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        try:
            async for chunk in self._response.aiter_raw():
                size += len(chunk)
                if size > MAX_ANSWER_BYTES:
                    break
                yield chunk
        except httpx.TransportError as exc:
            self._note(exc)
            raise httpx2.ReadError(str(exc)) from exc
        if size > MAX_ANSWER_BYTES:
            self._note(TooLargeError(self._response.status_code))
            raise httpx2.ReadError("more than is allowed")

    async def aclose(self) -> None:
        await self._stack.aclose()
