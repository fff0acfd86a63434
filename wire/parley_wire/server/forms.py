"""One form of ProtoJSON for every request (A2A 1.0 5.5).

ProtoJSON has more than one form for a value: snake_case names, numbers for enums, strings for numbers.
The usual form is checked here directly; anything else goes through protobuf once and comes back in
the usual form. Protobuf alone would not do: it takes an unknown enum value for "not set".
"""

from __future__ import annotations

from typing import Any

from a2a.utils.errors import InvalidParamsError
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message as ProtobufMessage

from parley_wire.protojson import MISFITS


def invalid(field: str, problem: str) -> InvalidParamsError:
    return InvalidParamsError(
        f"{field} {problem}", data={"errors": [{"field": field, "message": problem}]}
    )


def usual_form(params: Any, types: dict[str, type], model: type[ProtobufMessage]) -> dict[str, Any]:
    """Return `params` in the usual form of ProtoJSON; fields that A2A 1.0 lacks are dropped."""
    if not isinstance(params, dict):
        raise invalid("params", "must be an object")
    if types and fits(params, types):
        return params
    for key, kind in types.items():
        # Protobuf takes an empty list for an empty object.
        if kind is dict and isinstance(params.get(key), list):
            raise invalid(key, "must be an object")
    if params.get("tenant"):
        raise invalid("tenant", "must not be sent: this agent's card declares none")
    try:
        usual: dict[str, Any] = MessageToDict(
            ParseDict(params, model(), ignore_unknown_fields=True)
        )
    except MISFITS as exc:
        raise invalid("params", f"cannot be read: {str(exc)[:300]}") from exc
    return usual


def fits(value: Any, types: dict[str, type]) -> bool:
    return isinstance(value, dict) and all(
        key in types
        and isinstance(each, types[key])
        and (types[key] is not int or not isinstance(each, bool))
        for key, each in value.items()
    )
