"""An agent of the registry, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class MemorySkill:
    id: str = "match-invoice"
    version: str = "1.0.0"
    name: str = "Match an invoice"
    tags: tuple[str, ...] = ("finance",)
    effect: str = "read"
    idempotent: bool = True


@dataclass(frozen=True)
class MemoryAgent:
    name: str = "matching"
    version: str = "1.2.3"
    url: str = "http://127.0.0.1:8432"
    health: str = "up"
    registered_at: datetime = datetime(2026, 11, 23, tzinfo=UTC)
    lease_until: datetime = datetime(2026, 11, 24, tzinfo=UTC)
    card_digest: str = "sha256:" + "0" * 64
    skills: tuple[MemorySkill, ...] = (MemorySkill(),)
    dedupes: bool = True
    streaming: bool = True
    signed: str = "verified"
    signed_by: str = "vendor-2026"
    unverified: str = ""


@dataclass(frozen=True)
class MemoryLoad:
    breaker: str = "closed"
    in_flight: int = 2
    waiting: int = 0
    limit: int = 64


class MemoryAgents:
    def load(self, name: str) -> MemoryLoad:  # noqa: ARG002 - there is one
        return MemoryLoad()

    async def agents(
        self, *, skill: str | None = None, tag: str | None = None, health: str | None = None
    ) -> Sequence[MemoryAgent]:
        return [
            agent
            for agent in [MemoryAgent()]
            if (skill is None or any(each.id == skill for each in agent.skills))
            and (tag is None or any(tag in each.tags for each in agent.skills))
            and health in (None, agent.health)
        ]
