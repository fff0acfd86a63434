"""What a JSON Schema asks for, as rows of a table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from parley_coordinator.workflow.wording.plain import line, listed

_MAX_DEPTH: Final = 4
_MAX_ROWS: Final = 200
_LIMITS: Final = {
    "format": "format",
    "pattern": "pattern",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
    "minItems": "at least {} elements",
    "maxItems": "at most {} elements",
}


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    """A dotted path; `lines[].amount` for what is in an array."""
    type: str
    required: bool
    about: str


def fields(schema: Any) -> list[Field]:
    """Return the members of an object that a schema describes, those inside of members, too."""
    found: list[Field] = []
    for each in _members(schema, "", 1):
        if len(found) == _MAX_ROWS:
            break
        found.append(each)
    return found


def _members(schema: Any, prefix: str, depth: int) -> Iterator[Field]:
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return
    members = schema.get("properties")
    required = schema.get("required")
    for name, member in members.items() if isinstance(members, dict) else ():
        path = f"{prefix}{line(name, limit=80)}"
        yield Field(
            name=path,
            type=_type(member),
            required=isinstance(required, list) and name in required,
            about=_about(member) if isinstance(member, dict) else "",
        )
        yield from _members(member, f"{path}.", depth + 1)
        if isinstance(member, dict):
            yield from _members(member.get("items"), f"{path}[].", depth + 1)


def _type(schema: Any) -> str:
    if not isinstance(schema, dict):
        return "anything"
    if "enum" in schema and isinstance(schema["enum"], list):
        return listed([_value(each) for each in schema["enum"][:12]], "or")
    if "const" in schema:
        return _value(schema["const"])
    given = schema.get("type")
    if isinstance(given, list):
        return listed([line(str(each)) for each in given], "or")
    return line(given) if isinstance(given, str) else "anything"


def _about(schema: dict[str, Any]) -> str:
    said = [schema[key] for key in ("title", "description") if isinstance(schema.get(key), str)]
    for key, words in _LIMITS.items():
        if key in schema:
            value = _value(schema[key]) if key in ("format", "pattern") else str(schema[key])
            said.append(words.format(value) if "{}" in words else f"{words} {value}")
    return line("; ".join(said))


def _value(value: Any) -> str:
    return line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
