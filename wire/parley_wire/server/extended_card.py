"""The card for callers whom the agent knows (A2A 1.0 3.1.11, 13.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from a2a.utils.errors import (
    ExtendedAgentCardNotConfiguredError,
    UnsupportedOperationError,
)

from parley_wire.errors import UnauthorizedError
from parley_wire.server.forms import invalid
from parley_wire.server.texts import dumps

if TYPE_CHECKING:
    from parley_cards.card import Card

    from parley_wire.server.endpoint import Call


class ExtendedCard:
    """Answers `GetExtendedAgentCard`.

    Args:
        public: The card that everybody gets; says whether there is an extended one.
        extended: That one.
        anonymous: Give it to callers that nobody identified: for an agent on loopback, without tokens.
    """

    def __init__(self, public: Card, extended: Card | None, *, anonymous: bool) -> None:
        self._declared = bool(public.json["capabilities"].get("extendedAgentCard"))
        self._text = dumps(extended.json) if extended is not None else ""
        self._anonymous = anonymous

    def answer(self, params: Any, call: Call) -> str:
        """Raises: UnsupportedOperationError, ExtendedAgentCardNotConfiguredError, UnauthorizedError."""
        if not isinstance(params, dict):
            raise invalid("params", "must be an object")
        if not self._declared:
            raise UnsupportedOperationError("this agent has no extended card")
        if not self._text:
            raise ExtendedAgentCardNotConfiguredError("the extended card is not configured")
        if not call.authenticated and not self._anonymous:
            raise UnauthorizedError
        return self._text
