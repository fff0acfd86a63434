"""A coordinator's web over the in-memory ports and real workflows, served on loopback."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from parley_cards.library import library_card
from parley_coordinator.delegation.catalog import AgentCatalog
from parley_coordinator.delegation.lines import Line, PassedOn
from parley_coordinator.delegation.relaying import RelayedActs
from parley_coordinator.engine.bus import Bus
from parley_coordinator.engine.checking import Checks
from parley_coordinator.engine.deploying import Written
from parley_coordinator.engine.events import Events
from parley_coordinator.engine.pushes import Pushes
from parley_coordinator.engine.scheduling import Scheduler
from parley_coordinator.engine.workflows import Workflows
from parley_coordinator.errors import UnknownAgentError
from parley_coordinator.governance.access import Principal, Role
from parley_coordinator.governance.accounts import Accounts
from parley_coordinator.model import Repair, Run
from parley_coordinator.store.opening import open_database
from parley_coordinator.web.a2a.pushing import Push
from parley_coordinator.web.app import create_app
from parley_coordinator.workflow.document import load_document
from parley_coordinator.workflow.expressions import Expressions
from parley_wire.database import Database
from parley_wire.serving import Background
from parley_wire.webhooks import Webhooks

from tests.coordinator.ready_made import lay_database
from tests.coordinator.web.memory import REVIEW, Memory, MemoryInbox, MemoryRuns
from tests.coordinator.web.memory_agents import MemoryAgents

TOKENS = {role: f"pt_{role}_{'x' * 32}" for role in Role}


@dataclass(frozen=True)
class Served:
    url: str
    memory: Memory

    @contextlib.asynccontextmanager
    async def http(self, role: str | None) -> AsyncIterator[httpx.AsyncClient]:
        headers = {} if role is None else {"authorization": f"Bearer {TOKENS[Role(role)]}"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60) as http:
            yield http


async def _catalog() -> AgentCatalog:
    return AgentCatalog([library_card("matching", url="http://127.0.0.1:8432")])


def _now() -> datetime:
    return datetime.now(UTC)


class _NoRepairs:
    async def repair(self, _principal: Principal, _run_id: str, _repair: Repair) -> Run:
        raise AssertionError("no run is repaired in these tests")


class _NoAgents:
    async def to(self, name: str) -> Line:
        raise UnknownAgentError(name)


async def _nobody_waits(_run_id: str) -> None:
    raise AssertionError("no run listens in these tests")


async def _nobody_starts(_event: dict[str, Any]) -> None:
    """No workflow starts with events in these tests."""


@contextlib.asynccontextmanager
async def deployed() -> AsyncIterator[tuple[Database, Workflows]]:
    """Workflows on a file of their own, with `REVIEW` deployed and one agent known."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "coordinator.db"
        await lay_database(path)
        database = open_database(f"sqlite:///{path}")
        workflows = Workflows(database, Checks(_catalog), now=_now)
        review = Written(load_document(REVIEW, source="review"), REVIEW, source="review")
        try:
            await workflows.deploy_files([review])
            yield database, workflows
        finally:
            await database.aclose()


@contextlib.asynccontextmanager
async def serving(memory: Memory | None = None, *, port: int = 0) -> AsyncIterator[Served]:
    async with (
        deployed() as (database, workflows),
        _serving(memory or Memory(), database, workflows, port) as served,
    ):
        yield served


@contextlib.asynccontextmanager
async def _serving(
    memory: Memory, database: Database, workflows: Workflows, port: int
) -> AsyncIterator[Served]:
    runs = MemoryRuns(memory, workflows)
    bus = Bus(
        database,
        signal=_nobody_waits,
        hear=_nobody_starts,
        expressions=Expressions(),
        now=_now,
    )
    background = Background(port=port)
    background.app = create_app(
        repairs=_NoRepairs(),
        runs=runs,
        workflows=workflows,
        inbox=MemoryInbox(memory, runs),
        events=Events(database, bus),
        schedules=Scheduler(database, workflows, runs, now=_now),
        accounts=Accounts({token: role for role, token in TOKENS.items()}),
        registry=MemoryAgents(),
        lines=_NoAgents(),
        passed_on=PassedOn(database, now=_now),
        acts=RelayedActs(database, now=_now),
        push=Push(None, Webhooks(), wake=lambda: None, now=_now),
        pushes=Pushes(database, signal=_nobody_waits, now=_now),
        public_url=background.url,
    )
    async with background:
        yield Served(background.url, memory)
