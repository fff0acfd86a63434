"""Which webhooks may be called, and how a notification is signed.

A notification carries the headers of Standard Webhooks: `webhook-id` (the same in every attempt),
`webhook-timestamp` (seconds since 1970) and `webhook-signature: v1,BASE64`, an HMAC-SHA256 over
`ID.TIMESTAMP.BODY`. The key is derived from the bearer token with which the receiver called when it
asked for notifications: both have it, it is never in the notification, and nobody has to be given
another one. Where there are no bearer tokens there is no signature.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Final

import httpx

from parley_wire.addresses import (
    Lookup,
    is_forbidden,
    is_inner,
    literal_address,
    look_up,
    plain_host,
)
from parley_wire.tls import NO_TLS, Tls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TOLERANCE_S: Final = 300
_PURPOSE: Final = b"parley webhook v1"
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z_.-]+)(:[0-9]{1,5})?", re.ASCII)


class WebhookRefusedError(Exception):
    """A name leads to an address that must not be called."""


class Webhooks:
    """The webhooks that an operator lets callers name: public ones over https, and others by name.

    Args:
        allowed: `host` or `host:port`, inside or without https.
        lookup: How names become addresses; by default as the system does it.
        tls: Whom the sender of notifications trusts.
    """

    def __init__(
        self, allowed: Sequence[str] = (), *, lookup: Lookup = look_up, tls: Tls = NO_TLS
    ) -> None:
        self.tls = tls
        self._allowed = frozenset(_spelled(each) for each in allowed if each.strip())
        self._lookup = lookup

    def problem(self, url: str) -> str:
        """Return why an address is not to be called, as far as can be told without asking; or nothing."""
        try:
            parsed = httpx.URL(url)
            host = plain_host(parsed.raw_host.decode("ascii"))
        except (httpx.InvalidURL, ValueError, TypeError):
            return "is not an address"
        if parsed.scheme not in {"http", "https"} or not host or parsed.port == 0:
            return "must be an absolute https address"
        if parsed.userinfo:
            return "must not hold a user; use authentication"
        port = parsed.port or (443 if parsed.scheme == "https" else 80)
        if not self._names(host, port):
            if parsed.scheme != "https":
                return "must be https"
            if host == "localhost" or host.endswith(".localhost"):
                return "is an address inside, which the operator has not allowed"
        address = literal_address(host)
        return "" if address is None else self._judged(host, port, [str(address)])

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses to connect to: all that the name has may be called, or none.

        Raises:
            WebhookRefusedError: If one of them must not be called.
            OSError: If the name does not resolve.
        """
        found = list(await self._lookup(host, port))
        if not found:
            raise OSError(f"{host} has no address")
        problem = self._judged(plain_host(host), port, found)
        if problem:
            raise WebhookRefusedError(f"{host} {problem}")
        return found

    def _names(self, host: str, port: int) -> bool:
        return host in self._allowed or f"{host}:{port}" in self._allowed

    def _judged(self, host: str, port: int, addresses: Sequence[str]) -> str:
        named = self._names(host, port)
        for each in addresses:
            address = literal_address(each)
            if address is None or is_forbidden(address):
                return "is an address that nobody may call"
            if is_inner(address) and not named:
                return "is an address inside, which the operator has not allowed"
        return ""


def named_hosts(text: str) -> tuple[str, ...] | None:
    """Read what an operator wrote: `public`, HOST or HOST:PORT, with commas; None: nobody is notified.

    Raises:
        ValueError: With the first word that is none of these.
    """
    words = [each.strip() for each in text.split(",") if each.strip()]
    for word in words:
        if not _HOST.fullmatch(word):
            raise ValueError(word)
    return tuple(each for each in words if each != "public") if words else None


def signing_key(fingerprint: bytes) -> bytes:
    """Return the key of a caller; `fingerprint` is the SHA-256 of its bearer token."""
    return hmac.digest(fingerprint, _PURPOSE, "sha256")


def signature_headers(
    keys: Sequence[bytes], *, webhook_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return the three headers; without keys, two. Several keys: of a caller with several tokens."""
    headers = {"webhook-id": webhook_id, "webhook-timestamp": str(timestamp)}
    if keys:
        signed = [_signature(key, webhook_id, str(timestamp), body) for key in keys]
        headers["webhook-signature"] = " ".join(signed)
    return headers


def is_signed(token: str, headers: Mapping[str, str], body: bytes, *, now: float) -> bool:
    """Whether a notification was signed by somebody who knows our bearer token, and lately.

    Args:
        token: With which we called when we asked for notifications.
        headers: Of the notification, names in lower case.
        body: As received.
        now: Seconds since 1970.
    """
    stamp = headers.get("webhook-timestamp", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 12):
        return False
    if abs(now - int(stamp)) > TOLERANCE_S:
        return False
    key = signing_key(hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest())
    expected = _signature(key, headers.get("webhook-id", ""), stamp, body).encode()
    given = headers.get("webhook-signature", "")[:4096].split(" ")
    return any(hmac.compare_digest(expected, each.encode("latin-1", "replace")) for each in given)


def _signature(key: bytes, webhook_id: str, timestamp: str, body: bytes) -> str:
    signed = hmac.digest(key, f"{webhook_id}.{timestamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(signed).decode()}"


def _spelled(allowed: str) -> str:
    text = allowed.strip().lower()
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return f"{plain_host(host)}:{port}"
    if text.startswith("[") and "]:" in text:
        host, _, port = text.rpartition(":")
        return f"{plain_host(host)}:{port}"
    return plain_host(text)
