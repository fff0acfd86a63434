"""YAML 1.2 (core schema) text to JSON values, with the line and column of each.

Hostile text ends in a finding, not in a traceback or a full memory: size, depth, the number of
values and their text are bounded, aliases count as what they stand for, and no tag builds an object.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import yaml
from yaml import events

from parley_coordinator.workflow.findings import Finding, Positions, escape, refuse

MAX_BYTES: Final = 1_048_576
MAX_DEPTH: Final = 64
MAX_VALUES: Final = 50_000
MAX_TEXT: Final = 2 * MAX_BYTES
"""Characters of keys and scalars, every alias written out."""
MAX_KEY: Final = 256
MAX_POINTERS: Final = 16 << 20
"""Characters of the JSON pointers of all values: each has those of the keys around it."""

# YAML 1.2.2, 10.3.2: unlike 1.1, `on`, `yes`, `1_000`, `0o7`-less octals and dates are strings.
_NULL: Final = frozenset(("", "~", "null", "Null", "NULL"))
_BOOL: Final = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT: Final = re.compile(r"[-+]?[0-9]+", re.ASCII)
_OCTAL: Final = re.compile(r"0o[0-7]+")
_HEX: Final = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser where PyYAML was built with it: ten times as fast, and the same events."""
_TAGS: Final = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "seq", "map"))
_MAX_SAFE_INTEGER: Final = 2**53 - 1
_MAX_DIGITS: Final = 400


class _Mark(Protocol):
    line: int
    column: int


class _Extent(NamedTuple):
    """How much there is of something, with every alias written out."""

    values: int = 0
    text: int = 0

    def __sub__(self, other: _Extent) -> _Extent:
        return _Extent(self.values - other.values, self.text - other.text)


_NOTHING: Final = _Extent()


@dataclass(slots=True)
class _Collection:
    value: dict[str, Any] | list[Any]
    path: str
    anchor: str | None
    started: _Extent
    """What had been counted when it began."""
    key: str | None = None
    key_path: str = ""


@dataclass(slots=True)
class _Builder:
    """Builds values from parser events with a stack of its own, so depth costs no recursion."""

    source: str
    any_key: bool = False
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    values: dict[str, tuple[int, int]] = field(default_factory=dict)
    stack: list[_Collection] = field(default_factory=list)
    anchors: dict[str, tuple[Any, _Extent] | None] = field(default_factory=dict)
    """Value and how much it holds; None while it is still open."""
    extent: _Extent = _NOTHING
    pointers: int = 0
    """Characters of all of them."""
    documents: int = 0
    root: Any = None

    def feed(self, event: events.Event) -> None:
        mark = _mark(event)
        match event:
            case events.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    raise self.refuse(mark, "there is more than one document", "keep one per file")
            case events.ScalarEvent():
                self._scalar(event)
            case events.AliasEvent():
                self._alias(event)
            case events.SequenceStartEvent() | events.MappingStartEvent():
                self._open(event)
            case events.SequenceEndEvent() | events.MappingEndEvent():
                self._close()

    def refuse(self, mark: _Mark, message: str, fix: str, *, rule: str = "yaml") -> Exception:
        path = self._path_here()
        line, column = mark.line + 1, mark.column + 1
        return refuse(
            self.source,
            [Finding(line=line, column=column, path=path, rule=rule, message=message, fix=fix)],
        )

    def _path_here(self) -> str:
        return self.stack[-1].path if self.stack else ""

    def _next_path(self, mark: _Mark) -> str:
        """Return the pointer of the value that comes next; call it for values only."""
        if not self.stack:
            return ""
        top = self.stack[-1]
        if isinstance(top.value, dict):
            return top.key_path
        return self._pointer(f"{top.path}/{len(top.value)}", mark)

    def _pointer(self, path: str, mark: _Mark) -> str:
        self.pointers += len(path)
        if self.pointers > MAX_POINTERS:
            message = "too many values are nested too deep below long keys"
            raise self.refuse(mark, message, "shorten the keys, or flatten it")
        return path

    def _expects_key(self) -> bool:
        return (
            bool(self.stack)
            and isinstance(self.stack[-1].value, dict)
            and (self.stack[-1].key is None)
        )

    def _open(self, event: events.SequenceStartEvent | events.MappingStartEvent) -> None:
        mark = _mark(event)
        if self._expects_key():
            raise self.refuse(mark, "a key is not text", "use a plain word as the key")
        if event.tag is not None and event.tag not in _TAGS:
            raise self.refuse(mark, f"the tag {event.tag[:60]} is not allowed", "remove the tag")
        if len(self.stack) >= MAX_DEPTH:
            raise self.refuse(mark, f"nested deeper than {MAX_DEPTH} levels", "flatten it")
        path = self._next_path(mark)
        self.values[path] = (mark.line + 1, mark.column + 1)
        started = self.extent
        self._add(_Extent(values=1), mark)
        value: dict[str, Any] | list[Any] = (
            {} if isinstance(event, events.MappingStartEvent) else []
        )
        self.stack.append(_Collection(value, path, event.anchor, started))
        if event.anchor is not None:
            self.anchors[event.anchor] = None

    def _close(self) -> None:
        done = self.stack.pop()
        if done.anchor is not None:
            self.anchors[done.anchor] = (done.value, self.extent - done.started)
        self._put(done.value)

    def _scalar(self, event: events.ScalarEvent) -> None:
        mark = _mark(event)
        if self._expects_key():
            self._take_key(event)
            return
        self.values[self._next_path(mark)] = (mark.line + 1, mark.column + 1)
        extent = _Extent(values=1, text=len(event.value))
        self._add(extent, mark)
        value = self._resolve(event)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, extent)
        self._put(value)

    def _take_key(self, event: events.ScalarEvent) -> None:
        top, mark = self.stack[-1], _mark(event)
        name = event.value
        if len(name) > MAX_KEY:
            message = f"a key has {len(name)} characters, {MAX_KEY} are allowed"
            raise self.refuse(mark, message, "shorten it")
        if not self.any_key and not isinstance(self._resolve(event), str):
            raise self.refuse(mark, f"the key {name[:60]!r} is not text", f'write "{name[:60]}"')
        if name in top.value:
            raise self.refuse(
                mark, f"the key {name[:60]!r} appears twice", "remove one", rule="duplicate-key"
            )
        top.key, top.key_path = name, self._pointer(f"{top.path}/{escape(name)}", mark)
        self.keys[top.key_path] = (mark.line + 1, mark.column + 1)
        self._add(_Extent(text=len(name)), mark)

    def _alias(self, event: events.AliasEvent) -> None:
        mark = _mark(event)
        if self._expects_key():
            raise self.refuse(mark, "a key is an alias", "write the key itself")
        name = event.anchor or ""
        known = self.anchors.get(name)
        if known is None:
            raise self.refuse(
                mark,
                f"the alias *{name[:60]} stands for nothing or for itself",
                "define the anchor before it",
            )
        self.values[self._next_path(mark)] = (mark.line + 1, mark.column + 1)
        self._add(known[1], mark)
        self._put(known[0])

    def _add(self, more: _Extent, mark: _Mark) -> None:
        self.extent = _Extent(self.extent.values + more.values, self.extent.text + more.text)
        if self.extent.values > MAX_VALUES:
            raise self.refuse(mark, f"more than {MAX_VALUES} values", "split the workflow")
        if self.extent.text > MAX_TEXT:
            message = f"with every alias written out, more than {MAX_TEXT} characters"
            raise self.refuse(mark, message, "repeat less of it")

    def _put(self, value: Any) -> None:
        if not self.stack:
            self.root = value
            return
        top = self.stack[-1]
        if isinstance(top.value, list):
            top.value.append(value)
        else:
            top.value[top.key or ""] = value
            top.key = None

    def _resolve(self, event: events.ScalarEvent) -> Any:
        text, mark = event.value, _mark(event)
        if event.tag is not None and event.tag not in _TAGS and event.tag != "!":
            raise self.refuse(mark, f"the tag {event.tag[:60]} is not allowed", "remove the tag")
        if event.tag is not None or not event.implicit[0]:
            return text
        if text in _NULL:
            return None
        if text in _BOOL:
            return _BOOL[text]
        if _NOT_FINITE.fullmatch(text):
            raise self.refuse(mark, f"{text} is not a JSON number", "quote it or use a number")
        return self._number(text, mark)

    def _number(self, text: str, mark: _Mark) -> Any:
        value: int | float
        if len(text) > _MAX_DIGITS and _FLOAT.fullmatch(text):
            raise self.refuse(mark, "the number is too long", "quote it")
        if _INT.fullmatch(text):
            value = int(text)
        elif _OCTAL.fullmatch(text):
            value = int(text[2:], 8)
        elif _HEX.fullmatch(text):
            value = int(text[2:], 16)
        elif _FLOAT.fullmatch(text):
            value = float(text)
        else:
            return text
        if isinstance(value, int) and abs(value) > _MAX_SAFE_INTEGER:
            raise self.refuse(mark, f"{text[:40]} is too large for a JSON number", "quote it")
        if isinstance(value, float) and not math.isfinite(value):
            raise self.refuse(mark, f"{text[:40]} is too large for a JSON number", "quote it")
        return value


def _mark(event: events.Event) -> _Mark:
    mark: _Mark = event.start_mark  # type: ignore[assignment]  # events of a parser have one
    return mark


def read(raw: bytes | str, *, source: str, any_key: bool = False) -> tuple[Any, Positions]:
    """Return the one value in `raw` and where its parts stand.

    Args:
        any_key: Take keys such as `200` as the text that they are written with, instead of refusing.

    Raises:
        InvalidWorkflowError: If it is not one YAML 1.2 document within the limits.
    """
    text = _text(raw, source)
    builder = _Builder(source, any_key)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.feed(event)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise refuse(source, [_syntax(line, column, exc.problem or "not YAML")]) from exc
    except yaml.YAMLError as exc:
        raise refuse(source, [_syntax(1, 1, str(exc).splitlines()[0])]) from exc
    if builder.documents == 0:
        raise refuse(source, [_syntax(1, 1, "the document is empty")])
    return builder.root, Positions(keys=builder.keys, values=builder.values)


def _text(raw: bytes | str, source: str) -> str:
    data = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
    if len(data) > MAX_BYTES:
        message = f"the document has {len(data)} bytes, {MAX_BYTES} are allowed"
        raise refuse(source, [_syntax(1, 1, message)])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise refuse(source, [_syntax(line, 1, f"not UTF-8 at byte {exc.start}")]) from exc


def _syntax(line: int, column: int, message: str) -> Finding:
    fix = "write one YAML 1.2 document in UTF-8, and quote every expression"
    return Finding(line=line, column=column, path="", rule="yaml", message=message, fix=fix)
