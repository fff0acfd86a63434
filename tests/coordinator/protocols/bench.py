"""One run with a real journal, real credentials and real HTTP, and nothing of the language around it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from parley_coordinator.delegation.gates import Gates
from parley_coordinator.delegation.guarding import AgentGuards
from parley_coordinator.delegation.terms import Terms
from parley_coordinator.engine.asking import Asking
from parley_coordinator.engine.requests import Requests
from parley_coordinator.model import Entry, Place, Run, RunState
from parley_coordinator.protocols.egress import Egress
from parley_coordinator.protocols.performer import Performer
from parley_coordinator.store import journal
from parley_coordinator.store.log import RunLog
from parley_coordinator.store.opening import open_database
from parley_coordinator.store.tables import to_text
from parley_coordinator.workflow.effects import Parked, Request
from parley_coordinator.workflow.errors import WorkflowError
from parley_wire.database import Database
from parley_wire.http import open_http
from starlette.applications import Starlette
from starlette.requests import Request as Received
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For property tests: a busy machine is no counterexample."""
PLACE = Place(path="/do/0/ask")
EVERYWHERE = "127.0.0.1, localhost"


class Clock:
    """The time of day, moved forward by a test."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def forward(self, by: timedelta) -> None:
        self._ahead += by


@dataclass
class Bench:
    """Advances one request as an engine does, from what is in the journal."""

    database: Database
    performer: Performer
    clock: Clock
    gates: Gates
    secrets: list[str] = field(default_factory=list)
    waits: list[Any] = field(default_factory=list)

    async def perform(self, request: Request) -> Any:
        """Advance a request once.

        Raises:
            WorkflowError: It failed.
            Parked: It waits; `waits` says for what.
        """
        log = RunLog("r-1", await self.entries(), self.database, self.clock, lambda _: None)
        run = _run(self.clock())
        requests = Requests(
            run,
            log,
            self.performer,
            Asking(run, log, self.database),
            self._confidential,
            Terms("http://127.0.0.1:8420"),
        )
        try:
            return await requests.request(request)
        finally:
            await log.flush()
            self.waits = list(log.waits)

    async def parked(self, request: Request) -> Any:
        """Advance a request that must park; return what it waits for."""
        try:
            output = await self.perform(request)
        except Parked:
            (wait,) = self.waits
            return wait
        raise AssertionError(f"it did not park, it returned {output!r}")

    async def failure(self, request: Request) -> WorkflowError:
        """Advance a request that must fail."""
        try:
            output = await self.perform(request)
        except WorkflowError as exc:
            return exc
        raise AssertionError(f"it did not fail, it returned {output!r}")

    async def entries(self) -> list[Entry]:
        return await self.database.read(lambda c: journal.read(c, "r-1"))

    async def entry(self, kind: str, place: Place = PLACE) -> dict[str, Any] | None:
        found = [e for e in await self.entries() if e.kind == kind and e.place == place]
        return found[0].body if found else None

    async def kinds(self) -> list[str]:
        return [entry.kind for entry in await self.entries()]

    async def journaled(self) -> str:
        """Return everything that was written down."""
        return json.dumps([entry.body for entry in await self.entries()])

    async def write(self, kind: str, body: dict[str, Any], place: Place = PLACE) -> None:
        """Put a row into the journal, as an earlier process or an inbox did."""
        at = self.clock()
        await self.database.write(lambda c: journal.append(c, "r-1", place, kind, at, body))

    async def decide(self, ordinal: int, outcome: str, **values: Any) -> None:
        body = {
            "outcome": outcome,
            "by": "olga",
            "at": to_text(self.clock()),
            "comment": "",
            "values": values,
            "digest": "",
            "item": "",
        }
        await self.write(f"answered.{ordinal}", body)

    def _confidential(self) -> Iterable[str]:
        return self.secrets


@contextlib.asynccontextmanager
async def bench(
    home: Path, *, egress: str = EVERYWHERE, patience: float = 1.0, **more: Any
) -> AsyncIterator[Bench]:
    database = open_database(f"sqlite:///{home / 'bench.db'}")
    allowed = Egress.parse(egress, **more)
    clock = Clock()
    gates = Gates(now=clock)
    async with open_http(addresses=allowed.addresses) as http:
        performer = Performer(
            http,
            allowed,
            now=clock,
            patience=timedelta(seconds=patience),
            guards=AgentGuards(gates, now=clock, draw=lambda: 0.1),
        )
        yield Bench(database, performer, clock, gates)
    await database.aclose()


def http_request(url: str, method: str = "GET", **more: Any) -> Request:
    arguments: dict[str, Any] = {
        "method": method,
        "endpoint": url,
        "headers": {},
        "query": {},
        "body": None,
        "output": "content",
        "redirect": False,
    }
    return _request("http", arguments, more)


def openapi_request(document: str, operation: str, **more: Any) -> Request:
    arguments: dict[str, Any] = {
        "document": document,
        "operationId": operation,
        "parameters": {},
        "output": "content",
        "redirect": False,
    }
    return _request("openapi", arguments, more)


def mcp_request(url: str, method: str, **more: Any) -> Request:
    arguments: dict[str, Any] = {
        "protocolVersion": "2025-06-18",
        "method": method,
        "parameters": {},
        "endpoint": url,
        "headers": {},
        "timeout": None,
        "client": None,
    }
    return _request("mcp", arguments, more)


def a2a_request(url: str, method: str = "message/send", **more: Any) -> Request:
    arguments: dict[str, Any] = {"method": method, "agentCard": url, "parameters": {}}
    if "server" in more:
        del arguments["agentCard"]
    return _request("a2a", arguments, more)


def _request(protocol: Any, arguments: dict[str, Any], more: dict[str, Any]) -> Request:
    request = Request(
        place=PLACE,
        protocol=protocol,
        arguments=arguments,
        authentication=None,
        idempotent=False,
        deadline=None,
        title="Ask",
    )
    own = {name: more.pop(name) for name in tuple(more) if hasattr(request, name)}
    return replace(request, **own, arguments={**arguments, **more})


@dataclass
class Service:
    """An HTTP service that remembers what it was asked, and answers as a test says."""

    answer: Callable[[Received], Awaitable[Response]] | None = None
    asked: list[Received] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def app(self) -> Starlette:
        methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        return Starlette(routes=[Route("/{path:path}", self._serve, methods=methods)])

    async def _serve(self, request: Received) -> Response:
        self.asked.append(request)
        self.bodies.append(await request.body())
        if self.answer is not None:
            return await self.answer(request)
        return JSONResponse(
            {
                "method": request.method,
                "path": request.url.path,
                "query": request.url.query,
                "headers": dict(request.headers),
                "body": self.bodies[-1].decode("utf-8", "replace"),
            }
        )


def _run(now: datetime) -> Run:
    return Run(
        id="r-1",
        workflow="tests",
        version="1.0.0",
        digest="sha256:0",
        state=RunState.RUNNING,
        input={},
        output=None,
        error=None,
        waiting_for=[],
        requested_by="rita",
        created_at=now,
        updated_at=now,
    )
