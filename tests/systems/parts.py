"""Pieces that several tests of the systems use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mcp.client import Client

SAMPLES = Path(__file__).parents[2] / "workflows" / "invoice-exception" / "samples"
NAMES = sorted(path.stem for path in SAMPLES.glob("*.xml"))


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def forward(self, by: timedelta) -> None:
        self.time += by


def sample(name: str) -> str:
    return (SAMPLES / f"{name}.xml").read_text("utf-8")


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool that must succeed."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.structured_content
    answer: dict[str, Any] | None = result.structured_content
    assert answer is not None
    return answer


async def refusal(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool that must fail, and return the error."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert result.structured_content is not None
    error: dict[str, Any] = result.structured_content["error"]
    return error
