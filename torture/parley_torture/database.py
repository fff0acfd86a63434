"""A PostgreSQL database for one scenario, and a way to take it away for a while.

What an orchestrator sees of a database that restarts is broken connections, refused ones, then a
database again; a proxy in front of it shows exactly that, and needs no right to stop a server.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, quote, urlsplit

from parley_torture.errors import TortureError

if TYPE_CHECKING:
    from typing import Self

PORT: Final = 5432
CHUNK: Final = 65_536
_PLAIN: Final = re.compile(r"[a-z0-9_]+")


class Database:
    """One database behind a proxy on loopback; made empty when the context is entered.

    Args:
        server: URL of a database of the server whose user may create others.
    """

    def __init__(self, server: str, name: str) -> None:
        self._parts = urlsplit(server)
        self._admin = server
        self._name = re.sub(r"[^a-z0-9]+", "_", f"torture_{name}".lower())
        self._listening: asyncio.Server | None = None
        self._port = 0
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        user = quote(self._parts.username or "postgres")
        word = f":{quote(self._parts.password)}" if self._parts.password else ""
        return f"postgresql://{user}{word}@127.0.0.1:{self._port}/{self._name}"

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._create)
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.down()

    async def up(self) -> None:
        self._listening = await asyncio.start_server(self._carry, "127.0.0.1", self._port)
        self._port = self._listening.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Refuse connections, and break those that are open."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.sleep(0)

    def _create(self) -> None:
        try:
            import psycopg  # noqa: PLC0415 - only where a database is given
        except ImportError as exc:
            raise TortureError("a PostgreSQL database needs psycopg; install it") from exc
        if not _PLAIN.fullmatch(self._name):
            raise TortureError(f"{self._name} is no name for a database")
        try:
            with psycopg.connect(self._admin, autocommit=True) as connection:
                connection.execute(f"DROP DATABASE IF EXISTS {self._name}".encode())
                connection.execute(f"CREATE DATABASE {self._name}".encode())
        except psycopg.Error as exc:
            raise TortureError(f"no database can be made at --database-url: {_told(exc)}") from exc

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host = parse_qs(self._parts.query).get("host", [self._parts.hostname or "127.0.0.1"])[0]
        port = self._parts.port or PORT
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            far_reader, far_writer = await self._connect()
        except OSError:
            writer.transport.abort()
            self._open.discard(writer)
            return
        self._open.add(far_writer)
        try:
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        finally:
            for each in (writer, far_writer):
                self._open.discard(each)
                each.close()


def _told(exc: Exception) -> str:
    return next(iter(str(exc).splitlines()), type(exc).__name__)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await source.read(CHUNK):
            sink.write(chunk)
            await sink.drain()
    with contextlib.suppress(OSError, RuntimeError):
        sink.write_eof()
