"""A step that may have begun is looked up, and is never sent anywhere again in silence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.coordinator.engine.odd_agents import OddAgent, answered, update
from tests.coordinator.world import CALL, until, world

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_task_that_has_begun_stays_where_it_is_though_the_agent_is_busy_afterwards(
    tmp_path: Path, *, streaming: bool
) -> None:
    first, second = OddAgent(name="first", streaming=streaming), OddAgent(name="second")
    first.stream = [update("WORKING")] if streaming else []
    first.instead = {
        "GetTask": [answered(503), answered(503)],
        "SubscribeToTask": [answered(503), answered(503)],
    }
    async with world(tmp_path, {"act": CALL}, first, second) as mesh:
        run = await mesh.start("act", {"do": "work"})

        async def looked_at() -> bool:
            return first.looks > 0 or second.calls.total() > 0

        await until(looked_at)
        first.finish_all()
        ended = await mesh.ended(run)

    assert ended["state"] == "completed"
    assert (first.runs, second.calls.total()) == (1, 0)


async def test_an_operator_who_has_it_sent_again_has_it_sent_once(tmp_path: Path) -> None:
    agent = OddAgent(lists=False, lose_answers=2)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": "complete"})
        first = await mesh.item(run)
        await mesh.decide(first, "resend", role="operator", comment="it is not there")

        async def asked_anew() -> bool:
            items = (await mesh.get(f"/v1/items?run={run}"))["items"]
            return any(each["id"] != first["id"] for each in items) or agent.runs > 2

        await until(asked_anew)
        await mesh.post(f"/v1/runs/{run}:cancel", {"reason": "seen enough"}, role="operator")

    assert list(agent.ran.values()) == [2]


async def test_what_an_operator_has_sent_again_is_sent_although_its_time_is_over(
    tmp_path: Path,
) -> None:
    agent = OddAgent(lists=False, lose_answers=1)
    document = CALL.replace("seconds: 60", "seconds: 6")
    async with world(tmp_path, {"act": document}, agent) as mesh:
        began = asyncio.get_running_loop().time()
        run = await mesh.start("act", {"do": "complete"})
        item = await mesh.item(run)

        async def late() -> bool:
            return asyncio.get_running_loop().time() > began + 7

        await until(late)
        await mesh.decide(item, "resend", role="operator", comment="it is not there")
        ended = await mesh.ended(run)

    assert ended["state"] == "completed"
    assert list(agent.ran.values()) == [2]
