"""Text from outside, made fit for whoever reads it: a terminal, a log, a message.

What it says stays readable; what a terminal would obey, and what nobody but its owner may see, does not.
"""

from __future__ import annotations

import re
from typing import Final

MAX_URL_CHARS: Final = 200
_UNSAFE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb]"
)
"""Moves the cursor, changes colours, turns or hides text, or is no character at all."""
_BREAKS: Final = re.compile("[\t\n]")
_USER_IN_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}://)[^\s/?#]{1,1000}@")
_PASSWORD: Final = re.compile(r"(?i)\b(passwd|password)(\s?=\s?)('[^']{0,1000}'|[^\s&'\"]{1,1000})")


def plain(text: str) -> str:
    """Return text that a terminal shows and does not obey; tabs and line breaks stay."""
    return _UNSAFE.sub(_code, text)


def one_line(text: str, most: int) -> str:
    """Return text as one line of about `most` characters; what is left out is counted."""
    shown = _BREAKS.sub(_code, plain(text[:most]))
    left = len(text) - most
    return f"{shown} ... and {left} characters more" if left > 0 else shown


def shown_url(url: str) -> str:
    """Return where a URL leads, without user, password, query and fragment."""
    scheme, slashes, rest = url.rpartition("://")
    # A password may hold any character if nobody has encoded it: its end is the last @.
    _, at, place = rest.rpartition("@")
    place = re.split(r"[?#]", place, maxsplit=1)[0]
    return one_line(f"{scheme}{slashes}{'***@' if at else ''}{place}", MAX_URL_CHARS)


def without_passwords(text: str) -> str:
    """Return text without users and passwords of the URLs in it, and without `password=`."""
    return _PASSWORD.sub(r"\1\2***", _USER_IN_URL.sub(r"\1***@", text))


def _code(found: re.Match[str]) -> str:
    char = found.group()
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(char) or f"\\u{ord(char):04x}"
