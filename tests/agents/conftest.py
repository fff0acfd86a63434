"""The agents as they run: a real ERP over MCP, each agent served over A2A on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from a2a.types import Task, TaskState
from google.protobuf.json_format import MessageToDict
from parley_agents import documents, matching, posting
from parley_agents.erp import Erp
from parley_agents.runtime import Agent, create_app
from parley_cards.extensions import DELEGATION
from parley_cards.library import library_card
from parley_systems.erp.app import create_erp_app
from parley_systems.erp.seed import load_seed
from parley_wire.client import AgentClient
from parley_wire.http import open_http
from parley_wire.serving import Background

from tests.agents.invoice_cases import POLICY_FILE

SAMPLES = POLICY_FILE.parent / "samples"


class Served:
    """One running agent, and a client that calls it."""

    def __init__(self, agent: Agent, url: str, http: httpx.AsyncClient) -> None:
        self.url = url
        self._client = AgentClient(library_card(agent.name, url=url), http)

    async def send(
        self, skill: str, data: Any, *, message_id: str = "m-1", version: str = "1.0.0"
    ) -> Task:
        message = {
            "messageId": message_id,
            "role": "ROLE_USER",
            "parts": [{"data": data}],
            "metadata": {DELEGATION: {"skill": skill, "version": version}},
        }
        task = await self._client.send(message, return_immediately=False)
        assert isinstance(task, Task)
        return task

    async def ask(self, skill: str, data: Any, *, message_id: str = "m-1") -> Any:
        """Return the result of a skill that must succeed."""
        task = await self.send(skill, data, message_id=message_id)
        assert task.status.state == TaskState.TASK_STATE_COMPLETED, said(task)
        return MessageToDict(task.artifacts[0].parts[0].data)


def said(task: Task) -> tuple[str, str, str]:
    """Return the state, the words and the code of a task."""
    message = task.status.message
    code = MessageToDict(message.metadata).get("code", "")
    return TaskState.Name(task.status.state), message.parts[0].text if message.parts else "", code


def sample(name: str) -> str:
    return (SAMPLES / f"{name}.xml").read_text("utf-8")


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with open_http() as client:
        yield client


@pytest.fixture
async def erp_url(tmp_path: Path) -> AsyncIterator[str]:
    app = create_erp_app(f"sqlite:///{tmp_path / 'erp.db'}", seed=load_seed(SAMPLES))
    async with Background(app) as served:
        yield served.url


async def _served(agent: Agent, http: httpx.AsyncClient, home: Path) -> AsyncIterator[Served]:
    background = Background()
    background.app = create_app(agent, url=background.url, home=home)
    async with background:
        yield Served(agent, background.url, http)


@pytest.fixture
async def documents_agent(
    http: httpx.AsyncClient, erp_url: str, tmp_path: Path
) -> AsyncIterator[Served]:
    async for served in _served(documents.create_agent(Erp(erp_url)), http, tmp_path):
        yield served


@pytest.fixture
async def lonely_agent(http: httpx.AsyncClient, tmp_path: Path) -> AsyncIterator[Served]:
    """The documents agent with no ERP behind it."""
    erp = Erp("http://127.0.0.1:9", pauses_s=(0.01,))
    async for served in _served(documents.create_agent(erp), http, tmp_path):
        yield served


@pytest.fixture
async def matching_agent(http: httpx.AsyncClient, tmp_path: Path) -> AsyncIterator[Served]:
    async for served in _served(matching.create_agent(POLICY_FILE), http, tmp_path):
        yield served


@pytest.fixture
async def posting_agent(
    http: httpx.AsyncClient, erp_url: str, tmp_path: Path
) -> AsyncIterator[Served]:
    async for served in _served(posting.create_agent(Erp(erp_url)), http, tmp_path):
        yield served
