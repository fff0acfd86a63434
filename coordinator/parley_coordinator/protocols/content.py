"""Bodies, headers and queries: from JSON values to bytes, and back."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from parley_cards import strict_json
from parley_cards.errors import ParleyError
from parley_wire.limits import is_json

from parley_coordinator.protocols.outcome import misconfigured, unusable
from parley_coordinator.protocols.redaction import HIDDEN, sensitive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx

    from parley_coordinator.protocols.outlet import Answer
    from parley_coordinator.protocols.redaction import Redaction

FORM: Final = "application/x-www-form-urlencoded"
KEY: Final = "idempotency-key"
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}", re.ASCII)
_VALUE: Final = re.compile(r"[\t\x20-\x7e]{0,16384}")
_OURS: Final = frozenset(
    ("accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "te")
) | frozenset(("trailer", "transfer-encoding", "upgrade"))
"""Headers of the connection: a document has no say in them."""
_TEXT: Final = re.compile(
    r"text/.*|application/((.*\+)?(xml|yaml)|javascript|x-www-form-urlencoded|graphql)", re.ASCII
)
_CHARSET: Final = re.compile(r';\s*charset="?([A-Za-z0-9_-]{1,40})"?', re.ASCII | re.IGNORECASE)
_CHARSETS: Final = frozenset(("ascii", "iso-8859-1", "latin1", "us-ascii", "utf-8", "utf8")) | {
    "windows-1252"
}


def scalar(value: Any, what: str) -> str:
    """Write a scalar as text: numbers and booleans as in JSON.

    Raises:
        WorkflowError: `configuration`, if it is an object, an array or null.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise misconfigured(f"{what} must be text, a number or a boolean")


def headers_of(given: Mapping[str, Any]) -> dict[str, str]:
    """Return headers that may be sent, names in lower case; null leaves one out.

    Raises:
        WorkflowError: `configuration`, naming the header, never its value.
    """
    headers: dict[str, str] = {}
    for name, value in given.items():
        if value is None:
            continue
        key = name.lower()
        shown = name[:80]
        if not _TOKEN.fullmatch(name):
            raise misconfigured(f"{shown!r} is no name of a header")
        if key in _OURS or key.startswith("proxy-"):
            raise misconfigured(f"the header {shown!r} is not for documents to set")
        if key in headers:
            raise misconfigured(f"the header {shown!r} is given twice")
        text = scalar(value, f"the header {shown!r}")
        if not _VALUE.fullmatch(text):
            raise misconfigured(f"the value of the header {shown!r} is no line of ASCII")
        headers[key] = text
    return headers


def pairs(members: Mapping[str, Any], what: str) -> Iterator[tuple[str, str]]:
    """Yield names and values: an array repeats its name, null leaves it out.

    Raises:
        WorkflowError: `configuration`, if a value is an object or an array of such.
    """
    for name, value in members.items():
        for each in value if isinstance(value, list) else [value]:
            if each is not None:
                yield name, scalar(each, f"{what} {name[:80]!r}")


def encoded(members: Iterator[tuple[str, str]]) -> str:
    """Write pairs as a query or a form; everything but unreserved characters is quoted."""
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in members)


def with_query(url: httpx.URL, query: str) -> httpx.URL:
    """Add to what `url` has as its query."""
    if not query:
        return url
    known = url.query.decode("ascii")
    return url.copy_with(query=(f"{known}&{query}" if known else query).encode("ascii"))


def body_of(value: Any, headers: dict[str, str]) -> bytes | None:
    """Write a body, and put its content type into `headers` unless there is one.

    Text is sent as it is; an object as a form, if the content type says so; all else is JSON.

    Raises:
        WorkflowError: `configuration`, if the value cannot be sent as that type.
    """
    if value is None:
        return None
    declared = headers.get("content-type", "").partition(";")[0].strip().lower()
    if isinstance(value, str):
        headers.setdefault("content-type", "text/plain; charset=utf-8")
        return _utf8(value)
    if declared == FORM:
        if not isinstance(value, dict):
            raise misconfigured("a form is an object of names and values")
        return encoded(pairs(value, "the field")).encode("ascii")
    if declared and not is_json(declared):
        raise misconfigured(f"a body of type {declared[:80]!r} must be text")
    headers.setdefault("content-type", "application/json")
    return as_json(value)


def as_json(value: Any) -> bytes:
    return _utf8(json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False))


def content_of(answer: Answer, who: str, hidden: Redaction) -> Any:
    """Read a body: JSON as its value, text as text, all else in base64; None if it is empty.

    Args:
        hidden: What is hidden in base64, where nobody could find it afterwards.

    Raises:
        WorkflowError: `runtime` 502, if it says that it is JSON, and is none.
    """
    if not answer.body:
        return None
    if is_json(answer.media_type):
        try:
            return strict_json.loads(answer.body, max_bytes=len(answer.body))
        except ParleyError as exc:
            raise unusable(who, f"not the JSON that it says it is: {exc.message}") from exc
    text = _text(answer)
    return raw_of(answer, hidden) if text is None else text


def raw_of(answer: Answer, hidden: Redaction) -> str | None:
    if not answer.body:
        return None
    return base64.b64encode(hidden.data(answer.body)).decode("ascii")


def first_line(answer: Answer) -> str:
    return _text(answer) or ""


def shown(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers as they may be shown: what is likely to be a secret is hidden."""
    return {
        name: HIDDEN if sensitive(name) and name.lower() != KEY else value
        for name, value in headers.items()
    }


def shown_uri(url: httpx.URL) -> str:
    """Return an address as it may be shown: without values of its query that look like secrets."""
    query = url.query.decode("ascii")
    if not query:
        return str(url)
    parts = (each.partition("=") for each in query.split("&"))
    hidden = "&".join(
        f"{name}={HIDDEN}" if sep and sensitive(name) else f"{name}{sep}{value}"
        for name, sep, value in parts
    )
    return str(url).partition("?")[0] + "?" + hidden


def _text(answer: Answer) -> str | None:
    """None: it is no text, or in an encoding that is not known."""
    kind = answer.headers.get("content-type", "")
    if kind and not _TEXT.fullmatch(answer.media_type) and not is_json(answer.media_type):
        return None
    found = _CHARSET.search(kind)
    charset = found.group(1).lower() if found else "utf-8"
    if charset not in _CHARSETS:
        return None
    try:
        return answer.body.decode(charset)
    except UnicodeDecodeError:
        return None


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "replace"), safe="-._~")


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise misconfigured("the body has half of a surrogate pair in it") from exc
