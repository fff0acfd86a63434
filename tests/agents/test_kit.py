"""The agent kit, with an agent that is written here."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from a2a.types import Task
from google.protobuf.json_format import MessageToDict
from parley_agents import documents, matching, posting
from parley_agents.contracts import schema_of
from parley_agents.erp import Erp
from parley_agents.errors import ContractError, SystemUnavailableError
from parley_agents.records import Contract
from parley_agents.runtime import Agent, AskPerson, SkillTask, create_app
from parley_cards.card import Card, load_card
from parley_cards.extensions import DEDUPE, DELEGATION, FORM, SKILL_CONTRACT
from parley_cards.library import library_card, library_names
from parley_registry.app import create_app as create_registry
from parley_registry.client import RegistryClient
from parley_wire.client import AgentClient
from parley_wire.serving import Background

from tests.agents.conftest import said
from tests.agents.invoice_cases import POLICY_FILE

pytestmark = pytest.mark.anyio


class Order(Contract):
    cups: int


class Served(Contract):
    cups: int
    milk: bool
    key: str


class Kettle:
    """A system that the agent uses; knows whether it is open."""

    def __init__(self) -> None:
        self.boils = False
        self.keys: list[str] = []

    async def __aenter__(self) -> None:
        self.boils = True

    async def __aexit__(self, *_: object) -> None:
        self.boils = False


def tea_agent(kettle: Kettle | None = None, *, block: asyncio.Event | None = None) -> Agent:
    kettle = kettle or Kettle()
    agent = Agent("tea", uses=[kettle])

    @agent.skill("make-tea")
    async def make_tea(task: SkillTask, order: Order) -> Served:
        assert kettle.boils
        kettle.keys.append(task.key("pour"))
        await task.tell("boiling")
        if order.cups == 13:
            raise SystemUnavailableError("the kettle is cold; try again later")
        if order.cups == 14:
            raise ZeroDivisionError("secret")
        if order.cups == 15:
            return Order(cups=1)  # type: ignore[return-value]
        if order.cups == 16 and block is not None:
            await block.wait()
        if order.cups > 4 and not task.answers:
            schema = {"type": "object", "properties": {"milk": {"type": "boolean"}}}
            raise AskPerson("With milk?", schema)
        milk = bool(task.answers and task.answers[0].get("milk") is True)
        return Served(cups=order.cups, milk=milk, key=task.key("pour"))

    return agent


def tea_card(url: str) -> Card:
    return load_card(
        {
            "name": "tea",
            "description": "Makes tea.",
            "version": "1.0.0",
            "supportedInterfaces": [
                {"url": f"{url}/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
            ],
            "capabilities": {
                "streaming": True,
                "extensions": [
                    {"uri": DEDUPE},
                    {
                        "uri": SKILL_CONTRACT,
                        "params": {
                            "skills": {
                                "make-tea": {
                                    "version": "1.2.0",
                                    "input": schema_of(Order, side="input"),
                                    "output": schema_of(Served, side="output"),
                                }
                            }
                        },
                    },
                ],
            },
            "defaultInputModes": ["application/json"],
            "defaultOutputModes": ["application/json"],
            "skills": [{"id": "make-tea", "name": "Make tea", "description": "", "tags": []}],
        }
    )


@asynccontextmanager
async def serving(agent: Agent, home: Path, **options: Any) -> AsyncIterator[str]:
    background = Background()
    background.app = create_app(
        agent, url=background.url, home=home, card=tea_card(background.url), **options
    )
    async with background:
        yield background.url


def message(cups: object, message_id: str = "m-1", **more: Any) -> dict[str, Any]:
    return {
        "messageId": message_id,
        "role": "ROLE_USER",
        "parts": [{"data": {"cups": cups}}],
        "metadata": {DELEGATION: {"skill": "make-tea", "version": "1.0.0"}},
        **more,
    }


async def make(client: AgentClient, cups: object, message_id: str = "m-1", **more: Any) -> Task:
    task = await client.send(message(cups, message_id, **more), return_immediately=False)
    assert isinstance(task, Task)
    return task


def result(task: Task) -> Any:
    return MessageToDict(task.artifacts[0].parts[0].data)


async def test_a_skill_returns_one_result_with_its_systems_open(
    tmp_path: Path, http: httpx.AsyncClient
) -> None:
    kettle = Kettle()
    async with serving(tea_agent(kettle), tmp_path) as url:
        task = await make(AgentClient(tea_card(url), http), 2)

    assert said(task)[0] == "TASK_STATE_COMPLETED"
    assert len(task.artifacts) == 1
    assert result(task)["cups"] == 2
    assert not kettle.boils


async def test_a_skill_that_asks_is_called_again_with_the_answer(
    tmp_path: Path, http: httpx.AsyncClient
) -> None:
    async with serving(tea_agent(), tmp_path) as url:
        client = AgentClient(tea_card(url), http)
        asked = await make(client, 5)
        answer = {
            "messageId": "m-2",
            "taskId": asked.id,
            "contextId": asked.context_id,
            "role": "ROLE_USER",
            "parts": [{"data": {"milk": True}}],
        }
        done = await client.send(answer, return_immediately=False)

    state, text, _ = said(asked)
    assert (state, text) == ("TASK_STATE_INPUT_REQUIRED", "With milk?")
    assert FORM in str(MessageToDict(asked.status.message))
    assert isinstance(done, Task)
    assert result(done)["milk"] is True


@pytest.mark.parametrize(
    ("cups", "state", "code"),
    [
        (13, "TASK_STATE_FAILED", "system_unavailable"),
        ("two", "TASK_STATE_REJECTED", "invalid_input"),
        (2.5, "TASK_STATE_REJECTED", "invalid_input"),
        (None, "TASK_STATE_REJECTED", "invalid_input"),
    ],
)
async def test_a_failure_that_was_foreseen_has_a_code(
    tmp_path: Path, http: httpx.AsyncClient, cups: object, state: str, code: str
) -> None:
    async with serving(tea_agent(), tmp_path) as url:
        task = await make(AgentClient(tea_card(url), http), cups)

    assert said(task)[0::2] == (state, code)


@pytest.mark.parametrize("cups", [14, 15])
async def test_a_defect_fails_the_task_and_tells_nothing_of_itself(
    tmp_path: Path, http: httpx.AsyncClient, cups: int
) -> None:
    async with serving(tea_agent(), tmp_path) as url:
        task = await make(AgentClient(tea_card(url), http), cups)

    assert said(task)[0] == "TASK_STATE_FAILED"
    assert "secret" not in str(task)
    assert "Order" not in str(task)


async def test_the_key_of_an_effect_is_one_per_message_and_purpose(
    tmp_path: Path, http: httpx.AsyncClient
) -> None:
    async with serving(tea_agent(), tmp_path) as url:
        client = AgentClient(tea_card(url), http)
        keys = [result(await make(client, 1, name))["key"] for name in ("a", "b", "a")]

    assert keys[0] == keys[2] != keys[1]
    assert keys[0].startswith("pour:")


async def test_a_task_that_the_end_of_the_process_interrupted_is_run_again_with_the_same_key(
    tmp_path: Path, http: httpx.AsyncClient
) -> None:
    block, kettle = asyncio.Event(), Kettle()
    async with serving(tea_agent(kettle, block=block), tmp_path) as url:
        client = AgentClient(tea_card(url), http)
        async for event in client.send_streaming(message(16)):
            if isinstance(event, Task):
                task_id = event.id
            elif kettle.keys:
                break
    block.set()

    async with serving(tea_agent(kettle, block=block), tmp_path) as url, asyncio.timeout(60):
        client = AgentClient(tea_card(url), http)
        while said(task := await client.get_task(task_id))[0] != "TASK_STATE_INPUT_REQUIRED":  # noqa: ASYNC110 - polled
            await asyncio.sleep(0.01)

    assert said(task)[1] == "With milk?"
    assert len(kettle.keys) == 2
    assert len(set(kettle.keys)) == 1


async def test_pace_is_the_least_duration_of_a_call(
    tmp_path: Path, http: httpx.AsyncClient
) -> None:
    async with serving(tea_agent(), tmp_path, pace_s=0.4) as url:
        began = time.monotonic()
        await make(AgentClient(tea_card(url), http), 1)

    assert time.monotonic() - began >= 0.4


async def test_with_a_token_only_the_mesh_may_call(tmp_path: Path, http: httpx.AsyncClient) -> None:
    async with serving(tea_agent(), tmp_path, token="mesh-secret") as url:
        refused = await http.post(f"{url}/a2a", json={})
        card = await http.get(f"{url}/.well-known/agent-card.json")
        task = await make(AgentClient(tea_card(url), http, token="mesh-secret"), 1)

    assert (refused.status_code, card.status_code) == (401, 200)
    assert said(task)[0] == "TASK_STATE_COMPLETED"


async def test_an_agent_registers_itself_as_soon_as_there_is_a_registry(
    tmp_path: Path, http: httpx.AsyncClient
) -> None:
    registry = Background()
    home = tmp_path / "agent"
    async with serving(tea_agent(), home, registry_url=registry.url, token="t") as url:
        registry.app = create_registry(f"sqlite:///{tmp_path / 'registry.db'}", token="t")
        async with registry, asyncio.timeout(60):
            client = RegistryClient(registry.url, http, token="t")
            while not (found := await client.agents(skill="make-tea")):  # noqa: ASYNC110 - polled
                await asyncio.sleep(0.05)  # until it registers itself; the deadline is above

    assert [(agent.name, agent.url) for agent in found] == [("tea", url)]
    assert found[0].dedupes


def test_a_card_that_promises_something_else_stops_the_start(tmp_path: Path) -> None:
    value = copy.deepcopy(tea_card("http://127.0.0.1:1").json)
    contract = value["capabilities"]["extensions"][1]["params"]["skills"]["make-tea"]
    contract["output"]["properties"]["cups"] = {"type": "string"}

    with pytest.raises(ContractError, match="output schema of make-tea") as caught:
        create_app(tea_agent(), url="http://127.0.0.1:1", home=tmp_path, card=load_card(value))

    assert caught.value.facts["schema"] == schema_of(Served, side="output")


def test_a_card_with_other_skills_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="has the skills"):
        create_app(
            tea_agent(),
            url="http://127.0.0.1:1",
            home=tmp_path,
            card=library_card("posting", url="http://127.0.0.1:1"),
        )


def test_a_function_without_forms_is_no_skill() -> None:
    agent = Agent("tea")

    async def plain(task: SkillTask, request: dict[str, Any]) -> Served: ...  # type: ignore[empty-body]

    def waits_for_nothing(task: SkillTask, request: Order) -> Served: ...  # type: ignore[empty-body]

    async def lonely(request: Order) -> Served: ...  # type: ignore[empty-body]

    for function in (plain, waits_for_nothing, lonely):
        with pytest.raises(TypeError, match="async"):
            agent.skill("make-tea")(function)  # type: ignore[arg-type]


def test_a_skill_is_offered_once() -> None:
    agent = tea_agent()

    async def again(task: SkillTask, order: Order) -> Served: ...  # type: ignore[empty-body]

    with pytest.raises(TypeError, match="twice"):
        agent.skill("make-tea")(again)


def test_every_card_of_the_library_is_the_promise_of_an_agent(tmp_path: Path) -> None:
    erp = Erp("http://127.0.0.1:1")
    agents = [
        documents.create_agent(erp),
        matching.create_agent(POLICY_FILE),
        posting.create_agent(erp),
    ]

    for agent in agents:
        create_app(agent, url="http://127.0.0.1:1", home=tmp_path)
    assert sorted(agent.name for agent in agents) == library_names()


def test_the_library_says_truthfully_what_reads_and_what_writes() -> None:
    effects = {
        skill.id: (skill.effect, skill.idempotent)
        for name in library_names()
        for skill in library_card(name, url="http://127.0.0.1:1").skills
    }

    assert effects == {
        "capture-invoice": ("write", True),
        "retrieve-order": ("read", True),
        "retrieve-receipts": ("read", True),
        "retrieve-supplier": ("read", True),
        "match-invoice": ("read", True),
        "post-invoice": ("write", False),
        "block-invoice": ("write", False),
    }
