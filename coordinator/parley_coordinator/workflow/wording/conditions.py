"""Expressions in words, as far as that is certain; otherwise their own text."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from parley_coordinator.workflow.expressions import body_of
from parley_coordinator.workflow.operators import Evaluate, NoShortcutError
from parley_coordinator.workflow.shortcuts import compile_shortcut
from parley_coordinator.workflow.wording.plain import line

_OR, _AND, _COMPARED, _ATOM = range(4)
_SIGNS: Final = {
    "==": "is",
    "!=": "is not",
    "<": "is less than",
    "<=": "is at most",
    ">": "is more than",
    ">=": "is at least",
}
_KNOWN: Final = {
    "$workflow.requestedBy": "whoever asked for the run",
    "$workflow.id": "the id of the run",
    "$workflow.startedAt": "when the run started",
}


def condition(text: str) -> str:
    """Say when something holds: `$context.verdict.outcome == "x"` is `verdict.outcome is "x"`."""
    return _said(text, truth=True)


def value(text: str) -> str:
    """Say what an expression gives: `$context.order.number` is `order.number`."""
    return _said(text, truth=False)


def _said(text: str, *, truth: bool) -> str:
    source = body_of(text)
    meaning = _Words()
    try:
        found = compile_shortcut(source, meaning)
        said = None if found is None else found(None, {})
    except NoShortcutError:
        said = None
    if not isinstance(said, _Said) or not meaning.certain:
        return line(source)
    return line(said.holds() if truth else said.text)


@dataclass(frozen=True, slots=True)
class _Said:
    text: str
    level: int = _ATOM
    path: str = ""
    """As written, if it is a path."""
    constant: bool = False

    def beside(self, level: int) -> str:
        """As an operand of an operator of this level; what it is made of shows."""
        return self.text if self.level in (level, _COMPARED, _ATOM) else f"({self.text})"

    def holds(self) -> str:
        """As a condition on its own: a bare path holds unless it is null or false."""
        return f"{self.text} holds" if self.path else self.text


@dataclass(slots=True)
class _Words:
    """What the parts of an expression mean in words."""

    _paths: dict[str, str] = field(default_factory=dict)
    certain: bool = True
    """False once two different paths would read the same."""

    def identity(self, _value: Any, _scope: Any, /) -> _Said:
        return _Said("the data", path=".")

    def constant(self, constant: Any, /) -> Evaluate:
        said = {True: "true", False: "false"}.get(constant) if isinstance(constant, bool) else None
        text = said or ("nothing" if constant is None else json.dumps(constant, ensure_ascii=False))
        return _always(_Said(text, constant=True))

    def variable(self, name: str, /) -> Evaluate:
        return _always(self._path(f"${name}"))

    def field(self, of: Evaluate, name: str, /) -> Evaluate:
        return _always(self._path(f"{_path_of(of).removesuffix('.')}.{name}"))

    def item(self, of: Evaluate, index: int, /) -> Evaluate:
        return _always(self._path(f"{_path_of(of)}[{index}]"))

    def construct(self, _members: list[tuple[str, Evaluate]], /) -> Evaluate:
        raise NoShortcutError

    def sequence(self, _elements: list[Evaluate], /) -> Evaluate:
        raise NoShortcutError

    def otherwise(self, _left: Evaluate, _right: Evaluate, /) -> Evaluate:
        raise NoShortcutError

    def added(self, _left: Evaluate, _right: Evaluate, /) -> Evaluate:
        raise NoShortcutError

    def either(self, left: Evaluate, right: Evaluate, /) -> Evaluate:
        return _always(_Said(f"{_part(left, _OR)} or {_part(right, _OR)}", _OR))

    def both(self, left: Evaluate, right: Evaluate, /) -> Evaluate:
        return _always(_Said(f"{_part(left, _AND)} and {_part(right, _AND)}", _AND))

    def compared(self, left: Evaluate, sign: str, right: Evaluate, /) -> Evaluate:
        one, other = _of(left), _of(right)
        if other.constant and other.text == "nothing" and sign in ("==", "!="):
            text = f"{_operand(one)} is {'not ' if sign == '==' else ''}given"
        else:
            text = f"{_operand(one)} {_SIGNS[sign]} {_operand(other)}"
        return _always(_Said(text, _COMPARED))

    def _path(self, path: str) -> _Said:
        text = _KNOWN.get(path) or path.removeprefix("$context.").removeprefix("$").lstrip(".")
        if self._paths.setdefault(text, path) != path:
            self.certain = False
        return _Said(text, path=path)


def _always(said: _Said) -> Evaluate:
    return lambda _value, _scope: said


def _of(evaluate: Evaluate) -> _Said:
    said = evaluate(None, {})
    if not isinstance(said, _Said):
        raise NoShortcutError
    return said


def _path_of(evaluate: Evaluate) -> str:
    path = _of(evaluate).path
    if not path:
        raise NoShortcutError
    return path


def _operand(said: _Said) -> str:
    return said.text if said.level == _ATOM else f"({said.text})"


def _part(evaluate: Evaluate, level: int) -> str:
    said = _of(evaluate)
    return said.holds() if said.path else said.beside(level)
