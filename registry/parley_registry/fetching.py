"""Fetching a card from an address that somebody named: bounded, and without following anything."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

import httpx
from parley_cards.a2a_form import HTTP_BINDINGS
from parley_cards.card import Card, InvalidCardError
from parley_cards.findings import Finding
from parley_wire.addresses import literal_address, plain_host
from parley_wire.cards import FetchedCard, fetch_if_changed
from parley_wire.errors import WireError

from parley_registry.directory import FetchCard
from parley_registry.errors import CardUnreachableError

DEADLINE_S: Final = 10.0
"""For everything: connecting, and an answer that trickles."""
_SECURE: Final = frozenset({"https", "grpcs"})
KEPT: Final = 128
"""So many cards are asked for only if they have changed."""


def card_fetcher(http: httpx.AsyncClient, *, deadline_s: float = DEADLINE_S) -> FetchCard:
    """Return a fetcher that sends no token: the address may be anybody's.

    It always asks: whoever registers again may have another card since.
    """
    kept: dict[str, FetchedCard] = {}

    async def fetch(url: str) -> Card:
        try:
            async with asyncio.timeout(deadline_s):
                found = await fetch_if_changed(http, url, kept.get(url))
        except TimeoutError as exc:
            raise _unreachable(url, f"no complete answer in {deadline_s:g} s") from exc
        except WireError as exc:
            raise _unreachable(url, exc.message) from exc
        elsewhere = _elsewhere(found.card, url)
        if elsewhere:
            raise InvalidCardError(elsewhere)
        kept.pop(url, None)
        while len(kept) >= KEPT:
            del kept[next(iter(kept))]
        kept[url] = found  # the last used one is the last one
        return found.card

    return fetch


def _elsewhere(card: Card, url: str) -> list[Finding]:
    """Find interfaces at another place than the card: callers would send their tokens there."""
    found: list[Finding] = []
    for index, interface in enumerate(card.interfaces):
        problem = ""
        if interface.binding in HTTP_BINDINGS and _origin(interface.url) != _origin(url):
            problem = "is at another origin than the card"
        elif interface.binding == "GRPC":
            problem = _grpc_problem(interface.url, url)
        if problem:
            what = f"{problem}, which was fetched from {_origin(url)}"
            found.append(Finding(f"/supportedInterfaces/{index}/url", what))
    return found


def _grpc_problem(address: str, url: str) -> str:
    """Say what is wrong with an address of gRPC: it has a port of its own, but not its own host."""
    home = urlsplit(url)
    try:
        parts = urlsplit(address if "://" in address else f"grpc://{address}")
        host = parts.hostname
    except ValueError:
        return "is no address of gRPC, unlike that of the card"
    if not host or _machine(host) != _machine(home.hostname or ""):
        return "is on another host than the card"
    if home.scheme == "https" and parts.scheme not in _SECURE:
        return "is in the clear (write https://HOST:PORT), unlike the card"
    return ""


def _machine(host: str) -> str:
    address = literal_address(host)
    return "localhost" if address is not None and address.is_loopback else plain_host(host)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{parts.hostname}:{port}"


def _unreachable(url: str, reason: str) -> CardUnreachableError:
    return CardUnreachableError(
        f"no agent card could be fetched from {url[:200]}: {reason}", url=url[:200]
    )
