"""Signing agent cards, and checking who signed one: detached JWS over `signed_bytes`.

::

    CardError
    ├── InvalidCardSignatureError    400 card_signature_invalid
    └── MissingCardSignatureError    400 card_signature_missing

Only keys that an operator has enrolled count. `jku`, `jwk`, `x5c` and whatever else a signature says about
its own key is not looked at: who can change a card could change that too.

Source: A2A 1.0 section 8.4; RFC 7515 section 7.2, appendix F.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Final, NamedTuple

from parley_cards import strict_json
from parley_cards.card import CardError
from parley_cards.errors import Kind, ParleyError
from parley_cards.keys import EnrolledKey, Keyring, SigningKey
from parley_cards.signed_form import signed_bytes, without_empty_values

MAX_SIGNATURES: Final = 20
"""So many of a card are looked at."""
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_MAX_HEADER: Final = 4096


class InvalidCardSignatureError(CardError):
    """An enrolled key is named as the signer, but has not signed this card."""

    code: ClassVar[str] = "card_signature_invalid"
    kind: ClassVar[Kind] = Kind.INVALID


class MissingCardSignatureError(CardError):
    """A card has to be signed by an enrolled key, and is not."""

    code: ClassVar[str] = "card_signature_missing"
    kind: ClassVar[Kind] = Kind.INVALID


class Signed(StrEnum):
    VERIFIED = "verified"
    """By a key that is enrolled and valid now."""
    UNVERIFIED = "unverified"
    """There are signatures, but none that could be checked."""
    UNSIGNED = "unsigned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What is known of the signatures of one card."""

    state: Signed
    key_id: str = ""
    """Of the key that has signed it; if it is unverified, the first one that the card names."""
    reason: str = ""
    """Why it is unverified."""


class Mode(StrEnum):
    """What a signature has to be for a card to be taken."""

    OFF = "off"
    VERIFY_IF_PRESENT = "verify-if-present"
    REQUIRE = "require"


def sign(card: Mapping[str, Any], key: SigningKey) -> dict[str, Any]:
    """Return the card with one more signature; one that this key has made before is replaced.

    Raises:
        NotCanonicalError: If the card has no canonical form.
    """
    header = {"alg": key.algorithm, "kid": key.id, "typ": "JOSE"}
    protected = _encoded(json.dumps(header, separators=(",", ":")).encode())
    signature = key.sign(_signing_input(protected, signed_bytes(card)))
    others = [each for each in card.get("signatures") or [] if _key_id_in(each) != key.id]
    made = {"protected": protected, "signature": _encoded(signature)}
    return {**card, "signatures": [*others, made]}


def verify(card: Mapping[str, Any], keys: Keyring, *, now: datetime) -> Signature:
    """Look for a signature by an enrolled key. One good one suffices, whatever the others are.

    Args:
        card: The JSON of the whole card, as it was sent.

    Raises:
        InvalidCardSignatureError: If there is no good one, but a bad one that names a key which is
            enrolled and valid.
        NotCanonicalError: If the card has no canonical form.
    """
    listed = card.get("signatures") or []
    if not listed:
        return Signature(state=Signed.UNSIGNED)
    payload = signed_bytes(card)
    bad: list[tuple[_Found, EnrolledKey]] = []
    reasons: list[tuple[str, str]] = []
    for found in _readable(listed):
        key = keys.get(found.key_id)
        unusable = key.unusable(now) if key is not None else "not enrolled"
        if key is None or unusable:
            reasons.append((found.key_id, f"its key {found.key_id[:80]!r} is {unusable}"))
        elif _holds(found, key, payload):
            return Signature(state=Signed.VERIFIED, key_id=key.id)
        else:
            bad.append((found, key))
    if bad:
        raise _denied(*bad[0], card)
    key_id, reason = reasons[0] if reasons else ("", "none of its signatures can be read")
    return Signature(state=Signed.UNVERIFIED, key_id=key_id, reason=reason)


def admit(card: Mapping[str, Any], keys: Keyring, mode: Mode, *, now: datetime) -> Signature:
    """Return what is known of a card's signatures, if that is enough for this mode.

    Raises:
        InvalidCardSignatureError: See `verify`; not if the mode is `off`.
        MissingCardSignatureError: If the mode is `require`, and no enrolled key has signed it.
    """
    if mode is Mode.OFF:
        if not card.get("signatures"):
            return Signature(state=Signed.UNSIGNED)
        return Signature(state=Signed.UNVERIFIED, reason="signatures are not looked at")
    found = verify(card, keys, now=now)
    if mode is Mode.REQUIRE and found.state is not Signed.VERIFIED:
        why = found.reason or "it has no signature"
        raise MissingCardSignatureError(
            f"cards must be signed by an enrolled key, and this one is not: {why};"
            " sign it, or enrol its key"
        )
    return found


class _Found(NamedTuple):
    """One signature that has the form of one."""

    protected: str
    signature: bytes
    algorithm: str
    key_id: str


def _readable(listed: Any) -> Iterator[_Found]:
    for each in listed[:MAX_SIGNATURES] if isinstance(listed, list) else []:
        header = _header(each)
        signature = _decoded(each.get("signature")) if isinstance(each, dict) else None
        if header is not None and signature is not None:
            yield _Found(each["protected"], signature, header["alg"], header["kid"])


def _header(signature: Any) -> dict[str, Any] | None:
    """The protected header, if it has what A2A demands and nothing that we would have to understand."""
    raw = _decoded(signature.get("protected")) if isinstance(signature, dict) else None
    try:
        header = None if raw is None else strict_json.loads(raw, max_bytes=_MAX_HEADER)
    except ParleyError:
        return None
    if not isinstance(header, dict) or "crit" in header:
        return None
    named = isinstance(header.get("alg"), str) and isinstance(header.get("kid"), str)
    return header if named and header["kid"] else None


def _key_id_in(signature: Any) -> str:
    header = _header(signature)
    return "" if header is None else str(header["kid"])


def _holds(found: _Found, key: EnrolledKey, payload: bytes) -> bool:
    # The key says how it signs: a header that could choose would choose a weaker way.
    if found.algorithm != key.algorithm:
        return False
    signed = _signing_input(found.protected, payload)
    return bool(key.key.Algorithm.verify(signed, key.key.key, found.signature))


def _denied(found: _Found, key: EnrolledKey, card: Mapping[str, Any]) -> InvalidCardSignatureError:
    if _holds(found, key, without_empty_values(card)):
        return InvalidCardSignatureError(
            f"the key {key.id[:80]!r} has signed this card without its empty values, as some SDKs"
            " do it, so anybody could add or take away some; leave them out of the card, or give"
            " them a value (for security requirements: a scope)",
            key=key.id,
        )
    return InvalidCardSignatureError(
        f"the card is not what the key {key.id[:80]!r} has signed: it was changed afterwards,"
        " or another key has signed it; sign it again",
        key=key.id,
    )


def _signing_input(protected: str, payload: bytes) -> bytes:
    return f"{protected}.{_encoded(payload)}".encode()


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decoded(text: Any) -> bytes | None:
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text) or len(text) % 4 == 1:
        return None
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
