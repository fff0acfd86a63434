"""Agents that speak A2A 0.3 only, under a workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.coordinator.world import CALL, world
from tests.older_agent import OlderAgent

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("transport", ["JSONRPC", "HTTP+JSON"])
@pytest.mark.parametrize("streaming", [False, True])
async def test_an_agent_of_a2a_0_3_works_through_a_workflow(
    tmp_path: Path, transport: str, *, streaming: bool
) -> None:
    agent = OlderAgent(transport=transport, streaming=streaming)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        done = await mesh.run("act", {"do": "go", "amount": 3})
        failed = await mesh.run("act", {"do": "fail"})
        run = await mesh.start("act", {"do": "ask"})
        item = await mesh.item(run)
        decided = await mesh.decide(item, "answer", role="operator", values={"text": "this one"})
        asked = await mesh.ended(run)

    assert (done["state"], done["output"]) == ("completed", {"do": "go", "amount": 3})
    assert failed["state"] == "faulted"
    assert "disk is full" in str(failed["error"])
    assert decided.status_code == 200, decided.text
    assert asked["state"] == "completed"
    assert len(agent.tasks) == 3


async def test_a_lost_answer_of_an_agent_that_cannot_list_is_an_incident(tmp_path: Path) -> None:
    agent = OlderAgent(streaming=False, lost=1)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": "go"})
        item = await mesh.item(run)

    assert item["kind"] == "incident"
    assert len(agent.tasks) == 1
