"""Whether a JSON Schema that somebody else wrote is safe and sound to validate with.

A skill's contract comes with the card of a foreign agent and is then evaluated by the caller, on data
that the same agent sends. So a schema must be complete in itself and cost little, whatever the data:

* `$ref` leads to a schema inside, never elsewhere and never in a circle, and the schema with every
  `$ref` written out is small and flat. Recursive schemas can take time exponential in the data.
* `pattern` is in the dialect of `Validator`, which is matched in linear time (no look-around, no
  back-references).

The form is checked here and not with the meta-schema: that takes half a millisecond for each node,
which is half a minute for the largest card.

Source: JSON Schema 2020-12, core sections 8-11 and validation sections 6-9.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final, TypeAlias

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend
from pydantic_core import SchemaError, SchemaValidator, core_schema

MAX_LEVELS: Final = 32
"""Schemas inside schemas, every $ref followed."""
MAX_SCHEMAS: Final = 5_000
"""In all, every $ref written out where it is used."""
MAX_PATTERNS: Final = 100
MAX_PATTERN: Final = 200
MAX_REPEATS: Final = 1_000
"""The product of all bounded repetitions in one pattern: what compiling it costs."""
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_Node: TypeAlias = dict[str, Any]
_TYPES: Final = {"array", "boolean", "integer", "null", "number", "object", "string"}


def schema_problem(schema: object) -> str:
    """Say why `schema` must not be used; empty if it may."""
    if not isinstance(schema, dict):
        return "must be a JSON Schema object"
    if schema.get("$schema", DIALECT) not in (DIALECT, f"{DIALECT}#"):
        return "must be JSON Schema 2020-12"
    schemas: dict[int, _Node] = {}
    patterns = 0
    open_ones: list[tuple[str, object]] = [("", schema)]
    while open_ones:
        place, node = open_ones.pop()
        if isinstance(node, bool):
            continue
        if not isinstance(node, dict):
            return f"must be an object or a boolean at {place[:120]}"
        if len(schemas) == MAX_SCHEMAS:
            return f"holds more than {MAX_SCHEMAS} schemas"
        schemas[id(node)] = node
        patterns += "pattern" in node
        for key, value in node.items():
            problem = _keyword_problem(key, value)
            if problem:
                return (
                    f"is not a JSON Schema that can be used: {key[:40]} {problem}, at {place[:120]}"
                )
        open_ones.extend((f"{place}/{step}", child) for step, child in _children(node))
    if patterns > MAX_PATTERNS:
        return f"holds more than {MAX_PATTERNS} patterns"
    return _reference_problem(schema, schemas)


def _is_string(value: object) -> bool:
    return isinstance(value, str)


def _is_boolean(value: object) -> bool:
    return isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_schema(value: object) -> bool:
    return isinstance(value, dict | bool)


def _is_names(value: object) -> bool:
    return (
        isinstance(value, list)
        and all(isinstance(name, str) for name in value)
        and len(set(value)) == len(value)
    )


def _is_type(value: object) -> bool:
    if isinstance(value, str):
        return value in _TYPES
    return _is_names(value) and bool(value) and _TYPES.issuperset(value)  # type: ignore[arg-type]


def _is_divisor(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_schema_list(value: object) -> bool:
    return isinstance(value, list) and bool(value)


def _is_dependencies(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_names, value.values()))


_ONE_SCHEMA: Final = (
    *("items", "contains", "additionalProperties", "propertyNames", "not", "if", "then", "else"),
    *("unevaluatedItems", "unevaluatedProperties", "contentSchema"),
)
_SCHEMA_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_SCHEMA_MAPS: Final = ("properties", "$defs", "definitions", "dependentSchemas")
_STRINGS: Final = (
    *("$schema", "$comment", "$ref", "title", "description", "format", "pattern"),
    *("contentEncoding", "contentMediaType"),
)
_COUNTS: Final = (
    *("maxLength", "minLength", "maxItems", "minItems", "maxContains", "minContains"),
    *("maxProperties", "minProperties"),
)
_NUMBERS: Final = ("maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum")
_BOOLEANS: Final = ("uniqueItems", "deprecated", "readOnly", "writeOnly")
_REFUSED: Final = (
    *("$id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef"),
    *("$vocabulary", "patternProperties", "dependencies"),
)

_Check: TypeAlias = tuple[Callable[[object], bool], str]
_KEYWORDS: Final[dict[str, _Check]] = {
    **dict.fromkeys(_ONE_SCHEMA, (_is_schema, "must be a schema")),
    **dict.fromkeys(_SCHEMA_LISTS, (_is_schema_list, "must be an array of schemas")),
    **dict.fromkeys(_SCHEMA_MAPS, (_is_object, "must be an object of schemas")),
    **dict.fromkeys(_STRINGS, (_is_string, "must be a string")),
    **dict.fromkeys(_COUNTS, (_is_count, "must be a whole number from 0 on")),
    **dict.fromkeys(_NUMBERS, (_is_number, "must be a number")),
    **dict.fromkeys(_BOOLEANS, (_is_boolean, "must be true or false")),
    "type": (_is_type, "must name JSON types"),
    "enum": (_is_list, "must be an array"),
    "examples": (_is_list, "must be an array"),
    "required": (_is_names, "must be an array of different names"),
    "multipleOf": (_is_divisor, "must be a number above 0"),
    "dependentRequired": (_is_dependencies, "must be an object of arrays of names"),
}


def _keyword_problem(key: str, value: object) -> str:
    if key in _REFUSED:
        return "is not supported; use $ref to a place inside the schema, and properties"
    check = _KEYWORDS.get(key)
    if check is not None and not check[0](value):
        return check[1]
    return _pattern_problem(value) if key == "pattern" and isinstance(value, str) else ""


def _children(node: _Node) -> Iterator[tuple[str, object]]:
    """Yield the schemas directly inside a well-formed one; values of unknown keywords are data."""
    for key, value in node.items():
        if key in _ONE_SCHEMA:
            yield key, value
        elif key in _SCHEMA_LISTS:
            yield from ((f"{key}/{index}", child) for index, child in enumerate(value))
        elif key in _SCHEMA_MAPS:
            yield from ((f"{key}/{name[:40]}", child) for name, child in value.items())


class _UnusableError(Exception):
    """Carries the sentence out of the recursion below."""


def _reference_problem(root: _Node, schemas: dict[int, _Node]) -> str:
    """Follow every $ref: each must lead to a checked schema; count what they unfold to."""
    measured: dict[int, tuple[int, int]] = {}  # schemas and levels below, itself included
    open_ones: set[int] = set()

    def measure(node: _Node, level: int) -> tuple[int, int]:
        if id(node) in open_ones:
            raise _UnusableError("has a $ref that leads back to itself; it must not be recursive")
        size, levels = 1, 1
        if id(node) in measured:
            size, levels = measured[id(node)]
        if level + levels > MAX_LEVELS:
            raise _UnusableError(f"is nested deeper than {MAX_LEVELS} levels")
        if id(node) in measured:
            return size, levels
        open_ones.add(id(node))
        below = [child for _, child in _children(node) if isinstance(child, dict)]
        if "$ref" in node:
            below.append(_referred(root, schemas, node["$ref"]))
        for child in below:
            more, deeper = measure(child, level + 1)
            size, levels = size + more, max(levels, deeper + 1)
        open_ones.discard(id(node))
        if size > MAX_SCHEMAS:
            raise _UnusableError(f"holds more than {MAX_SCHEMAS} schemas when $ref is written out")
        measured[id(node)] = size, levels
        return size, levels

    try:
        measure(root, 0)
    except _UnusableError as exc:
        return str(exc)
    return ""


def _referred(root: _Node, schemas: dict[int, _Node], reference: str) -> _Node:
    if reference != "#" and not reference.startswith("#/"):
        raise _UnusableError("has a $ref to elsewhere; only places inside it (#/...) are supported")
    node: object = root
    for token in reference.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict):
            node = node.get(key)
        elif isinstance(node, list) and re.fullmatch(r"0|[1-9][0-9]{0,5}", key):
            node = node[int(key)] if int(key) < len(node) else None
        else:
            node = None
    # A percent sign would be decoded by the validator; not worth a second form of every name.
    if not isinstance(node, dict) or id(node) not in schemas or "%" in reference:
        raise _UnusableError(f"has a $ref to {reference[:80]!r}, where no schema is")
    return node


def _pattern_problem(pattern: str) -> str:
    if len(pattern) > MAX_PATTERN:
        return f"has more than {MAX_PATTERN} characters"
    product = 1
    for numbers in re.findall(r"\{\s*([0-9]+)(?:\s*,\s*([0-9]*))?\s*\}", pattern):
        product *= max(int(number) for number in (*numbers, "1") if number)
    if product > MAX_REPEATS:
        return f"repeats more than {MAX_REPEATS} times in all"
    try:
        _compiled(pattern)
    except SchemaError:
        return f"{pattern[:60]!r} is not a regular expression without look-around"
    return ""


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> SchemaValidator:
    """Compile for an engine that takes linear time; matches anywhere, `$` only at the very end."""
    return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))


def _pattern(_: object, pattern: str, instance: object, __: object) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _compiled(pattern).isinstance_python(instance):
        yield ValidationError(f"{instance[:80]!r} does not match {pattern!r}")


Validator: Final = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]
"""A `jsonschema` validator class for schemas that `schema_problem` found nothing against."""
