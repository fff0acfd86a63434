"""Reasons why something that somebody else wrote is refused, with the place of each."""

from __future__ import annotations

from typing import Final, NamedTuple

from pydantic import ValidationError


class Finding(NamedTuple):
    """One reason."""

    path: str
    """JSON pointer; empty for the document as a whole."""
    problem: str
    """What is wrong there, to be read after the path: `is required`."""


_PROBLEMS: Final = {
    "missing": "is required",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "list_type": "must be an array",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "too_short": "must not be empty",
}


def sentences(error: ValidationError, place: str) -> list[Finding]:
    """Turn pydantic's errors into findings below `place`, in document order."""
    return [
        Finding(
            place + "".join(f"/{token(str(part))}" for part in detail["loc"]),
            _PROBLEMS.get(detail["type"])
            or detail["msg"].removeprefix("Value error, ").replace("String should", "should"),
        )
        for detail in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def token(key: str) -> str:
    """Escape one member name for a JSON pointer, cut to 80 characters and on one line."""
    shown = "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in key[:80])
    return shown.replace("~", "~0").replace("/", "~1")
