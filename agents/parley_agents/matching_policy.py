"""The thresholds of the three-way match, from a file that somebody answers for.

There are no default thresholds: without a policy the matching agent refuses to start. Reading is
strict, because a mistyped key that is skipped silently is a limit that is not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

import yaml
from parley_cards.canonical import digest_bytes
from parley_cards.errors import Kind, ParleyError
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from parley_agents.amounts import Amount

MAX_BYTES: Final = 65_536
MAX_DEPTH: Final = 12


class InvalidPolicyError(ParleyError):
    """There is no policy file, or it is not one; `facts["findings"]` lists why."""

    code: ClassVar[str] = "invalid_policy"
    kind: ClassVar[Kind] = Kind.INVALID


def _kebab(name: str) -> str:
    return name.replace("_", "-")


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=_kebab, extra="forbid", frozen=True, strict=True)


class Limit(_Part):
    """How far a value may be from what is expected, on one side. What is set must all hold."""

    percent: Amount | None = Field(default=None, ge=0)
    """Of the expected value. Nothing but equality is within a percentage of zero."""
    amount: Amount | None = Field(default=None, ge=0)
    """Absolute, in the policy's currency, or in units for a quantity."""

    @model_validator(mode="after")
    def _says_something(self) -> Limit:
        if self.percent is None and self.amount is None:
            raise ValueError("needs a percent, an amount, or both; write `any` for no limit")
        return self


class Tolerance(_Part):
    over: Limit
    under: Limit | Literal["any"]


class Tolerances(_Part):
    unit_price: Tolerance
    line_amount: Tolerance
    total: Tolerance
    receipt: Tolerance
    order_quantity: Tolerance
    tax: Tolerance
    rounding: Tolerance


class Level(_Part):
    up_to: Amount = Field(ge=0)
    role: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]


class Authority(_Part):
    automatic_up_to: Amount = Field(ge=0)
    levels: Annotated[list[Level], Field(min_length=1, max_length=20)]

    @model_validator(mode="after")
    def _ascends(self) -> Authority:
        limits = [self.automatic_up_to, *(level.up_to for level in self.levels)]
        if sorted(set(limits)) != limits:
            raise ValueError("the levels must ascend, beginning above automatic-up-to")
        return self


class _File(_Part):
    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    version: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    tolerances: Tolerances
    authority: Authority


@dataclass(frozen=True, slots=True)
class Policy:
    name: str
    version: str
    digest: str
    """`sha256:` of the bytes of the file."""
    currency: str
    """Of every amount of the policy."""
    tolerances: Tolerances
    authority: Authority

    def level_for(self, gross: Decimal) -> Level | None:
        """Return the lowest level that may decide on `gross`; None if no level may."""
        return next((level for level in self.authority.levels if gross <= level.up_to), None)


def load_policy(path: Path) -> Policy:
    """Read a policy file.

    Raises:
        InvalidPolicyError: If it cannot be read or is not a policy.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise InvalidPolicyError(
            f"no policy can be read from {path} ({exc.strerror}):"
            " name one with --policy; there are no default thresholds"
        ) from exc
    return parse_policy(raw, source=str(path))


def parse_policy(raw: bytes, *, source: str) -> Policy:
    """Read a policy from YAML whose scalars are all text, so that 2.10 stays 2.10.

    Raises:
        InvalidPolicyError: If `raw` is too large, not plain YAML (no aliases, no tags, no key
            twice), or lacks, mistypes or adds a field.
    """
    if len(raw) > MAX_BYTES:
        raise InvalidPolicyError(f"{source} has more than {MAX_BYTES} bytes")
    try:
        _refuse_unplain(raw, source)
        node = yaml.compose(raw, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise InvalidPolicyError(f"{source} is not YAML: {' '.join(str(exc).split())}") from exc
    value = _plain(node, source) if node is not None else None
    try:
        file = _File.model_validate(value)
    except ValidationError as exc:
        findings = [*_findings(exc)]
        raise InvalidPolicyError(
            f"{source} is not a policy: {findings[0]['path'] or 'it'}: {findings[0]['problem']}",
            findings=findings,
        ) from exc
    return Policy(
        name=file.name,
        version=file.version,
        digest=digest_bytes(raw),
        currency=file.currency,
        tolerances=file.tolerances,
        authority=file.authority,
    )


def _refuse_unplain(raw: bytes, source: str) -> None:
    depth = 0
    for event in yaml.parse(raw, Loader=yaml.SafeLoader):
        problem = ""
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                problem = f"nested deeper than {MAX_DEPTH} levels"
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            problem = "write it out, aliases are not read"
        if getattr(event, "tag", None) is not None:
            problem = "tags such as !!str are not read"
        if problem:
            line = event.start_mark.line + 1 if event.start_mark else 0
            raise InvalidPolicyError(f"{source}:{line}: {problem}")


def _plain(node: Node, source: str) -> Any:
    """Return dicts, lists and strings; nothing is guessed from how a scalar looks."""
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, SequenceNode):
        return [_plain(item, source) for item in node.value]
    found: dict[str, Any] = {}
    if isinstance(node, MappingNode):
        for key, value in node.value:
            place = f"{source}:{key.start_mark.line + 1}"
            if not isinstance(key, ScalarNode):
                raise InvalidPolicyError(f"{place}: a key must be a word")
            if key.value in found:
                raise InvalidPolicyError(f"{place}: {key.value!r} is there twice")
            found[key.value] = _plain(value, source)
    return found


def _findings(exc: ValidationError) -> Iterator[dict[str, str]]:
    for error in exc.errors(include_url=False, include_input=False):
        path = "/".join(str(part) for part in error["loc"])
        yield {"path": path, "problem": error["msg"].removeprefix("Value error, ")}
