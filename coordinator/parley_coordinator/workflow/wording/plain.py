"""Names, lists and text from outside, made fit for a line of prose."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from parley_coordinator.workflow.expressions import is_expression

MAX_TEXT: Final = 300
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[_-]+")
_SPACE: Final = re.compile(r"\s+")
_UNSEEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\uffff]"
    "|[\ud800-\udfff]"
)
"""Controls, what turns the direction of text, and what XML does not take."""


def line(text: str, *, limit: int = MAX_TEXT) -> str:
    """Return text from a document as one line of visible characters, cut at `limit`."""
    flat = _UNSEEN.sub("\ufffd", _SPACE.sub(" ", text[: limit * 4]).strip())
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"


def words(name: str) -> str:
    """Read a name aloud: `approveByPolicy` is `approve by policy`."""
    parts = (part for part in _HUMP.split(name) if part)
    return " ".join(part if len(part) > 1 and part.isupper() else part.lower() for part in parts)


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def listed(parts: Sequence[str], joint: str = "and") -> str:
    """Return `a, b and c`."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {joint} {parts[-1]}"


def literal(value: Any) -> str | None:
    """Return a text of the document that is no expression; None for anything else."""
    return line(value) if isinstance(value, str) and value and not is_expression(value) else None
