"""What the pool and its workers say to each other, each behind its length in four bytes.

To a worker: the length of the program, the program, and the value as JSON; nothing behind the
program to have it compiled only. The value stays text: a worker does not parse it twice.

From a worker: a JSON object. `{}` when it is ready; then, for each frame, `{value}`, `{failed}`
with why in one line, or `{limit}` with what was exceeded.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Final

LENGTH: Final = struct.Struct(">I")
_LONE: Final = "surrogatepass"
"""A document may hold half a surrogate pair; whether that is a program is for jq to say."""


def pack(data: bytes) -> bytes:
    return LENGTH.pack(len(data)) + data


def pack_request(program: str, *value: Any) -> bytes:
    """Return a frame for a worker.

    Raises:
        ValueError: The value has no JSON.
        RecursionError: It is nested too deeply.
    """
    text = json.dumps(value[0]).encode() if value else b""
    return pack(pack(program.encode(errors=_LONE)) + text)


def unpack_request(data: bytes) -> tuple[str, str]:
    """Return the program and the JSON of its input, empty if there is none."""
    end = LENGTH.size + LENGTH.unpack_from(data)[0]
    return data[LENGTH.size : end].decode(errors=_LONE), data[end:].decode()


def pack_answer(answer: dict[str, Any]) -> bytes:
    return pack(json.dumps(answer, separators=(",", ":")).encode())
