"""Several coordinators in processes of their own on one database, to be killed, stopped and let go on."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from parley_coordinator.cli.supervisor import Child, Happened, Supervisor, What
from parley_coordinator.governance.accounts import open_tokens
from parley_registry.app import create_app as create_registry
from parley_wire.http import open_http
from parley_wire.serving import Background

from tests.chaos.killable import DOCUMENT
from tests.coordinator.world import World, until
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.chaos.workers import Shop, Worker


@dataclass
class Fleet:
    """What a test talks to; `worlds` has each coordinator by its name."""

    worlds: dict[str, World]
    supervisor: Supervisor
    deaths: list[str]
    """`NAME: why`, of those that ended by themselves."""
    _turns: Iterator[str]
    _frozen: set[str] = field(default_factory=set)

    def any(self) -> World:
        """Return the next coordinator, dead or not: a load balancer that sees only who hangs."""
        name = next(name for name in self._turns if name not in self._frozen)
        return self.worlds[name]

    def pid(self, name: str) -> int:
        pid = self.supervisor.pid(name)
        assert pid is not None
        return pid

    async def kill(self, name: str) -> None:
        """SIGKILL it; it stays dead until it is started."""
        await self.supervisor.kill(name)

    async def start(self, name: str) -> None:
        await self.supervisor.start(name)
        await self.supervisor.ready(name)

    def freeze(self, name: str) -> None:
        self._frozen.add(name)
        os.kill(self.pid(name), signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        os.kill(self.pid(name), signal.SIGCONT)
        self._frozen.discard(name)

    async def restarted(self, name: str, *, starts: int) -> None:
        """Return once it has ended by itself and its supervisor has started it again."""

        async def again() -> bool:
            return self.supervisor.starts(name) > starts

        await until(again)
        await self.supervisor.ready(name)

    def log(self, name: str) -> str:
        return self.supervisor.log(name).read_text(errors="replace")

    async def get(self, path: str, *, role: str = "operator") -> Any:
        """Ask coordinators in turn until one answers."""

        async def answered() -> Any:
            with contextlib.suppress(httpx.TransportError):
                return {"body": await self.any().get(path, role=role)}

        return (await until(answered))["body"]

    async def start_run(self, workflow: str, given: Any, key: str) -> str:
        """Start a run as a careful caller does: the same key until there is an answer."""

        async def started() -> Any:
            with contextlib.suppress(httpx.TransportError):
                body = {"workflow": workflow, "input": given}
                response = await self.any().post("/v1/runs", body, key=key)
                if response.status_code == 503:
                    return None
                assert response.status_code in (200, 201), response.text
                return response.json()["id"]

        return str(await until(started, seconds=60))


@contextlib.asynccontextmanager
async def fleet(
    home: Path,
    documents: Mapping[str, str],
    workers: Sequence[Worker],
    shop: Shop | None = None,
    *,
    names: Sequence[str] = ("a",),
    env: Mapping[str, str],
) -> AsyncIterator[Fleet]:
    """Start registry, agents and coordinators, these all at once.

    Args:
        documents: The tasks of each workflow.
        env: More of the environment of every coordinator.
    """
    home.mkdir(parents=True, exist_ok=True)
    for name, tasks in documents.items():
        folder = home / "workflows" / name
        folder.mkdir(parents=True)
        (folder / "workflow.yaml").write_text(DOCUMENT.format(name=name, tasks=tasks))
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(open_http())
        registry = Background(create_registry(f"sqlite:///{home / 'registry.db'}"))
        await stack.enter_async_context(registry)
        serving: list[Worker | Shop] = [*workers, *([shop] if shop else [])]
        for served in serving:
            background = Background()
            served.url = background.url
            background.app = served.app()
            await stack.enter_async_context(background)
        for worker in workers:
            response = await http.post(f"{registry.url}/v1/agents", json={"url": worker.url})
            assert response.status_code in (200, 201), response.text
        tokens = open_tokens(home)
        ports = {name: free_port() for name in names}
        children = [
            Child(
                name=name,
                argv=(
                    *(sys.executable, "-m", "parley_coordinator", "--port", str(port)),
                    *("--home", str(home), "--registry", registry.url),
                    *("--workflows", str(home / "workflows")),
                ),
                url=f"http://127.0.0.1:{port}",
                env={
                    "PATH": os.environ["PATH"],
                    "PARLEY_EGRESS": shop.url.removeprefix("http://") if shop else "",
                    "PARLEY_PATIENCE_S": "2",
                    **env,
                },
            )
            for name, port in ports.items()
        ]
        deaths: list[str] = []

        def tell(happened: Happened) -> None:
            if happened.what is What.DIED:
                deaths.append(f"{happened.name}: {happened.detail}")

        supervisor = Supervisor(children, log_dir=home / "logs", tell=tell)
        await stack.enter_async_context(supervisor)
        await supervisor.ready()
        worlds = {
            name: World(http=http, url=f"http://127.0.0.1:{port}", home=home, tokens=tokens)
            for name, port in ports.items()
        }
        yield Fleet(worlds, supervisor, deaths, itertools.cycle(worlds))
