"""Fetching a card from an address that somebody named: bounded, and without following anything."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

import httpx
from parley_cards.a2a_form import HTTP_BINDINGS
from parley_cards.card import Card, InvalidCardError
from parley_cards.findings import Finding
from parley_wire.client import fetch_card
from parley_wire.errors import WireError

from parley_registry.directory import FetchCard
from parley_registry.errors import CardUnreachableError

DEADLINE_S: Final = 10.0
"""For everything: connecting, and an answer that trickles."""


def card_fetcher(http: httpx.AsyncClient, *, deadline_s: float = DEADLINE_S) -> FetchCard:
    """Return a fetcher that sends no token: the address may be anybody's."""

    async def fetch(url: str) -> Card:
        try:
            async with asyncio.timeout(deadline_s):
                card = await fetch_card(http, url)
        except TimeoutError as exc:
            raise _unreachable(url, f"no complete answer in {deadline_s:g} s") from exc
        except WireError as exc:
            raise _unreachable(url, exc.message) from exc
        elsewhere = _elsewhere(card, url)
        if elsewhere:
            raise InvalidCardError(elsewhere)
        return card

    return fetch


def _elsewhere(card: Card, url: str) -> list[Finding]:
    """Find interfaces at another origin than the card: callers would send their tokens there."""
    home = _origin(url)
    return [
        Finding(
            path=f"/supportedInterfaces/{index}/url",
            problem=f"is at another origin than the card, which was fetched from {home}",
        )
        for index, interface in enumerate(card.interfaces)
        if interface.binding in HTTP_BINDINGS and _origin(interface.url) != home
    ]


def _origin(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{parts.hostname}:{port}"


def _unreachable(url: str, reason: str) -> CardUnreachableError:
    return CardUnreachableError(
        f"no agent card could be fetched from {url[:200]}: {reason}", url=url[:200]
    )
