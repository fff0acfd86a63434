"""One client for each card, over one pool of connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from parley_wire.client import AgentClient

if TYPE_CHECKING:
    import httpx
    from parley_cards.card import Card

KEPT: Final = 256


class AgentClients:
    """Args: token: sent as bearer token, to every agent."""

    def __init__(self, http: httpx.AsyncClient, *, token: str | None) -> None:
        self._http = http
        self._token = token
        self._clients: dict[str, AgentClient] = {}

    def to(self, card: Card) -> AgentClient:
        """Raises UnsupportedAgentError if nothing that the card offers is spoken here."""
        client = self._clients.pop(card.digest, None)
        if client is None:
            client = AgentClient(card, self._http, token=self._token)
            # What is dropped has nothing of its own to close: calls under way go on.
            while len(self._clients) >= KEPT:
                del self._clients[next(iter(self._clients))]
        self._clients[card.digest] = client  # the last used one is the last one
        return client

    def activating(self, card: Card, extensions: frozenset[str]) -> AgentClient:
        """Return a client that activates more extensions than ours, as far as the card lists them.

        Raises:
            UnsupportedAgentError: As `to`.
        """
        more = extensions & {
            each["uri"] for each in card.json["capabilities"].get("extensions") or []
        }
        if not more:
            return self.to(card)
        return AgentClient(card, self._http, token=self._token, extensions=frozenset(more))
