"""Webhooks outlive the coordinators that serve them: nothing is lost, and what comes twice says so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.chaos.fleet import Fleet, fleet
from tests.coordinator.web.test_webhooks import DO, send
from tests.coordinator.world import until
from tests.webhook_receiver import Receiver, receiving

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

HOOKS = {"PARLEY_WEBHOOKS": "127.0.0.1"}


async def told(receiver: Receiver, runs: list[str]) -> None:
    """Return once the end of each run has arrived."""

    async def all_of_them() -> bool:
        ended = [
            body["statusUpdate"]["taskId"]
            for body in receiver.bodies
            if body.get("statusUpdate", {}).get("status", {}).get("state") == "TASK_STATE_COMPLETED"
        ]
        return {*runs} <= {*ended}

    await until(all_of_them)


def in_order(receiver: Receiver, run: str) -> bool:
    """Whether the numbers of a run never go down, so that repetitions can be told."""
    numbers = receiver.numbers(run)
    return numbers == sorted(numbers)


@pytest.mark.crash
async def test_what_a_killed_coordinator_was_about_to_tell_is_told_by_the_next_process(
    tmp_path: Path,
) -> None:
    async with (
        receiving() as receiver,
        fleet(tmp_path / "home", {"do": DO}, [], env=HOOKS) as mesh,
    ):
        receiver.gate = asyncio.Event()
        world = mesh.worlds["a"]
        runs = [await send(world, "do", {}, {"url": receiver.url}, f"m{n}") for n in range(3)]

        async def under_way() -> bool:
            return len(receiver.got) == len(runs)

        await until(under_way)
        await mesh.kill("a")
        receiver.gate.set()
        receiver.gate = None
        await mesh.start("a")
        await told(receiver, runs)

    for run in runs:
        assert in_order(receiver, run)
        ids = [each for each in receiver.ids if each.startswith(run)]
        # What was under way came twice, under one id; nothing else did.
        assert ids[0] == ids[1]
        assert len(set(ids)) == len(ids) - 1
    assert len({body for _, body in receiver.got[: len(runs)]}) == len(runs)


@pytest.mark.crash
async def test_of_two_coordinators_one_sends_each_notification_and_the_other_takes_over(
    tmp_path: Path, postgres_url: str
) -> None:
    env = {**HOOKS, "PARLEY_DATABASE_URL": postgres_url, "PARLEY_LEASE_S": "2"}
    async with (
        receiving() as receiver,
        fleet(tmp_path / "home", {"do": DO}, [], names=("a", "b"), env=env) as mesh,
    ):
        await _each_comes_once(mesh, receiver)
        await _who_is_dead_is_replaced(mesh, receiver, postgres_url)


async def _each_comes_once(mesh: Fleet, receiver: Receiver) -> None:
    runs = [
        await send(world, "do", {}, {"url": receiver.url}, f"m{n}-{name}")
        for n in range(10)
        for name, world in mesh.worlds.items()
    ]
    await told(receiver, runs)

    assert len(set(receiver.ids)) == len(receiver.ids)
    for run in runs:
        assert in_order(receiver, run)


async def _who_is_dead_is_replaced(mesh: Fleet, receiver: Receiver, url: str) -> None:
    before = len(receiver.got)
    receiver.gate = gate = asyncio.Event()
    run = await send(mesh.worlds["a"], "do", {}, {"url": receiver.url}, "last")

    async def under_way() -> bool:
        return len(receiver.got) == before + 1

    await until(under_way)
    sender = _sender(mesh, url, run)
    other = next(name for name in mesh.worlds if name != sender)
    await mesh.kill(sender)
    receiver.gate = None
    gate.set()
    await told(receiver, [run])

    ids = [each for each in receiver.ids[before:] if each.startswith(run)]
    assert ids[0] == ids[1]
    assert len(set(ids)) == len(ids) - 1
    assert in_order(receiver, run)
    assert mesh.supervisor.starts(other) == 1


def _sender(mesh: Fleet, url: str, run: str) -> str:
    """Return which coordinator sends to the webhook of a run."""
    with psycopg.connect(url) as connection:
        query = "SELECT holder FROM run_webhook WHERE run_id = %s"
        (holder,) = connection.execute(query, (run,)).fetchone() or ("",)
    return next(name for name in mesh.worlds if f":{mesh.pid(name)}:" in holder)
