"""CloudEvents in HTTP requests, in the three modes of the HTTP binding (1.0.2, section 3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from parley_cards import strict_json

from parley_coordinator.errors import InvalidEventError

if TYPE_CHECKING:
    from collections.abc import Iterable

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
_PREFIX: Final = b"ce-"
_JSON: Final = re.compile(r"application/([a-z0-9.!#$&^_-]+\+)?json", re.ASCII)
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


def read_events(headers: Iterable[tuple[bytes, bytes]], body: bytes) -> list[Any]:
    """Return what a request brings, in its order; whether these are events is not looked at.

    Args:
        headers: With names in lower case.

    Raises:
        InvalidEventError: If it is in none of the three modes.
        MalformedJsonError, JsonTooLargeError: If the body is not strict JSON.
    """
    found = list(headers)
    types = [value.decode("latin-1").strip() for name, value in found if name == b"content-type"]
    if len(types) > 1:
        raise InvalidEventError("send one Content-Type")
    full = types[0] if types else ""
    kind = full.partition(";")[0].strip().lower()
    if kind == STRUCTURED:
        return [strict_json.loads(body)]
    if kind == BATCH:
        batch = strict_json.loads(body)
        if not isinstance(batch, list):
            raise InvalidEventError("a batch is a JSON array of events")
        return batch
    return [_binary(found, full, kind, body)]


def _binary(
    headers: list[tuple[bytes, bytes]], full: str, kind: str, body: bytes
) -> dict[str, Any]:
    event: dict[str, Any] = {}
    for header, value in headers:
        if not header.startswith(_PREFIX):
            continue
        name = header[len(_PREFIX) :].decode("latin-1")
        if name in event or name in ("data", "datacontenttype"):
            raise InvalidEventError(f"the header {header.decode('latin-1')[:40]!r} is one too many")
        event[name] = _decoded(name, value)
    if not event or kind.startswith("application/cloudevents"):
        raise InvalidEventError(
            f"send Content-Type: {STRUCTURED} or {BATCH}, or the attributes as ce- headers"
        )
    if not body:
        return event
    if not _JSON.fullmatch(kind):
        raise InvalidEventError("the data of an event is JSON: send Content-Type: application/json")
    if full.lower() != "application/json":
        event["datacontenttype"] = full
    return {**event, "data": strict_json.loads(body)}


def _decoded(name: str, value: bytes) -> str:
    """Take quotes off, then decode once (section 3.1.3.2)."""
    text = value.decode("latin-1").strip()
    quoted = _QUOTED.fullmatch(text)
    if quoted is not None:
        text = re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL)
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode("utf-8")
    except UnicodeDecodeError as exc:
        raise InvalidEventError(f"the header ce-{name[:40]} is not percent-encoded UTF-8") from exc
