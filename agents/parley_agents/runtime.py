"""The agent kit: skills as functions, served over A2A and kept in the registry.

>>> agent = Agent("matching")
>>> @agent.skill("match-invoice")
... async def match_invoice(task: SkillTask, request: MatchRequest) -> MatchDecision: ...
>>> app = create_app(agent, url="http://127.0.0.1:8432", home=Path(".parley"))
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from parley_cards.card import Card
from parley_cards.library import library_card
from parley_registry.client import RegistryClient, keep_registered
from parley_wire.auth import Tokens
from parley_wire.http import open_http
from parley_wire.server import Options, create_agent_app
from starlette.applications import Starlette

from parley_agents.doors import CLOSED, Doors, with_doors
from parley_agents.skills import Agent, AskPerson, SkillExecutor
from parley_agents.task import SkillTask

__all__ = ["Agent", "AskPerson", "SkillTask", "create_app"]

MESH: Final = "mesh"
"""The name of a caller who holds the mesh token."""


def create_app(
    agent: Agent,
    *,
    url: str,
    home: Path,
    registry_url: str | None = None,
    token: str | None = None,
    pace_s: float = 0.0,
    card: Card | None = None,
    doors: Doors = CLOSED,
) -> Starlette:
    """Serve an agent. Its tasks are in `home`/NAME.db.

    Starts whether or not the registry and the systems are up; it registers as soon as it can.

    Args:
        url: Where it is reachable for others; goes into its card and the registry.
        registry_url: None: it is not registered.
        token: Of the mesh: required from callers and sent to the registry. None: anybody may call,
            which is for loopback only.
        pace_s: Least duration of each skill call; for demonstrations and drills.
        card: Instead of the one that the library has under the agent's name.
        doors: What else is open: gRPC, A2A 0.3, notifications. Written into the card, which is then signed.

    Raises:
        UnknownCardError: If the library has no card of that name.
        ContractError: If the card and the code do not say the same.
        DatabaseUnusableError: If `home` cannot hold the tasks.
    """
    card = with_doors(card or library_card(agent.name, url=url), doors, url=url)
    executor = SkillExecutor(agent, card, pace_s=pace_s)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)

    @asynccontextmanager
    async def registered(_: Starlette) -> AsyncIterator[None]:
        if registry_url is None:
            yield
            return
        async with open_http(tls=doors.tls) as http:
            registry = RegistryClient(registry_url, http, token=token)
            keeping = asyncio.create_task(keep_registered(registry, url))
            try:
                yield
            finally:
                # The lease is left to lapse: an agent that is back at once was never away.
                keeping.cancel()
                with suppress(asyncio.CancelledError):
                    await keeping

    return create_agent_app(
        card,
        executor,
        database_url=f"sqlite:///{home.resolve() / f'{agent.name}.db'}",
        tokens=Tokens({token: MESH}) if token else None,
        lifespan=[*map(_opened, agent.uses), registered],
        options=Options(
            grpc=doors.grpc, webhooks=doors.webhooks or (), tls=doors.tls, signer=doors.signer
        ),
    )


def _opened(
    resource: AbstractAsyncContextManager[Any],
) -> Callable[[Starlette], AbstractAsyncContextManager[Any]]:
    return lambda _: resource
