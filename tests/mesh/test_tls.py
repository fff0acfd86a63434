"""A mesh of processes that speak TLS with each other, and take signed cards only."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from parley_cards.key_files import write_signing_key
from parley_cards.keys import EnrolledKey, Keyring, SigningKey
from parley_cards.signatures import Signed, verify
from parley_coordinator.governance.access import Role
from parley_coordinator.governance.accounts import FILE_NAME, read_tokens
from parley_registry.client import RegistryClient, RegistryUnavailableError
from parley_wire.agent_errors import AgentRefusedError
from parley_wire.client import AgentClient, fetch_card
from parley_wire.http import open_http
from parley_wire.tls import NO_TLS, Tls

from tests.agents.invoice_cases import POLICY_FILE
from tests.coordinator.cli import prepared
from tests.ports import free_port
from tests.wire.certificates import Authority
from tests.wire.test_musts_of_trust import on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

TOKEN = "mesh-secret"


@contextlib.asynccontextmanager
async def process(name: str, *words: str, **environ: str) -> AsyncIterator[str]:
    """Yield where it says that it listens."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PARLEY_")}
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"parley_{name}", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=inherited | {"PARLEY_MESH_TOKEN": TOKEN} | environ,
    )
    try:
        assert child.stdout is not None
        async with asyncio.timeout(90):
            said = (await child.stdout.readline()).decode()
        assert " listening on " in said, (await child.communicate())[1].decode()
        yield said.split()[-1]
    finally:
        if child.returncode is None:
            child.terminate()
        await child.communicate()


async def test_a_mesh_speaks_tls_throughout_and_knows_who_has_signed_its_cards(
    tmp_path: Path,
) -> None:
    authority = Authority()
    tls = authority.folder(tmp_path / "served")
    served = {"PARLEY_TLS": str(tls), "PARLEY_HOME": str(tmp_path)}
    trusting = Tls.of(authority.folder(tmp_path / "trusting", serves=False))
    vendor, ours = SigningKey.new(key_id="vendor"), SigningKey.new("EdDSA", key_id="mesh")
    for key in (vendor, ours):
        write_signing_key(key, tmp_path / f"{key.id}.jwk")
    enrolled = tmp_path / "enrolled"
    enrolled.mkdir()
    (enrolled / "vendor.json").write_text(json.dumps(vendor.public_jwk()))
    (tmp_path / "workflows").mkdir()
    registry_env = {"PARLEY_CARD_KEYS": str(enrolled), "PARLEY_CARD_SIGNATURES": "require"}
    agent_port, agent_grpc, coordinator_port, coordinator_grpc = (free_port() for _ in range(4))

    async with contextlib.AsyncExitStack() as stack:
        registry = await stack.enter_async_context(
            process("registry", "--port", "0", **served, **registry_env)
        )
        agent, coordinator = await asyncio.gather(
            stack.enter_async_context(
                process(
                    *("agents", "matching", "--port", str(agent_port)),
                    *("--registry", registry, "--policy", str(POLICY_FILE)),
                    **served,
                    PARLEY_CARD_KEY=str(tmp_path / "vendor.jwk"),
                    PARLEY_GRPC_PORT=str(agent_grpc),
                )
            ),
            stack.enter_async_context(
                process(
                    *("coordinator", "--port", str(coordinator_port)),
                    *("--registry", registry, "--workflows", str(tmp_path / "workflows")),
                    **served,
                    PARLEY_CARD_KEY=str(tmp_path / "mesh.jwk"),
                    PARLEY_GRPC_PORT=str(coordinator_grpc),
                )
            ),
        )
        assert {each.partition(":")[0] for each in (registry, agent, coordinator)} == {"https"}
        http = await stack.enter_async_context(open_http(tls=trusting))
        client = RegistryClient(registry, http, token=TOKEN)
        record = await _joined(client)
        assert (record.signed, record.signed_by, record.url) == ("verified", "vendor", agent)

        strangers = await stack.enter_async_context(open_http(tls=NO_TLS))
        with pytest.raises(RegistryUnavailableError):
            await RegistryClient(registry, strangers, token=TOKEN).agents()

        listed = await asyncio.to_thread(
            prepared.parley,
            ("agents", "-o", "json"),
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("PARLEY_")},
                "PARLEY_URL": coordinator,
                "PARLEY_HOME": str(tmp_path),
                "PARLEY_TLS": str(trusting.folder),
            },
        )
        assert [(each["name"], each["signedBy"]) for each in listed.json] == [
            ("matching", "vendor")
        ], listed.err

        card = await fetch_card(http, agent)
        relayed = await fetch_card(http, f"{coordinator}/agents/matching")
        for found, key in ((card, vendor), (relayed, ours)):
            ring = Keyring([EnrolledKey.of(key.public_jwk())])
            assert verify(found.json, ring, now=datetime.now(UTC)).state is Signed.VERIFIED
        operator = read_tokens(tmp_path / FILE_NAME)[Role.OPERATOR]
        for token, each in ((TOKEN, card), (operator, relayed)):
            for binding in ("JSONRPC", "HTTP+JSON", "GRPC"):
                await _answered(AgentClient(on(each, binding), http, token=token))


async def _joined(client: RegistryClient) -> Any:
    async with asyncio.timeout(90):
        while not (found := await client.agents(health="up")):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
    return found[0]


async def _answered(client: AgentClient) -> None:
    """The agent itself answers, through whatever is before it: it has no extended card."""
    with pytest.raises(AgentRefusedError) as refused:
        await client.call("GetExtendedAgentCard", {})
    assert refused.value.facts["a2a_code"] == "UNSUPPORTED_OPERATION"
