"""The registry as a catalog: every skill of a known agent is a function that a workflow may call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from parley_coordinator.workflow.check import FunctionInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parley_cards.card import Card

    from parley_coordinator.delegation.routing import Routing

NAME: Final = "agents"


class AgentCatalog:
    """The functions of these cards; equal for equal cards, so that checks can be remembered."""

    def __init__(self, cards: list[Card]) -> None:
        self._digests = tuple(sorted(card.digest for card in cards))
        self._functions: dict[str, list[FunctionInfo]] = {}
        for card in cards:
            for skill in card.skills:
                self._functions.setdefault(skill.id, []).append(
                    FunctionInfo(
                        name=skill.id,
                        version=skill.version,
                        input_schema=skill.input_schema,
                        output_schema=skill.output_schema,
                        effect=skill.effect,
                        idempotent=skill.idempotent,
                        undo=skill.undo,
                    )
                )

    def functions(self) -> Mapping[str, list[FunctionInfo]]:
        return self._functions

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AgentCatalog) and other._digests == self._digests

    def __hash__(self) -> int:
        return hash(self._digests)


async def read_catalog(routing: Routing, *, fresh: bool = False) -> AgentCatalog:
    """Read the cards of all agents that the registry knows, alive or not.

    Args:
        fresh: Ask the registry now, whatever is remembered.

    Raises:
        ParleyError: If the registry cannot be asked.
    """
    return AgentCatalog([await routing.card(agent) for agent in await routing.agents(fresh=fresh)])
