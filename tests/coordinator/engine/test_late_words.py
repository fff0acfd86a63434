"""What an agent says of a message that was given up says nothing about the one that went out after it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from parley_coordinator.delegation import delegation

from tests.coordinator.engine.test_calling_back import answer, silent, taken
from tests.coordinator.world import CALL, until, world

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_a_task_that_is_named_after_an_operator_had_it_sent_again_is_not_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delegation, "SEND_S", 1.0)
    agent = silent()
    env = {"PARLEY_PATIENCE_S": "1"}
    async with world(tmp_path, {"act": CALL}, agent, env=env) as mesh:
        run = await mesh.start("act", {"do": "work"})
        await taken(agent)
        item = await mesh.item(run)
        unanswered, agent.answering = agent.answering, None
        await mesh.decide(item, "resend", role="operator", comment="it is not there")

        async def looked_at() -> bool:
            return len(agent.tasks) == 2 and agent.looks > 0

        await until(looked_at)
        assert unanswered is not None
        unanswered.set()
        looks = agent.looks

        async def looked_at_again() -> bool:
            return agent.looks > looks + 3

        await until(looked_at_again)
        agent._finish(agent.tasks["t-2"])
        ended = await mesh.ended(run)
    print(agent.tasks["t-1"]["status"], ended)
    assert ended["state"] == "completed"
