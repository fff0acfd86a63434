from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.coordinator.cli.shell import Shell
from tests.coordinator.web.serving import TOKENS, serving


@pytest.fixture
async def parley(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Shell]:  # noqa: ARG001
    tokens = tmp_path / "tokens.json"
    tokens.write_text(json.dumps(TOKENS))
    tokens.chmod(0o600)
    async with serving() as served:
        yield Shell(served, tmp_path)
