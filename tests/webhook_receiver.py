"""A webhook on loopback that writes down what it gets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from parley_wire.serving import Background
from parley_wire.tls import NO_TLS, Tls
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

SEQUENCE = "urn:parley:a2a:sequence:v1"


@dataclass
class Receiver:
    """What arrived, oldest first."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    """To answer first; then 204."""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    gate: asyncio.Event | None = None
    """Nothing is answered before it is set."""

    async def take(self, request: Request) -> Response:
        self.got.append((dict(request.headers), await request.body()))
        if self.gate is not None:
            await self.gate.wait()
        return Response(status_code=self.statuses.pop(0) if self.statuses else 204)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]

    @property
    def states(self) -> list[str]:
        return [
            body["statusUpdate"]["status"]["state"].removeprefix("TASK_STATE_")
            for body in self.bodies
            if "statusUpdate" in body
        ]

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.got]

    def numbers(self, task_id: str) -> list[int]:
        """The sequence numbers of what was told of one task."""
        told = [next(iter(body.values())) for body in self.bodies]
        return [each["metadata"][SEQUENCE] for each in told if each["taskId"] == task_id]


@asynccontextmanager
async def receiving(
    *, port: int = 0, receiver: Receiver | None = None, tls: Tls = NO_TLS
) -> AsyncIterator[Receiver]:
    found = receiver or Receiver()
    app = Starlette(routes=[Route("/hook", found.take, methods=["POST"])])
    async with Background(app, port=port, tls=tls) as served:
        found.url = f"{served.url}/hook"
        yield found
