"""One byte form for one JSON value (RFC 8785), and its digest.

Everything that is pinned, signed or compared across processes goes through here: cards, workflow
documents, proposals that a person decides on, message bodies that are de-duplicated.
"""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

import rfc8785

from parley_cards.errors import Kind, ParleyError


class NotCanonicalError(ParleyError, ValueError):
    """The value cannot be pinned, because two programs may read it differently."""

    code: ClassVar[str] = "not_canonical"
    kind: ClassVar[Kind] = Kind.INVALID


def canonical(value: Any) -> bytes:
    """Return the JSON Canonicalization Scheme form.

    Raises:
        NotCanonicalError: If `value` holds something that has no canonical form: NaN, an integer
            that IEEE 754 cannot hold exactly, a lone surrogate.
    """
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, RecursionError) as exc:
        raise NotCanonicalError(
            f"this JSON has no canonical form: {exc}; send large or exact numbers as strings"
        ) from exc


def digest(value: Any) -> str:
    """Return `sha256:` and the hex digest of the canonical form."""
    return digest_bytes(canonical(value))


def digest_bytes(raw: bytes) -> str:
    """Return `sha256:` and the hex digest of exactly these bytes."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"
