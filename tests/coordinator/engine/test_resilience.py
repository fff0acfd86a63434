"""Agents that are away, busy, crowded or unwell: through REST, with vendors' agents."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from parley_coordinator.delegation import breaker

from tests.coordinator.engine.odd_agents import OddAgent, answered
from tests.coordinator.world import CALL, World, until, world

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def steps(mesh: World, run: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await mesh.get(f"/v1/runs/{run}/why"))["steps"]
    return found


async def load(mesh: World, name: str) -> dict[str, Any]:
    agents = (await mesh.get("/v1/agents"))["agents"]
    return next(dict(agent["load"]) for agent in agents if agent["name"] == name)


async def waiting_at(mesh: World, agent: OddAgent, *, inside: int, waiting: int) -> bool:
    found = await load(mesh, agent.name)
    return (found["inFlight"], found["waiting"]) == (inside, waiting)


async def waits(mesh: World, run: str) -> list[dict[str, Any]]:
    async def parked() -> Any:
        found = await mesh.get(f"/v1/runs/{run}")
        return found["state"] == "waiting" and found["waitingFor"]

    found: list[dict[str, Any]] = await until(parked)
    return found


async def test_a_step_that_one_agent_has_not_begun_is_done_by_another(tmp_path: Path) -> None:
    away, there = OddAgent(name="away", down=True), OddAgent(name="there")
    async with world(tmp_path, {"act": CALL}, away, there) as mesh:
        ended = await mesh.run("act", {"do": "complete"})
        told = await steps(mesh, ended["id"])

    assert ended["state"] == "completed"
    assert (away.runs, there.runs) == (0, 1)
    assert [each["kind"] for each in told] == ["started", "declined", "called", "completed"]
    assert told[1]["title"].startswith("Act: away has not begun it: away: HTTP status 503")
    assert told[2]["agent"]["name"] == "there"
    assert told[2]["agent"]["chosen"]["rule"].startswith("not begun by away; ")


async def test_a_step_whose_outcome_is_uncertain_is_never_sent_to_another_agent(
    tmp_path: Path,
) -> None:
    first = OddAgent(name="first", lists=False, lose_answers=1)
    second = OddAgent(name="second")
    async with world(tmp_path, {"act": CALL}, first, second) as mesh:
        item = await mesh.item(await mesh.start("act", {"do": "complete"}))

    assert item["kind"] == "incident"
    assert (first.runs, second.calls["SendMessage"]) == (1, 0)


async def test_a_busy_agent_is_left_alone_for_as_long_as_it_asks(tmp_path: Path) -> None:
    soon = OddAgent(name="soon", skill="soon")
    soon.instead["SendMessage"] = [answered(429, retry_after="1")]
    later = OddAgent(name="later", skill="later")
    now = datetime.now(UTC)
    later.instead["SendMessage"] = [
        answered(503, retry_after=f"{now + timedelta(seconds=40):%a, %d %b %Y %H:%M:%S} GMT")
    ]
    documents = {name: CALL.replace("act:1", f"{name}:1") for name in ("soon", "later")}
    async with world(tmp_path, documents, soon, later) as mesh:
        parked = await mesh.start("later", {"do": "complete"})
        began = asyncio.get_running_loop().time()
        ended = await mesh.run("soon", {"do": "complete"})
        took = asyncio.get_running_loop().time() - began
        (wait,) = await waits(mesh, parked)
        told = await steps(mesh, parked)

    assert ended["state"] == "completed"
    assert took >= 1
    assert (soon.runs, later.runs, later.calls["SendMessage"]) == (1, 0, 1)
    assert wait["agent"] == "later"
    assert 30 < (datetime.fromisoformat(wait["until"]) - now).total_seconds() < 60
    assert told[-1]["rule"] == "agent_busy"


async def test_a_breaker_opens_on_an_unwell_agent_and_one_probe_closes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "LONGEST_PAUSE_S", 6.0)
    agent = OddAgent(down=True)
    failing = OddAgent(name="failing", skill="fail")
    documents = {"act": CALL, "fail": CALL.replace("act:1", "fail:1")}
    async with world(tmp_path, documents, agent, failing) as mesh:
        gave_up = await mesh.run("act", {"do": "complete"}, seconds=60)
        opened = await load(mesh, "vendor")
        waiting = await mesh.start("act", {"do": "complete"})
        agent.down = False
        ended = await mesh.ended(waiting)
        closed = await load(mesh, "vendor")
        told = await steps(mesh, waiting)
        await asyncio.gather(*(mesh.run("fail", {"do": "fail"}) for _ in range(6)))
        well = await load(mesh, "failing")

    assert gave_up["error"]["type"].endswith("/communication")
    assert opened["breaker"] == "open"
    assert (ended["state"], closed["breaker"], agent.runs) == ("completed", "closed", 1)
    assert "waited" in [each["kind"] for each in told]
    assert "left alone after failures in a row" in told[1]["title"]
    assert (failing.runs, well["breaker"]) == (6, "closed")


async def test_no_more_calls_are_under_way_than_an_agent_takes_at_once(tmp_path: Path) -> None:
    agent = OddAgent(concurrency=1)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        await mesh.start("act", {"do": "work"})

        async def sent() -> bool:
            return agent.runs == 1

        await until(sent)
        crowded = await load(mesh, "vendor")
        ended = await mesh.run("act", {"do": "complete"})
        told = await steps(mesh, ended["id"])

    assert (crowded["inFlight"], crowded["limit"], crowded["breaker"]) == (1, 1, "closed")
    assert ended["state"] == "completed"
    assert told[1]["kind"] == "waited"
    assert "as many calls were under way" in told[1]["title"]


async def test_what_nobody_has_begun_is_sent_after_a_restart_without_a_question(
    tmp_path: Path,
) -> None:
    agent = OddAgent(lists=False)
    agent.instead["SendMessage"] = [answered(429, retry_after="6")]
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": "complete"})
        await waits(mesh, run)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        ended = await mesh.ended(run)

    assert ended["state"] == "completed"
    assert (agent.runs, agent.calls["ListTasks"]) == (1, 0)


async def test_a_run_that_is_cancelled_before_anybody_has_begun_says_so(tmp_path: Path) -> None:
    agent = OddAgent()
    agent.instead["SendMessage"] = [answered(429, retry_after="60")]
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": "complete"})
        await waits(mesh, run)
        await mesh.post(f"/v1/runs/{run}:cancel", {"reason": "enough"})
        ended = await mesh.ended(run)

        async def stopped() -> Any:
            return [each for each in await steps(mesh, run) if "had not begun it" in each["title"]]

        await until(stopped)

    assert ended["state"] == "cancelled"
    assert agent.cancelled == []


async def test_patience_does_not_end_between_the_row_and_the_message(tmp_path: Path) -> None:
    """Or the row would stand, and nobody could tell whether the message has left."""
    loop, agent = asyncio.get_running_loop(), OddAgent(lists=False, concurrency=1)
    async with world(tmp_path, {"act": CALL}, agent, env={"PARLEY_PATIENCE_S": "3"}) as mesh:
        first = await mesh.start("act", {"do": "work"})
        await until(lambda: waiting_at(mesh, agent, inside=1, waiting=0))
        second = await mesh.start("act", {"do": "complete"})
        await until(lambda: waiting_at(mesh, agent, inside=1, waiting=1))
        out_of_patience = loop.time() + 3.5
        with closing(sqlite3.connect(tmp_path / "coordinator.db", isolation_level=None)) as held:
            held.execute("BEGIN IMMEDIATE")
            agent.finish_all()
            released = loop.create_future()
            loop.call_at(out_of_patience, released.set_result, None)
            await released
        ended = [await mesh.ended(run) for run in (first, second)]

    assert [each["state"] for each in ended] == ["completed", "completed"]
    assert agent.runs == 2
