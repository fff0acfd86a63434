from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from parley_wire.serving import Background

from tests.coordinator.protocols.bench import Bench, Service, bench


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path) as found:
        yield found


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
async def url(service: Service) -> AsyncIterator[str]:
    async with Background(service.app()) as served:
        yield served.url
