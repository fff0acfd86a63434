"""Holds the arguments of a call against the schema of its function, as far as the text tells.

Expressions are taken to fit; literals, and the literal parts of objects and arrays, are checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from parley_coordinator.workflow.catalog import FunctionInfo
from parley_coordinator.workflow.expressions import is_expression
from parley_coordinator.workflow.findings import escape
from parley_coordinator.workflow.schemas import Schema

_DEFINITIONS: Final[tuple[str, ...]] = ("$defs", "definitions")


@dataclass(frozen=True, slots=True)
class Misfit:
    """One argument that cannot be right."""

    path: str
    """JSON pointer below `with`."""
    rule: str
    message: str
    fix: str
    at_key: bool = False


def misfits(arguments: Any, function: FunctionInfo) -> Iterator[Misfit]:
    """Yield what of `with` does not fit."""
    if function.input_schema is None or not isinstance(arguments, dict):
        return
    checker = _Checker(function)
    yield from checker.value(arguments, function.input_schema, "")


class _Checker:
    def __init__(self, function: FunctionInfo) -> None:
        root = function.input_schema or {}
        self._name = f"{function.name}:{function.version}"
        self._root = root
        self._definitions = {name: root[name] for name in _DEFINITIONS if name in root}

    def value(self, value: Any, schema: Any, path: str) -> Iterator[Misfit]:
        schema = self._resolved(schema)
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

    def _resolved(self, schema: Any) -> Any:
        """Follow local references, a few levels."""
        for _ in range(8):
            reference = schema.get("$ref") if isinstance(schema, dict) else None
            if not isinstance(reference, str) or not reference.startswith("#/"):
                return schema
            schema = self._root
            for step in reference[2:].split("/"):
                schema = schema.get(step) if isinstance(schema, dict) else None
        return schema

    def _literal(self, value: Any, schema: dict[str, Any], path: str) -> Iterator[Misfit]:
        if isinstance(value, dict) and isinstance(schema.get("properties"), dict):
            yield from self._members(value, schema, path)
            return
        try:
            problems = Schema({**self._definitions, **schema}).problems(value)
        except ValueError:
            return  # the card's schema is checked where cards are
        for problem in problems:
            name = path.rsplit("/", 1)[-1] or "with"
            message = f"{name!r} of {self._name}: {problem}"
            yield Misfit(path, "argument-type", message, "correct the value")

    def _members(
        self, value: dict[str, Any], schema: dict[str, Any], path: str
    ) -> Iterator[Misfit]:
        properties: dict[str, Any] = schema["properties"]
        known = ", ".join(properties) or "none"
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
                fix = f"use one of: {known}"
                yield Misfit(here, "unknown-argument", message, fix, at_key=True)


def _computed(value: Any) -> bool:
    """Tell whether any part of a value is an expression."""
    if isinstance(value, str):
        return is_expression(value)
    if isinstance(value, dict):
        return any(_computed(member) for member in value.values())
    return isinstance(value, list) and any(_computed(element) for element in value)
