"""What is remembered of agents stays small, however many come and go."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from parley_cards.card import load_card
from parley_coordinator.app import ROUTES_FRESH_FOR
from parley_coordinator.delegation import clients, routing
from parley_coordinator.delegation.clients import AgentClients
from parley_coordinator.delegation.gates import Gates
from parley_coordinator.delegation.routing import Routing
from parley_registry.client import RegistryClient
from parley_wire.http import open_http
from parley_wire.serving import Background
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.coordinator.engine.odd_agents import OddAgent
from tests.coordinator.world import CALL, until, world
from tests.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from pathlib import Path

    from parley_cards.card import Card
    from starlette.requests import Request
    from starlette.responses import Response

pytestmark = pytest.mark.anyio


def now() -> datetime:
    return datetime.now(UTC)


def card(version: int) -> Card:
    agent = ScriptedAgent(url="http://127.0.0.1:9")
    return load_card(json.dumps({**agent.card(), "version": f"1.0.{version}"}).encode())


async def test_clients_of_cards_that_nobody_uses_any_more_are_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clients, "KEPT", 3)
    async with open_http() as http:
        kept = AgentClients(http, token=None)
        first = kept.to(card(0))
        for version in range(1, 9):
            kept.to(card(version))
            assert kept.to(card(0)) is first, "it is in use"
        again = kept.to(card(1))

        assert again.card.version == "1.0.1"
        assert len(kept._clients) == 3


async def test_cards_that_the_registry_no_longer_lists_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "OLDER_CARDS", 1)
    agent = ScriptedAgent()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        registry = RegistryClient(mesh.registry_url, mesh.http, token=None)
        routes = Routing(registry, Gates(now=now), now=now, fresh_for=timedelta(0))
        first = (await routes.choose("act", "1.0.0")).card
        for description in ("other", "another", "a third"):
            agent.description = description
            await mesh.http.post(f"{mesh.registry_url}/v1/agents", json={"url": agent.url})
            await routes.choose("act", "1.0.0")
        pinned = await routes.pinned("vendor", first.digest, "act")

        assert len(routes._cards) <= 3
        assert {key[0] for key in routes._schemas} <= {digest for _, digest in routes._cards}
        assert pinned is not None
        assert pinned.card.digest == first.digest


async def test_of_a_crowd_one_asks_the_registry_for_all() -> None:
    asked = 0

    async def listing(_: Request) -> Response:
        nonlocal asked
        asked += 1
        return JSONResponse({"agents": [], "nextCursor": ""})

    app = Starlette(routes=[Route("/v1/agents", listing)])
    async with Background(app) as registry, open_http() as http:
        known = RegistryClient(registry.url, http, token=None)
        routes = Routing(known, Gates(now=now), now=now, fresh_for=timedelta(0))
        given_up = asyncio.create_task(routes.agents())
        crowd = [asyncio.create_task(routes.agents()) for _ in range(20)]
        await asyncio.sleep(0)
        given_up.cancel()
        assert await asyncio.gather(*crowd) == [[]] * 20
        assert asked == 1
        await asyncio.gather(routes.agents(), routes.agents(fresh=True))
        assert asked == 3


async def test_a_workflow_is_deployed_as_soon_as_its_agent_has_joined(tmp_path: Path) -> None:
    agent, late = ScriptedAgent(), OddAgent(name="late", skill="fly")
    async with (
        world(tmp_path, {"act": CALL}, agent) as mesh,
        Background(late.app()) as served,
    ):
        late.url = served.url
        await mesh.run("act", {"do": "complete"})  # the agents are remembered from here on
        text = (mesh.home / "workflows/act/workflow.yaml").read_text()
        deployment: dict[str, Any] = {
            "url": f"{mesh.url}/v1/workflows",
            "content": text.replace("act:1.0.0@", "fly:1.0.0@").replace("'1.0.0'}", "'2.0.0'}"),
            "headers": {**mesh.as_role("operator"), "content-type": "application/yaml"},
        }
        refused = await mesh.http.post(**deployment)
        await mesh.http.post(f"{mesh.registry_url}/v1/agents", json={"url": late.url})

        async def deployed() -> bool:
            answer = await mesh.http.post(**deployment)
            return answer.status_code == 201

        began = time.monotonic()
        await until(deployed)
        took = time.monotonic() - began

    assert refused.status_code == 400
    assert took < ROUTES_FRESH_FOR.total_seconds()
