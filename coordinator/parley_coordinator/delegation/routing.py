"""From a skill to an agent: who can do it, who is chosen, and why."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from parley_cards.errors import ParleyError
from parley_registry.client import UnknownAgentError

from parley_coordinator.delegation.breaker import State
from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_coordinator.workflow.schemas import Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime, timedelta

    from parley_cards.card import Card, Skill
    from parley_registry.client import AgentRecord, RegistryClient

    from parley_coordinator.delegation.gates import Gates


OLDER_CARDS: Final = 64
"""So many cards are kept that the registry does not list any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The agent that gets a step."""

    card: Card
    skill: Skill
    input_schema: Schema | None
    output_schema: Schema | None
    why: dict[str, Any]
    """`{rule, candidates: [{name, version, health, taken, breaker?, declined?}]}`: what the choice was
    made on."""
    others: bool = False
    """Whether another agent could do it that has not declined it."""
    moved_to: str = ""
    """Where the agent is by its present card, if that is none of the addresses of this one."""

    @property
    def address(self) -> str:
        return self.card.interfaces[0].url


@dataclass(slots=True)
class _Known:
    agents: list[AgentRecord]
    read_at: datetime


class Routing:
    """Chooses among the registry's agents; keeps what it read for `fresh_for`.

    Cards are kept by digest, so a changed card is read again and an unchanged one never is.

    Args:
        gates: How it stands with each agent.
    """

    def __init__(
        self,
        registry: RegistryClient,
        gates: Gates,
        *,
        now: Callable[[], datetime],
        fresh_for: timedelta,
    ) -> None:
        self._registry = registry
        self._gates = gates
        self._now = now
        self._fresh_for = fresh_for
        self._known: _Known | None = None
        self._reading: asyncio.Task[list[AgentRecord]] | None = None
        self._cards: dict[tuple[str, str], Card] = {}
        self._schemas: dict[tuple[str, str, str], Schema] = {}

    async def agents(self, *, fresh: bool = False) -> list[AgentRecord]:
        """Every agent that the registry knows, by name.

        Raises:
            ParleyError: If the registry cannot be asked.
        """
        known = self._known
        if known is not None and not fresh and self._now() - known.read_at < self._fresh_for:
            return known.agents
        reading = self._reading
        if reading is None or fresh:
            # A crowd comes whenever what is known gets old: one of them asks for all.
            reading = self._reading = asyncio.create_task(self._read())
            reading.add_done_callback(self._has_read)
        return await asyncio.shield(reading)

    async def _read(self) -> list[AgentRecord]:
        now = self._now()
        agents = sorted(await self._registry.agents(), key=lambda agent: agent.name)
        self._known = _Known(agents, now)
        self._forget(agents)
        return agents

    def _has_read(self, reading: asyncio.Task[list[AgentRecord]]) -> None:
        if self._reading is reading:
            self._reading = None
        if not reading.cancelled():
            reading.exception()  # for whoever waits, if anybody does

    async def card(self, agent: AgentRecord) -> Card:
        return await self._card(agent.name, agent.card_digest)

    async def _card(self, name: str, digest: str) -> Card:
        known = self._cards.pop((name, digest), None)
        card = known or await self._registry.card(name, digest=digest)
        self._cards[name, digest] = card  # the last used one is the last one
        return card

    def _forget(self, agents: list[AgentRecord]) -> None:
        """Keep the cards that the registry lists, and a few others, which steps have begun with."""
        listed = {(agent.name, agent.card_digest) for agent in agents}
        older = [key for key in self._cards if key not in listed]
        for key in older[: max(len(older) - OLDER_CARDS, 0)]:
            del self._cards[key]
        digests = {digest for _, digest in self._cards}
        self._schemas = {key: each for key, each in self._schemas.items() if key[0] in digests}

    async def choose(
        self, skill_id: str, version: str, *, declined_by: Collection[str] = ()
    ) -> Choice:
        """Pick the agent for a skill.

        Those come first that have not declined this step, then those that are not left alone after
        failures, those alive before unknown, the least busy, the first by name.

        Raises:
            WorkflowError: `configuration` if no agent has the skill in that version,
                `communication` if none of those that have it is alive, or the registry is away.
        """
        try:
            choice = await self._choose(skill_id, version, declined_by, fresh=False)
            # What was remembered may be older than an agent that has just joined.
            return (
                choice
                or await self._choose(skill_id, version, declined_by, fresh=True)
                or _nobody(skill_id, version, await self.agents())
            )
        except ParleyError as exc:
            raise WorkflowError(
                Standard.COMMUNICATION, "the registry cannot be asked", exc.message, status=503
            ) from exc

    async def pinned(self, name: str, digest: str, skill_id: str) -> Choice | None:
        """The agent that an earlier attempt has chosen, by the card that it had then.

        Where the registry has lost that card, it is the present one; its `digest` tells. None if the
        registry has lost the agent, or its present card the skill.

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
        present = await self.card(agent)
        card = present
        if present.digest != digest:
            with contextlib.suppress(UnknownAgentError):
                card = await self._card(name, digest)
        skill = card.skill(skill_id)
        if skill is None:
            return None
        choice = self._choice(card, skill, {})
        return replace(choice, moved_to=_moved(card, present))

    async def _choose(
        self, skill_id: str, version: str, declined_by: Collection[str], *, fresh: bool
    ) -> Choice | None:
        able = [
            agent
            for agent in await self.agents(fresh=fresh)
            if any(s.id == skill_id and s.version == version for s in agent.skills)
        ]
        alive = [agent for agent in able if agent.health != "down"]
        if not alive:
            return None
        loads = {agent.name: self._gates.load(agent.name) for agent in able}
        taken = min(
            alive,
            key=lambda a: (
                a.name in declined_by,
                self._gates.wait_s(a.name) > 0,
                a.health != "up",
                loads[a.name].in_flight,
                a.name,
            ),
        )
        card = await self.card(taken)
        skill = card.skill(skill_id)
        if skill is None or skill.version != version:
            return None
        rule = "the only agent with this skill" if len(able) == 1 else "alive, least busy, by name"
        if declined_by and len(able) > 1:
            rule = f"not begun by {', '.join(dict.fromkeys(declined_by))}; {rule}"
        candidates = [
            {
                "name": agent.name,
                "version": agent.version,
                "health": agent.health,
                "taken": agent.name == taken.name,
                **_troubles(loads[agent.name].breaker, declined=agent.name in declined_by),
            }
            for agent in able
        ]
        choice = self._choice(card, skill, {"rule": rule, "candidates": candidates})
        return replace(
            choice,
            others=any(a.name not in declined_by and a.name != taken.name for a in alive),
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


def _moved(card: Card, present: Card) -> str:
    addresses = {each.url for each in card.interfaces}
    stayed = any(each.url in addresses for each in present.interfaces)
    return "" if stayed else present.interfaces[0].url


def _troubles(breaker: State, *, declined: bool) -> dict[str, Any]:
    resting = {} if breaker is State.CLOSED else {"breaker": str(breaker)}
    return {**resting, **({"declined": True} if declined else {})}


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
