"""The shape that a JSON Schema describes: never narrower than the schema."""

from __future__ import annotations

from typing import Any, Final

from parley_coordinator.workflow.checks.shapes import (
    KINDS,
    MAX_DEPTH,
    MAX_SIZE,
    NOTHING,
    UNKNOWN,
    Shape,
    join_all,
    shape_of,
    tamed,
)

_IN_PLACE: Final = ("$ref", "allOf", "anyOf", "oneOf", "if", "then", "else", "dependentSchemas")


def shape_of_schema(schema: Any) -> Shape:
    """Read a schema; what of it is not understood narrows nothing."""
    return tamed(_Reader(schema).shape(schema, 0))


def resolve(schema: Any, root: Any) -> Any:
    """Follow `$ref` within the document, a few levels."""
    for _ in range(8):
        reference = schema.get("$ref") if isinstance(schema, dict) else None
        if not isinstance(reference, str) or not reference.startswith("#"):
            return schema
        schema = root
        for step in reference[1:].split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            schema = schema.get(key) if isinstance(schema, dict) else None
    return schema


class _Reader:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = MAX_SIZE

    def shape(self, schema: Any, depth: int) -> Shape:
        self._left -= 1
        if schema is False:
            return NOTHING
        schema = resolve(schema, self._root)
        if not isinstance(schema, dict) or self._left < 0 or depth > MAX_DEPTH:
            return UNKNOWN
        for name in ("anyOf", "oneOf"):
            choices = schema.get(name)
            if isinstance(choices, list) and choices and not _describes(schema):
                return join_all([self.shape(each, depth + 1) for each in choices])
        return self._own(schema, _kinds(schema), depth)

    def _own(self, schema: dict[str, Any], kinds: frozenset[str], depth: int) -> Shape:
        if "const" in schema and kinds == shape_of(schema["const"]).kinds:
            return shape_of(schema["const"])
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        required = schema.get("required")
        names = required if isinstance(required, list) else []
        others = schema.get("additionalProperties", schema.get("unevaluatedProperties"))
        closed = others is False and "patternProperties" not in schema
        # A schema that requires what it does not allow fits nothing: say nothing about it.
        closed = closed and all(name in properties for name in names)
        if "additionalProperties" not in schema:
            closed = closed and not any(name in schema for name in _IN_PLACE)
        items = schema.get("items")
        return Shape(
            kinds=kinds,
            members={str(name): self.shape(each, depth + 1) for name, each in properties.items()},
            required=frozenset(name for name in names if isinstance(name, str)),
            closed=closed,
            elements=None
            if items is None or "prefixItems" in schema
            else self.shape(items, depth + 1),
        )


def _kinds(schema: dict[str, Any]) -> frozenset[str]:
    kinds = KINDS
    wanted = schema.get("type")
    names = [wanted] if isinstance(wanted, str) else wanted
    if isinstance(names, list):
        known = {"number" if name == "integer" else name for name in names if isinstance(name, str)}
        kinds = KINDS & known if known <= KINDS else KINDS
    if "const" in schema:
        kinds &= shape_of(schema["const"]).kinds
    if isinstance(schema.get("enum"), list):
        kinds &= join_all([shape_of(each) for each in schema["enum"]]).kinds
    return kinds


def _describes(schema: dict[str, Any]) -> bool:
    return any(name in schema for name in ("type", "properties", "items", "const", "enum"))
