"""What a client's message says: the input of a new run, or the answer to an open question. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from a2a.utils.errors import ContentTypeNotSupportedError, InvalidParamsError
from parley_cards.delegation import TRACEPARENT, is_traceparent
from parley_cards.delegation_json import delegation_of
from pydantic import Field, ValidationError

from parley_coordinator.errors import InvalidDecisionError
from parley_coordinator.web.requests import Digest, Name, RequestBody

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parley_cards.delegation import DelegationContract

Message: TypeAlias = "dict[str, Any]"
"""The JSON of an A2A Message in its usual form (`parley_wire.server.params`)."""
MAX_ID_CHARS: Final = 180
"""Of a messageId; with the workflow's name in front it is the run's idempotency key."""


class Answer(RequestBody):
    """The data part that answers a question."""

    outcome: Name
    comment: Annotated[str, Field(max_length=2000)] = ""
    values: dict[str, Any] | None = None
    digest: Digest | None = None
    """Of the question as it was read. A data part must have it; a text has none."""
    item: Name | None = None
    """Needed if more than one question is open."""


def check_message(message: Message) -> None:
    """Refuse a message that is not one of text or data.

    Raises:
        InvalidParamsError, ContentTypeNotSupportedError
    """
    if len(message["messageId"]) > MAX_ID_CHARS:
        raise InvalidParamsError(f"message.messageId must have 1 to {MAX_ID_CHARS} characters")
    for index, part in enumerate(message["parts"]):
        if not ("text" in part or "data" in part):
            raise ContentTypeNotSupportedError(
                f"message.parts[{index}] is a file; this workflow takes text and data"
            )


def input_of(message: Message) -> Any:
    """Return the input of a new run: the one data part, or else `{"text": ...}`."""
    data = _data_parts(message)
    if len(data) > 1:
        raise InvalidParamsError("send the input in one data part")
    if data:
        return data[0]
    return {"text": text_of(message)}


def contract_of(message: Message, headers: Mapping[str, str]) -> DelegationContract:
    """Return the delegation contract of a new run; a trace may come as a header, too.

    Raises:
        InvalidDelegationError: If it is not of its form.
    """
    contract = delegation_of(message.get("metadata", {}))
    trace = headers.get(TRACEPARENT, "")
    # One that is malformed is ignored (W3C Trace Context 3.2.2.3).
    if contract.traceparent or not is_traceparent(trace):
        return contract
    return replace(contract, traceparent=trace)


def answer_of(message: Message) -> Answer:
    """Return what a message answers; a text is an outcome, without a digest.

    Raises:
        InvalidParamsError: If there is more than one data part.
        InvalidDecisionError: If the data part is not `{outcome, digest, comment?, values?, item?}`.
    """
    data = _data_parts(message)
    if len(data) > 1:
        raise InvalidParamsError("send the answer in one data part")
    value = data[0] if data else {"outcome": text_of(message).strip()}
    try:
        answer = Answer.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "the answer"
        raise InvalidDecisionError(
            f"{place[:100]}: {first['msg'][:200]}; answer with"
            " {outcome, digest, comment?, values?, item?}"
        ) from exc
    if data and answer.digest is None:
        raise InvalidDecisionError(
            "digest is missing: send the one of the question that you were shown, as"
            ' {"outcome", "digest"}'
        )
    return answer


def text_of(message: Message) -> str:
    return "\n".join(part["text"] for part in message["parts"] if "text" in part)


def _data_parts(message: Message) -> list[Any]:
    return [part["data"] for part in message["parts"] if "data" in part]
