"""What the registry tells about an agent: the same value on both sides of its API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from parley_cards.card import Card, Effect
from pydantic import AwareDatetime, BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

Signed: TypeAlias = Literal["verified", "unverified", "unsigned"]


class Health(StrEnum):
    UP = "up"
    """The lease is valid, or a probe reached the agent lately."""
    UNKNOWN = "unknown"
    """The lease has lapsed and nothing newer is known."""
    DOWN = "down"
    """The lease has lapsed and the probe failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillRecord:
    """One skill of a registered agent, without its schemas: those are in the card."""

    id: str
    version: str
    name: str
    tags: tuple[str, ...]
    effect: Effect
    idempotent: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "version": self.version,
            "name": self.name,
            "tags": list(self.tags),
            "effect": self.effect,
            "idempotent": self.idempotent,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRecord:
    """One registered agent."""

    name: str
    """The slug of the card's name; the key of the registry."""
    version: str
    """Of the agent, as its card says."""
    url: str
    """Where the card was fetched; where to send work is in the card."""
    health: Health
    registered_at: datetime
    """UTC. When this address first took the name."""
    lease_until: datetime
    """UTC. May be past: see `health`."""
    card_digest: str
    skills: tuple[SkillRecord, ...]
    """In card order."""
    dedupes: bool
    streaming: bool
    problem: str = ""
    """Why a probe called it down; empty otherwise."""
    signed: Signed = "unsigned"
    """By the keys that the operator of the registry has enrolled."""
    signed_by: str = ""
    """Id of the key that has signed the card; if it is unverified, of one that the card names."""
    unverified: str = ""
    """Why it is; empty otherwise."""

    def skill(self, skill_id: str) -> SkillRecord | None:
        return next((skill for skill in self.skills if skill.id == skill_id), None)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "url": self.url,
            "health": self.health.value,
            "registeredAt": timestamp(self.registered_at),
            "leaseUntil": timestamp(self.lease_until),
            "cardDigest": self.card_digest,
            "skills": [skill.as_json() for skill in self.skills],
            "dedupes": self.dedupes,
            "streaming": self.streaming,
            "problem": self.problem,
            "signed": self.signed,
            "signedBy": self.signed_by,
            "unverified": self.unverified,
        }


class _Form(BaseModel):
    model_config = ConfigDict(extra="ignore", alias_generator=to_camel)


class _SkillForm(_Form):
    id: str
    version: str
    name: str
    tags: tuple[str, ...]
    effect: Effect
    idempotent: bool


class _RecordForm(_Form):
    name: str
    version: str
    url: str
    health: Health
    registered_at: AwareDatetime
    lease_until: AwareDatetime
    card_digest: str
    skills: tuple[_SkillForm, ...]
    dedupes: bool
    streaming: bool
    problem: str = ""
    signed: Signed = "unsigned"
    signed_by: str = ""
    unverified: str = ""


def record_from_json(value: object) -> AgentRecord:
    """Read what `as_json` wrote; unknown fields are ignored.

    Raises:
        pydantic.ValidationError: If it is no agent record.
    """
    form = _RecordForm.model_validate(value)
    fields = {name: getattr(form, name) for name in _RecordForm.model_fields}
    skills = tuple(SkillRecord(**skill.model_dump()) for skill in form.skills)
    return AgentRecord(**(fields | {"skills": skills}))


def skill_records(card: Card) -> tuple[SkillRecord, ...]:
    return tuple(
        SkillRecord(
            id=skill.id,
            version=skill.version,
            name=skill.name,
            tags=skill.tags,
            effect=skill.effect,
            idempotent=skill.idempotent,
        )
        for skill in card.skills
    )


def timestamp(at: datetime) -> str:
    """Return `2026-11-23T04:05:06.000007Z`: one width, so that text order is time order."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
