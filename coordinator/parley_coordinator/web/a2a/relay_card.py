"""The cards of agents that are reached through the coordinator: what they can do, and our addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from parley_cards.card import load_card
from parley_cards.errors import ParleyError
from parley_wire.agent_errors import AgentProtocolError

if TYPE_CHECKING:
    from parley_coordinator.web.a2a.reach import Reach

_OURS: Final = frozenset(
    {
        "supportedInterfaces",
        "securitySchemes",
        "securityRequirements",
        "signatures",
        # Of A2A 0.3:
        "url",
        "preferredTransport",
        "additionalInterfaces",
        "protocolVersion",
        "security",
        "supportsAuthenticatedExtendedCard",
    }
)
"""What we say ourselves, or leave out: how the agent itself is reached and what it asks of us."""


def relayed_card(card: dict[str, Any], name: str, reach: Reach) -> bytes:
    """Return the agent's card with our addresses and our authentication; its signatures are gone."""
    shown = {key: value for key, value in card.items() if key not in _OURS}
    skills = [
        {key: value for key, value in skill.items() if key not in _OURS} for skill in card["skills"]
    ]
    return reach.card({**shown, "skills": skills}, kind="agents", name=name, scope="agent:call")


def relayed_extended_card(result: Any, name: str, reach: Reach) -> str:
    """Return the JSON text of what an agent answered with, the same way.

    Raises:
        AgentProtocolError: If it is no card.
    """
    try:
        card = load_card(result)
    except ParleyError as exc:
        raise AgentProtocolError(f"{name} has an extended card that is none") from exc
    return relayed_card(card.json, name, reach).decode()
