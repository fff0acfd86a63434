"""Runtime expressions: jq, without anything that is not a function of its input.

`env`, `now`, `input` and their like are refused when a document is checked and shadowed when it
runs; `import` and `include` do not parse. Values that a run is given are never read as
expressions, only the document's own text is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import jq

from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_coordinator.workflow.operators import NoShortcutError
from parley_coordinator.workflow.shortcuts import compile_shortcut

MAX_OPERAND: Final = 500
"""Longer values are no operands that explain a choice."""
VARIABLES: Final = ("context", "input", "output", "task", "workflow", "runtime")

_WRAPPED: Final = re.compile(r"\s*\$\{(.+)\}\s*", re.DOTALL)
_VARIABLE: Final = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_PATH: Final = re.compile(
    r"(?:\$[A-Za-z_]\w*|(?<![\w\])$.])(?=\.))(?:\.[A-Za-z_]\w*|\[\d+\])+", re.ASCII
)
_NOISE: Final = re.compile(r"^\s*jq: error(?: \(at [^)]*\))?:?\s*| at <top-level>, line \d+.*$")
_IMPURE: Final = (
    *("env", "now", "input", "inputs", "input_filename", "input_line_number", "debug", "stderr"),
    *("halt", "halt_error", "localtime", "strflocaltime", "get_search_list", "modulemeta"),
)
_FORBIDDEN: Final = re.compile(
    rf"(?<![\w.$])(?:{'|'.join(_IMPURE)}|import|include)(?!\w)(?!\s*:)"
    r"|\$(?:ENV|__prog_args|__loc__)\b",
    re.ASCII,
)
_PRELUDE: Final = (
    "".join(f'def {name}: error("{name} is not allowed in an expression");' for name in _IMPURE)
    + "".join(
        f'def {name}(f): error("{name} is not allowed in an expression");'
        for name in ("debug", "halt_error", "strflocaltime")
    )
    + "{} as $ENV | "
)
"""Definitions shadow the builtins, and make `import` and `include` syntax errors."""


class ExpressionError(ValueError):
    """The text is not an expression that may run."""


def is_expression(text: str) -> bool:
    """Tell whether a string of the document is an expression as a whole, `${ ... }`."""
    return _WRAPPED.fullmatch(text) is not None


def body_of(text: str) -> str:
    """Return the jq text; conditions may be written without `${ }`."""
    match = _WRAPPED.fullmatch(text)
    return (match.group(1) if match else text).strip()


def compile_check(text: str, variables: Iterable[str]) -> None:
    """Prove that an expression parses and uses only what is in scope.

    Raises:
        ExpressionError: In one line: why not.
    """
    source = body_of(text)
    forbidden = _FORBIDDEN.search(_STRING.sub('""', source))
    if forbidden:
        name = forbidden.group(0)
        raise ExpressionError(f"`{name}` is not allowed: an expression is a function of its input")
    if compile_shortcut(source) is not None:
        unknown = _used(source) - set(variables)
        if unknown:
            raise ExpressionError(f"${min(unknown)} is not defined here")
        return
    try:
        _compile(source, _mentioned(source, variables))
    except ValueError as exc:
        raise ExpressionError(_first_line(exc)) from exc


def evaluate(template: Any, data: Any, variables: Mapping[str, Any]) -> Any:
    """Evaluate the expressions in a value of the document, leaf by leaf.

    Args:
        data: What `.` is.
        variables: By name, without `$`.

    Raises:
        WorkflowError: `expression`, if one fails.
    """
    if isinstance(template, str):
        return run(template, data, variables) if is_expression(template) else template
    if isinstance(template, dict):
        return {name: evaluate(value, data, variables) for name, value in template.items()}
    if isinstance(template, list):
        return [evaluate(value, data, variables) for value in template]
    return template


def transform(template: Any, data: Any, variables: Mapping[str, Any]) -> Any:
    """Evaluate `from` or `as`, where text is an expression with or without `${ }`."""
    if isinstance(template, str):
        return run(template, data, variables)
    return evaluate(template, data, variables)


def truthy(text: str, data: Any, variables: Mapping[str, Any]) -> bool:
    """Evaluate a condition: all but null and false holds."""
    value = run(text, data, variables)
    return value is not None and value is not False


def run(text: str, data: Any, variables: Mapping[str, Any]) -> Any:
    """Evaluate one expression; its first output counts, none is null.

    Raises:
        WorkflowError: `expression`, if it fails.
    """
    source = body_of(text)
    shortcut = _shortcut(source)
    if shortcut is not None:
        try:
            return shortcut(data, variables)
        except NoShortcutError:
            pass
    used = _mentioned(source, variables)
    try:
        program = _compile(source, used)
        outputs = iter(program.input_value([{n: variables[n] for n in used}, data]))
        return next(outputs, None)
    except ValueError as exc:
        detail = f"{_shown(source)}: {_first_line(exc)}"
        raise WorkflowError(Standard.EXPRESSION, "An expression failed", detail) from exc


def operands(text: str, data: Any, variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the scalars that a condition compares, as `{name, value}` in the order of the text."""
    found: dict[str, Any] = {}
    for path in _PATH.findall(_STRING.sub('""', body_of(text))):
        shortcut = _shortcut(path)
        if path in found or shortcut is None:
            continue
        try:
            value = shortcut(data, variables)
        except NoShortcutError:
            continue
        if not isinstance(value, dict | list) and len(str(value)) <= MAX_OPERAND:
            found[path] = value
    return [{"name": name, "value": value} for name, value in found.items()]


_shortcut = lru_cache(maxsize=2048)(compile_shortcut)


@lru_cache(maxsize=1024)
def _compile(source: str, variables: tuple[str, ...]) -> Any:
    """Compile for input `[variables, data]`: libjq fixes variables when it compiles."""
    bound = "".join(f".[0].{name} as ${name} | " for name in variables)
    # The line end closes a comment that the expression may end in.
    return jq.compile(f"{_PRELUDE}{bound}.[1] | (\n{source}\n)")


def _mentioned(source: str, variables: Iterable[str]) -> tuple[str, ...]:
    """Return the variables that `source` may use; the rest is not worth converting."""
    return tuple(sorted(name for name in variables if f"${name}" in source))


def _used(source: str) -> set[str]:
    return set(_VARIABLE.findall(_STRING.sub('""', source)))


def _first_line(exc: ValueError) -> str:
    line = str(exc).strip().split("\n")[0]
    return _NOISE.sub("", line)[:300]


def _shown(source: str) -> str:
    flat = " ".join(source.split())
    return flat if len(flat) <= 120 else flat[:120] + "..."
