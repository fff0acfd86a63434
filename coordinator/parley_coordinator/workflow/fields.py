"""The parts that tasks are made of: durations, schemas, function names, policies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    StringConstraints,
    Tag,
)
from pydantic_core import PydanticCustomError

from parley_coordinator.workflow.durations import duration
from parley_coordinator.workflow.expressions import is_expression
from parley_coordinator.workflow.schemas import Schema

PROTOCOLS: Final = ("a2a", "http", "mcp", "openapi")
REFUSED_PROTOCOLS: Final = ("asyncapi", "grpc")
PEOPLE: Final = "parley"
"""The catalog with `human-task`."""
HUMAN_TASK: Final = "human-task"


_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}", re.ASCII)


def problem(rule: str, message: str, fix: str, *, step: str = "") -> PydanticCustomError:
    """Build the error that becomes a `Finding`, `step` below the value: `/1`."""
    quoted = {"said": message, "fix": fix, "step": step}
    return PydanticCustomError(rule, "{said}", quoted)


def _read_duration(value: Any) -> timedelta | str:
    if isinstance(value, str) and is_expression(value):
        return value
    try:
        return duration(value)
    except ValueError as exc:
        raise problem("duration", str(exc), "write {minutes: 5} or PT5M") from exc


def _read_schema(value: Any) -> Schema:
    if not isinstance(value, dict) or "document" not in value:
        fix = "write schema: {document: {type: object, ...}}"
        raise problem("schema", "a schema holds its JSON Schema under `document`", fix)
    unknown = sorted(set(value) - {"format", "document"})
    if unknown:
        message = f"a schema has no key {unknown[0][:40]!r}"
        raise problem("schema", message, "keep `format` and `document`; nothing is fetched")
    if value.get("format", "json") not in ("json", "json:2020-12"):
        raise problem("schema", "the format of a schema must be json", "write format: json")
    try:
        return Schema(value["document"])
    except ValueError as exc:
        raise problem("schema", str(exc), "correct the schema") from exc


def read_function(value: Any) -> Function:
    if isinstance(value, Function):
        return value
    fix = "write skill:1.0.0@agents, human-task:1.0.0@parley, or a name of `use.functions`"
    text = value if isinstance(value, str) else ""
    if text in REFUSED_PROTOCOLS:
        raise problem("refused", f"`call: {text}` is not in the profile, on purpose", fix)
    if "://" in text:
        message = "a function is not fetched from elsewhere when a document is loaded"
        raise problem("refused", message, fix)
    if _NAME.fullmatch(text):
        return Function(text, "", "")
    name, _, rest = text.partition(":")
    version, _, catalog = rest.partition("@")
    if not _is_label(name) or not _is_version(version) or not _is_label(catalog):
        raise problem("function", "a call names a function as name:version@catalog", fix)
    return Function(name, version, catalog)


def _is_label(text: str) -> bool:
    return text.replace("-", "a").isalnum() and text.isascii() and text == text.lower()


def _is_version(text: str) -> bool:
    parts = text.split(".")
    return len(parts) == 3 and all(part.isdecimal() and part.isascii() for part in parts)


def by_type(value: Any) -> str | None:
    """Return the tag of a value that is a name or an object; the text in `<>` never is a key."""
    if isinstance(value, str):
        return "<name>"
    return "<object>" if isinstance(value, dict | BaseModel) else None


@dataclass(frozen=True, slots=True)
class Function:
    """What a call names: `name:version@catalog`, or a function of the document."""

    name: str
    version: str
    catalog: str
    """Empty: `use.functions`."""

    @property
    def asks_people(self) -> bool:
        return self.catalog == PEOPLE and self.name == HUMAN_TASK

    def __str__(self) -> str:
        return f"{self.name}:{self.version}@{self.catalog}" if self.catalog else self.name


Duration: TypeAlias = Annotated[timedelta | str, PlainValidator(_read_duration)]
"""A length, or an expression that gives ISO 8601."""
SchemaField: TypeAlias = Annotated[Schema, PlainValidator(_read_schema)]
Label: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
]
"""A DNS label."""
TaskName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$")]
VariableName: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")
]
SecretName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$")]
Status: TypeAlias = Annotated[int, Field(strict=True, ge=100, le=599)]


class Strict(BaseModel):
    """Refuses what it does not know. Built when first used: task lists hold tasks."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, defer_build=True
    )


class InputSpec(Strict):
    schema_: SchemaField | None = Field(None, alias="schema")
    from_: Any = Field(None, alias="from")


class OutputSpec(Strict):
    schema_: SchemaField | None = Field(None, alias="schema")
    as_: Any = Field(None, alias="as")


NO_INPUT: Final = InputSpec.model_validate({})
NO_OUTPUT: Final = OutputSpec.model_validate({})


class TimeoutSpec(Strict):
    after: Duration


Timeout: TypeAlias = Annotated[
    Annotated[str, Tag("<name>")] | Annotated[TimeoutSpec, Tag("<object>")],
    Discriminator(by_type),
]


class ErrorSpec(Strict):
    type: str = Field(strict=True, min_length=1)
    status: Status
    title: str | None = None
    detail: str | None = None
    instance: str | None = None


class ErrorFilter(Strict):
    type: str | None = None
    status: Status | None = None
    title: str | None = None
    detail: str | None = None
    instance: str | None = None

    def wanted(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


class Errors(Strict):
    with_: ErrorFilter = Field(default=ErrorFilter(), alias="with")


class Backoff(Strict):
    constant: dict[str, Any] | None = None
    linear: dict[str, Any] | None = None
    exponential: dict[str, Any] | None = None

    def factor(self, attempt: int) -> int:
        """Return by what the delay after attempt `attempt` (1-based) is multiplied."""
        if self.exponential is not None:
            return 1 << min(attempt - 1, 32)
        return attempt if self.linear is not None else 1


class Jitter(Strict):
    from_: Duration = Field(alias="from")
    to: Duration


class AttemptLimit(Strict):
    count: Annotated[int, Field(strict=True, ge=1, le=1000)] | None = None
    duration: Duration | None = None


class RetryLimit(Strict):
    attempt: AttemptLimit = AttemptLimit()
    duration: Duration | None = None


class RetryPolicy(Strict):
    when: str | None = None
    except_when: str | None = Field(None, alias="exceptWhen")
    delay: Duration = timedelta()
    backoff: Backoff = Backoff()
    jitter: Jitter | None = None
    limit: RetryLimit = RetryLimit()
