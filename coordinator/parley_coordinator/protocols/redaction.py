"""What is confidential, and how it is kept out of everything that is written down."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HIDDEN: Final = "***"
SHORTEST: Final = 4
"""Characters: to hide a shorter value would hide parts of everything."""
CUT: Final = "…"
"""Ends a text that was made shorter: what stands before it may be the beginning of a secret."""
_LONGEST_REST: Final = 500
LARGE: Final = 65_536
"""Bytes, or characters: what is larger is worked on in a thread."""
_PUBLIC: Final = frozenset(
    ("audiences", "authentication", "authority", "encoding", "endpoints", "grant", "id")
) | frozenset(("issuers", "scheme", "scopes", "use", "username"))
"""Members of an authentication that are no secrets."""
_ENCODINGS: Final = ("utf-8", "utf-16-le", "utf-16-be")
_SENSITIVE: Final = re.compile(
    r"auth(?!ors?(?![a-z]))|cookie|credential|passw|secret|session|signature|token|api-?_?key|access-?_?key",
    re.I,
)


def sensitive(name: str) -> bool:
    """Whether a header or a parameter of this name is likely to hold a secret."""
    return _SENSITIVE.search(name) is not None


def confidential(value: Any) -> Iterator[str]:
    """Yield the texts in a secret, or in a resolved authentication, that must not be shown."""
    if isinstance(value, str):
        if len(value) >= SHORTEST:
            yield value
    elif isinstance(value, dict):
        for name, member in value.items():
            if name not in _PUBLIC or isinstance(member, dict):
                yield from confidential(member)
    elif isinstance(value, list):
        for each in value:
            yield from confidential(each)


def basic(username: str, password: str) -> str:
    """Return the credentials of HTTP Basic (RFC 7617)."""
    return base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def large(value: Any) -> bool:
    """Whether a JSON value is so large that to work on it would keep others waiting."""
    left, open_values = LARGE, [value]
    while open_values and left > 0:
        each = open_values.pop()
        left -= 1
        if isinstance(each, str):
            left -= len(each)
        elif isinstance(each, dict):
            left -= sum(map(len, each))
            open_values += each.values()
        elif isinstance(each, list):
            open_values += each
    return left <= 0


class Redaction:
    """Replaces each of some texts by `***`, also where they are quoted for a URI or in JSON, or cut off."""

    def __init__(self, secrets: Iterable[str]) -> None:
        spelled: set[str] = set()
        for secret in secrets:
            if len(secret) >= SHORTEST:
                spelled |= {secret, quote(secret, safe=""), quote_plus(secret)}
                spelled |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
        longest_first = sorted(spelled, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if spelled else None
        self._spelled = longest_first

    def text(self, text: str) -> str:
        if self._pattern is None:
            return text
        text = self._pattern.sub(HIDDEN, text)
        return self._cut(text) if text.endswith(CUT) else text

    def _cut(self, text: str) -> str:
        stem = text.removesuffix(CUT)
        for secret in self._spelled:
            for length in range(min(len(secret), len(stem), _LONGEST_REST), SHORTEST - 1, -1):
                if stem.endswith(secret[:length]):
                    return stem[:-length] + HIDDEN + CUT
        return text

    def data(self, data: bytes) -> bytes:
        """Return bytes without the secrets, as UTF-8 and UTF-16 spell them."""
        for encoding in _ENCODINGS:
            hidden = HIDDEN.encode(encoding)
            for secret in self._spelled:
                data = data.replace(secret.encode(encoding, "surrogatepass"), hidden)
        return data

    def value(self, value: Any) -> Any:
        """Return a JSON value without the secrets; the value itself is not changed."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(name): self.value(member) for name, member in value.items()}
        if isinstance(value, list):
            return [self.value(each) for each in value]
        return value
