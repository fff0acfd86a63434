from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.coordinator.web.serving import Served, serving


@pytest.fixture
async def served(anyio_backend: str) -> AsyncIterator[Served]:  # noqa: ARG001 - orders fixtures
    async with serving() as each:
        yield each
