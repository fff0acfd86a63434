"""The card of an agent that older clients can read too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from a2a.types import AgentCard
from google.protobuf.json_format import ParseDict
from parley_cards.card import load_card

from parley_wire.errors import WireError

if TYPE_CHECKING:
    from parley_cards.card import Card

_FIELDS: Final = (
    "url",
    "preferredTransport",
    "protocolVersion",
    "additionalInterfaces",
    "supportsAuthenticatedExtendedCard",
    "security",
)


def serves_older(card: Card) -> bool:
    """Whether a card lists an interface of A2A 0.3: the agent's choice to speak it."""
    return any(each.protocol_version.split(".")[:2] == ["0", "3"] for each in card.interfaces)


def with_older_fields(card: Card) -> Card:
    """Return a card with the fields of 0.3 beside those of 1.0; the same one if it does not speak 0.3.

    Raises:
        WireError: If the card is signed and lacks them: they would have to be in what was signed.
    """
    if not serves_older(card) or "url" in card.json:
        return card
    if card.json.get("signatures"):
        raise WireError("a signed card that lists A2A 0.3 must have the fields of 0.3 in it")
    # The models of 0.3 take 5 MB, which only who speaks it should pay.
    from a2a.compat.v0_3.conversions import to_compat_agent_card  # noqa: PLC0415

    core = ParseDict(card.json, AgentCard(), ignore_unknown_fields=True)
    older: dict[str, Any] = to_compat_agent_card(core).model_dump(
        mode="json", by_alias=True, exclude_none=True
    )
    merged = dict(card.json)
    merged |= {name: older[name] for name in _FIELDS if name in older}
    given: dict[str, dict[str, Any]] = card.json.get("securitySchemes") or {}
    shown: dict[str, dict[str, Any]] = older.get("securitySchemes") or {}
    schemes = {name: {**shown.get(name, {}), **scheme} for name, scheme in given.items()}
    if schemes:
        merged["securitySchemes"] = schemes
    return load_card(merged)
