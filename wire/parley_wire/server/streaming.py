"""One answer as a stream of server-sent events.

A stream ends when its source ends, when the client leaves, or when the server stops; in silence it
carries pings, so that nobody between takes it for dead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from parley_wire.serving import STOPPING, Stopping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Receive, Scope, Send

    from parley_wire.server.endpoint import Batch

_PING: Final = b": ping\n\n"
_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


@dataclass(frozen=True, slots=True)
class Framing:
    """How a binding writes into a stream."""

    event: Callable[[str], bytes]
    error: Callable[[Exception], bytes]
    """The last event, after an exception in the middle."""


async def send_stream(
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    first: Batch,
    rest: AsyncGenerator[Batch],
    framing: Framing,
    headers: list[tuple[bytes, bytes]],
    ping_s: float,
) -> None:
    """Send events until `rest` ends, and close it. The body of the request must have been read.

    Args:
        scope: Of the request.
        receive: Of the request.
        send: Of the request.
        first: The first events: whoever made it knows that the status is 200.
        rest: The others.
        framing: Of the binding.
        headers: Besides those of every stream.
        ping_s: Longest silence.
    """
    start = {"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *headers]}
    attendant = _Attendant(receive, send, ping_s)
    try:
        await send(start)
        with attendant.watching(scope.get(STOPPING)):
            await attendant.tell(first, framing)
            if not first.last:
                async for batch in rest:
                    await attendant.tell(batch, framing)
    except asyncio.CancelledError:
        if not attendant.broke_off:
            raise
    except Exception as exc:  # noqa: BLE001 - process edge: 200 is sent, so it becomes an event
        await attendant.write(framing.error(exc))
    finally:
        await rest.aclose()
    if not attendant.ended:
        await send({"type": "http.response.body", "body": b""})


class _Attendant:
    """Pings in silence; breaks the stream off when the client leaves or the server stops."""

    def __init__(self, receive: Receive, send: Send, ping_s: float) -> None:
        self._receive = receive
        self._send = send
        self._ping_s = ping_s
        self._loop = asyncio.get_running_loop()
        self._owner = asyncio.current_task()
        self._active = False
        self._written_at = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._ping: asyncio.Task[None] | None = None
        self.broke_off = False
        self.ended = False
        """Whether the body is complete."""

    async def tell(self, batch: Batch, framing: Framing) -> None:
        if batch.last:
            # From here on the server reports a disconnect, which is none.
            self._active = False
            self.ended = True
        await self.write(b"".join(framing.event(text) for text in batch.texts), more=not batch.last)

    async def write(self, chunk: bytes, *, more: bool = True) -> None:
        self._written_at = self._loop.time()
        await self._send({"type": "http.response.body", "body": chunk, "more_body": more})

    @contextmanager
    def watching(self, stopping: Stopping | None) -> Iterator[None]:
        """Cancels the body when there is nobody to write to; `broke_off` tells that from others."""
        if stopping is not None and stopping.happened:
            self.broke_off = True
            raise asyncio.CancelledError
        self._active = True
        client = asyncio.ensure_future(self._until_gone())
        self._timer = self._loop.call_later(self._ping_s, self._tick)
        if stopping is not None:
            stopping.add(self._break_off)
        try:
            yield
        finally:
            self._active = False
            client.cancel()
            self._timer.cancel()
            if self._ping is not None:
                self._ping.cancel()
            if stopping is not None:
                stopping.discard(self._break_off)
            if self.broke_off and self._owner is not None:
                self._owner.uncancel()

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._break_off()

    def _break_off(self) -> None:
        if self._active and not self.broke_off and self._owner is not None:
            self.broke_off = True
            self._owner.cancel()

    def _tick(self) -> None:
        silent_s = self._loop.time() - self._written_at
        if silent_s >= self._ping_s:
            self._ping = self._loop.create_task(self.write(_PING))
            silent_s = 0.0
        self._timer = self._loop.call_later(self._ping_s - silent_s, self._tick)
