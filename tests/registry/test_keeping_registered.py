"""What an agent does to stay in the registry, while the registry comes and goes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from parley_registry.app import create_app
from parley_registry.client import RegistryClient, keep_registered
from parley_wire.http import open_http
from parley_wire.serving import Background

from tests.ports import free_port
from tests.registry.parts import CardServer, until

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def kept(client: RegistryClient, url: str) -> AsyncIterator[None]:
    """Run `keep_registered` with the shortest lease, so that it renews every 1.7 s."""
    task = asyncio.create_task(keep_registered(client, url, ttl_s=5))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_an_agent_registers_once_the_registry_and_its_own_card_are_there(
    tmp_path: Path,
) -> None:
    port = free_port()
    agent = CardServer()
    agent.mode = "gone"
    database = f"sqlite:///{tmp_path / 'registry.db'}"
    async with Background(agent.app) as served, open_http() as http:
        client = RegistryClient(f"http://127.0.0.1:{port}", http)

        async def registered() -> bool:
            return [each.name for each in await client.agents(health="up")] == ["echo-agent"]

        async def asked() -> bool:
            return agent.asked > 0

        async with kept(client, served.url), Background(create_app(database), port=port):
            await until(asked)
            assert not await registered()
            agent.mode = "card"
            await until(registered)


async def test_an_agent_that_was_forgotten_registers_again_and_a_lease_is_renewed(
    tmp_path: Path,
) -> None:
    agent = CardServer()
    app = create_app(f"sqlite:///{tmp_path / 'registry.db'}")
    async with (
        Background(agent.app) as served,
        Background(app) as registry,
        open_http() as http,
    ):
        client = RegistryClient(registry.url, http)

        async def registered() -> bool:
            return bool(await client.agents())

        async with kept(client, served.url):
            await until(registered)
            first = await client.agent("echo-agent")

            async def renewed() -> bool:
                return (await client.agent("echo-agent")).lease_until > first.lease_until

            await until(renewed)
            assert agent.asked == 1, "renewing does not fetch the card"
            await client.withdraw("echo-agent")
            await until(registered)

    assert agent.asked == 2
