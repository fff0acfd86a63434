"""`call: a2a` keeps to the breakers, the limits and the contract that steps keep to."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from parley_cards.extensions import DELEGATION
from parley_coordinator.delegation.breaker import State
from parley_coordinator.model import Place
from parley_coordinator.workflow.errors import Standard
from parley_wire.serving import Background

from tests.coordinator.engine.odd_agents import OddAgent
from tests.coordinator.protocols.bench import a2a_request, bench
from tests.coordinator.world import until
from tests.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from parley_coordinator.workflow.effects import Request

pytestmark = pytest.mark.anyio

MESSAGE = {"parts": [{"kind": "data", "data": {"do": "complete"}}]}


def send(number: int, url: str = "", **more: Any) -> Request:
    request = a2a_request(url, parameters={"message": MESSAGE}, **more)
    return replace(request, place=Place(path=f"/do/{number}/ask"))


def nowhere() -> str:
    """Return the address of nobody."""
    return f"http://127.0.0.1:{free_port()}"


async def test_an_agent_that_cannot_be_reached_again_and_again_is_left_alone(
    tmp_path: Path,
) -> None:
    url = nowhere()
    async with bench(tmp_path, patience=1) as run:
        for number in range(3):
            error = await run.failure(send(number, server=url))
            assert error.is_a(Standard.COMMUNICATION)
        load = run.gates.load(url)

    assert load.breaker is State.OPEN


async def test_no_more_messages_are_under_way_than_the_agent_takes_at_once(
    tmp_path: Path,
) -> None:
    agent = OddAgent(concurrency=2, answering=asyncio.Event())
    served = Background()
    agent.url, served.app = served.url, agent.app()
    async with served, bench(tmp_path, patience=60) as run:
        sent = [asyncio.create_task(run.perform(send(n, served.url))) for n in range(6)]

        async def full() -> bool:
            return agent.at_once == 2

        await until(full)
        assert agent.answering is not None
        agent.answering.set()
        outputs = await asyncio.gather(*sent)

    assert [each["task"]["status"]["state"] for each in outputs] == ["TASK_STATE_COMPLETED"] * 6
    assert agent.most_at_once == 2
    assert agent.runs == 6


async def test_who_waits_for_a_turn_at_an_agent_waits_longer_than_a_look_at_a_task(
    tmp_path: Path,
) -> None:
    agent = OddAgent(concurrency=1, answering=asyncio.Event())
    served = Background()
    agent.url, served.app = served.url, agent.app()
    async with served, bench(tmp_path, patience=0.1) as run:
        sent = [asyncio.create_task(run.perform(send(n, served.url))) for n in range(3)]
        began = time.monotonic()

        async def out_of_patience() -> bool:
            return bool(agent.tasks) and time.monotonic() - began > 0.5

        await until(out_of_patience)
        assert agent.answering is not None
        agent.answering.set()
        outputs = await asyncio.gather(*sent)

    assert [each["task"]["status"]["state"] for each in outputs] == ["TASK_STATE_COMPLETED"] * 3


async def test_what_is_sent_again_carries_the_contract_that_was_written_down(
    tmp_path: Path,
) -> None:
    agent = OddAgent(extensions=(DELEGATION,), idempotent=True, lists=False, lose_answers=1)
    served = Background()
    agent.url, served.app = served.url, agent.app()
    async with served, bench(tmp_path, patience=30) as run:
        await run.perform(send(1, served.url, idempotent=True))
        row = await run.entry("intended", Place(path="/do/1/ask"))

    first, again = (each["metadata"][DELEGATION] for each in agent.messages)
    assert row is not None
    assert first == again == row["contract"]


async def test_a_message_on_its_way_is_waited_for_beyond_the_patience_of_a_look(
    tmp_path: Path,
) -> None:
    agent = OddAgent(lists=False, answering=asyncio.Event())
    served = Background()
    agent.url, served.app = served.url, agent.app()
    async with served, bench(tmp_path, patience=0.1) as run:
        asked = asyncio.create_task(run.perform(send(1, served.url)))
        began = time.monotonic()

        async def out_of_patience() -> bool:
            return bool(agent.tasks) and time.monotonic() - began > 0.5

        await until(out_of_patience)
        assert agent.answering is not None
        agent.answering.set()
        output = await asked

    assert output["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
