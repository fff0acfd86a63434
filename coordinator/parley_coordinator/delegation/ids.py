"""Ids of what steps send: secret until it is sent, and told from all others (ADR-0025).

An agent takes everybody who comes through this coordinator for one caller, and what has the id of a
message that it knows for that message sent again. So the id of a step's message is drawn when the step
is intended, and the shape of these ids is reserved: a UUID of version 8 (RFC 9562) that ends in the
bytes of `parley`. What somebody else calls an agent with through the relay must not have it.
"""

from __future__ import annotations

import hashlib
from typing import Final
from uuid import UUID

RANDOM_BYTES: Final = 10
_NODE: Final = b"parley"


def message_id(drawn: bytes) -> str:
    """Return a new id; `drawn` are `RANDOM_BYTES` bytes that nobody can guess."""
    fields = bytearray(drawn[:RANDOM_BYTES] + _NODE)
    fields[6] = 0x80 | (fields[6] & 0x0F)
    fields[8] = 0x80 | (fields[8] & 0x3F)
    return str(UUID(bytes=bytes(fields)))


def derived(message: str, purpose: str) -> str:
    """Return another id of the step that sends a message, the same each time."""
    return message_id(hashlib.sha256(f"{message}|{purpose}".encode()).digest())


def is_reserved(text: str) -> bool:
    """Tell whether an id is one that only steps may have."""
    try:
        return UUID(text).bytes.endswith(_NODE)
    except ValueError:
        return False
