"""From a skill to an agent: who can do it, who is chosen, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parley_cards.errors import ParleyError

from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_coordinator.workflow.schemas import Schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from parley_cards.card import Card, Skill
    from parley_registry.client import AgentRecord, RegistryClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The agent that gets a step."""

    card: Card
    skill: Skill
    input_schema: Schema | None
    output_schema: Schema | None
    why: dict[str, Any]
    """`{rule, candidates: [{name, version, health, taken}]}`: what the choice was made on."""


@dataclass(slots=True)
class _Known:
    agents: list[AgentRecord]
    read_at: datetime
    cards: dict[tuple[str, str], Card] = field(default_factory=dict)


class Routing:
    """Chooses among the registry's agents; keeps what it read for `fresh_for`.

    Cards are kept by digest, so a changed card is read again and an unchanged one never is.
    """

    def __init__(
        self, registry: RegistryClient, *, now: Callable[[], datetime], fresh_for: timedelta
    ) -> None:
        self._registry = registry
        self._now = now
        self._fresh_for = fresh_for
        self._known: _Known | None = None
        self._schemas: dict[tuple[str, str, str], Schema] = {}
        self._in_flight: dict[str, int] = {}

    async def agents(self, *, fresh: bool = False) -> list[AgentRecord]:
        """Every agent that the registry knows, by name.

        Raises:
            ParleyError: If the registry cannot be asked.
        """
        known = self._known
        now = self._now()
        if known is not None and not fresh and now - known.read_at < self._fresh_for:
            return known.agents
        agents = sorted(await self._registry.agents(), key=lambda agent: agent.name)
        self._known = _Known(agents, now, known.cards if known is not None else {})
        return agents

    async def card(self, agent: AgentRecord) -> Card:
        cards = self._known.cards if self._known is not None else {}
        key = (agent.name, agent.card_digest)
        if key not in cards:
            cards[key] = await self._registry.card(agent.name, digest=agent.card_digest)
        return cards[key]

    async def choose(self, skill_id: str, version: str) -> Choice:
        """Pick the agent for a skill: alive before unknown, then the least busy, then by name.

        Raises:
            WorkflowError: `configuration` if no agent has the skill in that version,
                `communication` if none of those that have it is alive, or the registry is away.
        """
        try:
            choice = await self._choose(skill_id, version, fresh=False)
            # What was remembered may be older than an agent that has just joined.
            return (
                choice
                or await self._choose(skill_id, version, fresh=True)
                or _nobody(skill_id, version, await self.agents())
            )
        except ParleyError as exc:
            raise WorkflowError(
                Standard.COMMUNICATION, "the registry cannot be asked", exc.message, status=503
            ) from exc

    async def named(self, name: str, skill_id: str) -> Choice | None:
        """The agent that an earlier attempt has chosen; None if the registry has lost it.

        Raises:
            ParleyError: If the registry cannot be asked.
        """
        agents = await self.agents()
        agent = next((agent for agent in agents if agent.name == name), None)
        if agent is None:
            agents = await self.agents(fresh=True)
            agent = next((agent for agent in agents if agent.name == name), None)
        if agent is None:
            return None
        card = await self.card(agent)
        skill = card.skill(skill_id)
        return None if skill is None else self._choice(card, skill, {})

    def busy(self, name: str, change: int) -> None:
        """Count what is under way at an agent."""
        self._in_flight[name] = self._in_flight.get(name, 0) + change

    async def _choose(self, skill_id: str, version: str, *, fresh: bool) -> Choice | None:
        able = [
            agent
            for agent in await self.agents(fresh=fresh)
            if any(s.id == skill_id and s.version == version for s in agent.skills)
        ]
        alive = [agent for agent in able if agent.health != "down"]
        if not alive:
            return None
        taken = min(
            alive,
            key=lambda a: (a.health != "up", self._in_flight.get(a.name, 0), a.name),
        )
        card = await self.card(taken)
        skill = card.skill(skill_id)
        if skill is None or skill.version != version:
            return None
        rule = "the only agent with this skill" if len(able) == 1 else "alive, least busy, by name"
        return self._choice(
            card,
            skill,
            {
                "rule": rule,
                "candidates": [
                    {
                        "name": agent.name,
                        "version": agent.version,
                        "health": agent.health,
                        "taken": agent.name == taken.name,
                    }
                    for agent in able
                ],
            },
        )

    def _choice(self, card: Card, skill: Skill, why: dict[str, Any]) -> Choice:
        return Choice(
            card=card,
            skill=skill,
            input_schema=self._schema(card, skill.id, "input", skill.input_schema),
            output_schema=self._schema(card, skill.id, "output", skill.output_schema),
            why=why,
        )

    def _schema(
        self, card: Card, skill_id: str, side: str, document: dict[str, Any] | None
    ) -> Schema | None:
        if document is None:
            return None
        key = (card.digest, skill_id, side)
        if key not in self._schemas:
            self._schemas[key] = Schema(document)
        return self._schemas[key]


def _nobody(skill_id: str, version: str, agents: list[AgentRecord]) -> Choice:
    having = [a for a in agents if any(s.id == skill_id for s in a.skills)]
    exact = [a for a in having if any(s.id == skill_id and s.version == version for s in a.skills)]
    if exact:
        names = ", ".join(agent.name for agent in exact)
        raise WorkflowError(
            Standard.COMMUNICATION,
            f"no agent for {skill_id}:{version} is alive",
            f"known but down: {names}",
            status=503,
        )
    versions = sorted({s.version for a in having for s in a.skills if s.id == skill_id})
    raise WorkflowError(
        Standard.CONFIGURATION,
        f"no agent offers the skill {skill_id}:{version}",
        f"offered versions: {', '.join(versions)}" if versions else "no version is offered",
        status=404,
    )
