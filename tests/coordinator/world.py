"""A small mesh in one process: a real registry, real agents and a real coordinator on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import httpx
from parley_coordinator.app import create
from parley_coordinator.governance.access import Role
from parley_coordinator.governance.accounts import open_tokens
from parley_coordinator.settings import Settings
from parley_registry.app import create_app as create_registry
from parley_wire.http import open_http
from parley_wire.serving import Background

from tests.coordinator.ready_made import lay_databases
from tests.ports import free_port
from tests.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from starlette.applications import Starlette

PATIENCE_S = 2

DOCUMENT = """\
document: {{dsl: '1.0.3', namespace: tests, name: {name}, version: '{version}'}}
timeout: {{after: {{minutes: 10}}}}
do:
{tasks}
"""

CALL = """\
  - act:
      metadata: {label: Act}
      call: act:1.0.0@agents
      with: ${ . }
      timeout: {after: {seconds: 60}}
"""


async def until(condition: Callable[[], Awaitable[Any]], *, seconds: float = 60) -> Any:
    """Return the first true result; fail with the last one after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        last = await condition()
        if last:
            return last
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {seconds} s: {last!r}")
        await asyncio.sleep(0.02)


class Served(Protocol):
    """An agent that a test serves, in the registry by its name."""

    name: str
    url: str

    def app(self) -> Starlette: ...


@dataclass
class World:
    """What a test talks to."""

    http: httpx.AsyncClient
    url: str
    home: Path
    tokens: dict[Role, str]
    agents: dict[str, ScriptedAgent] = field(default_factory=dict)
    registry_url: str = ""

    def as_role(self, role: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens[Role(role)]}"}

    async def get(self, path: str, *, role: str = "operator") -> Any:
        response = await self.http.get(self.url + path, headers=self.as_role(role))
        assert response.status_code == 200, response.text
        return response.json()

    async def post(
        self,
        path: str,
        body: Any,
        *,
        role: str = "requester",
        key: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        headers = {**self.as_role(role), **(headers or {})}
        if key:
            headers["idempotency-key"] = key
        return await self.http.post(self.url + path, json=body, headers=headers)

    async def start(self, workflow: str, given: Any, **more: Any) -> str:
        """Start a run; what `post` does not take is a part of the request."""
        http = {name: more.pop(name) for name in ("role", "key", "headers") if name in more}
        body = {"workflow": workflow, "input": given, **more}
        response = await self.post("/v1/runs", body, **http)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    async def ended(self, run: str, *, seconds: float = 60) -> dict[str, Any]:
        """Return the run once it is in a final state."""

        async def over() -> Any:
            found = await self.get(f"/v1/runs/{run}")
            return found if found["state"] in ("completed", "faulted", "cancelled") else None

        found: dict[str, Any] = await until(over, seconds=seconds)
        return found

    async def run(self, workflow: str, given: Any, *, seconds: float = 60) -> dict[str, Any]:
        return await self.ended(await self.start(workflow, given), seconds=seconds)

    async def item(self, run: str, *, role: str = "operator") -> dict[str, Any]:
        """Return the open item of a run, as soon as there is one."""

        async def asked() -> Any:
            found = (await self.get(f"/v1/items?run={run}", role=role))["items"]
            return found[0] if found else None

        found: dict[str, Any] = await until(asked)
        return found

    async def decide(
        self, item: dict[str, Any], outcome: str, *, role: str = "approver", **more: Any
    ) -> httpx.Response:
        body = {"outcome": outcome, "digest": item["digest"], **more}
        return await self.post(f"/v1/items/{item['id']}/decision", body, role=role)


@contextlib.asynccontextmanager
async def world(
    home: Path,
    documents: dict[str, str],
    *agents: Served,
    version: str = "1.0.0",
    env: dict[str, str] | None = None,
) -> AsyncIterator[World]:
    """Start everything, register the agents, and stop everything."""
    home.mkdir(parents=True, exist_ok=True)
    for name, tasks in documents.items():
        folder = home / "workflows" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "workflow.yaml").write_text(
            DOCUMENT.format(name=name, version=version, tasks=tasks)
        )
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(open_http())
        registry = Background(create_registry(f"sqlite:///{home / 'registry.db'}"))
        await stack.enter_async_context(registry)
        for agent in agents:
            # One that was served before is where it was.
            served = Background(port=urlsplit(agent.url).port or free_port())
            agent.url = served.url
            served.app = agent.app()
            await stack.enter_async_context(served)
            response = await http.post(f"{registry.url}/v1/agents", json={"url": agent.url})
            assert response.status_code in (200, 201), response.text
        if "PARLEY_DATABASE_URL" not in (env or {}):
            await lay_databases(home)
        found = Background()
        found.app = create(
            Settings.load(
                {
                    "PARLEY_PATIENCE_S": str(PATIENCE_S),
                    "PARLEY_PUBLIC_URL": found.url,
                    **(env or {}),
                },
                home=home,
                registry_url=registry.url,
                workflows=home / "workflows",
            )
        )
        await stack.enter_async_context(found)
        yield World(
            http=http,
            url=found.url,
            home=home,
            tokens=open_tokens(home),
            agents={agent.name: agent for agent in agents if isinstance(agent, ScriptedAgent)},
            registry_url=registry.url,
        )
