"""Runtime expressions: jq, without anything that is not a function of its input.

`env`, `now`, `input` and their like are refused when a document is checked and shadowed when it
runs; `import` and `include` do not parse. Values that a run is given are never read as
expressions, only the document's own text is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, Protocol

import jq

from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_coordinator.workflow.extent import excess
from parley_coordinator.workflow.operators import NoShortcutError
from parley_coordinator.workflow.shortcuts import compile_shortcut

MAX_OPERAND: Final = 500
"""Longer values are no operands that explain a choice."""
VARIABLES: Final = (
    *("context", "input", "output", "task", "workflow", "runtime"),
    *("secrets", "authorization"),
)

_WRAPPED: Final = re.compile(r"\s*\$\{(.+)\}\s*", re.DOTALL)
_VARIABLE: Final = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""One that is not closed goes to the end, so that a text is read once."""
_PATH: Final = re.compile(
    r"(?:\$[A-Za-z_]\w*|(?<![\w\])$.])(?=\.))(?:\.[A-Za-z_]\w*|\[\d+\])+", re.ASCII
)
_GROWS: Final = re.compile(r"[{\[+]|\$task\b")
"""What may give more than there was."""
_SECRET: Final = "it fails on what is secret"  # noqa: S105 - a sentence
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


class LimitError(ValueError):
    """What would have come of the program is not known: it was stopped."""


class ExpressionError(ValueError):
    """The text is not an expression that may run."""


class FailedExpressionError(WorkflowError):
    """An expression failed; jq's word about it may quote the values that it failed on.

    Args:
        source: The text of the expression.
    """

    def __init__(self, source: str, why: str) -> None:
        super().__init__(Standard.EXPRESSION, "An expression failed", f"{_shown(source)}: {why}")
        self._source = source

    def discreet(self) -> FailedExpressionError:
        """Return the error without any value; what exceeds a limit quotes none."""
        return self if self.limited else FailedExpressionError(self._source, _SECRET)


def is_expression(text: str) -> bool:
    """Tell whether a string of the document is an expression as a whole, `${ ... }`."""
    return _WRAPPED.fullmatch(text) is not None


def body_of(text: str) -> str:
    """Return the jq text; conditions may be written without `${ }`."""
    match = _WRAPPED.fullmatch(text)
    return (match.group(1) if match else text).strip()


def compile_check(
    text: str, variables: Iterable[str], problem: Callable[[str], str | None] | None = None
) -> None:
    """Prove that an expression parses and uses only what is in scope.

    Args:
        problem: Compiles a program and says what is wrong with it; by default in this process.

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
    found = (problem or local_problem)(_program(source, _mentioned(source, variables)))
    if found is not None:
        raise ExpressionError(found)


class Jq(Protocol):
    """Runs jq programs: in this process, or in workers that can be killed."""

    async def first(self, program: str, value: Any) -> Any:
        """Return the first output of a program; None if it has none.

        Raises:
            ValueError: The program fails on this input; in one line: why.
            LimitError: It took too long, too much memory, or gave too much.
        """
        ...

    async def problem(self, program: str) -> str | None:
        """Return why a program does not compile, in one line; None if it does."""
        ...


class LocalJq:
    """libjq in this process: for documents that one trusts, as their author does.

    It cannot be interrupted, and a program that runs out of memory ends the process.
    """

    async def first(self, program: str, value: Any) -> Any:
        try:
            found = next(iter(_compile(program).input_value(value)), None)
        except ValueError as exc:
            raise ValueError(first_line(exc)) from exc
        exceeded = excess(found)
        if exceeded is not None:
            raise LimitError(f"its output {exceeded}")
        return found

    async def problem(self, program: str) -> str | None:
        return local_problem(program)


class Expressions:
    """Evaluates the expressions of a document, with a shortcut for most of them."""

    def __init__(self, jq: Jq | None = None) -> None:
        self._jq = jq or LocalJq()

    async def evaluate(self, template: Any, data: Any, variables: Mapping[str, Any]) -> Any:
        """Evaluate the expressions in a value of the document, leaf by leaf.

        Args:
            data: What `.` is.
            variables: By name, without `$`.

        Raises:
            WorkflowError: `expression`, if one fails.
        """
        value = await self._evaluate(template, data, variables)
        if not isinstance(template, str):
            _check_extent("", value)
        return value

    async def _evaluate(self, template: Any, data: Any, variables: Mapping[str, Any]) -> Any:
        if isinstance(template, str):
            return (
                await self.run(template, data, variables) if is_expression(template) else template
            )
        if isinstance(template, dict):
            return {
                name: await self._evaluate(value, data, variables)
                for name, value in template.items()
            }
        if isinstance(template, list | tuple):
            return [await self._evaluate(value, data, variables) for value in template]
        return template

    async def transform(self, template: Any, data: Any, variables: Mapping[str, Any]) -> Any:
        """Evaluate `from` or `as`, where text is an expression with or without `${ }`."""
        if isinstance(template, str):
            return await self.run(template, data, variables)
        return await self.evaluate(template, data, variables)

    async def truthy(self, text: str, data: Any, variables: Mapping[str, Any]) -> bool:
        """Evaluate a condition: all but null and false holds."""
        value = await self.run(text, data, variables)
        return value is not None and value is not False

    async def run(self, text: str, data: Any, variables: Mapping[str, Any]) -> Any:
        """Evaluate one expression; its first output counts, none is null.

        Raises:
            WorkflowError: `expression`, if it fails.
        """
        source = body_of(text)
        shortcut = _shortcut(source)
        if shortcut is not None:
            try:
                found = shortcut(data, variables)
            except NoShortcutError:
                pass
            else:
                if _GROWS.search(source):
                    _check_extent(source, found)
                return found
        used = _mentioned(source, variables)
        try:
            value = [{name: variables[name] for name in used}, data]
            return await self._jq.first(_program(source, used), value)
        except LimitError as exc:
            error = FailedExpressionError(source, str(exc))
            error.limited = True
            raise error from exc
        except ValueError as exc:
            error = FailedExpressionError(source, str(exc))
            raise (error.discreet() if mentions(source, "secrets") else error) from None


def mentions(template: Any, name: str) -> bool:
    """Tell whether a value of the document may use a variable; text that only looks so counts."""
    if isinstance(template, str):
        return re.search(rf"\${name}(?!\w)", template, re.ASCII) is not None
    if isinstance(template, Mapping):
        return any(mentions(each, name) for each in template.values())
    return isinstance(template, list | tuple) and any(mentions(each, name) for each in template)


def _check_extent(source: str, value: Any) -> None:
    exceeded = excess(value) if isinstance(value, dict | list | str) else None
    if exceeded is not None:
        raise FailedExpressionError(source or "an object", f"its output {exceeded}")


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


@lru_cache(maxsize=2048)
def _program(source: str, variables: tuple[str, ...]) -> str:
    """Return the program for input `[variables, data]`: libjq fixes variables when it compiles."""
    bound = "".join(f".[0].{name} as ${name} | " for name in variables)
    # The line end closes a comment that the expression may end in.
    return f"{_PRELUDE}{bound}.[1] | (\n{source}\n)"


@lru_cache(maxsize=1024)
def _compile(program: str) -> Any:
    return jq.compile(program)


def local_problem(program: str) -> str | None:
    """Compile in this process."""
    try:
        _compile(program)
    except ValueError as exc:
        return first_line(exc)
    return None


def _mentioned(source: str, variables: Iterable[str]) -> tuple[str, ...]:
    """Return the variables that `source` may use; the rest is not worth converting."""
    return tuple(sorted(name for name in variables if f"${name}" in source))


def _used(source: str) -> set[str]:
    return set(_VARIABLE.findall(_STRING.sub('""', source)))


def first_line(exc: object) -> str:
    """What jq says, without where it says it."""
    line = str(exc).strip().split("\n")[0]
    return _NOISE.sub("", line)[:300]


def _shown(source: str) -> str:
    flat = " ".join(source.split())
    return flat if len(flat) <= 120 else flat[:120] + "..."
