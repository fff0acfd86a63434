"""What nobody needs any more is stopped at its agent, however late its id comes and however often it takes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest
from parley_coordinator.app import create
from parley_coordinator.delegation import calling_back
from parley_coordinator.settings import Settings
from parley_wire.serving import Background

from tests.coordinator.engine.test_cancel import cancel, working
from tests.coordinator.world import CALL, World, until, world
from tests.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

HASTY = CALL.replace("seconds: 60", "seconds: 3")


def silent(*, streaming: bool = False) -> ScriptedAgent:
    """Return an agent that cannot list its tasks, and answers only when it is told to."""
    return ScriptedAgent(lists=False, streaming=streaming, answering=asyncio.Event())


def answer(agent: ScriptedAgent) -> None:
    assert agent.answering is not None
    agent.answering.set()


async def taken(agent: ScriptedAgent) -> None:
    async def there() -> bool:
        return bool(agent.tasks)

    await until(there)


async def stopped(agent: ScriptedAgent) -> list[str]:
    async def asked() -> Any:
        return agent.cancelled

    found: list[str] = await until(asked)
    return found


async def effects(mesh: World, run: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await cancel(mesh, run))["effects"]
    return found


async def told(mesh: World, run: str, words: str) -> dict[str, Any]:
    """Return the effect of a cancelled run, once that is what is said of it."""

    async def said() -> Any:
        (effect,) = await effects(mesh, run)
        return effect if words in effect["said"] else None

    found: dict[str, Any] = await until(said)
    return found


@contextlib.asynccontextmanager
async def beside(mesh: World, database: str) -> AsyncIterator[World]:
    """Run a second coordinator on the same database."""
    found = Background()
    env = {"PARLEY_DATABASE_URL": database, "PARLEY_PUBLIC_URL": found.url}
    found.app = create(
        Settings.load(
            env,
            home=mesh.home,
            registry_url=mesh.registry_url,
            workflows=mesh.home / "workflows",
        )
    )
    async with found:
        yield World(http=mesh.http, url=found.url, home=mesh.home, tokens=mesh.tokens)


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_task_that_is_named_after_the_cancellation_is_cancelled(
    tmp_path: Path, *, streaming: bool
) -> None:
    agent = silent(streaming=streaming)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": "work"})
        await taken(agent)
        (before,) = await effects(mesh, run)
        answer(agent)

        assert await stopped(agent) == ["t-1"]
        after = await told(mesh, run, "TASK_STATE_CANCELED")
    assert (before["state"], before["task"]) == ("running", "")
    assert before["said"].endswith("shows no task for it; it may be running; it is asked again")
    assert (after["state"], after["task"]) == ("cancelled", "t-1")


async def test_a_task_that_is_named_to_one_coordinator_after_another_has_cancelled_is_cancelled(
    tmp_path: Path, postgres_url: str
) -> None:
    agent = silent()
    env = {"PARLEY_DATABASE_URL": postgres_url}
    async with (
        world(tmp_path, {"act": CALL}, agent, env=env) as mesh,
        beside(mesh, postgres_url) as other,
    ):
        run = await mesh.start("act", {"do": "work"})
        await taken(agent)
        (before,) = await effects(other, run)
        answer(agent)

        assert await stopped(agent) == ["t-1"]
        await told(other, run, "TASK_STATE_CANCELED")
    assert before["task"] == ""


async def test_a_task_that_is_named_after_the_deadline_of_its_step_is_cancelled(
    tmp_path: Path,
) -> None:
    agent = silent()
    async with world(tmp_path, {"act": HASTY}, agent) as mesh:
        run = await mesh.run("act", {"do": "work"})
        answer(agent)

        assert run["error"]["type"].endswith("/timeout")
        assert await stopped(agent) == ["t-1"]


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_message_on_its_way_is_waited_for_beyond_the_patience_of_a_look(
    tmp_path: Path, *, streaming: bool
) -> None:
    agent = silent(streaming=streaming)
    env = {"PARLEY_PATIENCE_S": "1"}
    async with world(tmp_path, {"act": CALL}, agent, env=env) as mesh:
        run = await mesh.start("act", {"do": "complete"})
        await taken(agent)
        since = time.monotonic()

        async def out_of_patience() -> bool:
            return time.monotonic() - since > 1.5

        await until(out_of_patience)
        items = (await mesh.get(f"/v1/items?run={run}"))["items"]
        answer(agent)

        assert (await mesh.ended(run))["state"] == "completed"
    assert items == []
    assert agent.runs == 1


async def test_an_agent_that_was_away_when_it_was_to_cancel_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling_back, "FIRST_S", 0.1)
    agent = ScriptedAgent()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await working(mesh, agent, "act", 1)
        agent.down = True
        (before,) = await effects(mesh, run)
        agent.down = False

        assert await stopped(agent) == ["t-1"]
        after = await told(mesh, run, "TASK_STATE_CANCELED")
        why = (await mesh.get(f"/v1/runs/{run}/why"))["steps"]
    assert before["state"] == "running"
    assert before["said"].endswith("; it is asked again")
    assert after["state"] == "cancelled"
    assert [each["title"] for each in why if each["path"]][-1].endswith("TASK_STATE_CANCELED")


async def test_a_step_whose_deadline_passes_while_its_agent_is_away_is_cancelled_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling_back, "FIRST_S", 0.1)
    agent = ScriptedAgent()
    async with world(tmp_path, {"act": HASTY}, agent) as mesh:
        run = await working(mesh, agent, "act", 1)
        agent.down = True
        ended = await mesh.ended(run)
        agent.down = False

        assert ended["error"]["type"].endswith("/timeout")
        assert await stopped(agent) == ["t-1"]


async def test_what_is_owed_to_an_agent_outlives_a_restart(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await working(mesh, agent, "act", 1)
        agent.down = True
        await cancel(mesh, run)
    agent.down = False
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        assert await stopped(agent) == ["t-1"]
        await told(mesh, run, "TASK_STATE_CANCELED")


async def test_what_could_not_be_stopped_in_time_is_told_to_the_operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling_back, "FIRST_S", 0.1)
    monkeypatch.setattr(calling_back, "GIVE_UP", calling_back.GIVE_UP / 9000)
    agent = ScriptedAgent(cancels="refuses")
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await working(mesh, agent, "act", 1)
        await cancel(mesh, run)
        effect = await told(mesh, run, "could not be stopped")
        why = (await mesh.get(f"/v1/runs/{run}/why"))["steps"]
    assert (effect["state"], effect["task"]) == ("running", "t-1")
    assert "vendor could not cancel" in effect["said"]
    assert any("could not be stopped" in each["title"] for each in why)


ASKS_A_VENDOR = """\
  - ask:
      metadata: {label: Ask}
      call: a2a
      with:
        server: URL/a2a
        method: message/send
        parameters: {message: {parts: [{kind: data, data: {do: work}}]}}
      timeout: {after: {minutes: 5}}
"""


async def test_who_cancels_leaves_the_task_of_a_vendor_to_the_coordinator_that_can_call_it_back(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling_back, "FIRST_S", 0.1)
    vendor, served = ScriptedAgent(), Background()
    vendor.url, served.app = served.url, vendor.app()
    env = {"PARLEY_DATABASE_URL": postgres_url, "PARLEY_EGRESS": "127.0.0.1"}
    documents = {"ask": ASKS_A_VENDOR.replace("URL", served.url)}
    async with (
        served,
        world(tmp_path, documents, env=env) as mesh,
        beside(mesh, postgres_url) as other,
    ):
        run = await mesh.start("ask", {})
        await taken(vendor)
        await cancel(other, run)

        assert await stopped(vendor) == ["t-1"]
        await told(other, run, "TASK_STATE_CANCELED")
