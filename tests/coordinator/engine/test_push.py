"""Push: agents tell that a task goes on; what they post is a hint, and its loss costs time only."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_agents.contracts import schema_of
from parley_agents.doors import Doors
from parley_agents.records import Contract
from parley_agents.runtime import Agent, SkillTask, create_app
from parley_cards.card import load_card
from parley_cards.extensions import DEDUPE
from parley_coordinator.delegation import pushing
from parley_coordinator.web.push import still_works

from tests.coordinator.world import CALL, World, until, world
from tests.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.applications import Starlette

pytestmark = pytest.mark.anyio

SELDOM = timedelta(minutes=1)
NO_TIME = timedelta()
SLOW = {"do": "work"}
DONE = {"statusUpdate": {"taskId": "t-1", "status": {"state": "TASK_STATE_COMPLETED"}}}


class Given(Contract):
    n: int


WORKING = {"statusUpdate": {"taskId": "t-1", "status": {"state": "TASK_STATE_WORKING"}}}


@pytest.fixture(autouse=True)
def _seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks by himself while a test lasts."""
    monkeypatch.setattr(pushing, "RARELY", (SELDOM, SELDOM))


async def push(
    mesh: World, webhook: dict[str, Any], body: Any = DONE, *, token: str | None = None
) -> httpx.Response:
    headers = {
        "content-type": "application/a2a+json",
        "x-a2a-notification-token": webhook["token"] if token is None else token,
    }
    return await mesh.http.post(webhook["url"], json=body, headers=headers)


def before(wait: dict[str, Any]) -> timedelta:
    """Return how long before the end of a wait it is now; there the run would look by itself."""
    return datetime.fromisoformat(wait["until"]) - datetime.now(UTC)


async def parked(
    mesh: World, agent: ScriptedAgent, given_: Any = SLOW
) -> tuple[str, dict[str, Any]]:
    """Start a run; return it with its webhook once it waits for the agent."""
    before = len(agent.webhooks)
    run = await mesh.start("act", given_)

    async def waits() -> Any:
        found = await mesh.get(f"/v1/runs/{run}")
        return found["state"] == "waiting" and found

    found = await until(waits)
    assert found["waitingFor"][0]["kind"] in ("agent", "item")
    assert len(agent.webhooks) == before + 1
    return run, agent.webhooks[-1]


async def rows(mesh: World, run: str, kind: str) -> list[str]:
    """Return the kinds of the rows of a run that are of one kind, numbered ones included."""
    text = (
        await mesh.http.get(
            f"{mesh.url}/v1/runs/{run}/events",
            headers={**mesh.as_role("operator"), "accept": "text/event-stream"},
        )
    ).text
    return [part for part in text.split('"') if part == kind or part.startswith(f"{kind}.")]


async def test_a_push_wakes_a_parked_run_long_before_it_would_have_looked(tmp_path: Path) -> None:
    agent = ScriptedAgent(pushes=True)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run, webhook = await parked(mesh, agent)
        waiting = (await mesh.get(f"/v1/runs/{run}"))["waitingFor"][0]
        agent.finish_all()
        answer = await push(mesh, webhook)
        ended = await mesh.ended(run)
        early = before(waiting)
        late = await push(mesh, webhook)
        journal = await rows(mesh, run, "push")

    assert answer.status_code == 204
    assert ended["output"] == {"done": True}
    assert early > NO_TIME
    assert late.status_code == 410
    assert webhook["taskId"] == "t-1"
    assert webhook["token"] not in journal
    assert journal == ["push"]


async def test_a_push_that_comes_twice_or_says_nothing_new_changes_nothing(tmp_path: Path) -> None:
    agent = ScriptedAgent(pushes=True)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run, webhook = await parked(mesh, agent)
        looks = agent.looks
        working = await push(mesh, webhook, WORKING)
        chunk = await push(mesh, webhook, {"artifactUpdate": {"taskId": "t-1"}})
        unchanged = agent.looks
        agent.finish_all()
        answers = await asyncio.gather(*(push(mesh, webhook) for _ in range(5)))
        ended = await mesh.ended(run)
        pushed = await rows(mesh, run, "pushed")

    assert working.status_code == chunk.status_code == 204
    assert unchanged == looks
    assert {each.status_code for each in answers} <= {204, 410}
    assert ended["state"] == "completed"
    assert agent.runs == 1
    assert len(pushed) <= 2


async def test_a_push_is_believed_in_nothing_but_that_there_is_something_to_see(
    tmp_path: Path,
) -> None:
    agent = ScriptedAgent(pushes=True)
    lie = {"task": {"id": "t-1", "status": {"state": "TASK_STATE_COMPLETED"}, "artifacts": []}}
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run, webhook = await parked(mesh, agent)
        looks = agent.looks
        lied = await push(mesh, webhook, lie)
        rubbish = await mesh.http.post(
            webhook["url"],
            content=b"{not json",
            headers={"x-a2a-notification-token": webhook["token"]},
        )

        async def looked() -> Any:
            return agent.looks > looks

        await until(looked)
        state = (await mesh.get(f"/v1/runs/{run}"))["state"]
        agent.finish_all()
        ended = await mesh.ended(run)

    assert lied.status_code == rubbish.status_code == 204
    assert state in ("running", "waiting")
    assert ended["output"] == {"done": True}


async def test_forged_pushes_are_refused_and_wake_nobody(tmp_path: Path) -> None:
    agent = ScriptedAgent(pushes=True)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        _, webhook = await parked(mesh, agent)
        looks = agent.looks
        url, token = webhook["url"], webhook["token"]
        head = url.rpartition("/")[0]
        run = url.rpartition("/")[2].partition(".")[0]
        wrong = await push(mesh, webhook, token="x" * 43)
        none = await mesh.http.post(url, json=DONE)
        long = await push(mesh, webhook, token="x" * 5000)
        unknown = [
            await push(mesh, {"url": f"{head}/{name}", "token": token})
            for name in (f"{run}.{'0' * 16}", "nope", f"nobody.{'0' * 16}", "%2e%2e/x", "a.b.c")
        ]
        async with httpx.AsyncClient() as plain:
            huge = await plain.post(
                url, content=b" " * 1_100_000, headers={"x-a2a-notification-token": token}
            )
        read = await mesh.http.get(url)
        journal = await mesh.get(f"/v1/runs/{run}/why")

    assert [each.status_code for each in (wrong, none, long)] == [401] * 3
    assert wrong.json()["code"] == "push_token"
    assert [each.status_code for each in unknown] == [404] * 5
    assert huge.status_code == 413
    assert read.status_code == 405
    assert agent.looks == looks
    assert token not in str(journal)


async def test_a_lost_push_costs_time_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushing, "RARELY", (timedelta(0), timedelta(seconds=1)))
    agent = ScriptedAgent(pushes=True)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run, _ = await parked(mesh, agent)
        agent.finish_all()
        ended = await mesh.ended(run)

    assert ended["output"] == {"done": True}


async def test_a_push_after_a_cancellation_is_gone(tmp_path: Path) -> None:
    agent = ScriptedAgent(pushes=True)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run, webhook = await parked(mesh, agent)
        await mesh.post(f"/v1/runs/{run}:cancel", {}, role="operator")
        gone = await push(mesh, webhook)
        forged = await push(mesh, webhook, token="x" * 43)

    assert gone.status_code == 410
    assert forged.status_code == 401


async def test_a_webhook_outlives_a_restart_of_the_coordinator(tmp_path: Path) -> None:
    agent = ScriptedAgent(pushes=True)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run, webhook = await parked(mesh, agent)
    agent.finish_all()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        path = webhook["url"].partition("/v1/")[2]
        answer = await push(mesh, {**webhook, "url": f"{mesh.url}/v1/{path}"})
        ended = await mesh.ended(run)

    assert answer.status_code == 204
    assert ended["output"] == {"done": True}
    assert len(agent.webhooks) == 1


async def test_an_authorization_that_is_given_elsewhere_is_heard_of_at_once(tmp_path: Path) -> None:
    agent = ScriptedAgent(pushes=True)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run, webhook = await parked(mesh, agent, {"do": "auth"})
        waiting = (await mesh.get(f"/v1/runs/{run}"))["waitingFor"][0]
        agent.finish_all()
        await push(mesh, webhook)
        ended = await mesh.ended(run)
        early = before(waiting)

    assert ended["output"] == {"done": True}
    assert early > NO_TIME


async def test_an_agent_elsewhere_is_not_told_of_an_address_that_only_this_machine_has(
    tmp_path: Path,
) -> None:
    agent = ScriptedAgent(pushes=True)
    here = pushing.Webhooks("http://127.0.0.1:8420", new_token=str)
    there = pushing.Webhooks("https://parley.example", new_token=str)
    async with world(tmp_path, {"act": CALL}, agent):
        local = load_card(agent.card())
        agent.url = "https://vendor.example"
        remote = load_card(agent.card())
        agent.pushes = False
        silent = load_card(agent.card())

    assert here._reachable_by(local)
    assert not here._reachable_by(remote)
    assert there._reachable_by(remote)
    assert not there._reachable_by(silent)


@dataclass
class Slow:
    """An agent of the kit that pushes, as `world` serves agents."""

    home: Path
    name: str = "slow"
    url: str = ""
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def app(self) -> Starlette:
        agent = Agent(self.name)

        @agent.skill("act")
        async def act(_: SkillTask, request: Given) -> Given:
            await self.go.wait()
            return request

        value = {**ScriptedAgent(name=self.name, url=self.url, extensions=(DEDUPE,)).card()}
        contract = value["capabilities"]["extensions"][0]["params"]["skills"]["act"]
        contract["input"] = schema_of(Given, side="input")
        contract["output"] = schema_of(Given, side="output")
        doors = Doors(webhooks=("127.0.0.1",))
        return create_app(agent, url=self.url, home=self.home, card=load_card(value), doors=doors)


async def test_an_agent_of_the_kit_wakes_the_run_that_waits_for_it(tmp_path: Path) -> None:
    agent = Slow(home=tmp_path / "agent")
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"n": 7})

        async def waits() -> Any:
            found = await mesh.get(f"/v1/runs/{run}")
            return found["state"] == "waiting" and found["waitingFor"][0]

        wait = await until(waits)
        agent.go.set()
        ended = await mesh.ended(run)
        early = before(wait)
        pushed = await rows(mesh, run, "pushed")

    assert ended["output"] == {"n": 7}
    assert early > NO_TIME
    assert len(pushed) == 1


@given(st.binary(max_size=200))
def test_whatever_is_posted_is_a_hint_or_nothing(body: bytes) -> None:
    assert still_works(body) in (True, False)
