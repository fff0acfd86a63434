"""Serving an app: one process that owns a port, or a server inside a running loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from typing import TYPE_CHECKING, Final, Self

import uvicorn

from parley_wire.showing import plain
from parley_wire.starting import Starting
from parley_wire.tls import NO_TLS, Tls

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from starlette.types import ASGIApp, Receive, Scope, Send

KEEP_ALIVE_S: Final = 65
"""Above every client's (ours: 4 s): the client, never the server, closes an idle connection."""
MAX_HEADER_BYTES: Final = 32_768
"""Of a request head that is not complete yet; one that arrives at once may have 256 kB."""
GRACE_S: Final = 5
"""So long may running requests finish after SIGTERM; streams are ended at once."""
STOPPING: Final = "parley.stopping"


class Stopping:
    """Tells long-lived responses that the server stops; in every request's scope as `STOPPING`."""

    def __init__(self) -> None:
        self._callbacks: set[Callable[[], object]] = set()
        self.happened = False

    def add(self, callback: Callable[[], object]) -> None:
        self._callbacks.add(callback)

    def discard(self, callback: Callable[[], object]) -> None:
        self._callbacks.discard(callback)

    def announce(self) -> None:
        self.happened = True
        for callback in tuple(self._callbacks):
            callback()


class _Server(uvicorn.Server):
    """A uvicorn server that says when it listens, and ends streams when it stops."""

    def __init__(self, app: ASGIApp, started: Callable[[], object], tls: Tls) -> None:
        self._stopping = stopping = Stopping()
        self._tell = started

        async def telling(scope: Scope, receive: Receive, send: Send) -> None:
            scope[STOPPING] = stopping
            await app(scope, receive, send)

        super().__init__(
            uvicorn.Config(
                telling,
                # The other parser of uvicorn puts no bound on the size of the headers.
                http="h11",
                h11_max_incomplete_event_size=MAX_HEADER_BYTES,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        if tls.serves:
            self.config.load()
            self.config.ssl = tls.server_context()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping.announce()
        await super().shutdown(sockets)

    async def run_on(self, listener: socket.socket) -> None:
        """Serve until `should_exit`, leaving the signals of the process alone."""
        with contextlib.closing(listener):
            await self._serve([listener])


def serve(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    ready: Callable[[int], None] | None = None,
    name: str = "parley",
    tls: Tls = NO_TLS,
) -> None:
    """Serve until SIGINT or SIGTERM, then finish running requests and the app's lifespan.

    Prints one line, `NAME listening on http(s)://HOST:PORT`, once connections are accepted, then calls
    `ready` with the port; port 0 takes a free one. Runs its own event loop; not to be called inside one.

    Raises:
        SystemExit: If the port is taken (status 3) or the lifespan fails to start; one line on stderr
            says why.
    """
    try:
        listener = _listen(host, port)
    except OSError as exc:
        sys.stderr.write(
            f"{name}: cannot listen on {host}:{port}: {exc.strerror or exc};"
            " stop what listens there, or choose another port\n"
        )
        raise SystemExit(3) from exc
    actual = listener.getsockname()[1]

    def started() -> None:
        # What is there now stays. Out of the collector's sight, it is not looked through again and again,
        # and garbage, which is counted against the rest, does not pile up.
        gc.collect()
        gc.freeze()
        shown = f"[{host}]" if ":" in host else host
        sys.stdout.write(f"{name} listening on {tls.scheme}://{shown}:{actual}\n")
        sys.stdout.flush()
        if ready is not None:
            ready(actual)

    starting = Starting(app)
    logging.getLogger("uvicorn.error").addFilter(lambda _: starting.failure is None)
    try:
        asyncio.run(_until_told(_Server(starting, started, tls), listener))
    except SystemExit as exc:
        if starting.failure is None:
            raise
        failure = starting.failure
        sys.stderr.write(f"{name}: {failure.code}: {plain(failure.message)}\n")
        raise SystemExit(failure.face.exit) from exc


async def _until_told(server: _Server, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    for told in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(told, server.handle_exit, told, None)
    await server.run_on(listener)


class Background:
    """Serve an app on a free loopback port inside the running loop.

    >>> async with Background(app) as served:
    ...     await http.get(served.url + "/healthz")

    Args:
        port: 0 takes a free one, already when this is constructed: `url` is known before the start.
    """

    def __init__(self, app: ASGIApp | None = None, *, port: int = 0, tls: Tls = NO_TLS) -> None:
        self._tls = tls
        self._listener = _listen("127.0.0.1", port)
        self.app = app
        """May be set after construction, for an app that must know its own address."""
        self.url = f"{tls.scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self.app is None:
            self._listener.close()
            raise RuntimeError("there is no app to serve; set `app` first")
        started = asyncio.Event()
        self._server = _Server(self.app, started.set, self._tls)
        self._task = asyncio.create_task(_contained(self._server, self._listener))
        waiting = asyncio.create_task(started.wait())
        await asyncio.wait({self._task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not started.is_set():
            await self._task
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task


async def _contained(server: _Server, listener: socket.socket) -> None:
    try:
        await server.run_on(listener)
    except SystemExit as exc:  # in a task it would end the whole loop
        raise RuntimeError("the app did not start; the log says why") from exc


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Without the protocol asyncio leaves Nagle's algorithm on: 40 ms for each small event of a stream.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.settimeout(0)
    except OSError:
        listener.close()
        raise
    return listener
