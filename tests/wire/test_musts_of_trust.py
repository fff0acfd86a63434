"""What A2A 1.0 demands of encryption and of signed cards, and its compatibility kit does not test.

The kit's number stands in each name.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
import rfc8785
from a2a.types import AgentCard, a2a_pb2, a2a_pb2_grpc
from a2a.utils import signing
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from google.protobuf.json_format import MessageToDict, ParseDict
from parley_cards.card import Card, load_card
from parley_cards.keys import EnrolledKey, Keyring, SigningKey
from parley_cards.signatures import Signed, sign, verify
from parley_wire.agent_errors import AgentUnreachableError
from parley_wire.auth import Tokens
from parley_wire.client import AgentClient
from parley_wire.http import open_http
from parley_wire.server import Options
from parley_wire.tls import NO_TLS, Tls, TlsError

from tests.ports import free_port
from tests.webhook_receiver import receiving
from tests.wire.certificates import Authority
from tests.wire.support import Running, card_json, message, running_agent, until
from tests.wire.test_server_push import pushing, send

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
BINDINGS = ("JSONRPC", "HTTP+JSON", "GRPC")
TOKEN = {"authorization": "Bearer alice-token"}


@cache
def authority() -> Authority:
    return Authority()


@cache
def key() -> SigningKey:
    return SigningKey.new(key_id="vendor-2026")


def ring(**more: Any) -> Keyring:
    return Keyring([EnrolledKey.of({**key().public_jwk(), **more})])


@asynccontextmanager
async def serving(
    home: Path, *, tls: Tls = NO_TLS, signs: bool = False, **others: Any
) -> AsyncIterator[tuple[Running, int]]:
    """An agent on each binding, with an extended card; and the port of its gRPC."""
    port = free_port()

    def fill(card: dict[str, Any]) -> None:
        scheme = "https://" if tls.serves else ""
        card["capabilities"]["extendedAgentCard"] = True
        card["supportedInterfaces"].append(
            {
                "url": f"{scheme}127.0.0.1:{port}",
                "protocolBinding": "GRPC",
                "protocolVersion": "1.0",
            }
        )

    extended = load_card({**card_json("https://agent.example"), "description": "for those we know"})
    options = Options(
        grpc=f"127.0.0.1:{port}", extended_card=extended, signer=key() if signs else None
    )
    async with running_agent(home, change=fill, options=options, tls=tls, **others) as agent:
        yield agent, port


def on(card: Card, binding: str) -> Card:
    """The same agent, known by one interface only."""
    value = dict(card.json)
    value["supportedInterfaces"] = [
        each for each in value["supportedInterfaces"] if each["protocolBinding"] == binding
    ]
    return load_card(value)


async def say(card: Card, http: httpx.AsyncClient) -> str:
    sent = await AgentClient(card, http).send(message("hi"), return_immediately=False)
    assert isinstance(sent, a2a_pb2.Task)
    return a2a_pb2.TaskState.Name(sent.status.state)


async def test_AUTH_TLS_001_every_binding_is_spoken_over_tls_with_those_whom_we_can_verify(  # noqa: N802
    tmp_path: Path,
) -> None:
    tls = Tls.of(authority().folder(tmp_path / "tls"))
    async with serving(tmp_path, tls=tls) as (agent, _):
        assert agent.url.startswith("https://")
        for binding in BINDINGS:
            assert await say(on(agent.card, binding), agent.http) == "TASK_STATE_COMPLETED"
        begun = len(agent.tester.started)

        stranger = Tls.of(Authority().folder(tmp_path / "stranger", serves=False))
        for trusted in (NO_TLS, stranger):
            async with open_http(tls=trusted) as http:
                for binding in BINDINGS:
                    with pytest.raises(AgentUnreachableError):
                        await say(on(agent.card, binding), http)
        assert len(agent.tester.started) == begun


async def test_AUTH_TLS_001_a_certificate_of_another_name_is_refused(tmp_path: Path) -> None:  # noqa: N802
    tls = Tls.of(authority().folder(tmp_path / "tls", "agent.example"))
    async with serving(tmp_path, tls=tls) as (agent, _):
        for binding in BINDINGS:
            with pytest.raises(AgentUnreachableError):
                await say(on(agent.card, binding), agent.http)
        assert not agent.tester.started


async def test_AUTH_TLS_001_a_notification_goes_to_a_receiver_that_we_can_verify(  # noqa: N802
    tmp_path: Path,
) -> None:
    tls = Tls.of(authority().folder(tmp_path / "tls"))
    other = Tls.of(Authority().folder(tmp_path / "other"))
    async with (
        pushing(tmp_path, tls=tls) as agent,
        receiving(tls=tls) as known,
        receiving(tls=other) as stranger,
    ):
        await send(agent, "hi", {"url": stranger.url})
        await send(agent, "hi", {"url": known.url})
        await until(lambda: "COMPLETED" in known.states)
        assert not stranger.got


async def test_AUTH_TLS_001_neither_plain_text_nor_an_old_version_is_answered(  # noqa: N802
    tmp_path: Path,
) -> None:
    tls = Tls.of(authority().folder(tmp_path / "tls"))
    async with serving(tmp_path, tls=tls) as (agent, grpc_port):
        port = int(agent.url.rpartition(":")[2])
        with pytest.raises(httpx.TransportError):
            await agent.http.get(f"http://127.0.0.1:{port}/healthz")
        plain = load_card(card_json(f"http://127.0.0.1:{port}"))
        in_the_clear = {
            "url": f"127.0.0.1:{grpc_port}",
            "protocolBinding": "GRPC",
            "protocolVersion": "1.0",
        }
        over_grpc = load_card({**plain.json, "supportedInterfaces": [in_the_clear]})
        with pytest.raises(AgentUnreachableError):
            await say(over_grpc, agent.http)
        for each in (port, grpc_port):
            assert await _negotiated(each, tls, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
            assert await _negotiated(each, tls, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await _negotiated(each, tls, ssl.TLSVersion.TLSv1_1)
        assert not agent.tester.started


async def _negotiated(port: int, tls: Tls, version: ssl.TLSVersion) -> str | None:
    context = tls.client_context()
    with warnings.catch_warnings(action="ignore"):
        context.minimum_version = context.maximum_version = version
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with asyncio.timeout(60):
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    found: str | None = writer.get_extra_info("ssl_object").version()
    writer.transport.abort()
    return found


async def test_GRPC_SVC_003_grpc_is_spoken_over_http_2_with_tls(tmp_path: Path) -> None:  # noqa: N802
    tls = Tls.of(authority().folder(tmp_path / "tls"))
    async with serving(tmp_path, tls=tls) as (agent, port):
        context = tls.client_context()
        context.set_alpn_protocols(["h2"])
        async with asyncio.timeout(60):
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        writer.transport.abort()

        trusted = grpc.ssl_channel_credentials((tmp_path / "tls" / "ca.crt").read_bytes())
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", trusted) as channel:
            stub: Any = a2a_pb2_grpc.A2AServiceStub(channel)  # type: ignore[no-untyped-call]
            request = ParseDict({"message": message("hi")}, a2a_pb2.SendMessageRequest())
            answer = await stub.SendMessage(request, metadata=(("a2a-version", "1.0"),))
        assert answer.task.id in agent.tester.started


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "needs tls.crt and tls.key"),
        ({"tls.crt": b""}, "needs tls.crt and tls.key"),
        ({"tls.key": b"", "ca.crt": b""}, "needs tls.crt and tls.key"),
        ({"tls.crt": b"no", "tls.key": b"no"}, "tls.crt and tls.key in .* cannot be used"),
        ({"ca.crt": b"no"}, "ca.crt in .* cannot be used"),
    ],
)
async def test_what_cannot_be_used_for_tls_is_refused_at_the_start(
    tmp_path: Path, files: dict[str, bytes], why: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(TlsError, match=why):
        Tls.of(tmp_path)


async def test_the_key_of_another_certificate_is_refused_at_the_start(tmp_path: Path) -> None:
    folder, other = (authority().folder(tmp_path / name) for name in ("one", "two"))
    (folder / "tls.key").write_bytes((other / "tls.key").read_bytes())
    with pytest.raises(TlsError):
        Tls.of(folder)


async def cards_of(agent: Running, port: int) -> dict[str, dict[str, Any]]:
    """Every card that the agent gives out, as its JSON."""
    public = await agent.http.get(f"{agent.url}/.well-known/agent-card.json")
    over_rpc = await agent.rpc("GetExtendedAgentCard", headers=TOKEN)
    headers = {"a2a-version": "1.0", **TOKEN}
    over_rest = await agent.http.get(f"{agent.url}/rest/extendedAgentCard", headers=headers)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = a2a_pb2_grpc.A2AServiceStub(channel)  # type: ignore[no-untyped-call]
        over_grpc = await stub.GetExtendedAgentCard(
            a2a_pb2.GetExtendedAgentCardRequest(), metadata=tuple(headers.items())
        )
    return {
        "public": public.json(),
        "JSON-RPC": over_rpc["result"],
        "HTTP+JSON": over_rest.json(),
        "gRPC": MessageToDict(over_grpc),
    }


@pytest.fixture
async def signed(tmp_path: Path, anyio_backend: str) -> dict[str, dict[str, Any]]:  # noqa: ARG001
    tokens = Tokens({"alice-token": "alice"})
    async with serving(tmp_path, signs=True, tokens=tokens) as (agent, port):
        return await cards_of(agent, port)


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def test_CARD_SIGN_001_002_a_signature_is_over_the_canonical_card_without_signatures(  # noqa: N802
    signed: dict[str, dict[str, Any]],
) -> None:
    """Nothing of ours checks it: a JCS, ECDSA, and the verifier of the SDK."""
    public = key().key.key.public_key()
    for place, card in signed.items():
        (signature,) = card["signatures"]
        without = {name: value for name, value in card.items() if name != "signatures"}
        payload = base64.urlsafe_b64encode(rfc8785.dumps(without)).rstrip(b"=")
        raw = decoded(signature["signature"])
        r, s = (int.from_bytes(half) for half in (raw[:32], raw[32:]))
        public.verify(
            encode_dss_signature(r, s),
            signature["protected"].encode() + b"." + payload,
            ec.ECDSA(SHA256()),
        )
        check = signing.create_signature_verifier(lambda _kid, _jku: public, ["ES256"])
        check(ParseDict(card, AgentCard()))
        assert verify(card, ring(), now=NOW).state is Signed.VERIFIED, place
    names = {card["description"] for card in signed.values()}
    assert names == {"does what the message says", "for those we know"}


async def test_CARD_SIGN_002_another_signature_changes_nothing_for_the_first(  # noqa: N802
    signed: dict[str, dict[str, Any]],
) -> None:
    twice = sign(signed["public"], SigningKey.new("EdDSA", key_id="auditor"))
    assert len(twice["signatures"]) == 2
    assert verify(twice, ring(), now=NOW).key_id == key().id


async def test_CARD_SIGN_003_the_protected_header_says_algorithm_and_key(  # noqa: N802
    signed: dict[str, dict[str, Any]],
) -> None:
    for card in signed.values():
        (signature,) = card["signatures"]
        header = json.loads(decoded(signature["protected"]))
        assert header == {"alg": "ES256", "kid": "vendor-2026", "typ": "JOSE"}


async def test_a_card_with_the_fields_of_0_3_is_signed_with_them(tmp_path: Path) -> None:
    def lists_older(card: dict[str, Any]) -> None:
        one = card["supportedInterfaces"][0]
        card["supportedInterfaces"].append({**one, "protocolVersion": "0.3"})

    options = Options(signer=key())
    async with running_agent(tmp_path, change=lists_older, options=options) as agent:
        card = (await agent.http.get(f"{agent.url}/.well-known/agent-card.json")).json()
    assert card["url"] == f"{agent.url}/a2a"
    assert verify(card, ring(), now=NOW).state is Signed.VERIFIED


async def test_CARD_SIGN_004_an_expired_or_revoked_key_is_not_used(  # noqa: N802
    signed: dict[str, dict[str, Any]],
) -> None:
    card = signed["public"]
    ends = (NOW + timedelta(hours=1)).timestamp()
    assert verify(card, ring(exp=ends), now=NOW).state is Signed.VERIFIED
    for ended in (ring(exp=NOW.timestamp()), ring(revoked={"revoked_at": NOW.timestamp()})):
        found = verify(card, ended, now=NOW)
        assert found.state is Signed.UNVERIFIED
        assert found.reason
