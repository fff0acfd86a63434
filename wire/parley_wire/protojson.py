"""Protobuf's JSON without what protobuf does to numbers: it has doubles only, and writes 3 as 3.0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from google.protobuf.json_format import Error as ProtoJsonError
from google.protobuf.json_format import MessageToDict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message

MISFITS: Final = (
    ProtoJsonError,
    ArithmeticError,
    ValueError,
    TypeError,
    AttributeError,
    RecursionError,
)
"""What protobuf raises about JSON that does not fit a message, or a message that has no JSON."""
_EXACT: Final = 2**53
"""Beyond it a double does not tell whole numbers apart, so that to show one would be a guess."""


def plain(message: Message) -> dict[str, Any]:
    """Return the ProtoJSON of a message, whole numbers as int."""
    shown: dict[str, Any] = whole(MessageToDict(message))
    return shown


def whole(value: Any) -> Any:
    """Return the same JSON with whole numbers as int."""
    if isinstance(value, dict):
        return {key: whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [whole(each) for each in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    return value


def values_in(value: Any) -> int:
    """Return how many values there are in a JSON value, itself included."""
    return sum(map(len, layers(value)))


def layers(value: Any) -> Iterator[list[Any]]:
    """Yield a JSON value, then what is in it, then what is in that, without recursion."""
    layer = [value]
    while layer:
        yield layer
        layer = [
            inner
            for each in layer
            if isinstance(each, (dict, list))
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
