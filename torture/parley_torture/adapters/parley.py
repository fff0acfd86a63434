"""Parley under torture: a registry and a coordinator, spoken to as any client does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import sys
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar, Final

import httpx
from parley_wire.http import open_http

from parley_torture.adapters.document import document
from parley_torture.adapting import Adapter, Given, serve
from parley_torture.settings import bare_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

UP_S: Final = 60.0
SETTINGS: Final = {"PARLEY_PATIENCE_S": "3"}
"""So that runs park, and are woken, in scenarios of some seconds."""
PORTS: Final = range(10_000, 30_000)
"""Not those that outgoing connections get: the port must be free again after a restart."""
AGAIN_S: Final = 0.5
KNOWN_WITHIN_S: Final = 45.0
"""The coordinator reads the registry's list of agents again after some seconds."""
UNKNOWN: Final = '"unknown-function"'
STATES: Final = {"faulted": "failed"}


class RefusedError(Exception):
    """Parley does not take this pipeline, and says why."""


class Parley(Adapter):
    """One home with one coordinator; a process that dies is started again, as a service would be."""

    name: ClassVar[str] = f"Parley {version('parley-mesh')}"
    can: ClassVar[tuple[str, ...]] = ("answer", "cancel", "fork", "cluster", "database", "serve")

    async def open(self, given: Given) -> None:
        self._notes = given.state / "runs.json"
        self._known: dict[str, dict[str, str]] = _read(self._notes)
        ports = _ports(given.state / "ports.json")
        self._registry = f"http://127.0.0.1:{ports['registry']}"
        self._coordinator = f"http://127.0.0.1:{ports['coordinator']}"
        self._home = given.state / "home"
        workflows = given.state / "workflows"
        for folder in (self._home, workflows):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = ("--home", str(self._home))
        # A password on a command line is seen by everybody on the machine.
        database = {} if given.database_url is None else {"PARLEY_DATABASE_URL": given.database_url}
        self._http = await self._stack.enter_async_context(open_http())
        self._keep("parley_registry", "--port", str(ports["registry"]), *place)
        self._keep(
            *("parley_coordinator", "--port", str(ports["coordinator"]), *place),
            *("--registry", self._registry, "--workflows", str(workflows)),
            **database,
        )
        for url in (self._registry, self._coordinator):
            await self._up(url)
        self._tokens: dict[str, str] = json.loads((self._home / "tokens.json").read_text())

    async def close(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await self._stack.aclose()

    def __init__(self) -> None:
        self._stack = contextlib.AsyncExitStack()
        self._keepers: list[asyncio.Task[None]] = []

    # ------------------------------------------------------------------ the protocol

    async def start(self, run: str, pipeline: dict[str, Any], given: Any) -> None:
        if run in self._known:
            return
        try:
            await self.meet(_agents(pipeline))
            await self._deploy(document(pipeline))
            self._note(run, id=await self._begin(run, given))
        except RefusedError as exc:
            self._note(run, refused=str(exc))

    async def look(self, run: str) -> dict[str, Any]:
        noted = self._known.get(run) or await self._found(run)
        if noted is None:
            return {"state": "unknown"}
        if "refused" in noted:
            return {"state": "failed", "reason": noted["refused"]}
        found = await self._get(f"/v1/runs/{noted['id']}")
        asks = await self._asks(noted["id"]) if found["state"] == "waiting" else []
        state = STATES.get(found["state"], found["state"])
        if state == "waiting" and not asks:
            state = "running"  # for an agent, a timer or an event: by itself
        look = {"state": state, "asks": asks}
        if state == "completed":
            return {
                **look,
                "output": found["output"]["output"],
                "failed": found["output"]["failed"],
            }
        error = found["error"] or {}
        return {**look, "reason": f"{error.get('title', '')}: {error.get('detail', '')}"}

    async def answer(self, run: str, ask: str, text: str) -> None:
        del run
        item = await self._get(f"/v1/items/{ask}")
        body = {"outcome": "answer", "digest": item["digest"], "values": {"text": text}}
        await self._post(f"/v1/items/{ask}/decision", body)

    async def cancel(self, run: str) -> None:
        await self._post(f"/v1/runs/{self._known[run]['id']}:cancel", {"reason": "torture"})

    async def meet(self, agents: list[str]) -> None:
        for url in agents:
            response = await self._http.post(f"{self._registry}/v1/agents", json={"url": url})
            if response.status_code not in (200, 201):
                raise RefusedError(f"the registry refuses {url}: {response.text[:300]}")

    async def serve(self, run: str, pipeline: dict[str, Any]) -> dict[str, Any]:
        await self.meet(_agents(pipeline))
        await self._deploy(document(pipeline))
        return {"url": f"{self._coordinator}/workflows/{run}", "headers": self._as("requester")}

    # ------------------------------------------------------------------ the coordinator

    async def _deploy(self, text: str) -> None:
        deadline = time.monotonic() + KNOWN_WITHIN_S
        while True:
            response = await self._http.post(
                f"{self._coordinator}/v1/workflows",
                content=text.encode(),
                headers={**self._as("operator"), "content-type": "application/json"},
            )
            if response.status_code in (200, 201):
                return
            if UNKNOWN not in response.text or time.monotonic() > deadline:
                raise RefusedError(f"the pipeline cannot be deployed: {response.text[:500]}")
            await asyncio.sleep(0.5)

    async def _begin(self, run: str, given: Any) -> str:
        response = await self._http.post(
            f"{self._coordinator}/v1/runs",
            json={"workflow": run, "input": given},
            headers={**self._as("requester"), "idempotency-key": run},
        )
        if response.status_code not in (200, 201):
            raise RefusedError(f"the run cannot be started: {response.text[:500]}")
        return str(response.json()["id"])

    async def _found(self, run: str) -> dict[str, str] | None:
        """Find a run that another coordinator on this database has started."""
        listed = await self._get(f"/v1/runs?workflow={run}")
        return {"id": listed["runs"][0]["id"]} if listed["runs"] else None

    async def _asks(self, run: str) -> list[dict[str, Any]]:
        listed = await self._get(f"/v1/items?run={run}")
        return [
            {
                "id": item["id"],
                "kind": item["kind"],
                "step": item["path"].rpartition("/")[2],
                "text": json.dumps([item["title"], item["reason"], item["summary"]]),
            }
            for item in listed["items"]
        ]

    async def _get(self, path: str) -> Any:
        response = await self._http.get(self._coordinator + path, headers=self._as("operator"))
        response.raise_for_status()
        return response.json()

    async def _post(self, path: str, body: Any) -> None:
        response = await self._http.post(
            self._coordinator + path, json=body, headers=self._as("operator")
        )
        response.raise_for_status()

    def _as(self, role: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self._tokens[role]}"}

    def _note(self, run: str, **what: str) -> None:
        self._known[run] = what
        beside = self._notes.with_suffix(".new")
        beside.write_text(json.dumps(self._known))
        beside.replace(self._notes)

    # ------------------------------------------------------------------ processes

    def _keep(self, module: str, *words: str, **settings: str) -> None:
        argv = (sys.executable, "-P", "-m", module, *words)
        self._keepers.append(asyncio.create_task(_kept(argv, settings), name=module))

    async def _up(self, url: str) -> None:
        async with asyncio.timeout(UP_S):
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if (await self._http.get(f"{url}/healthz")).status_code == 200:
                        return
                await asyncio.sleep(0.05)


async def _kept(argv: Sequence[str], settings: Mapping[str, str]) -> None:
    while True:
        process = await asyncio.create_subprocess_exec(
            *argv,
            env={**bare_environment(), **SETTINGS, **settings},
            stdin=asyncio.subprocess.DEVNULL,
        )
        try:
            await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            await process.wait()
            raise
        await asyncio.sleep(AGAIN_S)


def _agents(pipeline: dict[str, Any]) -> list[str]:
    return sorted({step["agent"] for stage in pipeline["stages"] for step in stage["steps"]})


def _ports(file: Path) -> dict[str, int]:
    """Return the ports of this home: free ones at the first start, and the same ever after."""
    kept: dict[str, int] = _read(file)
    if not kept:
        kept = {name: _free_port() for name in ("registry", "coordinator")}
        file.write_text(json.dumps(kept))
    return kept


def _free_port() -> int:
    while True:
        port = random.choice(PORTS)  # noqa: S311 - not a secret
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def _read(file: Path) -> Any:
    return json.loads(file.read_text()) if file.exists() else {}


if __name__ == "__main__":
    serve(Parley())
