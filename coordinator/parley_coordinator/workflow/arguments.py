"""Holds the arguments of a call against the schema of its function, as far as the text tells.

Expressions are taken to fit; literals, and the literal parts of objects and arrays, are checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from parley_coordinator.workflow.checks.schema_shapes import resolve
from parley_coordinator.workflow.expressions import is_expression
from parley_coordinator.workflow.findings import OneOf, escape
from parley_coordinator.workflow.schemas import Schema

DEFINITIONS: Final[tuple[str, ...]] = ("$defs", "definitions")

MAX_PAIRS: Final = 200_000
"""Of values in literals and in the schemas that they are held against: some seconds at worst."""
REFERS: Final = 2000
"""What a schema counts that refers to others, which may refer to others."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """One argument that cannot be right."""

    path: str
    """JSON pointer below `with`."""
    rule: str
    message: str
    fix: str | OneOf
    at_key: bool = False


@dataclass(slots=True)
class Patience:
    """How many literals of a document are held against schemas: what comes after is taken to fit."""

    left: int = MAX_PAIRS

    def suffices(self, value: Any, schema: Any) -> bool:
        size = REFERS if _refers(schema) else _values(schema)
        self.left -= _values(value) * size
        return self.left >= 0


def misfits(
    arguments: Any, function: str, schema: Schema, patience: Patience | None = None
) -> Iterator[Misfit]:
    """Yield what of `with` does not fit.

    Args:
        function: What to call it in messages.
        patience: Left for the document; None: for one of its own.
    """
    if isinstance(arguments, dict):
        yield from _Checker(function, schema, patience or Patience()).value(
            arguments, schema.document, ""
        )


def expressions(
    arguments: Any, schema: Any, root: Any, path: str = ""
) -> Iterator[tuple[str, str, Any]]:
    """Yield every expression in `with` that gives a whole argument or a part of one.

    Args:
        schema: Of `arguments`, in the schema `root`.

    Yields:
        JSON pointer below `with`, the expression, the schema that its value must fit.
    """
    schema = resolve(schema, root)
    if not isinstance(schema, dict):
        return
    if isinstance(arguments, str) and is_expression(arguments):
        yield path, arguments, schema
    elif isinstance(arguments, dict):
        properties = schema.get("properties")
        for name, member in arguments.items():
            if isinstance(properties, dict) and name in properties:
                yield from expressions(member, properties[name], root, f"{path}/{escape(name)}")
    elif isinstance(arguments, list):
        for index, element in enumerate(arguments):
            yield from expressions(element, schema.get("items"), root, f"{path}/{index}")


class _Checker:
    def __init__(self, function: str, schema: Schema, patience: Patience) -> None:
        self._name = function
        self._compiled = schema
        self._root = schema.document
        self._patience = patience

    def value(self, value: Any, schema: Any, path: str) -> Iterator[Misfit]:
        schema = resolve(schema, self._root)
        if not isinstance(schema, dict):
            return
        if not _computed(value):
            yield from self._literal(value, schema, path)
        elif isinstance(value, dict) and isinstance(schema.get("properties"), dict):
            yield from self._members(value, schema, path)
        elif isinstance(value, list):
            for index, element in enumerate(value):
                yield from self.value(element, schema.get("items"), f"{path}/{index}")
        elif isinstance(value, dict) and schema.get("type") in ("string", "array", "boolean"):
            kind = schema["type"]
            message = f"{self._name} takes {kind} here, not an object"
            yield Misfit(path, "argument-type", message, f"write {kind}")

    def _literal(self, value: Any, schema: dict[str, Any], path: str) -> Iterator[Misfit]:
        if isinstance(value, dict) and isinstance(schema.get("properties"), dict):
            yield from self._members(value, schema, path)
            return
        if not self._patience.suffices(value, schema):
            return
        for problem in self._compiled.problems(value, part=schema):
            name = path.rsplit("/", 1)[-1] or "with"
            message = f"{name!r} of {self._name}: {problem}"
            yield Misfit(path, "argument-type", message, "correct the value")

    def _members(
        self, value: dict[str, Any], schema: dict[str, Any], path: str
    ) -> Iterator[Misfit]:
        properties: dict[str, Any] = schema["properties"]
        for name in schema.get("required", []):
            if name not in value:
                message = f"{self._name} needs {name!r}"
                yield Misfit(path, "missing-argument", message, f"add {name!r}")
        for name, member in value.items():
            here = f"{path}/{escape(name)}"
            if name in properties:
                yield from self.value(member, properties[name], here)
            elif schema.get("additionalProperties") is False:
                message = f"{self._name} has no argument {name[:60]!r}"
                fix = OneOf(name, properties)
                yield Misfit(here, "unknown-argument", message, fix, at_key=True)


def _computed(value: Any) -> bool:
    """Tell whether any part of a value is an expression."""
    if isinstance(value, str):
        return is_expression(value)
    if isinstance(value, dict):
        return any(_computed(member) for member in value.values())
    return isinstance(value, list) and any(_computed(element) for element in value)


def _values(value: Any) -> int:
    count, open_ = 0, [value]
    while open_:
        each = open_.pop()
        count += 1
        if isinstance(each, dict):
            open_ += each.values()
        elif isinstance(each, list):
            open_ += each
    return count


def _refers(schema: Any) -> bool:
    if isinstance(schema, dict):
        return "$ref" in schema or any(_refers(each) for each in schema.values())
    return isinstance(schema, list) and any(_refers(each) for each in schema)
