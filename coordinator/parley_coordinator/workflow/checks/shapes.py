"""What is known of a JSON value before it is there: gradual types, read from JSON Schemas.

A shape says which values are possible, and may say too many: `UNKNOWN` is every value. So what
contradicts a shape is certain, and what fits one is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Final

KINDS: Final = frozenset(("null", "boolean", "number", "string", "array", "object"))
"""JSON's; `number` is `integer`, too."""
MAX_SIZE: Final = 5000
"""Shapes inside a shape; a larger one is taken to be unknown."""
MAX_DEPTH: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True, eq=True)
class Shape:
    """The values that are of one of `kinds`; the other members say more about objects and arrays."""

    kinds: frozenset[str] = KINDS
    members: Mapping[str, Shape] = field(default_factory=dict)
    """Of an object, if it has them."""
    required: frozenset[str] = frozenset()
    closed: bool = False
    """An object has no other members."""
    elements: Shape | None = None
    """Of an array, each; None: unknown."""
    positions: tuple[Shape, ...] | None = None
    """All the elements of an array, if their number is known."""

    @property
    def element(self) -> Shape:
        if self.positions is not None:
            return join_all(self.positions)
        return UNKNOWN if self.elements is None else self.elements

    def only(self, *kinds: str) -> bool:
        """Tell whether it is certainly one of these kinds."""
        return bool(self.kinds) and self.kinds <= set(kinds)


UNKNOWN: Final = Shape()
NOTHING: Final = Shape(kinds=frozenset())
"""No value at all: what cannot be reached, or certainly fails."""
NULL: Final = Shape(kinds=frozenset(("null",)))
BOOLEAN: Final = Shape(kinds=frozenset(("boolean",)))
TEXT: Final = Shape(kinds=frozenset(("string",)))
OBJECT: Final = Shape(kinds=frozenset(("object",)))
ARRAY: Final = Shape(kinds=frozenset(("array",)))


def shape_of(value: Any) -> Shape:
    """Return the shape of a value that is known."""
    match value:
        case None:
            return NULL
        case bool():
            return BOOLEAN
        case int() | float():
            return Shape(kinds=frozenset(("number",)))
        case str():
            return TEXT
        case list() | tuple():
            return array_of([shape_of(each) for each in value])
        case dict():
            return object_of({str(name): shape_of(each) for name, each in value.items()})
    return UNKNOWN


def object_of(members: Mapping[str, Shape]) -> Shape:
    """Return the shape of an object with exactly these members."""
    required = frozenset(members)
    return Shape(kinds=OBJECT.kinds, members=dict(members), required=required, closed=True)


def array_of(elements: Iterable[Shape]) -> Shape:
    """Return the shape of an array with exactly these elements."""
    return Shape(kinds=ARRAY.kinds, positions=tuple(elements))


def join(one: Shape, other: Shape) -> Shape:
    """Return the shape of what is of either shape."""
    if one is other or not other.kinds:
        return one
    if not one.kinds:
        return other
    if one is UNKNOWN or other is UNKNOWN:
        return UNKNOWN
    objects = [each for each in (one, other) if "object" in each.kinds]
    arrays = [each for each in (one, other) if "array" in each.kinds]
    members, required, closed = _joined_members(objects)
    elements, positions = _joined_elements(arrays)
    return Shape(
        kinds=one.kinds | other.kinds,
        members=members,
        required=required,
        closed=closed,
        elements=elements,
        positions=positions,
    )


def join_all(shapes: Iterable[Shape]) -> Shape:
    return reduce(join, shapes, NOTHING)


def _joined_members(
    objects: list[Shape],
) -> tuple[Mapping[str, Shape], frozenset[str], bool]:
    if not objects:
        return {}, frozenset(), False
    if len(objects) == 1:
        return objects[0].members, objects[0].required, objects[0].closed
    one, other = objects
    members = {
        name: join(_possible(one, name), _possible(other, name))
        for name in {**one.members, **other.members}
    }
    return members, one.required & other.required, one.closed and other.closed


def _possible(shape: Shape, name: str) -> Shape:
    """Return what a member is, if it is there."""
    return shape.members.get(name, NOTHING if shape.closed else UNKNOWN)


def _joined_elements(arrays: list[Shape]) -> tuple[Shape | None, tuple[Shape, ...] | None]:
    if not arrays:
        return None, None
    if len(arrays) == 1:
        return arrays[0].elements, arrays[0].positions
    one, other = arrays
    known = one.positions is not None and other.positions is not None
    if known and len(one.positions or ()) == len(other.positions or ()):
        return None, tuple(map(join, one.positions or (), other.positions or ()))
    return join(one.element, other.element), None


def without(shape: Shape, *kinds: str) -> Shape:
    """Return what is left of a shape without values of these kinds."""
    left = shape.kinds - set(kinds)
    return Shape(
        kinds=left,
        members=shape.members,
        required=shape.required,
        closed=shape.closed,
        elements=shape.elements,
        positions=shape.positions,
    )


def size(shape: Shape) -> int:
    """Return how many shapes there are inside, itself included; more than `MAX_SIZE`: too many."""
    count = 0
    open_ = [(shape, 0)]
    while open_:
        each, depth = open_.pop()
        count += 1
        if depth > MAX_DEPTH:
            return MAX_SIZE + 1
        if each.elements is not None:
            open_.append((each.elements, depth + 1))
        open_.extend((child, depth + 1) for child in each.members.values())
        open_.extend((child, depth + 1) for child in each.positions or ())
        if count + len(open_) > MAX_SIZE:
            return MAX_SIZE + 1
    return count


def tamed(shape: Shape) -> Shape:
    """Return the shape, or `UNKNOWN` if it is too large to work with."""
    return UNKNOWN if size(shape) > MAX_SIZE else shape


def conflict(found: Shape, wanted: Shape, where: str = "") -> str:
    """Say why no value is of both shapes; empty if one could be.

    Args:
        where: Name of the value in the sentence; empty: `it`.
    """
    common = found.kinds & wanted.kinds
    if not found.kinds or not wanted.kinds:
        return ""
    if not common:
        return f"{where or 'it'} is {_named(found)}, not {_named(wanted)}"
    if common == {"object"}:
        return _member_conflict(found, wanted, where)
    if common == {"array"} and found.positions is not None:
        for index, each in enumerate(found.positions):
            within = wanted.element
            if wanted.positions is not None and index < len(wanted.positions):
                within = wanted.positions[index]
            reason = conflict(each, within, f"{where}[{index}]")
            if reason:
                return reason
    return ""


def _member_conflict(found: Shape, wanted: Shape, where: str) -> str:
    for name in sorted(found.required | wanted.required):
        here = f"{where}.{name}" if where else name
        if found.closed and name not in found.members:
            return f"{here} is missing"
        if wanted.closed and name not in wanted.members:
            return f"{here} is not allowed"
        if name in found.members and name in wanted.members:
            reason = conflict(found.members[name], wanted.members[name], here)
            if reason:
                return reason
    return ""


def _named(shape: Shape) -> str:
    return " or ".join(sorted(shape.kinds))
