"""`python -m tests.tck.hop PORT GRPC_PORT HOME AGENT_URL`: the kit's agent behind a coordinator.

The kit knows no tokens, no tenants and no paths before the addresses of a card, so three things are
added here, outside of the coordinator: whoever calls is an operator, whoever names no tenant means the
agent, and the agent's card is the host's.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from parley_coordinator.app import create
from parley_coordinator.governance.access import Role
from parley_coordinator.governance.accounts import open_tokens
from parley_coordinator.settings import Settings
from parley_registry.app import create_app as create_registry
from parley_wire.http import open_http
from parley_wire.server.endpoint import Batch, Call, Endpoint
from parley_wire.serving import Background
from starlette.types import ASGIApp, Receive, Scope, Send

NAME = "tck-agent"
CARD = "/.well-known/agent-card.json"


class AsOperator:
    """ASGI app: every request has an operator's token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._header = (b"authorization", f"Bearer {token}".encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "headers": [*scope["headers"], self._header]}
            if scope["path"] == CARD:
                path = f"/agents/{NAME}{CARD}"
                scope |= {"path": path, "raw_path": quote(path).encode()}
        await self._app(scope, receive, send)


class OperatorEndpoint:
    """The same over gRPC."""

    def __init__(self, endpoint: Endpoint, token: str) -> None:
        self._endpoint = endpoint
        self._token = token

    def check(self, _: str | None) -> None:
        """Whoever calls is an operator."""

    async def answer(self, method: str, params: Any, call: Call) -> str:
        return await self._endpoint.answer(method, self._meant(params), self._from(call))

    async def stream(self, method: str, params: Any, call: Call) -> AsyncGenerator[Batch]:
        batches = self._endpoint.stream(method, self._meant(params), self._from(call))
        async with aclosing(batches):
            async for batch in batches:
                yield batch

    def _meant(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"tenant": f"agents/{NAME}", **params}

    def _from(self, call: Call) -> Call:
        return replace(call, headers={**call.headers, "authorization": f"Bearer {self._token}"})


async def main(port: int, grpc_port: int, home: Path, agent_url: str) -> None:
    workflows = home / "workflows"
    workflows.mkdir()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    registry = Background(create_registry(f"sqlite:///{home / 'registry.db'}"))
    async with registry, open_http() as http:
        answer = await http.post(f"{registry.url}/v1/agents", json={"url": agent_url})
        answer.raise_for_status()
        settings = Settings.load(
            {"PARLEY_GRPC_PORT": str(grpc_port)},
            home=home,
            port=port,
            registry_url=registry.url,
            workflows=workflows,
        )
        app = create(settings)
        token = open_tokens(home)[Role.OPERATOR]
        app.state.a2a = OperatorEndpoint(app.state.a2a, token)
        async with Background(AsOperator(app, token), port=port):
            await ended.wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]))
