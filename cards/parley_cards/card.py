"""An agent card: what an agent says about itself, read strictly before anybody acts on it.

::

    CardError
    ├── InvalidCardError    400 invalid_card
    └── UnknownCardError    404 unknown_card   (library.py)

The raw bytes are kept because signatures are made over the card as it was sent; the digest is over
the canonical form, so it does not change with white space or key order.

A card of A2A 0.3 is read too (`card_v03`).

Source: A2A 1.0 sections 4.4, 4.6, 8.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from parley_cards import strict_json
from parley_cards.a2a_form import CardForm, address_problem
from parley_cards.canonical import digest
from parley_cards.card_v03 import as_current, is_older, is_v03
from parley_cards.contract_schema import schema_problem
from parley_cards.errors import Kind, ParleyError
from parley_cards.extensions import DEDUPE, SKILL_CONTRACT
from parley_cards.findings import Finding, sentences, token

MAX_CARD_BYTES: Final = 262_144
MAX_CARD_DEPTH: Final = 48
MAX_FINDINGS: Final = 50
MAX_AT_ONCE: Final = 1000
"""Calls at once that a card may ask for."""

Effect: TypeAlias = Literal["read", "write", "unknown"]


class CardError(ParleyError):
    """A failure about an agent card."""


class InvalidCardError(CardError):
    """The bytes are not an A2A 1.0 agent card that the mesh can work with."""

    code: ClassVar[str] = "invalid_card"
    kind: ClassVar[Kind] = Kind.INVALID

    def __init__(self, findings: list[Finding]) -> None:
        first = findings[0]
        more = f" (and {len(findings) - 1} more findings)" if len(findings) > 1 else ""
        super().__init__(
            f"not a valid A2A 1.0 agent card: {first.path or 'it'} {first.problem}{more}",
            findings=[finding._asdict() for finding in findings[:MAX_FINDINGS]],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """One thing that an agent can do."""

    id: str
    name: str
    description: str
    tags: tuple[str, ...]
    version: str = "1.0.0"
    """Of the contract; 1.0.0 where the card has none."""
    input_schema: dict[str, Any] | None = None
    """JSON Schema 2020-12 of the one data part that goes in; None if the card has no contract."""
    output_schema: dict[str, Any] | None = None
    """The same of the one data part that comes out."""
    idempotent: bool = False
    """Whether sending the same request twice is harmless; False where the card does not say."""
    effect: Effect = "unknown"
    undo: str = ""
    """The id of the skill that undoes what this one does, here or elsewhere; empty: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One address of an agent, and what is spoken there."""

    url: str
    binding: str
    """`JSONRPC`, `HTTP+JSON`, `GRPC` or any other."""
    protocol_version: str
    tenant: str = ""
    """To be sent back with every request, exactly; empty: not to be sent (A2A 1.0 8.3.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A validated agent card."""

    raw: bytes
    """As received."""
    digest: str
    """`sha256:` of the canonical form of the whole card."""
    name: str
    version: str
    description: str
    interfaces: tuple[Interface, ...]
    """In the agent's order of preference."""
    skills: tuple[Skill, ...]
    """In card order; ids are unique."""
    streaming: bool
    dedupes: bool
    """Whether a message that arrives twice returns the stored task (extension `DEDUPE`)."""
    json: dict[str, Any]
    """The whole card, unknown fields included."""

    def declares(self, extension: str) -> bool:
        """Whether the agent says that it knows the A2A extension with this URI."""
        extensions = self.json["capabilities"].get("extensions") or []
        return any(each["uri"] == extension for each in extensions)

    @property
    def concurrency(self) -> int | None:
        """How many calls at once the agent takes, by its skill contracts; None: it does not say."""
        for each in self.json["capabilities"].get("extensions") or []:
            if each["uri"] == SKILL_CONTRACT:
                found: int | None = (each.get("params") or {}).get("concurrency")
                return found
        return None

    def skill(self, skill_id: str) -> Skill | None:
        return next((skill for skill in self.skills if skill.id == skill_id), None)


class _Contract(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    version: str = Field(default="1.0.0", max_length=64)
    input: dict[str, Any] | None = None
    output: dict[str, Any] | None = None
    idempotent: bool = False
    effect: Effect = "unknown"
    undo: str = Field(default="", max_length=200)


_VERSION = re.compile(
    r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})(-[0-9A-Za-z.-]+)?"
)


def load_card(raw: bytes | str | dict[str, Any]) -> Card:
    """Read and validate an agent card.

    Args:
        raw: The card as received, at most 256 kB. An object is written as JSON first.

    Raises:
        InvalidCardError: If it is not strict JSON, lacks a field that A2A requires, has one of
            the wrong type, an address that is not absolute http(s), two skills with one id, or a
            skill contract that is not a self-contained JSON Schema. Lists every reason.
    """
    data = _as_bytes(raw)
    try:
        value = strict_json.loads(data, max_bytes=MAX_CARD_BYTES, max_depth=MAX_CARD_DEPTH)
    except ParleyError as exc:
        raise InvalidCardError([Finding("", f"is not usable JSON: {exc.message}")]) from exc
    if not isinstance(value, dict):
        raise InvalidCardError([Finding("", "must be a JSON object")])
    try:
        form = CardForm.model_validate(as_current(value) if is_v03(value) else value)
    except ValidationError as exc:
        raise InvalidCardError([*_older(value), *sentences(exc, "")]) from exc
    findings = [*_inconsistencies(form)]
    contracts = dict(_contracts(form, findings))
    try:
        card_digest = digest(value)
    except ValueError:
        findings.append(Finding("", "holds a number beyond 2^53, which JSON readers disagree on"))
    if findings:
        raise InvalidCardError(findings)
    extensions = form.capabilities.extensions or []
    return Card(
        raw=data,
        digest=card_digest,
        name=form.name,
        version=form.version,
        description=form.description,
        interfaces=tuple(
            Interface(
                url=each.url,
                binding=each.protocol_binding,
                protocol_version=each.protocol_version,
                tenant=each.tenant or "",
            )
            for each in form.supported_interfaces
        ),
        skills=tuple(
            _skill(each.id, each.name, each.description, each.tags, contracts.get(each.id))
            for each in form.skills
        ),
        streaming=bool(form.capabilities.streaming),
        dedupes=any(extension.uri == DEDUPE for extension in extensions),
        json=value,
    )


def _as_bytes(raw: bytes | str | dict[str, Any]) -> bytes:
    if isinstance(raw, bytes):
        return raw
    try:
        text = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False, allow_nan=False)
        return text.encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise InvalidCardError([Finding("", "cannot be written as JSON")]) from exc


def _skill(
    skill_id: str, name: str, description: str, tags: list[str], contract: _Contract | None
) -> Skill:
    known = contract or _Contract()
    return Skill(
        id=skill_id,
        name=name,
        description=description,
        tags=tuple(tags),
        version=known.version,
        input_schema=known.input,
        output_schema=known.output,
        idempotent=known.idempotent,
        effect=known.effect,
        undo=known.undo,
    )


def _older(value: dict[str, Any]) -> Iterator[Finding]:
    if is_older(value) and not is_v03(value):
        yield Finding("", "is a card of A2A 0.2 or older; the mesh reads 0.3 and 1.0")


def _inconsistencies(form: CardForm) -> Iterator[Finding]:
    for index, interface in enumerate(form.supported_interfaces):
        problem = address_problem(interface.url, interface.protocol_binding)
        if problem:
            yield Finding(f"/supportedInterfaces/{index}/url", problem)
    seen: set[str] = set()
    for index, skill in enumerate(form.skills):
        if skill.id in seen:
            yield Finding(f"/skills/{index}/id", f"repeats {skill.id[:80]!r}; ids must be unique")
        seen.add(skill.id)


def _contracts(form: CardForm, findings: list[Finding]) -> Iterator[tuple[str, _Contract]]:
    """Yield each valid skill contract by skill id; append what is wrong with the others."""
    ids = {skill.id for skill in form.skills}
    seen = False
    for index, extension in enumerate(form.capabilities.extensions or []):
        if extension.uri != SKILL_CONTRACT:
            continue
        path = f"/capabilities/extensions/{index}"
        if seen:
            findings.append(Finding(path, "repeats the skill contract extension"))
            continue
        seen = True
        at_once = (extension.params or {}).get("concurrency")
        if at_once is not None and (type(at_once) is not int or not 1 <= at_once <= MAX_AT_ONCE):
            problem = f"must be a whole number from 1 to {MAX_AT_ONCE}"
            findings.append(Finding(f"{path}/params/concurrency", problem))
        skills = (extension.params or {}).get("skills")
        if not isinstance(skills, dict):
            findings.append(Finding(f"{path}/params/skills", "must be an object of skill ids"))
            continue
        for skill_id, value in skills.items():
            place = f"{path}/params/skills/{token(skill_id)}"
            if skill_id not in ids:
                findings.append(Finding(place, "is the contract of a skill that the card lacks"))
                continue
            try:
                contract = _Contract.model_validate(value)
            except ValidationError as exc:
                findings.extend(sentences(exc, place))
                continue
            problems = [*_contract_problems(contract, place)]
            findings.extend(problems)
            if not problems:
                yield skill_id, contract


def _contract_problems(contract: _Contract, place: str) -> Iterator[Finding]:
    if not _VERSION.fullmatch(contract.version):
        yield Finding(f"{place}/version", "must be a semantic version such as 1.0.0")
    if contract.undo and contract.effect == "read":
        yield Finding(f"{place}/undo", "undoes a skill that only reads")
    for side, schema in (("input", contract.input), ("output", contract.output)):
        problem = schema_problem(schema) if schema is not None else ""
        if problem:
            yield Finding(f"{place}/{side}", problem)
