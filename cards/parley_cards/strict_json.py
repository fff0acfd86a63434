"""JSON as RFC 8259 means it, for bytes that somebody else wrote.

The parser of the standard library accepts NaN, lets the last of two equal keys win, and ends in a
RecursionError on deep nesting. All that is refused here before anything acts on it.
"""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar, NoReturn

from parley_cards.errors import Kind, ParleyError

MAX_DEPTH = 64
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
MAX_BYTES = 1_048_576


class MalformedJsonError(ParleyError):
    """The bytes are not strict JSON; `message` says where and why."""

    code: ClassVar[str] = "malformed_json"
    kind: ClassVar[Kind] = Kind.INVALID


class JsonTooLargeError(ParleyError):
    """There are more bytes than the limit."""

    code: ClassVar[str] = "body_too_large"
    kind: ClassVar[Kind] = Kind.TOO_LARGE


def loads(
    raw: bytes | str,
    *,
    max_bytes: int = MAX_BYTES,
    max_depth: int = MAX_DEPTH,
    max_values: int | None = None,
) -> Any:
    """Parse one JSON value.

    Args:
        raw: UTF-8 without a byte order mark.
        max_bytes: Larger input is refused unread.
        max_depth: How many arrays and objects may be open at once.
        max_values: About how many there may be: what follows takes its time for each, however short.

    Raises:
        JsonTooLargeError: If `raw` is larger than `max_bytes`.
        MalformedJsonError: If it is not UTF-8 JSON, holds NaN or Infinity, a number with more than
            400 characters, a lone surrogate, two equal keys in one object, too many values, or nests too deep.
    """
    data = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
    if len(data) > max_bytes:
        raise JsonTooLargeError(
            f"the JSON has {len(data)} bytes, {max_bytes} are allowed", limit=max_bytes
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise MalformedJsonError(f"not UTF-8 at byte {exc.start}") from exc
    if max_values is not None:
        _check_values(text, max_values)
    _check_depth(text, max_depth)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=_parse_int,
            parse_float=_parse_float,
        )
    except json.JSONDecodeError as exc:
        raise MalformedJsonError(f"{exc.msg} at line {exc.lineno} column {exc.colno}") from exc
    if "\\u" in text:
        _check_surrogates(value)
    return value


def _check_depth(text: str, max_depth: int) -> None:
    """Count open brackets outside strings; linear, no recursion."""
    if text.count("[") + text.count("{") <= max_depth:
        return
    depth, in_string, escaped = 0, False, False
    for char in text:
        if in_string:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                in_string = False
        elif char == '"':
            in_string = True
        elif char in "[{":
            depth += 1
            if depth > max_depth:
                raise MalformedJsonError(f"nested deeper than {max_depth} levels")
        elif char in "]}":
            depth -= 1


def _check_values(text: str, max_values: int) -> None:
    if len(text) <= max_values or _separators(text) <= max_values:
        return
    if _separators(_STRING.sub("", text)) > max_values:
        raise MalformedJsonError(f"more than {max_values} values")


def _separators(text: str) -> int:
    return text.count(",") + text.count("[") + text.count("{")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise MalformedJsonError(f"the key {twice[:80]!r} appears twice in one object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedJsonError(f"{name} is not JSON")


def _parse_int(text: str) -> int:
    if len(text) > 400:
        raise MalformedJsonError("a number has more than 400 characters")
    return int(text)


def _parse_float(text: str) -> float:
    if len(text) > 400:
        raise MalformedJsonError("a number has more than 400 characters")
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise MalformedJsonError(f"the number {text[:40]} is too large")
    return value


def _check_surrogates(value: Any) -> None:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if any("\ud800" <= char <= "\udfff" for char in item):
                raise MalformedJsonError("a string holds a lone surrogate")
        elif isinstance(item, dict):
            stack.extend(item.keys())
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
