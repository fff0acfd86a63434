from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.wire.support import Running, running_agent


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Running]:
    async with running_agent(tmp_path) as running:
        yield running
