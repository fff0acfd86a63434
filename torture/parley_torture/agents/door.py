"""A port that opens, slams and opens again, as the port of a process that is killed."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from starlette.types import ASGIApp


class Door:
    """A server on a loopback port of its own, which it keeps while it is shut."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        with _bound(0) as probe:
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._server = server = _Server(
            uvicorn.Config(
                self._app,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_keep_alive=65,
            )
        )
        listener = _bound(self.port)
        self._serving = asyncio.create_task(server.run_on(listener))
        await server.up.wait()

    async def slam(self) -> None:
        """Refuse connections, and reset those that are open: nothing is finished or said."""
        server, serving = self._server, self._serving
        if server is None or serving is None:
            return
        self._server = self._serving = None
        for listening in server.servers:
            listening.close()
        for connection in list(server.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        for task in list(server.server_state.tasks):
            task.cancel()
        server.should_exit = server.force_exit = True
        await serving


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def run_on(self, listener: socket.socket) -> None:
        with listener:
            await self._serve([listener])


def _bound(port: int) -> socket.socket:
    # Without the protocol asyncio leaves Nagle's algorithm on.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.setblocking(False)  # noqa: FBT003 - positional in the standard library
    return listener
