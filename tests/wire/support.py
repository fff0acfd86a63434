"""A small agent whose behaviour the message chooses, and ways to talk to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from hypothesis import HealthCheck, settings
from parley_cards.card import Card, load_card
from parley_cards.extensions import DEDUPE
from parley_wire.auth import Tokens
from parley_wire.client import AgentClient
from parley_wire.http import open_http
from parley_wire.server import (
    Completed,
    DataArtifact,
    Failed,
    InputRequired,
    Limits,
    Options,
    Outcome,
    Rejected,
    TaskRequest,
    create_agent_app,
)
from parley_wire.server.app import DEFAULT_OPTIONS
from parley_wire.serving import Background
from parley_wire.tls import NO_TLS, Tls

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For property tests: a busy machine is no counterexample."""


def card_json(url: str, *, bindings: tuple[str, ...] = ("JSONRPC", "HTTP+JSON")) -> dict[str, Any]:
    paths = {"JSONRPC": "/a2a", "HTTP+JSON": "/rest"}
    return {
        "name": "Tester",
        "description": "does what the message says",
        "version": "1.0.0",
        "supportedInterfaces": [
            {"url": url + paths[each], "protocolBinding": each, "protocolVersion": "1.0"}
            for each in bindings
        ],
        "capabilities": {"streaming": True, "extensions": [{"uri": DEDUPE}]},
        "defaultInputModes": ["application/json", "text/plain"],
        "defaultOutputModes": ["application/json"],
        "skills": [{"id": "test", "name": "Test", "description": "tests", "tags": ["test"]}],
    }


@dataclass
class Scripted:
    """Does what the text of the message says; counts how often."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """`wait` goes on when it is set."""
    started: dict[str, int] = field(default_factory=dict)
    """Task id to runs."""
    cancelled: list[str] = field(default_factory=list)
    seen: list[TaskRequest] = field(default_factory=list)
    special: dict[str, Callable[[TaskRequest], Awaitable[Outcome]]] = field(default_factory=dict)

    async def execute(self, request: TaskRequest) -> Outcome:
        self.started[request.task_id] = self.started.get(request.task_id, 0) + 1
        self.seen.append(request)
        what, _, rest = request.text.partition(" ")
        if what in self.special:
            return await self.special[what](request)
        behaviour = getattr(self, f"_{what}", None)
        if behaviour is not None:
            outcome: Outcome = await behaviour(request, rest)
            return outcome
        return Completed([DataArtifact({"text": request.text, "data": request.data})])

    async def _ask(self, request: TaskRequest, times: str) -> Outcome:
        if not request.answers:
            schema = {"type": "object", "properties": {"city": {"type": "string"}}}
            return InputRequired("Where to?", schema)
        if len(request.answers) < int(times or "1"):
            return InputRequired("And then?")
        return Completed([DataArtifact(request.answers)])

    async def _wait(self, request: TaskRequest, _: str) -> Outcome:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.append(request.task_id)
            raise
        return Completed([DataArtifact("waited")])

    async def _fail(self, _: TaskRequest, __: str) -> Outcome:
        return Failed("cannot be done", code="impossible")

    async def _reject(self, _: TaskRequest, __: str) -> Outcome:
        return Rejected("not for me")

    async def _raise(self, _: TaskRequest, __: str) -> Outcome:
        raise RuntimeError("password=hunter2")

    async def _nothing(self, _: TaskRequest, __: str) -> Outcome:
        return None  # type: ignore[return-value]

    async def _count(self, request: TaskRequest, times: str) -> Outcome:
        for number in range(int(times)):
            await request.update(str(number))
        return Completed([DataArtifact(int(times))])


@dataclass
class Running:
    url: str
    card: Card
    tester: Scripted
    http: httpx.AsyncClient
    app: Any

    def client(self, *, binding: str = "JSONRPC", **options: Any) -> AgentClient:
        card = load_card(card_json(self.url, bindings=(binding,)))
        return AgentClient(card, self.http, **options)

    async def rpc(self, method: str, params: Any = None, **options: Any) -> dict[str, Any]:
        """One JSON-RPC call as a foreign client would make it, without our client."""
        headers = {"a2a-version": "1.0", "content-type": "application/json"}
        headers |= options.pop("headers", {})
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
        response = await self.http.post(
            f"{self.url}/a2a", content=json.dumps(body), headers=headers, **options
        )
        answer: dict[str, Any] = response.json()
        return answer

    async def events(self, method: str, params: Any) -> list[dict[str, Any]]:
        """The results of one JSON-RPC stream, read to its end."""
        headers = {"a2a-version": "1.0", "content-type": "application/json"}
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with self.http.stream(
            "POST", f"{self.url}/a2a", content=json.dumps(body), headers=headers
        ) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            return [
                json.loads(line.removeprefix("data: "))
                async for line in response.aiter_lines()
                if line.startswith("data: ")
            ]

    async def state_of(self, task_id: str) -> str:
        answer = await self.rpc("GetTask", {"id": task_id})
        return str(answer["result"]["status"]["state"])


def message(text: str, *, data: Any = None, **fields: Any) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"text": text}] if text else []
    if data is not None:
        parts.append({"data": data})
    return {"messageId": str(uuid4()), "role": "ROLE_USER", "parts": parts, **fields}


@asynccontextmanager
async def running_agent(
    home: Path,
    tester: Scripted | None = None,
    *,
    tokens: Tokens | None = None,
    limits: Limits | None = None,
    change: Callable[[dict[str, Any]], None] = lambda _: None,
    options: Options = DEFAULT_OPTIONS,
    tls: Tls = NO_TLS,
    **others: Any,
) -> AsyncIterator[Running]:
    tester = tester or Scripted()
    background = Background(tls=tls)
    described = card_json(background.url)
    change(described)
    card = load_card(described)
    background.app = create_agent_app(
        card,
        tester,
        database_url=f"sqlite:///{home}/agent.db",
        tokens=tokens,
        options=replace(options, limits=limits or options.limits, tls=tls),
        **others,
    )
    async with background, open_http(tls=tls) as http:
        yield Running(background.url, card, tester, http, background.app)


async def until(condition: Callable[[], object], *, seconds: float = 60) -> None:
    """Wait for a condition that no event announces."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the state belongs to a server under test
            await asyncio.sleep(0.005)
