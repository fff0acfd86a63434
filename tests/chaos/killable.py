"""A coordinator in a process of its own, to be killed; registry, agent and web server stay here."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parley_coordinator.cli.supervisor import Child, Supervisor
from parley_coordinator.governance.accounts import open_tokens
from parley_registry.app import create_app as create_registry
from parley_wire.http import open_http
from parley_wire.serving import Background
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.coordinator.world import World, until
from tests.ports import free_port
from tests.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

WORKING = "TASK_STATE_WORKING"
DOCUMENT = """\
document: {{dsl: '1.0.3', namespace: tests, name: {name}, version: '1.0.0'}}
timeout: {{after: {{minutes: 10}}}}
do:
{tasks}
"""


@dataclass
class Site:
    """A web server that counts, and answers `POST /slow` and `GET /slow` when it is let."""

    asked: Counter[str] = field(default_factory=Counter)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/slow", self._slow, methods=["GET", "POST"])])

    async def _slow(self, request: Request) -> Response:
        self.asked[request.method] += 1
        await self.go.wait()
        return JSONResponse({"method": request.method})


@dataclass
class Killable:
    """What a test talks to."""

    mesh: World
    agent: ScriptedAgent
    site: Site
    supervisor: Supervisor

    async def kill(self) -> None:
        """SIGKILL the coordinator, and start it again on what it left."""
        await self.supervisor.kill("coordinator")
        await self.supervisor.start("coordinator")
        await self.supervisor.ready("coordinator")

    async def at_work(self, tasks: int = 1) -> None:
        """Return once the agent works on so many tasks."""

        async def working() -> bool:
            states = [each["status"]["state"] for each in self.agent.tasks.values()]
            return states.count(WORKING) >= tasks

        await until(working)

    async def waits(self, run: str, kind: str) -> dict[str, Any]:
        """Return what the run waits for, once it waits for something of this kind."""

        async def found() -> Any:
            run_now = await self.mesh.get(f"/v1/runs/{run}")
            return next((w for w in run_now["waitingFor"] if w["kind"] == kind), None)

        waiting: dict[str, Any] = await until(found)
        return waiting

    async def ended(self, run: str) -> dict[str, Any]:
        """Let the agent finish whatever it is given, until the run has ended."""
        releasing = asyncio.create_task(self._release())
        try:
            return await self.mesh.ended(run, seconds=60)
        finally:
            releasing.cancel()

    async def _release(self) -> None:
        while True:
            self.agent.finish_all()
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def killable(home: Path, documents: Mapping[str, str]) -> AsyncIterator[Killable]:
    home.mkdir(parents=True, exist_ok=True)
    for name, tasks in documents.items():
        folder = home / "workflows" / name
        folder.mkdir(parents=True)
        (folder / "workflow.yaml").write_text(DOCUMENT.format(name=name, tasks=tasks))
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(open_http())
        registry = Background(create_registry(f"sqlite:///{home / 'registry.db'}"))
        await stack.enter_async_context(registry)
        agent, site = ScriptedAgent(), Site()
        for served in (agent, site):
            background = Background()
            served.url = background.url
            background.app = served.app()
            await stack.enter_async_context(background)
        response = await http.post(f"{registry.url}/v1/agents", json={"url": agent.url})
        assert response.status_code in (200, 201), response.text
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        child = Child(
            name="coordinator",
            argv=(
                *(sys.executable, "-m", "parley_coordinator", "--port", str(port)),
                *("--home", str(home), "--registry", registry.url),
                *("--workflows", str(home / "workflows")),
            ),
            url=url,
            env={
                "PATH": os.environ["PATH"],
                "PARLEY_EGRESS": site.url.removeprefix("http://"),
                "PARLEY_PATIENCE_S": "2",
            },
        )
        supervisor = Supervisor([child], log_dir=home / "logs")
        await stack.enter_async_context(supervisor)
        stack.callback(site.go.set)
        await supervisor.ready()
        mesh = World(
            http=http,
            url=url,
            home=home,
            tokens=open_tokens(home),
            agents={agent.name: agent},
        )
        yield Killable(mesh, agent, site, supervisor)
