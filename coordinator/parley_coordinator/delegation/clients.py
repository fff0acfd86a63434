"""One client for each card, over one pool of connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley_wire.client import AgentClient

if TYPE_CHECKING:
    import httpx
    from parley_cards.card import Card


class AgentClients:
    """Args: token: sent as bearer token, to every agent."""

    def __init__(self, http: httpx.AsyncClient, *, token: str | None) -> None:
        self._http = http
        self._token = token
        self._clients: dict[str, AgentClient] = {}

    def to(self, card: Card) -> AgentClient:
        """Raises UnsupportedAgentError if nothing that the card offers is spoken here."""
        if card.digest not in self._clients:
            self._clients[card.digest] = AgentClient(card, self._http, token=self._token)
        return self._clients[card.digest]
