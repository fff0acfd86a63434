"""Streams of `call: a2a` that break: what has begun is followed, and not sent again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from parley_wire.serving import Background

from tests.coordinator.protocols.bench import a2a_request, bench
from tests.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio


class Breaking(ScriptedAgent):
    """Its first stream says that a task works, and then that the agent is busy."""

    broken = False

    async def _follow(self, call: Any, task: dict[str, Any]) -> AsyncIterator[bytes]:
        async for event in super()._follow(call, task):
            yield event
            if not self.broken:
                self.broken = True
                error = {"jsonrpc": "2.0", "id": call, "error": {"code": -32050, "message": "busy"}}
                yield f"data: {json.dumps(error)}\n\n".encode()
                return


async def test_what_refuses_in_the_middle_of_a_stream_has_begun(tmp_path: Path) -> None:
    agent, served = Breaking(streaming=True), Background()
    agent.url = served.url
    served.app = agent.app()
    agent.released.set()
    message = {"parts": [{"kind": "data", "data": {"do": "work"}}]}
    async with served, bench(tmp_path) as run:
        request = a2a_request(served.url, "message/stream", parameters={"message": message})
        results = await run.perform(request)

    assert results[-1]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert agent.runs == 1
