"""SIGKILL of the coordinator while events are on their way: none is lost, none is heard twice."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from parley_coordinator.store import events
from sqlalchemy import create_engine

from tests.chaos.killable import Killable, killable
from tests.coordinator.engine.test_events import event, listens, send
from tests.coordinator.world import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.crash]

NUMBER = 10
COLLECT = f"""\
  - readings:
      metadata: {{label: All readings}}
      listen: {{to: {{any: [{{with: {{type: com.example.reading}}}}], until: "${{ length >= {NUMBER} }}"}}}}
      timeout: {{after: {{minutes: 5}}}}
"""
EACH = """\
  - say: {metadata: {label: Say it}, set: "${ {n: .[0]} }"}
schedule: {on: {one: {with: {type: com.example.reading}}}}
"""
ANNOUNCE = f"""\
  - all:
      metadata: {{label: Announce readings}}
      for: {{each: n, in: "${{ [range({NUMBER})] }}"}}
      do:
        - tell: {{emit: {{event: {{with: {{type: com.example.reading, data: "${{ $n }}"}}}}}}}}
"""


def count(home: Path, where: str = "1") -> int:
    """Look into the log from outside, without a word to the coordinator."""
    with sqlite3.connect(f"file:{home / 'coordinator.db'}?mode=ro", uri=True) as database:
        (found,) = database.execute(f"SELECT count(*) FROM event WHERE {where}").fetchone()  # noqa: S608
        return int(found)


async def kill_at(killed: Killable, *numbers: int) -> None:
    """Kill as soon as the log has so many events, each time."""
    for number in numbers:

        async def there(least: int = number) -> bool:
            return await asyncio.to_thread(count, killed.mesh.home) >= least

        await until(there, seconds=60)
        await killed.kill()


async def send_until_taken(killed: Killable, one: dict[str, Any]) -> None:
    async def taken() -> bool:
        try:
            return (await send(killed.mesh, one)).status_code == 202
        except httpx.HTTPError:
            return False  # the coordinator was killed before it could answer

    await until(taken, seconds=60)


async def inputs(killed: Killable, workflow: str) -> list[Any]:
    async def all_there() -> Any:
        found = (await killed.mesh.get(f"/v1/runs?workflow={workflow}&limit=100"))["runs"]
        return found if len(found) >= NUMBER else None

    return [
        (await killed.mesh.ended(run["id"], seconds=60))["output"]["n"]
        for run in await until(all_there, seconds=60)
    ]


async def test_events_from_outside_survive_kills_and_count_once(tmp_path: Path) -> None:
    async with killable(tmp_path, {"collect": COLLECT, "each": EACH}) as killed:
        run = await killed.mesh.start("collect", {})
        await listens(killed.mesh, run)
        killing = asyncio.create_task(kill_at(killed, 1, 6))
        for number in range(NUMBER):
            await send_until_taken(killed, event("com.example.reading", number, number))
        await killing
        output = (await killed.mesh.ended(run, seconds=60))["output"]
        started = await inputs(killed, "each")

        assert sorted(output) == list(range(NUMBER))
        assert sorted(started) == list(range(NUMBER))
        assert count(tmp_path) == NUMBER


async def test_events_of_a_run_survive_kills_and_count_once(tmp_path: Path) -> None:
    documents = {"announce": ANNOUNCE, "collect": COLLECT, "each": EACH}
    async with killable(tmp_path, documents) as killed:
        run = await killed.mesh.start("collect", {})
        await listens(killed.mesh, run)
        killing = asyncio.create_task(kill_at(killed, 2))
        announcing = await killed.mesh.start("announce", {})
        await killing
        await killed.mesh.ended(announcing, seconds=60)
        output = (await killed.mesh.ended(run, seconds=60))["output"]
        started = await inputs(killed, "each")

        assert sorted(output) == list(range(NUMBER))
        assert sorted(started) == list(range(NUMBER))
        assert count(tmp_path) == NUMBER


async def test_an_event_of_before_the_deadline_counts_though_the_process_was_dead_when_it_passed(
    tmp_path: Path,
) -> None:
    """Accepted, and killed before it was delivered: what a crash in between looks like."""
    wait = (
        "  - paid: {metadata: {label: Payment}, listen: {to: {one: {with: {type: com.example.paid}}}},"
        " timeout: {after: {seconds: 8}}}\n"
    )
    async with killable(tmp_path, {"wait": wait}) as killed:
        run = await killed.mesh.start("wait", {})
        await listens(killed.mesh, run)
        (waiting,) = (await killed.mesh.get(f"/v1/runs/{run}"))["waitingFor"]
        deadline = datetime.fromisoformat(waiting["until"])
        await killed.supervisor.kill("coordinator")
        _accept(tmp_path, event("com.example.paid", 1, {"n": 1}))

        async def passed() -> bool:
            return datetime.now(UTC) > deadline

        await until(passed)
        await killed.supervisor.start("coordinator")
        await killed.supervisor.ready("coordinator")

        assert (await killed.mesh.ended(run, seconds=60))["output"] == [{"n": 1}]
        assert count(tmp_path, "delivered = 0") == 0


def _accept(home: Path, one: dict[str, Any]) -> None:
    """Put an event into the log as the coordinator does, and go no further."""
    engine = create_engine(f"sqlite:///{home / 'coordinator.db'}")
    with engine.begin() as connection:
        events.insert(connection, one, datetime.now(UTC), "requester")
    engine.dispose()
