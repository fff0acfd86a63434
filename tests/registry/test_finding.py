"""Finding agents, reading their cards, and renewing leases."""

from __future__ import annotations

from typing import Any

import pytest
from parley_registry.client import (
    RegistryAnswerError,
    RegistryAuthError,
    RegistryClient,
    RegistryUnavailableError,
    UnknownAgentError,
)
from parley_wire.http import open_http
from parley_wire.serving import Background
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.registry.conftest import Served
from tests.registry.parts import CardServer

pytestmark = pytest.mark.anyio


def skills(*offered: tuple[str, list[str]]) -> list[dict[str, Any]]:
    return [
        {"id": skill, "name": skill, "description": skill, "tags": tags} for skill, tags in offered
    ]


async def join(registry: Served, name: str, *offered: tuple[str, list[str]]) -> None:
    agent = CardServer(name=name, skills=skills(*offered), capabilities={})
    async with Background(agent.app) as served:
        await registry.client.register(served.url, ttl_s=300 if name != "brief" else 5)


async def names(registry: Served, **wanted: str) -> list[str]:
    return [each.name for each in await registry.client.agents(**wanted)]


async def test_agents_are_found_by_skill_tag_and_health(registry: Served) -> None:
    await join(registry, "brief", ("match", ["finance"]))
    await join(registry, "alpha", ("match", ["finance", "fast"]), ("post", ["erp"]))
    await join(registry, "zeta", ("post", ["fast"]))
    registry.clock.forward(10)

    assert await names(registry) == ["alpha", "brief", "zeta"]
    assert await names(registry, skill="match") == ["alpha", "brief"]
    assert await names(registry, tag="fast") == ["alpha", "zeta"]
    assert await names(registry, skill="post", tag="fast") == ["zeta"], "the tag of that skill"
    assert await names(registry, health="unknown") == ["brief"]
    assert await names(registry, skill="match", health="up") == ["alpha"]
    assert await names(registry, skill="nothing") == []


async def test_pages_hold_every_agent_once_also_when_one_joins_meanwhile(
    registry: Served,
) -> None:
    for name in ("a", "c", "d", "e", "f"):
        await join(registry, name, ("x", []))

    seen: list[str] = []
    cursor = ""
    while True:
        page = (
            await registry.request("GET", "/v1/agents", params={"limit": "2", "cursor": cursor})
        ).json()
        seen.extend(each["name"] for each in page["agents"])
        assert len(page["agents"]) <= 2
        if "b" not in seen and seen[-1] == "c":
            await join(registry, "b", ("x", []))
        cursor = page["nextCursor"]
        if not cursor:
            break

    assert seen == ["a", "c", "d", "e", "f"]


async def test_a_last_page_that_is_full_has_no_successor(registry: Served) -> None:
    await join(registry, "a", ("x", []))
    await join(registry, "b", ("x", []))

    page = (await registry.request("GET", "/v1/agents", params={"limit": "2"})).json()

    assert page["nextCursor"] == ""


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=1&limit=2",
        "health=ill",
        "cursor=%00",
        "cursor=!!!!",
        "skil=typo",
        "skill=" + "x" * 300,
    ],
)
async def test_a_malformed_query_is_refused(registry: Served, query: str) -> None:
    answer = await registry.request("GET", f"/v1/agents?{query}")

    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_request"


@pytest.mark.parametrize("skill", ["' OR 1=1 --", "%", "_", "*", "\u0000", "match\n"])
async def test_a_search_term_is_never_more_than_a_value(registry: Served, skill: str) -> None:
    await join(registry, "alpha", ("match", []))

    answer = await registry.request("GET", "/v1/agents", params={"skill": skill})

    assert answer.status_code == 200
    assert answer.json()["agents"] == []


async def test_the_card_is_served_as_it_was_fetched(registry: Served) -> None:
    agent = CardServer()
    async with Background(agent.app) as served:
        record = await registry.client.register(served.url)
        fetched = (await registry.http.get(served.url + "/.well-known/agent-card.json")).content

    answer = await registry.request("GET", "/v1/agents/echo-agent/card")
    etag = answer.headers["etag"]
    again = await registry.request(
        "GET", "/v1/agents/echo-agent/card", headers={"if-none-match": etag}
    )

    assert answer.content == fetched
    assert etag == f'"{record.card_digest}"'
    assert (again.status_code, again.content) == (304, b"")
    assert (await registry.client.card("echo-agent")).raw == fetched


async def test_an_earlier_card_can_be_read_by_its_digest(registry: Served) -> None:
    agent = CardServer()
    async with Background(agent.app) as served:
        first = await registry.client.register(served.url)
        agent.card["version"] = "2.0.0"
        await registry.client.register(served.url)

    pinned = await registry.client.card("echo-agent", digest=first.card_digest)

    assert pinned.version == "1.2.0"
    assert (await registry.client.card("echo-agent")).version == "2.0.0"
    with pytest.raises(UnknownAgentError):
        await registry.client.card("echo-agent", digest="sha256:" + "0" * 64)


async def test_only_the_last_cards_of_a_name_are_kept(registry: Served) -> None:
    agent = CardServer()
    digests: list[str] = []
    async with Background(agent.app) as served:
        for number in range(23):
            registry.clock.forward(1)
            agent.card["version"] = f"1.0.{number}"
            digests.append((await registry.client.register(served.url)).card_digest)

    kept = []
    for digest in digests:
        path = f"/v1/agents/echo-agent/card?digest={digest}"
        kept.append((await registry.request("GET", path)).status_code)
    assert kept == [404] * 3 + [200] * 20


@pytest.mark.parametrize(
    "name", ["nobody", "..", "%2e%2e%2fregistry.db", "a/b", "\u00e9", "x" * 500]
)
async def test_an_agent_that_is_not_there_is_not_found(registry: Served, name: str) -> None:
    with pytest.raises(UnknownAgentError):
        await registry.client.agent(name + "-")
    with pytest.raises(UnknownAgentError):
        await registry.client.renew(name + "-")
    with pytest.raises(UnknownAgentError):
        await registry.client.card(name + "-")


async def test_a_lease_is_renewed_for_as_long_as_asked(registry: Served) -> None:
    async with Background(CardServer().app) as served:
        record = await registry.client.register(served.url)
    registry.clock.forward(20)

    await registry.client.renew("echo-agent", 60)

    renewed = await registry.client.agent("echo-agent")
    assert (renewed.lease_until - record.lease_until).total_seconds() == 50
    default = await registry.request("PUT", "/v1/agents/echo-agent/lease")
    assert default.json()["leaseUntil"] == "2026-11-23T12:00:50.000000Z"


async def test_a_lease_is_not_renewed_for_another_address(registry: Served) -> None:
    async with Background(CardServer().app) as served:
        await registry.client.register(served.url)

    with pytest.raises(UnknownAgentError):
        await registry.client.renew("echo-agent", url="http://127.0.0.1:1")
    await registry.client.renew("echo-agent", url=served.url)


@pytest.mark.parametrize("body", [b'{"ttl_s": 4}', b'{"ttl": 30}', b"[]", b'{"url": "x"}', b"x"])
async def test_a_malformed_renewal_is_refused(registry: Served, body: bytes) -> None:
    answer = await registry.request("PUT", "/v1/agents/x/lease", content=body)

    assert answer.status_code == 400


async def test_a_wrong_token_is_told_apart_from_a_registry_that_is_away(
    registry: Served,
) -> None:
    with pytest.raises(RegistryAuthError):
        await RegistryClient(registry.url, registry.http, token="wrong").agents()
    with pytest.raises(RegistryUnavailableError):
        await RegistryClient("http://127.0.0.1:1", registry.http).agents()


async def _html(_: Request) -> Response:
    return Response("<html>a login page</html>", media_type="text/html")


async def _list(_: Request) -> Response:
    return JSONResponse({"agents": [{"name": "half"}], "nextCursor": ""})


async def _loop(_: Request) -> Response:
    return JSONResponse({"agents": [], "nextCursor": "again"})


async def _huge(_: Request) -> Response:
    return Response(b" " * 5_000_000)


async def _redirect(_: Request) -> Response:
    return RedirectResponse("http://127.0.0.1:1/")


@pytest.mark.parametrize("answer", [_html, _list, _loop, _huge, _redirect])
async def test_something_that_is_no_registry_is_recognized(answer: Any) -> None:
    app = Starlette(routes=[Route("/v1/agents", answer)])
    async with Background(app) as served, open_http() as http:
        with pytest.raises(RegistryAnswerError):
            await RegistryClient(served.url, http).agents()
