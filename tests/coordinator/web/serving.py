"""A coordinator's web over the in-memory ports, served on loopback."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
from parley_coordinator.governance.access import Role
from parley_coordinator.governance.accounts import Accounts
from parley_coordinator.web.app import create_app
from parley_wire.serving import Background

from tests.coordinator.web.memory import Memory, MemoryAgents, MemoryInbox, MemoryRuns

TOKENS = {role: f"pt_{role}_{'x' * 32}" for role in Role}


@dataclass(frozen=True)
class Served:
    url: str
    memory: Memory

    @contextlib.asynccontextmanager
    async def http(self, role: str | None) -> AsyncIterator[httpx.AsyncClient]:
        headers = {} if role is None else {"authorization": f"Bearer {TOKENS[Role(role)]}"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=10) as http:
            yield http


@contextlib.asynccontextmanager
async def serving(memory: Memory | None = None, *, port: int = 0) -> AsyncIterator[Served]:
    memory = memory or Memory()
    runs = MemoryRuns(memory)
    background = Background(port=port)
    background.app = create_app(
        runs=runs,
        inbox=MemoryInbox(memory, runs),
        accounts=Accounts({token: role for role, token in TOKENS.items()}),
        registry=MemoryAgents(),
        public_url=background.url,
    )
    async with background:
        yield Served(background.url, memory)
