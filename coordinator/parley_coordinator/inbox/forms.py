"""Forms: the flat JSON Schema subset of MCP elicitation (2026-07-28), checked before it is shown.

A schema may come from an agent, so it is hostile: no references, no patterns, no nesting, a bound
on everything. What is not in the subset is refused as a whole, never half rendered.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Final

from parley_cards.errors import Kind

from parley_coordinator.errors import CoordinatorError, InvalidDecisionError

MAX_FIELDS: Final = 50
MAX_TEXT: Final = 10_000

_COMMON: Final = frozenset({"type", "title", "description", "default"})
_ALLOWED: Final[dict[str, frozenset[str]]] = {
    "string": _COMMON | {"minLength", "maxLength", "format", "enum", "enumNames"},
    "number": _COMMON | {"minimum", "maximum"},
    "integer": _COMMON | {"minimum", "maximum"},
    "boolean": _COMMON,
}
_FORMATS: Final = frozenset({"email", "uri", "date", "date-time"})
_FORMAT_LOOKS: Final = {
    "email": re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}"),
    "uri": re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}:\S{1,2000}"),
    "date": re.compile(r"\d{4}-\d{2}-\d{2}"),
    "date-time": re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})"),
}
EMPTY: Final[dict[str, Any]] = {"type": "object", "properties": {}}


class UnrenderableFormError(CoordinatorError):
    """The schema is outside the subset; the question is asked as plain text instead."""

    code: ClassVar[str] = "unrenderable_form"
    kind: ClassVar[Kind] = Kind.UNSUPPORTED


def check_form(schema: Any) -> dict[str, Any]:
    """Return the schema if every part of it is in the subset.

    Raises:
        UnrenderableFormError: Naming the first thing that is not.
    """
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        raise UnrenderableFormError("a form is a schema of type object")
    extra = set(schema) - {"type", "properties", "required", "title", "description"}
    if extra:
        raise UnrenderableFormError(f"a form may not use {sorted(map(str, extra))[0][:40]!r}")
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    if not isinstance(properties, dict) or len(properties) > MAX_FIELDS:
        raise UnrenderableFormError(f"a form has an object of at most {MAX_FIELDS} properties")
    if not isinstance(required, list) or not all(
        isinstance(name, str) and name in properties for name in required
    ):
        raise UnrenderableFormError("a form may require only properties that it has")
    for name, field in properties.items():
        _check_field(name, field)
    return {"type": "object", "properties": properties, "required": list(required)}


def check_values(form: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return the values if they fit the form; every problem is named in one error.

    Raises:
        InvalidDecisionError: With `facts["problems"]`, one sentence each.
    """
    properties: dict[str, Any] = form.get("properties", {})
    problems = [
        f"{name[:80]} is not a field of this form" for name in values if name not in properties
    ]
    problems += [f"{name} is missing" for name in form.get("required", []) if name not in values]
    for name, field in properties.items():
        if name in values:
            problem = _problem(field, values[name])
            if problem:
                problems.append(f"{name} {problem}")
    if problems:
        raise InvalidDecisionError("; ".join(problems[:10]), problems=problems[:10])
    return values


def _check_field(name: str, field: Any) -> None:
    if not isinstance(field, dict):
        raise UnrenderableFormError(f"the field {name[:80]!r} is not a schema")
    kind = field.get("type")
    if not isinstance(kind, str) or kind not in _ALLOWED:
        raise UnrenderableFormError(f"the field {name[:80]!r} has no flat type")
    extra = set(field) - _ALLOWED[kind]
    if extra:
        raise UnrenderableFormError(
            f"the field {name[:80]!r} may not use {sorted(map(str, extra))[0][:40]!r}"
        )
    for words in ("title", "description", "format"):
        if not isinstance(field.get(words, ""), str):
            raise UnrenderableFormError(f"{words} of {name[:80]!r} is not text")
    if field.get("format", "email") not in _FORMATS:
        raise UnrenderableFormError(f"the field {name[:80]!r} has an unknown format")
    for choices in ("enum", "enumNames"):
        found = field.get(choices, ["x"])
        if not isinstance(found, list) or not found or not all(isinstance(e, str) for e in found):
            raise UnrenderableFormError(f"the choices of {name[:80]!r} are not strings")
    for bound in ("minLength", "maxLength", "minimum", "maximum"):
        if bound in field and (
            isinstance(field[bound], bool) or not isinstance(field[bound], int | float)
        ):
            raise UnrenderableFormError(f"{bound} of {name[:80]!r} is not a number")


def _problem(field: dict[str, Any], value: Any) -> str:
    match field["type"]:
        case "string":
            return _text_problem(field, value)
        case "boolean":
            return "" if isinstance(value, bool) else "must be true or false"
        case kind:
            return _number_problem(field, value, whole=kind == "integer")


def _text_problem(field: dict[str, Any], value: Any) -> str:
    if not isinstance(value, str):
        return "must be text"
    if len(value) > min(field.get("maxLength", MAX_TEXT), MAX_TEXT):
        return "is too long"
    if len(value) < field.get("minLength", 0):
        return "is too short"
    if "enum" in field and value not in field["enum"]:
        return f"must be one of: {', '.join(field['enum'])[:200]}"
    look = _FORMAT_LOOKS.get(field.get("format", ""))
    return "" if look is None or look.fullmatch(value) else f"is not a {field['format']}"


def _number_problem(field: dict[str, Any], value: Any, *, whole: bool) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "must be a number"
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return "must be a number"
    if not number.is_finite() or (whole and number != number.to_integral_value()):
        return "must be a whole number" if whole else "must be a number"
    if "minimum" in field and number < Decimal(str(field["minimum"])):
        return f"must be at least {field['minimum']}"
    if "maximum" in field and number > Decimal(str(field["maximum"])):
        return f"must be at most {field['maximum']}"
    return ""
