"""Stands between a client and Postgres, and cuts the line at the commit."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from enum import StrEnum
from urllib.parse import parse_qs, urlsplit

_COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"


class Cut(StrEnum):
    BEFORE = "before the commit arrives"
    AFTER = "after the commit, before its answer"


class Proxy:
    """Forwards one connection after the other; `cut` says what to do at the next commit, once."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket_path = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = f"postgresql://postgres@127.0.0.1:{port}{parts.path}"
        self.cut: Cut | None = None
        self.cuts = 0

    def serve(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _forward(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._socket_path)
        answers = threading.Thread(target=self._pump, args=(server, client), daemon=True)
        answers.start()
        self._pump(client, server, self._at_commit)
        answers.join()
        client.close()
        server.close()

    def _at_commit(self, data: bytes, client: socket.socket, server: socket.socket) -> bool:
        """Cut if it is time; whether it was."""
        if self.cut is None or _COMMIT not in data:
            return False
        if self.cut is Cut.AFTER:
            client.shutdown(socket.SHUT_WR)  # the answer finds nobody
            server.sendall(data)
        self.cut = None
        self.cuts += 1
        return True

    def _pump(
        self,
        one: socket.socket,
        other: socket.socket,
        at: Callable[[bytes, socket.socket, socket.socket], bool] = lambda *_: False,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65_536):
                if at(data, one, other):
                    break
                other.sendall(data)
        for each in (one, other):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def proxy(url: str) -> Iterator[Proxy]:
    """Serve a proxy to the server of a URL that names a socket's folder."""
    opened = Proxy(url)
    serving = threading.Thread(target=opened.serve, daemon=True)
    serving.start()
    try:
        yield opened
    finally:
        opened.close()
        serving.join()
