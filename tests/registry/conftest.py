"""A registry on loopback with a clock that the test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from parley_registry.app import create_app
from parley_registry.catalog import Timing
from parley_registry.client import RegistryClient
from parley_registry.directory import Directory
from parley_registry.signatures import Signatures
from parley_wire.http import open_http
from parley_wire.serving import Background

from tests.registry.parts import Clock

TOKEN = "mesh-secret"


@dataclass
class Served:
    """A running registry, and ways to reach it."""

    url: str
    http: httpx.AsyncClient
    client: RegistryClient
    directory: Directory
    clock: Clock

    async def request(self, method: str, path: str, **options: object) -> httpx.Response:
        headers = {"authorization": f"Bearer {TOKEN}"} | dict(options.pop("headers", {}))  # type: ignore[call-overload]
        return await self.http.request(method, self.url + path, headers=headers, **options)  # type: ignore[arg-type]


@asynccontextmanager
async def serving(
    home: Path, clock: Clock, *, signatures: Signatures | None = None
) -> AsyncIterator[Served]:
    """Leases lapse when the clock is moved; the background prober never comes by itself."""
    app = create_app(
        f"sqlite:///{home / 'registry.db'}",
        token=TOKEN,
        timing=Timing(grace=timedelta(seconds=10), probe_every=timedelta(hours=1)),
        signatures=signatures,
        now=clock,
    )
    async with Background(app) as served, open_http() as http:
        yield Served(
            url=served.url,
            http=http,
            client=RegistryClient(served.url, http, token=TOKEN),
            directory=app.state.directory,
            clock=clock,
        )


@pytest.fixture
async def registry(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Served]:  # noqa: ARG001
    async with serving(tmp_path, Clock()) as served:
        yield served
