"""Fetching agents' cards, and not fetching what has not changed (A2A 1.0 8.6, RFC 9111)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import httpx
from parley_cards.card import MAX_CARD_BYTES, Card, load_card

from parley_wire.bindings import Request
from parley_wire.errors import UnsupportedAgentError
from parley_wire.http_transport import body_of, opened

CARD_PATH: Final = "/.well-known/agent-card.json"
_ETAG: Final = re.compile(r'(W/)?"[\x21\x23-\x7e]{1,200}"', re.ASCII)
_SECONDS: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class FetchedCard:
    """A card, and what its server said about keeping it."""

    card: Card
    etag: str
    """To ask with whether it has changed; empty: there is none, or it must not be kept."""
    fresh_s: float | None
    """So long it need not be asked for again; None: nothing was said."""


async def fetch_card(
    http: httpx.AsyncClient, base_or_card_url: str, *, max_bytes: int = MAX_CARD_BYTES
) -> Card:
    """Fetch and validate an agent's card; see `fetch_if_changed`."""
    return (await fetch_if_changed(http, base_or_card_url, None, max_bytes=max_bytes)).card


async def fetch_if_changed(
    http: httpx.AsyncClient,
    base_or_card_url: str,
    known: FetchedCard | None,
    *,
    max_bytes: int = MAX_CARD_BYTES,
) -> FetchedCard:
    """Fetch and validate an agent's card. No token is sent: the address may be anybody's.

    Args:
        http: From `open_http`.
        base_or_card_url: Where the agent is, or its card (a path that ends in `.json`).
        known: What was fetched there before. Its card is returned again, the same object, if the server
            says that it has not changed.
        max_bytes: Of the card.

    Raises:
        UnsupportedAgentError: If this is no http(s) address.
        InvalidCardError: If what is there is no card.
        AgentError: If there was no answer, or not a good one.
    """
    url = _card_url(base_or_card_url)
    name = f"the agent at {url.host}:{url.port or url.scheme}"
    headers = {"accept": "application/json", "a2a-version": "1.0"}
    if known is not None and known.etag:
        headers["if-none-match"] = known.etag
    request = Request("GET", str(url), headers, None, "GetAgentCard")
    async with opened(name, http, request, unchanged="if-none-match" in headers) as response:
        etag, fresh_s = _validity(response.headers)
        if response.status_code == 304 and known is not None:
            return FetchedCard(known.card, etag or known.etag, fresh_s)
        return FetchedCard(load_card(await body_of(name, response, max_bytes)), etag, fresh_s)


def _card_url(given: str) -> httpx.URL:
    try:
        url = httpx.URL(given)
    except (httpx.InvalidURL, TypeError) as exc:
        raise UnsupportedAgentError(f"{given[:200]!r} is no address") from exc
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo:
        raise UnsupportedAgentError(
            f"{given[:200]!r} is no http(s) address of an agent; use http://HOST:PORT"
        )
    if url.path.endswith(".json"):
        return url
    return url.copy_with(path=url.path.rstrip("/") + CARD_PATH, query=None, fragment=None)


def _validity(headers: httpx.Headers) -> tuple[str, float | None]:
    """Return the entity tag, and how long the answer stays fresh."""
    told = {
        name.strip().lower(): value.strip().strip('"')
        for name, _, value in (
            each.partition("=") for each in headers.get("cache-control", "").split(",")
        )
    }
    if "no-store" in told:
        return "", 0.0
    etag = headers.get("etag", "")
    etag = etag if _ETAG.fullmatch(etag) else ""
    if "no-cache" in told:
        return etag, 0.0
    if not _SECONDS.fullmatch(told.get("max-age", "")):
        return etag, None
    age = headers.get("age", "")
    passed = int(age) if _SECONDS.fullmatch(age) else 0
    return etag, float(max(0, int(told["max-age"]) - passed))
