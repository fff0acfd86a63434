"""What makes a JSON object a CloudEvent (CloudEvents 1.0.2, sections 3 and 5; JSON format 1.0.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

MAX_BYTES: Final = 262_144
"""Of one event in JSON. CloudEvents asks for 65,536 at least (section 5)."""

_NAME: Final = re.compile(r"[a-z0-9]{1,64}", re.ASCII)
_REFERENCE: Final = re.compile(r"[!#$&-;=?-\[\]_a-z~%]+", re.ASCII)
_JSON: Final = re.compile(r"application/(json|[a-z0-9.!#$&^_-]+\+json)( *;.*)?", re.ASCII | re.I)
_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_FORBIDDEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ud800-\udfff"
    + "".join(
        f"{chr(plane * 0x10000 + 0xFFFE)}{chr(plane * 0x10000 + 0xFFFF)}" for plane in range(17)
    )
    + "]"
)
_MAX_TEXT: Final = 2048
_MAX_ATTRIBUTES: Final = 64


def problems(event: Any) -> list[str]:
    """Return what keeps a value from being a CloudEvent with JSON data; empty if it is one."""
    if not isinstance(event, Mapping):
        return ["an event is an object"]
    if len(event) > _MAX_ATTRIBUTES:
        return [f"an event has at most {_MAX_ATTRIBUTES} attributes"]
    missing = [name for name in ("specversion", "id", "source", "type") if name not in event]
    found = [f"the attribute `{name}` is missing" for name in missing]
    for name, value in event.items():
        problem = None if name == "data" else _problem(name, value)
        if problem is not None:
            found.append(problem)
    return found


def without_nulls(event: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out attributes that are null: these count as not there (JSON format, section 2.2)."""
    return {name: each for name, each in event.items() if each is not None or name == "data"}


def _problem(name: str, value: Any) -> str | None:
    if name == "data_base64":
        return "`data_base64` is binary data; send JSON as `data`"
    if not _NAME.fullmatch(name):
        return f"{name[:40]!r} is no name of an attribute: these have 1 to 64 of a-z and 0-9"
    if name not in _RULES and isinstance(value, bool):
        return None
    if name not in _RULES and isinstance(value, int):
        return None if -(2**31) <= value < 2**31 else f"`{name}` has more than 32 bits"
    if not isinstance(value, str):
        return (
            f"`{name}` is text" if name in _RULES else f"`{name}` is text, an integer or a boolean"
        )
    if len(value) > _MAX_TEXT:
        return f"`{name}` has more than {_MAX_TEXT} characters"
    if _FORBIDDEN.search(value):
        return f"`{name}` has a character that CloudEvents does not allow"
    return _RULES.get(name, _any)(value)


def _any(_: str) -> str | None:
    return None


def _filled(name: str) -> Callable[[str], str | None]:
    return lambda value: None if value else f"`{name}` is empty"


def _reference(name: str) -> Callable[[str], str | None]:
    return lambda value: None if _REFERENCE.fullmatch(value) else f"`{name}` is no URI"


def _version(value: str) -> str | None:
    return None if value == "1.0" else "`specversion` is not 1.0"


def _time(value: str) -> str | None:
    problem = "`time` is no RFC 3339 time such as 2026-01-31T12:00:00Z"
    if not _TIME.fullmatch(value):
        return problem
    try:
        # A leap second is a time that Python's datetime does not have.
        datetime.fromisoformat(value.upper().replace(":60", ":59"))
    except ValueError:
        return problem
    return None


def _content_type(value: str) -> str | None:
    return (
        None
        if _JSON.fullmatch(value)
        else "`datacontenttype` is not JSON, and nothing else is taken"
    )


_RULES: Final[dict[str, Callable[[str], str | None]]] = {
    "specversion": _version,
    "id": _filled("id"),
    "source": _reference("source"),
    "type": _filled("type"),
    "subject": _filled("subject"),
    "dataschema": _reference("dataschema"),
    "datacontenttype": _content_type,
    "time": _time,
}
