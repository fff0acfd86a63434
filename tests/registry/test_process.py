"""The registry as it is run: a process of its own, killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from parley_registry.client import RegistryClient, RegistryUnavailableError, keep_registered
from parley_registry.records import Health
from parley_wire.http import open_http
from parley_wire.serving import Background

from tests.registry.parts import CardServer, until

pytestmark = pytest.mark.anyio

TOKEN = "process-secret"


@contextlib.asynccontextmanager
async def process(
    home: Path, *arguments: str, **environ: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "parley_registry", "--home", str(home), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={key: value for key, value in os.environ.items() if not key.startswith("PARLEY_")}
        | environ,
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


@contextlib.asynccontextmanager
async def running(
    home: Path, port: str = "0"
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Yield the address and the process of a registry that is impatient."""
    async with process(
        home,
        *("--port", port),
        PARLEY_MESH_TOKEN=TOKEN,
        PARLEY_LEASE_GRACE_S="2",
        PARLEY_PROBE_INTERVAL_S="1",
    ) as child:
        assert child.stdout is not None
        async with asyncio.timeout(60):
            line = (await child.stdout.readline()).decode()
        found = re.fullmatch(r"registry listening on (http://127\.0\.0\.1:\d+)\n", line)
        assert found, line
        yield found[1], child


@pytest.mark.crash
async def test_a_registered_agent_survives_the_registry_and_is_probed_when_its_lease_lapses(
    tmp_path: Path,
) -> None:
    agent = CardServer()
    async with Background(agent.app) as served, open_http() as http:
        async with running(tmp_path) as (url, child):
            client = RegistryClient(url, http, token=TOKEN)

            async def is_in(state: Health) -> bool:
                listed = await client.agents(skill="echo", health=state.value)
                return [each.name for each in listed] == ["echo-agent"]

            async def up_with_lease() -> bool:
                return await is_in(Health.UP)

            keeper = asyncio.create_task(keep_registered(client, served.url, ttl_s=20))
            await until(up_with_lease)
            child.send_signal(signal.SIGKILL)
            await child.wait()
            with pytest.raises(RegistryUnavailableError):
                await client.agents()
            before = agent.asked

        async with running(tmp_path, url.rpartition(":")[2]) as (again, _):
            assert again == url
            record = await client.agent("echo-agent")
            assert record.url == served.url, "it was durable before it was answered"

            async def renewed() -> bool:
                return (await client.agent("echo-agent")).lease_until > record.lease_until

            await until(renewed)
            assert agent.asked == before, "renewed, not registered again"

            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            await client.register(served.url, ttl_s=5)
            seen: list[Health] = []

            async def probed_up() -> bool:
                state = (await client.agent("echo-agent")).health
                if state not in seen[-1:]:
                    seen.append(state)
                return seen[-2:] == [Health.UNKNOWN, Health.UP]

            await until(probed_up)
            assert seen == [Health.UP, Health.UNKNOWN, Health.UP], "lease, grace, probe"

            agent.mode = "gone"

            async def down() -> bool:
                return await is_in(Health.DOWN)

            await until(down)
            agent.mode = "card"
            await until(up_with_lease)  # by probe alone: nobody renews any more
            assert (await client.card("echo-agent")).name == "Echo agent"


async def test_a_registry_without_a_token_does_not_listen_beyond_this_machine(
    tmp_path: Path,
) -> None:
    async with process(tmp_path, "--host", "0.0.0.0", "--port", "0") as child:
        out, err = await asyncio.wait_for(child.communicate(), 60)

    assert (child.returncode, out) == (2, b"")
    assert b"PARLEY_MESH_TOKEN" in err
    assert b"Traceback" not in err


async def test_a_setting_that_is_no_number_is_named(tmp_path: Path) -> None:
    async with process(tmp_path, PARLEY_LEASE_GRACE_S="soon") as child:
        _, err = await asyncio.wait_for(child.communicate(), 60)

    assert child.returncode == 2
    assert b"PARLEY_LEASE_GRACE_S" in err
    assert b"Traceback" not in err


async def test_a_home_that_holds_another_database_is_refused_in_a_sentence(
    tmp_path: Path,
) -> None:
    (tmp_path / "registry.db").write_bytes(b"this is not a database" * 100)
    async with process(tmp_path, "--port", "0") as child:
        out, err = await asyncio.wait_for(child.communicate(), 60)

    assert (child.returncode, out) == (2, b"")
    assert b"registry.db" in err
    assert b"Traceback" not in err
