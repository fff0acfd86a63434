"""The agent kit under a delegation contract: it honours what it is given and narrows what it passes on."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from a2a.types import Task
from google.protobuf.json_format import MessageToDict
from parley_agents.contracts import schema_of
from parley_agents.records import Contract
from parley_agents.runtime import Agent, SkillTask, create_app
from parley_cards.card import load_card
from parley_cards.delegation import Spent, written
from parley_cards.extensions import DELEGATION, SKILL_CONTRACT
from parley_wire.client import AgentClient
from parley_wire.serving import Background

from tests.agents.conftest import said

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx
    from parley_cards.card import Card

pytestmark = pytest.mark.anyio

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Trip(Contract):
    to: str


class Quote(Contract):
    said: str


class Seen:
    """What the skill found in its task."""

    def __init__(self) -> None:
        self.tasks: list[SkillTask] = []
        self.keys: list[str] = []
        self.passed: list[dict[str, Any]] = []
        self.stopped = False


def travel_agent(seen: Seen) -> Agent:
    agent = Agent("travel")

    @agent.skill("quote-trip")
    async def quote_trip(task: SkillTask, trip: Trip) -> Quote:
        seen.tasks.append(task)
        seen.keys.append(task.key("book"))
        if trip.to == "far":
            try:
                await asyncio.Event().wait()
            finally:
                seen.stopped = True
        if trip.to == "abroad":
            for purpose in ("rail", "ferry"):
                passed = task.delegation.narrowed(purpose)
                seen.passed.append(passed.as_json())
            task.delegation.spend(Spent(calls=1, cost=Decimal("0.25"), unit="EUR"))
        return Quote(said="fine")

    return agent


def travel_card(url: str) -> Card:
    contract = {
        "version": "1.0.0",
        "input": schema_of(Trip, side="input"),
        "output": schema_of(Quote, side="output"),
    }
    return load_card(
        {
            "name": "travel",
            "description": "Quotes trips.",
            "version": "1.0.0",
            "supportedInterfaces": [
                {"url": f"{url}/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
            ],
            "capabilities": {
                "extensions": [
                    {"uri": DELEGATION},
                    {"uri": SKILL_CONTRACT, "params": {"skills": {"quote-trip": contract}}},
                ],
            },
            "defaultInputModes": ["application/json"],
            "defaultOutputModes": ["application/json"],
            "skills": [{"id": "quote-trip", "name": "Quote", "description": "", "tags": []}],
        }
    )


@asynccontextmanager
async def travelling(seen: Seen, home: Path) -> AsyncIterator[str]:
    background = Background()
    card = travel_card(background.url)
    background.app = create_app(travel_agent(seen), url=background.url, home=home, card=card)
    async with background:
        yield background.url


async def quote(
    url: str, http: httpx.AsyncClient, to: str = "near", message_id: str = "m-1", **contract: Any
) -> Task:
    message = {
        "messageId": message_id,
        "role": "ROLE_USER",
        "parts": [{"data": {"to": to}}],
        "metadata": {DELEGATION: {"skill": "quote-trip", **contract}},
    }
    client = AgentClient(travel_card(url), http)
    task = await client.send(message, return_immediately=False)
    assert isinstance(task, Task)
    return task


async def test_a_skill_sees_its_limits_and_for_whom_it_works(
    tmp_path: Path, http: httpx.AsyncClient
) -> None:
    seen = Seen()
    deadline = datetime.now(UTC) + timedelta(minutes=5)
    async with travelling(seen, tmp_path) as url:
        await quote(
            url,
            http,
            deadline=written(deadline),
            budget={"calls": 3},
            ancestors=[{"name": "holiday", "run": "r-1"}],
            traceparent=TRACE,
        )

    task = seen.tasks[0]
    remaining = task.delegation.remaining
    assert task.deadline is not None
    assert abs(task.deadline - deadline) < timedelta(milliseconds=1)
    assert remaining is not None
    assert timedelta(minutes=4) < remaining < timedelta(minutes=5)
    assert task.delegation.budget.calls == 3
    assert [each.name for each in task.delegation.contract.ancestors] == ["holiday"]
    assert task.delegation.contract.traceparent == TRACE


async def test_work_of_which_the_time_has_passed_is_not_begun(
    tmp_path: Path, http: httpx.AsyncClient
) -> None:
    seen = Seen()
    async with travelling(seen, tmp_path) as url:
        task = await quote(url, http, deadline="2020-01-01T00:00:00Z")

    assert said(task)[0] == "TASK_STATE_FAILED"
    assert said(task)[2] == "deadline_exceeded"
    assert seen.tasks == []


async def test_a_skill_is_stopped_at_its_deadline_and_the_caller_is_told(
    tmp_path: Path, http: httpx.AsyncClient
) -> None:
    seen = Seen()
    async with travelling(seen, tmp_path) as url:
        at = datetime.now(UTC) + timedelta(seconds=2)
        task = await quote(url, http, "far", deadline=written(at))

    assert said(task)[0] == "TASK_STATE_FAILED"
    assert said(task)[2] == "deadline_exceeded"
    assert seen.stopped


@pytest.mark.parametrize(
    ("contract", "code"),
    [
        ({"deadline": "tomorrow"}, "invalid_delegation"),
        ({"ancestors": [{"name": "travel"}]}, "delegation_cycle"),
        ({"ancestors": [{"name": f"a{n}"} for n in range(17)]}, "delegation_too_deep"),
    ],
)
async def test_work_that_must_not_be_done_is_rejected_with_a_stable_code(
    tmp_path: Path, http: httpx.AsyncClient, contract: dict[str, Any], code: str
) -> None:
    seen = Seen()
    async with travelling(seen, tmp_path) as url:
        task = await quote(url, http, **contract)

    assert said(task)[0] == "TASK_STATE_REJECTED"
    assert said(task)[2] == code
    assert seen.tasks == []


async def test_what_a_skill_passes_on_is_narrower_and_what_it_spent_is_reported(
    tmp_path: Path, http: httpx.AsyncClient
) -> None:
    seen = Seen()
    async with travelling(seen, tmp_path) as url:
        task = await quote(
            url,
            http,
            "abroad",
            budget={"calls": 3},
            ancestors=[{"name": "holiday"}],
            traceparent=TRACE,
        )

    rail, ferry = seen.passed
    assert [each["name"] for each in rail["ancestors"]] == ["holiday", "travel"]
    assert rail["ancestors"][1] == {"name": "travel", "url": f"{url}/a2a", "run": task.id}
    assert (rail["budget"]["calls"], ferry["budget"]["calls"]) == (2, 1)
    assert rail["traceparent"][3:35] == TRACE[3:35]
    assert len({TRACE, rail["traceparent"], ferry["traceparent"]}) == 3
    assert rail["idempotencyKey"] != ferry["idempotencyKey"]
    assert MessageToDict(task.artifacts[0].metadata)[DELEGATION]["spent"] == {
        "calls": 3.0,
        "cost": {"amount": "0.25", "unit": "EUR"},
    }


async def test_a_budget_that_is_used_up_ends_the_task_before_the_call(
    tmp_path: Path, http: httpx.AsyncClient
) -> None:
    seen = Seen()
    async with travelling(seen, tmp_path) as url:
        task = await quote(url, http, "abroad", budget={"calls": 1})

    assert said(task)[0] == "TASK_STATE_FAILED"
    assert said(task)[2] == "budget_exhausted"
    assert len(seen.passed) == 1
    assert MessageToDict(task.status.message.metadata)[DELEGATION]["spent"] == {"calls": 1.0}


async def test_two_messages_with_one_idempotency_key_have_one_effect(
    tmp_path: Path, http: httpx.AsyncClient
) -> None:
    seen = Seen()
    async with travelling(seen, tmp_path) as url:
        await quote(url, http, message_id="m-1", idempotencyKey="booking-7")
        await quote(url, http, message_id="m-2", idempotencyKey="booking-7")
        await quote(url, http, message_id="m-3")

    assert seen.keys[0] == seen.keys[1] != seen.keys[2]


async def test_the_answer_says_that_the_extension_is_in_force(
    tmp_path: Path, http: httpx.AsyncClient
) -> None:
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "GetTask",
        "params": {"id": "none"},
    }
    headers = {"a2a-version": "1.0", "a2a-extensions": DELEGATION}
    async with travelling(Seen(), tmp_path) as url:
        task = await quote(url, http)
        call["params"] = {"id": task.id}
        response = await http.post(f"{url}/a2a", json=call, headers=headers)

    assert response.headers["a2a-extensions"] == DELEGATION
