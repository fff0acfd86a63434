"""An ERP on real SQLite, with the shipped samples and a clock that tests turn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mcp.client import Client
from parley_systems.erp.app import create_erp_app
from parley_systems.erp.ledger import Ledger
from parley_systems.erp.seed import load_seed, sow
from parley_systems.erp.tables import metadata
from parley_wire.database import Database
from parley_wire.serving import Background

from tests.systems.parts import SAMPLES, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    found = Database(f"sqlite:///{tmp_path / 'erp.db'}", metadata)
    yield found
    await found.aclose()


@pytest.fixture
async def ledger(database: Database, clock: Clock) -> Ledger:
    """A ledger with the master data of the samples."""
    found = Ledger(database, now=clock)
    await sow(load_seed(SAMPLES), database, found)
    return found


@pytest.fixture
async def erp_url(tmp_path: Path, clock: Clock) -> AsyncIterator[str]:
    """The ERP over HTTP, with the master data of the samples."""
    url = f"sqlite:///{tmp_path / 'served.db'}"
    async with Background(create_erp_app(url, seed=load_seed(SAMPLES), now=clock)) as served:
        yield served.url


@pytest.fixture
async def erp(erp_url: str) -> AsyncIterator[Client]:
    async with Client(f"{erp_url}/mcp") as client:
        yield client
