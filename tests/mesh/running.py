"""A whole mesh in processes of its own, and a client for it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parley_coordinator.cli.mesh import AGENTS, Mesh, free_mesh
from parley_coordinator.cli.supervisor import Supervisor
from parley_coordinator.cli.up import wait_for_agents
from parley_coordinator.governance.access import Role
from parley_coordinator.governance.accounts import FILE_NAME, read_tokens
from parley_wire.http import open_http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from tests.mesh.invoices import Invoice

FINAL = frozenset({"completed", "faulted", "cancelled"})


@dataclass
class RunningMesh:
    """Speaks to the coordinator as any account, and to the agents and the ERP as the mesh."""

    mesh: Mesh
    supervisor: Supervisor
    http: httpx.AsyncClient
    tokens: dict[Role, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.mesh.url("coordinator")

    def header(self, role: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens[Role(role)]}"}

    async def get(self, path: str, *, role: str = "operator") -> Any:
        response = await self.http.get(self.url + path, headers=self.header(role))
        assert response.status_code == 200, response.text
        return response.json()

    async def start(self, invoice: Invoice) -> httpx.Response:
        return await self.http.post(
            f"{self.url}/v1/runs",
            json={"workflow": "invoice-exception", "input": {"invoice": invoice.xml()}},
            headers=self.header("requester") | {"idempotency-key": invoice.number},
        )

    async def decide(self, item: dict[str, Any], outcome: str) -> httpx.Response:
        return await self.http.post(
            f"{self.url}/v1/items/{item['id']}/decision",
            json={"outcome": outcome, "digest": item["digest"], "comment": ""},
            headers=self.header("approver"),
        )

    async def executions(self) -> list[dict[str, Any]]:
        """Every agent's own account of what it ran, and how often."""
        found: list[dict[str, Any]] = []
        for agent in AGENTS:
            body = await self._of_mesh(agent, "/executions?limit=1000")
            found += [{**each, "agent": agent} for each in body["executions"]]
        return found

    async def effects(self) -> list[dict[str, Any]]:
        """What the ERP has written, without what it was seeded with."""
        body = await self._of_mesh("erp", "/effects?limit=1000")
        return [each for each in body["effects"] if each["by"] != "seed"]

    async def _of_mesh(self, name: str, path: str) -> Any:
        headers = {"authorization": f"Bearer {self.mesh.token}"}
        response = await self.http.get(self.mesh.url(name) + path, headers=headers)
        assert response.status_code == 200, response.text
        return response.json()


@contextlib.asynccontextmanager
async def running_mesh(
    home: Path, *, seed: Path | None = None, pace_s: float = 0.0
) -> AsyncIterator[RunningMesh]:
    """Start the processes of `parley up` on free ports, and stop them."""
    mesh = free_mesh(home, seed=seed, pace_s=pace_s)
    supervisor = Supervisor(mesh.children(), log_dir=home / "logs")
    async with supervisor, open_http() as http:
        await supervisor.ready(timeout_s=120)
        await wait_for_agents(mesh)
        yield RunningMesh(mesh, supervisor, http, read_tokens(home / FILE_NAME))
