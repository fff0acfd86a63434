"""The registry as an ASGI app: where the parts are put together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Final

from parley_wire.auth import Tokens, bearer_middleware
from parley_wire.database import Database
from parley_wire.http import open_http
from parley_wire.limits import StrictBody
from parley_wire.problems import exception_handlers
from parley_wire.tls import NO_TLS, Tls
from starlette.applications import Starlette
from starlette.middleware import Middleware

from parley_registry.catalog import Timing
from parley_registry.directory import Directory, probe_for_ever
from parley_registry.fetching import card_fetcher
from parley_registry.signatures import Signatures
from parley_registry.store import Store
from parley_registry.tables import metadata
from parley_registry.web import MAX_BODY_BYTES, routes

SWEEPS_PER_INTERVAL: Final = 4
"""So often per probe interval the registry looks for agents that have become due."""


def create_app(
    database_url: str,
    *,
    token: str | None = None,
    timing: Timing | None = None,
    signatures: Signatures | None = None,
    tls: Tls = NO_TLS,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Starlette:
    """Open the database and return the app, which probes in the background and closes it at the end.

    Args:
        token: Required from every caller but those of /healthz; None: everybody may call.
        signatures: Which cards are taken; by default all but those that an enrolled key denies.
        tls: Says whose certificates are trusted when cards are fetched.

    Raises:
        DatabaseUnusableError: If the file is no registry's database.
    """
    patience = timing or Timing()
    database = Database(database_url, metadata, sole=True)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(database.aclose)
            http = await stack.enter_async_context(open_http(timeout_s=10, tls=tls))
            directory = Directory(
                Store(database, timing=patience),
                card_fetcher(http),
                now=now,
                timing=patience,
                signatures=signatures,
            )
            app.state.directory = directory
            prober = asyncio.create_task(
                probe_for_ever(directory, every=patience.probe_every / SWEEPS_PER_INTERVAL)
            )
            try:
                yield
            finally:
                prober.cancel()
                await asyncio.gather(prober, return_exceptions=True)

    tokens = Tokens({token: "mesh"}) if token else None
    return Starlette(
        routes=routes(),
        middleware=[
            bearer_middleware(tokens, public=("/healthz",)),
            Middleware(StrictBody, max_bytes=MAX_BODY_BYTES),
        ],
        exception_handlers=exception_handlers(),
        lifespan=lifespan,
    )
