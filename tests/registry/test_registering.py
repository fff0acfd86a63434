"""Joining the registry: what is admitted, what is refused, and who holds a name."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from parley_cards.card import InvalidCardError
from parley_registry.client import CardUnreachableError, NameTakenError, UnknownAgentError
from parley_registry.errors import InvalidRequestError, RegistryRefusedError
from parley_registry.fetching import card_fetcher
from parley_registry.records import Health
from parley_wire.http import open_http
from parley_wire.serving import Background
from parley_wire.tls import Tls

from tests.registry.conftest import Served
from tests.registry.parts import CARD_PATH, CardServer
from tests.wire.certificates import Authority

pytestmark = pytest.mark.anyio


async def test_an_agent_joins_with_nothing_but_its_address(registry: Served) -> None:
    agent = CardServer()
    async with Background(agent.app) as served:
        answer = await registry.request("POST", "/v1/agents", json={"url": served.url + "/"})

    assert answer.status_code == 201
    assert answer.headers["location"] == "/v1/agents/echo-agent"
    record = answer.json()
    assert record == {
        "name": "echo-agent",
        "version": "1.2.0",
        "url": served.url,
        "health": "up",
        "registeredAt": "2026-11-23T12:00:00.000000Z",
        "leaseUntil": "2026-11-23T12:00:30.000000Z",
        "cardDigest": record["cardDigest"],
        "skills": [
            {
                "id": "echo",
                "version": "1.1.0",
                "name": "Echo",
                "tags": ["test", "text"],
                "effect": "read",
                "idempotent": True,
            },
            {
                "id": "shout",
                "version": "1.0.0",
                "name": "Shout",
                "tags": [],
                "effect": "unknown",
                "idempotent": False,
            },
        ],
        "dedupes": True,
        "streaming": True,
        "problem": "",
        "signed": "unsigned",
        "signedBy": "",
        "unverified": "",
    }


async def test_the_address_may_be_that_of_the_card(registry: Served) -> None:
    async with Background(CardServer().app) as served:
        record = await registry.client.register(served.url + CARD_PATH)

    assert record.name == "echo-agent"


async def test_the_token_of_the_mesh_is_never_sent_to_the_address(registry: Served) -> None:
    agent = CardServer()
    async with Background(agent.app) as served:
        await registry.client.register(served.url)

    assert agent.authorization == {None}


async def test_registering_again_refreshes_the_card_and_the_lease(registry: Served) -> None:
    agent = CardServer()
    async with Background(agent.app) as served:
        first = await registry.client.register(served.url)
        registry.clock.forward(7)
        agent.card["version"] = "2.0.0"
        agent.card["skills"][1] |= {"id": "whisper", "tags": ["quiet"]}
        again = await registry.request("POST", "/v1/agents", json={"url": served.url})
        second = await registry.client.agent("echo-agent")

    assert again.status_code == 200
    assert (second.version, second.registered_at) == ("2.0.0", first.registered_at)
    assert second.card_digest != first.card_digest
    assert (second.lease_until - first.lease_until).total_seconds() == 7
    assert await registry.client.agents(skill="shout") == []
    assert await registry.client.agents(skill="whisper", tag="quiet") == [second]


async def test_a_card_that_has_not_changed_is_not_sent_again(registry: Served) -> None:
    agent = CardServer()
    async with Background(agent.app) as served:
        first = await registry.client.register(served.url)
        again = await registry.client.register(served.url)
        assert (agent.asked, agent.unchanged) == (2, 1)
        agent.card["version"] = "2.0.0"
        changed = await registry.client.register(served.url)

    assert again.card_digest == first.card_digest
    assert changed.version == "2.0.0"
    assert agent.unchanged == 1


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("gone", CardUnreachableError),
        ("failing", CardUnreachableError),
        ("redirect", CardUnreachableError),
        ("html", InvalidCardError),
        ("duplicate", InvalidCardError),
        ("empty", InvalidCardError),
        ("invalid", InvalidCardError),
    ],
)
async def test_an_agent_that_shows_no_valid_card_stays_out(
    registry: Served, mode: str, error: type[Exception]
) -> None:
    agent = CardServer()
    agent.mode = mode
    async with Background(agent.app) as served:
        with pytest.raises((CardUnreachableError, InvalidCardError)) as caught:
            await registry.client.register(served.url)

    assert isinstance(caught.value, error)
    assert "Traceback" not in str(caught.value)
    assert await registry.client.agents() == []


async def test_a_card_without_bound_is_not_read_to_its_end(registry: Served) -> None:
    agent = CardServer()
    agent.mode = "huge"
    async with Background(agent.app) as served:
        with pytest.raises((CardUnreachableError, InvalidCardError)):
            await registry.client.register(served.url)


async def test_a_card_that_trickles_is_given_up_after_the_deadline() -> None:
    agent = CardServer()
    agent.mode = "endless"
    async with Background(agent.app) as served, open_http() as http:
        async with asyncio.timeout(60):
            with pytest.raises(CardUnreachableError, match=r"0\.4 s"):
                await card_fetcher(http, deadline_s=0.4)(served.url)


async def test_an_address_where_nobody_listens_is_named(registry: Served) -> None:
    async with Background(CardServer().app) as served:
        pass

    answer = await registry.request("POST", "/v1/agents", json={"url": served.url})

    assert answer.status_code == 502
    assert answer.json()["code"] == "card_unreachable"
    assert served.url in answer.json()["detail"]


async def test_every_reason_against_a_card_reaches_the_one_who_registers(
    registry: Served,
) -> None:
    agent = CardServer()
    agent.card["supportedInterfaces"][0]["url"] = "file:///etc/passwd"
    agent.card["skills"][1]["id"] = "echo"
    async with Background(agent.app) as served:
        with pytest.raises(InvalidCardError) as caught:
            await registry.client.register(served.url)

    paths = [each["path"] for each in caught.value.facts["findings"]]
    assert paths == ["/supportedInterfaces/0/url", "/skills/1/id"]


async def test_a_card_whose_name_has_no_letters_is_refused(registry: Served) -> None:
    async with Background(CardServer(name="\u65e5\u672c").app) as served:
        with pytest.raises(RegistryRefusedError, match="letter"):
            await registry.client.register(served.url)


async def test_a_second_address_cannot_take_the_name_of_a_living_agent(registry: Served) -> None:
    async with Background(CardServer().app) as first, Background(CardServer().app) as second:
        held = await registry.client.register(first.url)
        with pytest.raises(NameTakenError, match=first.url):
            await registry.client.register(second.url)
        registry.clock.forward(35)  # lapsed, not known to be down
        with pytest.raises(NameTakenError):
            await registry.client.register(second.url)

    assert (await registry.client.agent("echo-agent")).registered_at == held.registered_at


async def test_two_addresses_that_come_at_once_do_not_both_get_the_name(
    registry: Served,
) -> None:
    async with Background(CardServer().app) as first, Background(CardServer().app) as second:
        results = await asyncio.gather(
            *(registry.client.register(each.url) for each in (first, second) * 5),
            return_exceptions=True,
        )

    winners = {each.url for each in results if not isinstance(each, BaseException)}
    losers = [each for each in results if isinstance(each, BaseException)]
    assert len(winners) == 1
    assert len(losers) == 5
    assert all(isinstance(each, NameTakenError) for each in losers)


async def test_the_name_of_an_agent_that_is_down_can_be_taken(registry: Served) -> None:
    async with Background(CardServer().app) as second:
        async with Background(CardServer().app) as first:
            await registry.client.register(first.url)
        registry.clock.forward(45)
        assert await registry.directory.probe_lapsed() == 1
        taken = await registry.request("POST", "/v1/agents", json={"url": second.url})

    assert taken.status_code == 201
    assert taken.json()["url"] == second.url
    with pytest.raises(UnknownAgentError):  # the one who held it before
        await registry.client.renew("echo-agent", url=first.url)


async def test_an_address_holds_one_name_only(registry: Served) -> None:
    agent = CardServer()
    async with Background(agent.app) as served:
        await registry.client.register(served.url)
        agent.card["name"] = "Renamed"
        await registry.client.register(served.url)

    assert [each.name for each in await registry.client.agents()] == ["renamed"]
    assert [each.name for each in await registry.client.agents(skill="echo")] == ["renamed"]


async def test_an_agent_that_withdrew_is_gone_but_its_card_is_not(registry: Served) -> None:
    async with Background(CardServer().app) as served:
        record = await registry.client.register(served.url)
    await registry.client.withdraw("echo-agent")
    await registry.client.withdraw("echo-agent")

    assert await registry.client.agents() == []
    with pytest.raises(UnknownAgentError):
        await registry.client.card("echo-agent")
    pinned = await registry.client.card("echo-agent", digest=record.card_digest)
    assert pinned.digest == record.card_digest


MALFORMED = [
    b"",
    b"[]",
    b"null",
    b"{}",
    b'{"url": 7}',
    b'{"url": "http://x", "more": 1}',
    b'{"url": "http://x", "ttl_s": 4}',
    b'{"url": "http://x", "ttl_s": 301}',
    b'{"url": "http://x", "ttl_s": "30"}',
    b'{"url": "http://x", "ttl_s": 5.5}',
    b'{"url": "http://x", "ttl_s": true}',
    b'{"url": "http://x", "url": "http://y"}',
    b'{"url": NaN}',
    b'{"url": "http://x"',
    b"\xff",
    b'{"url": "file:///etc/passwd"}',
    b'{"url": "gopher://x"}',
    b'{"url": "http://user:secret@x"}',
    b'{"url": "x"}',
    b'{"url": "http://x/ y"}',
    b'{"url": "http://x/\\u0000"}',
    b'{"url": "http://[::1"}',
    json.dumps({"url": "http://x/" + "a" * 3000}).encode(),
    b"[" * 10_000,
]


@pytest.mark.parametrize("media_type", ["application/json", "text/plain"])
async def test_a_malformed_registration_is_refused_before_anything_is_fetched(
    registry: Served, media_type: str
) -> None:
    for body in MALFORMED:
        answer = await registry.request(
            "POST", "/v1/agents", content=body, headers={"content-type": media_type}
        )

        assert answer.status_code == 400, body[:80]
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] in {InvalidRequestError.code, "malformed_json"}


async def test_an_oversized_body_is_refused(registry: Served) -> None:
    answer = await registry.request("POST", "/v1/agents", json={"url": "x" * 20_000})

    assert answer.status_code == 413
    assert answer.json()["code"] == "body_too_large"


@pytest.mark.parametrize("token", [None, "wrong", ""])
async def test_everything_but_health_needs_the_token(registry: Served, token: str | None) -> None:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    for method, path in (
        ("POST", "/v1/agents"),
        ("GET", "/v1/agents"),
        ("GET", "/v1/agents/x"),
        ("DELETE", "/v1/agents/x"),
        ("PUT", "/v1/agents/x/lease"),
        ("GET", "/v1/agents/x/card"),
        ("GET", "/nothing"),
    ):
        answer = await registry.http.request(method, registry.url + path, headers=headers)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"].startswith("Bearer")

    assert (await registry.http.get(registry.url + "/healthz")).json()["status"] == "ok"


async def test_health_follows_from_lease_grace_and_probe(registry: Served) -> None:
    agent = CardServer()

    async def state() -> Health:
        return (await registry.client.agent("echo-agent")).health

    async with Background(agent.app) as served:
        await registry.client.register(served.url, ttl_s=5)
        registry.clock.forward(4)
        assert await state() is Health.UP
        registry.clock.forward(1)
        assert await state() is Health.UNKNOWN
        assert await registry.directory.probe_lapsed() == 0, "the grace is not over"
        registry.clock.forward(10)
        assert await registry.directory.probe_lapsed() == 1
        assert await state() is Health.UP, "it never renewed, but it answers"
        assert await registry.directory.probe_lapsed() == 0, "not before the interval"
        registry.clock.forward(3 * 3600)
        assert await state() is Health.UNKNOWN, "that probe is old"
        agent.mode = "gone"
        assert await registry.directory.probe_lapsed() == 1
        assert await state() is Health.DOWN
        assert (await registry.client.agent("echo-agent")).problem
        await registry.client.renew("echo-agent")
        assert await state() is Health.UP, "its own word is newer"


async def test_a_probe_finds_a_changed_card_and_a_changed_tenant(registry: Served) -> None:
    agent = CardServer()
    async with Background(agent.app) as served:
        await registry.client.register(served.url)
        registry.clock.forward(45)
        agent.card["version"] = "9.9.9"
        await registry.directory.probe_lapsed()
        changed = await registry.client.agent("echo-agent")
        registry.clock.forward(3600)
        agent.card["name"] = "Somebody else"
        await registry.directory.probe_lapsed()
        replaced = await registry.client.agent("echo-agent")

    assert (changed.version, changed.health) == ("9.9.9", Health.UP)
    assert (replaced.version, replaced.health) == ("9.9.9", Health.DOWN)
    assert "somebody-else" in replaced.problem
    assert (await registry.client.card("echo-agent")).version == "9.9.9"


async def test_a_card_with_an_interface_at_another_origin_is_refused(registry: Served) -> None:
    """A2A 1.0 section 8: callers would send what they send this agent to somebody else."""
    server = CardServer()
    server.elsewhere = True
    async with Background(server.app) as agent:
        response = await registry.request("POST", "/v1/agents", json={"url": agent.url})

    assert response.status_code == 400
    assert response.json()["code"] == "invalid_card"
    assert "another origin" in response.json()["detail"]


@pytest.mark.parametrize("address", ["grpc.example:50051", "grpcs://10.0.0.1:1", "no address"])
async def test_an_interface_for_grpc_on_another_host_is_refused_too(
    registry: Served, address: str
) -> None:
    interface = {"url": address, "protocolBinding": "GRPC", "protocolVersion": "1.0"}
    server = CardServer(supportedInterfaces=[interface])
    async with Background(server.app) as agent:
        response = await registry.request("POST", "/v1/agents", json={"url": agent.url})
        server.card["supportedInterfaces"][0]["url"] = "127.0.0.1:50051"
        beside = await registry.request("POST", "/v1/agents", json={"url": agent.url})

    assert response.status_code == 400
    assert response.json()["findings"][0]["path"] == "/supportedInterfaces/0/url"
    assert beside.status_code == 201


async def test_whoever_has_a_card_over_tls_does_not_take_grpc_in_the_clear(
    tmp_path: Path,
) -> None:
    tls = Tls.of(Authority().folder(tmp_path / "tls"))
    interface = {"url": "127.0.0.1:50051", "protocolBinding": "GRPC", "protocolVersion": "1.0"}
    server = CardServer(supportedInterfaces=[interface])
    async with Background(server.app, tls=tls) as agent, open_http(tls=tls) as http:
        fetch = card_fetcher(http)
        with pytest.raises(InvalidCardError, match="in the clear"):
            await fetch(agent.url)
        interface["url"] = "https://127.0.0.1:50051"
        server.card["supportedInterfaces"] = [interface]
        assert (await fetch(agent.url)).name
