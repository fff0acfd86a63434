"""What a shortcut is built of: functions that give what jq gives, or leave it to jq."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import ge, gt, le, lt
from typing import Any, Final

Scope = Mapping[str, Any]
Evaluate = Callable[[Any, Scope], Any]
"""(input, variables by name without `$`) to the value."""


_LONGEST_SUM: Final = 1 << 16
"""Characters or elements; jq has a limit of memory."""
ORDER: Final = {"<": lt, "<=": le, ">": gt, ">=": ge}


class NoShortcutError(Exception):
    """Ask jq."""


def identity(value: Any, _scope: Scope) -> Any:
    return value


def constant(constant: Any) -> Evaluate:
    return lambda _value, _scope: constant


def variable(name: str) -> Evaluate:
    def found(_value: Any, scope: Scope) -> Any:
        if name not in scope:
            raise NoShortcutError
        return scope[name]

    return found


def field(of: Evaluate, name: str) -> Evaluate:
    def found(value: Any, scope: Scope) -> Any:
        parent = of(value, scope)
        if parent is None:
            return None
        if not isinstance(parent, dict):
            raise NoShortcutError
        return parent.get(name)

    return found


def item(of: Evaluate, index: int) -> Evaluate:
    def found(value: Any, scope: Scope) -> Any:
        parent = of(value, scope)
        if parent is None:
            return None
        if not isinstance(parent, list):
            raise NoShortcutError
        return parent[index] if index < len(parent) else None

    return found


def construct(members: list[tuple[str, Evaluate]]) -> Evaluate:
    return lambda value, scope: {name: member(value, scope) for name, member in members}


def sequence(elements: list[Evaluate]) -> Evaluate:
    return lambda value, scope: [element(value, scope) for element in elements]


def _true(value: Any) -> bool:
    return value is not None and value is not False


def otherwise(left: Evaluate, right: Evaluate) -> Evaluate:
    def found(value: Any, scope: Scope) -> Any:
        chosen = left(value, scope)
        return chosen if _true(chosen) else right(value, scope)

    return found


def either(left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda value, scope: _true(left(value, scope)) or _true(right(value, scope))


def both(left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda value, scope: _true(left(value, scope)) and _true(right(value, scope))


def compared(left: Evaluate, sign: str, right: Evaluate) -> Evaluate:
    def found(value: Any, scope: Scope) -> bool:
        one, other = left(value, scope), right(value, scope)
        if sign in ("==", "!="):
            return _equal(one, other) is (sign == "==")
        # jq orders values of different types, and strings by code point: leave the first to jq.
        kind = _comparable(one)
        if kind is None or _comparable(other) is not kind:
            raise NoShortcutError
        return bool(ORDER[sign](one, other))

    return found


def _comparable(value: Any) -> type | None:
    if isinstance(value, str):
        return str
    # beyond 2^53 jq compares doubles
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return int
    return None


def _equal(one: Any, other: Any) -> bool:
    """Compare scalars as jq does; containers are left to jq, numbers beyond 2^53 too."""
    for value in (one, other):
        if isinstance(value, dict | list):
            raise NoShortcutError
        if isinstance(value, int) and abs(value) >= 2**53:
            raise NoShortcutError
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def added(left: Evaluate, right: Evaluate) -> Evaluate:
    def found(value: Any, scope: Scope) -> Any:
        one, other = left(value, scope), right(value, scope)
        if one is None:
            return other
        if other is None:
            return one
        if isinstance(one, dict) and isinstance(other, dict):
            return {**one, **other}
        if isinstance(one, str | list) and isinstance(other, str | list):
            # A sum of many could be more than this process has room for.
            if type(one) is not type(other) or len(one) + len(other) > _LONGEST_SUM:
                raise NoShortcutError
            return one + other  # type: ignore[operator] # of one type
        raise NoShortcutError

    return found
