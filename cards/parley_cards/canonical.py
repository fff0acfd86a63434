"""One byte form for one JSON value (RFC 8785), and its digest.

Everything that is pinned, signed or compared across processes goes through here: cards, workflow
documents, proposals that a person decides on, message bodies that are de-duplicated.
"""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785


def canonical(value: Any) -> bytes:
    """Return the JSON Canonicalization Scheme form.

    Raises:
        ValueError: If `value` holds something that JSON or IEEE 754 cannot, such as NaN.
    """
    return rfc8785.dumps(value)


def digest(value: Any) -> str:
    """Return `sha256:` and the hex digest of the canonical form."""
    return digest_bytes(canonical(value))


def digest_bytes(raw: bytes) -> str:
    """Return `sha256:` and the hex digest of exactly these bytes."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"
