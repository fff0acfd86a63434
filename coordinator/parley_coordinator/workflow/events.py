"""CloudEvents in a document: what is emitted, what is listened for, and whether one matches."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from pydantic import Field, model_validator
from pydantic_core import SchemaError, SchemaValidator, core_schema

from parley_coordinator.workflow.expressions import is_expression
from parley_coordinator.workflow.fields import Strict, problem

if TYPE_CHECKING:
    from parley_coordinator.workflow.expressions import Expressions

Read: TypeAlias = Literal["data", "envelope", "raw"]

REQUIRED: Final = ("id", "source", "specversion", "type")
"""Attributes that every CloudEvent has (CloudEvents 1.0.2 section 3.1)."""
MAX_LISTENED: Final = 100
_NAME: Final = re.compile(r"[a-z0-9]{1,20}|dataschema|datacontenttype", re.ASCII)
_META: Final = re.compile(r"[\\^$*+?()\[\]{}|]")


class Correlation(Strict):
    from_: str = Field(alias="from", min_length=1)
    expect: str | None = None


class EventFilter(Strict):
    with_: dict[str, Any] = Field(alias="with", min_length=1)
    correlate: dict[str, Correlation] = Field(default_factory=dict)


class Strategy(Strict):
    """What ends a listen: `one` event, `all` of several, or `any` of several `until` enough."""

    one: EventFilter | None = None
    all: tuple[EventFilter, ...] | None = Field(None, min_length=1, max_length=MAX_LISTENED)
    any: tuple[EventFilter, ...] | None = Field(None, max_length=MAX_LISTENED)
    until: str | Strategy | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_of(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        given = [name for name in ("one", "all", "any") if name in value]
        if len(given) != 1:
            message = "a listen waits for exactly one of `one`, `all` and `any`"
            raise problem("listen", message, "write to: {one: {with: {type: ...}}}")
        if "until" in value and given != ["any"]:
            raise problem("listen", "`until` goes with `any`", "write any: [...] and until: ...")
        return value

    @property
    def filters(self) -> tuple[EventFilter, ...]:
        """In declared order; empty: every event."""
        if self.one is not None:
            return (self.one,)
        return self.all if self.all is not None else self.any or ()


class EventProperties(Strict):
    with_: dict[str, Any] = Field(alias="with", min_length=1)

    @model_validator(mode="after")
    def _has_type(self) -> EventProperties:
        if "type" not in self.with_:
            raise problem("event", "an event has a `type`", "add type: com.example.thing.v1")
        wrong = next((name for name in self.with_ if not _NAME.fullmatch(name)), None)
        if wrong is not None:
            message = f"{wrong[:40]!r} is no attribute of a CloudEvent"
            raise problem("event", message, "use lower-case letters and digits")
        return self


class Emit(Strict):
    event: EventProperties


class Listen(Strict):
    to: Strategy
    read: Read = "data"


def event_as(event: Mapping[str, Any], read: Read) -> Any:
    """Return what a listen hands on of an event."""
    return event.get("data") if read == "data" else dict(event)


def types_of(filters: Sequence[Mapping[str, Any]]) -> list[str] | None:
    """Return the literal types that the filters can match; None: any type."""
    found: list[str] = []
    for each in filters:
        wanted = each.get("type")
        if not isinstance(wanted, str) or is_expression(wanted) or _META.search(wanted):
            return None
        if wanted not in found:
            found.append(wanted)
    return found or None


async def matches(
    wanted: Mapping[str, Any],
    event: Mapping[str, Any],
    expressions: Expressions,
    variables: Mapping[str, Any],
) -> bool:
    """Tell whether an event has every attribute that a filter names.

    A literal must equal the attribute, or match all of it as a regular expression. An expression
    sees the attribute as `.`; true and false are the answer, any other value must equal it.

    Raises:
        WorkflowError: `expression`, if one fails.
    """
    for name, value in wanted.items():
        attribute = event.get(name)
        if isinstance(value, str) and is_expression(value):
            found = await expressions.run(value, attribute, variables)
            holds = found if isinstance(found, bool) else found == attribute
        else:
            holds = _equal(value, attribute)
        if not holds:
            return False
    return True


def fits(filters: Sequence[Mapping[str, Any]], event: Mapping[str, Any]) -> bool:
    """Tell whether an event fits one of several filters without expressions; none: every event."""
    return not filters or any(
        all(_equal(value, event.get(name)) for name, value in each.items()) for each in filters
    )


def _equal(wanted: Any, attribute: Any) -> bool:
    if isinstance(wanted, str) and isinstance(attribute, str):
        return wanted == attribute or _like(wanted, attribute)
    return bool(wanted == attribute)


def _like(pattern: str, text: str) -> bool:
    compiled = _pattern(pattern)
    return compiled is not None and compiled.isinstance_python(text)


@lru_cache(maxsize=512)
def _pattern(pattern: str) -> SchemaValidator | None:
    """Compile for an engine that takes linear time; what it does not take is a literal."""
    if not _META.search(pattern):
        return None
    try:
        schema = core_schema.str_schema(pattern=f"^(?:{pattern})$", regex_engine="rust-regex")
        return SchemaValidator(schema)
    except SchemaError:
        return None
