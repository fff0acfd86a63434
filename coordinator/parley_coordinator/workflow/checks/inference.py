"""The shape of an expression's value, and what in it certainly goes wrong.

The grammar is that of the shortcuts; what jq alone understands has an unknown shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from parley_coordinator.workflow.checks.shapes import (
    BOOLEAN,
    MAX_SIZE,
    NOTHING,
    NULL,
    OBJECT,
    UNKNOWN,
    Shape,
    array_of,
    join,
    object_of,
    shape_of,
    size,
    tamed,
    without,
)
from parley_coordinator.workflow.expressions import body_of
from parley_coordinator.workflow.findings import OneOf
from parley_coordinator.workflow.operators import Evaluate
from parley_coordinator.workflow.shortcuts import compile_shortcut

MAX_EFFORT: Final = 2_000_000
"""For one document: a second or two."""
_EXPRESSION: Final = 30
"""What an expression costs, however short it is."""

Shapes: TypeAlias = Mapping[str, Shape]


@dataclass(frozen=True, slots=True)
class Trouble:
    rule: Literal["unknown-path", "argument-type", "expression"]
    message: str
    fix: str | OneOf


class TooMuchError(Exception):
    """The document has more ways through it than are worth following."""


@dataclass(slots=True)
class Effort:
    """What may still be looked at: parts of shapes, characters of expressions."""

    left: int = MAX_EFFORT

    def spend(self, parts: int) -> None:
        """Raises TooMuchError if nothing is left."""
        self.left -= parts
        if self.left < 0:
            raise TooMuchError


def infer(
    text: str, value: Shape, scope: Shapes, effort: Effort | None = None
) -> tuple[Shape, list[Trouble]]:
    """Return the shape of an expression's value, and what is certainly wrong with it.

    Args:
        value: What `.` is.
        scope: By name, without `$`.

    Raises:
        TooMuchError
    """
    effort = effort or Effort()
    effort.spend(len(text) // 2 + _EXPRESSION)
    meaning = _Shapes(effort)
    evaluate = compile_shortcut(body_of(text), meaning)
    if evaluate is None:
        return UNKNOWN, []
    found: Shape = evaluate(value, scope)
    if meaning.troubles:
        return UNKNOWN, meaning.troubles
    effort.spend(size(found))
    return tamed(found), []


class _Shapes:
    """The meaning of an expression's parts as shapes: `.` and the variables are shapes, too."""

    def __init__(self, effort: Effort) -> None:
        self.troubles: list[Trouble] = []
        self._effort = effort

    def identity(self, value: Any, _scope: Mapping[str, Any], /) -> Any:
        return value

    def constant(self, constant: Any, /) -> Evaluate:
        shape = shape_of(constant)
        return lambda _value, _scope: shape

    def variable(self, name: str, /) -> Evaluate:
        return lambda _value, scope: scope.get(name, UNKNOWN)

    def field(self, of: Evaluate, name: str, /) -> Evaluate:
        return lambda value, scope: self._member(of(value, scope), name)

    def _member(self, parent: Shape, name: str) -> Shape:
        if not parent.kinds:
            return NOTHING
        if not parent.kinds & {"object", "null"}:
            kinds = " or ".join(sorted(parent.kinds))
            return self._trouble("unknown-path", f"{kinds} has no member {name[:60]!r}")
        found = NULL if "null" in parent.kinds else NOTHING
        if "object" not in parent.kinds:
            return found
        if name in parent.members:
            found = self._join(found, parent.members[name])
            return found if name in parent.required else self._join(found, NULL)
        if not parent.closed:
            return UNKNOWN
        fix = OneOf(name, parent.members)
        return self._trouble("unknown-path", f"there is no member {name[:60]!r}", fix)

    def _trouble(
        self,
        rule: Literal["unknown-path", "expression"],
        message: str,
        fix: str | OneOf = "correct the expression",
    ) -> Shape:
        self.troubles.append(Trouble(rule, message, fix))
        return UNKNOWN

    def item(self, of: Evaluate, index: int, /) -> Evaluate:
        def found(value: Any, scope: Mapping[str, Any]) -> Shape:
            parent: Shape = of(value, scope)
            if parent.kinds and not parent.kinds & {"array", "null"}:
                kinds = " or ".join(sorted(parent.kinds))
                return self._trouble("unknown-path", f"{kinds} has no element [{index}]")
            if "array" not in parent.kinds:
                return NULL
            if not self._handy(parent):
                return UNKNOWN
            element = parent.element
            if parent.positions is not None and index < len(parent.positions):
                element = parent.positions[index]
                return join(element, NULL) if "null" in parent.kinds else element
            return join(element, NULL)

        return found

    def construct(self, members: list[tuple[str, Evaluate]], /) -> Evaluate:
        return lambda value, scope: object_of({name: each(value, scope) for name, each in members})

    def sequence(self, elements: list[Evaluate], /) -> Evaluate:
        return lambda value, scope: array_of([each(value, scope) for each in elements])

    def otherwise(self, left: Evaluate, right: Evaluate, /) -> Evaluate:
        def found(value: Any, scope: Mapping[str, Any]) -> Shape:
            first: Shape = without(left(value, scope), "null")
            return self._join(first, right(value, scope))

        return found

    def _join(self, one: Shape, other: Shape) -> Shape:
        return join(one, other) if self._handy(one, other) else UNKNOWN

    def _handy(self, *shapes: Shape) -> bool:
        """Tell whether shapes are small enough to be put together, and count that."""
        sizes = [size(shape) for shape in shapes]
        self._effort.spend(2 * sum(sizes))
        return max(sizes) <= MAX_SIZE

    def either(self, left: Evaluate, right: Evaluate, /) -> Evaluate:
        return self._truth(left, right)

    def both(self, left: Evaluate, right: Evaluate, /) -> Evaluate:
        return self._truth(left, right)

    def compared(self, left: Evaluate, _sign: str, right: Evaluate, /) -> Evaluate:
        return self._truth(left, right)

    def _truth(self, left: Evaluate, right: Evaluate) -> Evaluate:
        def found(value: Any, scope: Mapping[str, Any]) -> Shape:
            left(value, scope)
            right(value, scope)
            return BOOLEAN

        return found

    def added(self, left: Evaluate, right: Evaluate, /) -> Evaluate:
        return lambda value, scope: self._sum(left(value, scope), right(value, scope))

    def _sum(self, one: Shape, other: Shape) -> Shape:
        if not one.kinds or not other.kinds:
            return NOTHING
        if not self._handy(one, other):
            return UNKNOWN
        found = other if "null" in one.kinds else NOTHING
        if "null" in other.kinds:
            found = join(found, one)
        common = one.kinds & other.kinds - {"null", "boolean"}
        simple = common - {"object", "array"}
        found = join(found, Shape(kinds=simple))
        if "object" in common:
            found = join(found, _merged(one, other))
        if "array" in common:
            found = join(found, _concatenated(one, other))
        if not found.kinds:
            kinds = [" or ".join(sorted(each.kinds)) for each in (one, other)]
            message = f"{kinds[0]} and {kinds[1]} cannot be added"
            return self._trouble("expression", message)
        return found


def _merged(one: Shape, other: Shape) -> Shape:
    """Return the shape of `one + other` where both are objects: the right one's members win."""
    members: dict[str, Shape] = {}
    for name in {**one.members, **other.members}:
        before = one.members.get(name, NOTHING if one.closed else UNKNOWN)
        after = other.members.get(name, NOTHING if other.closed else UNKNOWN)
        members[name] = after if name in other.required else join(before, after)
    return Shape(
        kinds=OBJECT.kinds,
        members=members,
        required=one.required | other.required,
        closed=one.closed and other.closed,
    )


def _concatenated(one: Shape, other: Shape) -> Shape:
    if one.positions is not None and other.positions is not None:
        return array_of([*one.positions, *other.positions])
    return Shape(kinds=frozenset(("array",)), elements=join(one.element, other.element))
