"""What an agent's server says about keeping its card is kept to (A2A 1.0 8.6)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from parley_wire.agent_errors import AgentError
from parley_wire.cards import fetch_card, fetch_if_changed
from parley_wire.http import open_http
from parley_wire.serving import Background
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.wire.support import card_json, running_agent

pytestmark = pytest.mark.anyio


@dataclass
class Shelf:
    """Serves a card with these headers."""

    headers: dict[str, str]
    name: str = "Tester"
    unchanged: bool = False
    """Whether it says so whatever it is asked."""
    asked_with: list[str | None] = field(default_factory=list)
    sent: int = 0

    async def serve(self, request: Request) -> Response:
        known = request.headers.get("if-none-match")
        self.asked_with.append(known)
        if self.unchanged or (known is not None and known == self.headers.get("etag")):
            return Response(status_code=304, headers=self.headers)
        self.sent += 1
        card = card_json("http://127.0.0.1:1") | {"name": self.name}
        return Response(json.dumps(card), headers=self.headers, media_type="application/json")

    def served(self) -> Background:
        return Background(Starlette(routes=[Route("/{path:path}", self.serve)]))


async def test_a_card_of_our_kit_is_fetched_once_and_fresh_for_a_minute(tmp_path: Path) -> None:
    async with running_agent(tmp_path) as agent:
        first = await fetch_if_changed(agent.http, agent.url, None)
        second = await fetch_if_changed(agent.http, agent.url, first)

    assert first.fresh_s == 60
    assert second.card is first.card
    assert second == first


async def test_a_changed_card_is_fetched_again() -> None:
    shelf = Shelf({"etag": '"1"'})
    async with shelf.served() as served, open_http() as http:
        first = await fetch_if_changed(http, served.url, None)
        same = await fetch_if_changed(http, served.url, first)
        shelf.name, shelf.headers = "Other", {"etag": 'W/"2"'}
        other = await fetch_if_changed(http, served.url, same)
        await fetch_if_changed(http, served.url, other)

    assert same.card is first.card
    assert other.card.name == "Other"
    assert shelf.asked_with == [None, '"1"', '"1"', 'W/"2"']
    assert shelf.sent == 2


@pytest.mark.parametrize(
    ("said", "fresh_s"),
    [
        ({}, None),
        ({"cache-control": "public, max-age=60"}, 60),
        ({"cache-control": 'MAX-AGE="5"'}, 5),
        ({"cache-control": "max-age=60", "age": "50"}, 10),
        ({"cache-control": "max-age=60", "age": "70"}, 0),
        ({"cache-control": "max-age=60, no-cache"}, 0),
        ({"cache-control": "max-age=-1"}, None),
        ({"cache-control": "max-age=1e9"}, None),
        ({"cache-control": "max-age=99999999999999999999"}, None),
        ({"cache-control": ",=,;"}, None),
    ],
)
async def test_a_server_says_how_long_its_card_is_fresh(
    said: dict[str, str], fresh_s: float | None
) -> None:
    shelf = Shelf(said)
    async with shelf.served() as served, open_http() as http:
        assert (await fetch_if_changed(http, served.url, None)).fresh_s == fresh_s


@pytest.mark.parametrize(
    "headers",
    [
        {"etag": "without quotes"},
        {"etag": '"' + "x" * 300 + '"'},
        {"etag": '"1"', "cache-control": "no-store"},
    ],
)
async def test_what_is_no_tag_or_must_not_be_kept_is_not_asked_with(
    headers: dict[str, str],
) -> None:
    shelf = Shelf(headers)
    async with shelf.served() as served, open_http() as http:
        first = await fetch_if_changed(http, served.url, None)
        await fetch_if_changed(http, served.url, first)

    assert shelf.asked_with == [None, None]
    assert shelf.sent == 2


async def test_unchanged_is_no_answer_to_who_knows_nothing() -> None:
    shelf = Shelf({"etag": '"1"'}, unchanged=True)
    async with shelf.served() as served, open_http() as http:
        with pytest.raises(AgentError):
            await fetch_card(http, served.url)
