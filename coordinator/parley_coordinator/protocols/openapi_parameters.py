"""How OpenAPI writes parameters into a request: pure, both 2.0 and 3.x.

======== ============================= ==============================================
in       3.x `style` (default first)   2.0 `collectionFormat`
======== ============================= ==============================================
path     simple                        csv ssv tsv pipes
query    form spaceDelimited           csv ssv tsv pipes multi
         pipeDelimited deepObject
header   simple                        csv ssv tsv pipes
cookie   form                          -
======== ============================= ==============================================

Source: OpenAPI 3.1 section 4.8.12, RFC 6570; OpenAPI 2.0 "Parameter Object".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias
from urllib.parse import quote

from parley_coordinator.protocols.content import encoded, scalar
from parley_coordinator.protocols.outcome import misconfigured, unfit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Where: TypeAlias = Literal["path", "query", "header", "cookie"]

STYLES: Final[Mapping[str, tuple[str, ...]]] = {
    "path": ("simple",),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form",),
}
FORMATS: Final = {"csv": ",", "ssv": " ", "tsv": "\t", "pipes": "|", "multi": "&"}
_DELIMITERS: Final = {"form": ",", "simple": ",", "spaceDelimited": " ", "pipeDelimited": "|"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter that an operation declares."""

    name: str
    where: Where
    required: bool
    style: str
    explode: bool
    delimiter: str = ","
    """Between the values of an array that is not exploded."""
    as_json: bool = False
    """It is declared by a media type, which is JSON."""


def style_of(declared: Mapping[str, Any], where: Where) -> tuple[str, bool, str]:
    """Return style, explode and delimiter of a 3.x parameter.

    Raises:
        WorkflowError: `configuration`, if we do not write that style.
    """
    allowed = STYLES[where]
    style = declared.get("style", allowed[0])
    if style not in allowed:
        raise misconfigured(
            f"the parameter {str(declared.get('name'))[:80]!r} has the style {str(style)[:40]!r};"
            f" in {where} we write {', '.join(allowed)}"
        )
    explode = declared.get("explode", style in ("form", "deepObject"))
    return str(style), bool(explode), _DELIMITERS.get(str(style), ",")


def path_of(template: str, values: Mapping[str, str]) -> str:
    """Fill in a path template; every placeholder has a value, already quoted.

    Raises:
        WorkflowError: `configuration`, if a placeholder is not declared.
    """
    filled: list[str] = []
    rest = template
    while rest:
        before, brace, after = rest.partition("{")
        filled.append(quote(before.encode("utf-8", "replace"), safe="/%:@!$&'()*+,;=-._~"))
        if not brace:
            break
        name, closed, rest = after.partition("}")
        if not closed or name not in values:
            raise misconfigured(f"the path has {name[:80]!r}, which is no parameter")
        filled.append(values[name])
    return "".join(filled)


def path_value(parameter: Parameter, value: Any) -> str:
    """Write a value for a path; it is one segment, and never `.` or `..`.

    Raises:
        WorkflowError: `validation`, if nothing would be left or the path would change its meaning.
    """
    text = _simple(parameter, value, safe="-._~")
    if text in ("", ".", ".."):
        raise unfit(f"the parameter {parameter.name[:80]!r} cannot be {text!r} in a path")
    return text


def header_value(parameter: Parameter, value: Any) -> str:
    return _simple(parameter, value, safe=None)


def cookie_value(parameter: Parameter, value: Any) -> str:
    """Write a cookie: `name=value`, or several for an exploded array."""
    pairs = query_pairs(parameter, value)
    return "; ".join(f"{_quoted(name)}={_quoted(text)}" for name, text in pairs)


def query_of(given: Sequence[tuple[Parameter, Any]]) -> str:
    """Write a query string, quoted; in the order in which the parameters are declared."""
    return "&".join(filter(None, (_query(parameter, value) for parameter, value in given)))


def query_pairs(parameter: Parameter, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the names and values, not quoted, that stand for a parameter in a query or a form."""
    name = parameter.name
    if parameter.as_json:
        yield name, json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    elif isinstance(value, list):
        items = [_scalar(parameter, each) for each in value if each is not None]
        if parameter.explode or parameter.delimiter == "&":
            yield from ((name, item) for item in items)
        elif items:
            yield name, parameter.delimiter.join(items)
    elif isinstance(value, dict):
        members = [
            (key, _scalar(parameter, each)) for key, each in value.items() if each is not None
        ]
        if parameter.style == "deepObject":
            yield from ((f"{name}[{key}]", text) for key, text in members)
        elif parameter.explode:
            yield from members
        elif members:
            yield name, parameter.delimiter.join(part for member in members for part in member)
    else:
        yield name, _scalar(parameter, value)


def _query(parameter: Parameter, value: Any) -> str:
    joined = isinstance(value, list | dict) and not (
        parameter.explode or parameter.as_json or parameter.delimiter == "&"
    )
    if not joined or parameter.style == "deepObject":
        return encoded(query_pairs(parameter, value))
    # The delimiter tells the values apart, so in them it is quoted, and between them it is not.
    items = _items(parameter, value)
    between = parameter.delimiter if parameter.delimiter == "," else _quoted(parameter.delimiter)
    return f"{_quoted(parameter.name)}={between.join(map(_quoted, items))}" if items else ""


def _simple(parameter: Parameter, value: Any, *, safe: str | None) -> str:
    """Write in style `simple`; `safe`: which characters of the values are not quoted; None: all."""

    def write(text: str) -> str:
        return text if safe is None else quote(text.encode("utf-8", "replace"), safe=safe)

    if parameter.as_json:
        return write(json.dumps(value, ensure_ascii=safe is None, separators=(",", ":")))
    if isinstance(value, dict) and parameter.explode:
        members = ((key, each) for key, each in value.items() if each is not None)
        return ",".join(f"{write(key)}={write(_scalar(parameter, each))}" for key, each in members)
    if isinstance(value, dict | list):
        between = parameter.delimiter if safe is None else quote(parameter.delimiter, safe=",")
        return between.join(map(write, _items(parameter, value)))
    return write(_scalar(parameter, value))


def _items(parameter: Parameter, value: dict[str, Any] | list[Any]) -> list[str]:
    if isinstance(value, list):
        return [_scalar(parameter, each) for each in value if each is not None]
    members = ((key, each) for key, each in value.items() if each is not None)
    return [part for key, each in members for part in (key, _scalar(parameter, each))]


def _scalar(parameter: Parameter, value: Any) -> str:
    return scalar(value, f"the parameter {parameter.name[:80]!r}")


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "replace"), safe="-._~")
