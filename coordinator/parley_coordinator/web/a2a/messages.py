"""What a client's message says: the input of a new run, or the answer to an open question. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from a2a.types import Role
from a2a.utils.errors import ContentTypeNotSupportedError, InvalidParamsError
from google.protobuf.json_format import MessageToDict
from pydantic import Field, ValidationError

from parley_coordinator.errors import InvalidDecisionError
from parley_coordinator.web.requests import Digest, Name, RequestBody

if TYPE_CHECKING:
    from a2a.types import Message, Part

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
    """Refuse a message that is not one of a user with text or data.

    Raises:
        InvalidParamsError, ContentTypeNotSupportedError
    """
    if message.role != Role.ROLE_USER:
        raise InvalidParamsError("message.role must be ROLE_USER")
    if not message.message_id or len(message.message_id) > MAX_ID_CHARS:
        raise InvalidParamsError(f"message.messageId must have 1 to {MAX_ID_CHARS} characters")
    if not message.parts:
        raise InvalidParamsError("message.parts must not be empty")
    for index, part in enumerate(message.parts):
        content = part.WhichOneof("content")
        if content is None:
            raise InvalidParamsError(f"message.parts[{index}] is empty")
        if content not in ("text", "data"):
            raise ContentTypeNotSupportedError(
                f"message.parts[{index}] is a file; this workflow takes text and data"
            )


def input_of(message: Message) -> Any:
    """Return the input of a new run: the one data part, or else `{"text": ...}`."""
    data = _data_parts(message)
    if len(data) > 1:
        raise InvalidParamsError("send the input in one data part")
    if data:
        return _plain(MessageToDict(data[0].data))
    return {"text": text_of(message)}


def answer_of(message: Message) -> Answer:
    """Return what a message answers; a text is an outcome, without a digest.

    Raises:
        InvalidParamsError: If there is more than one data part.
        InvalidDecisionError: If the data part is not `{outcome, digest, comment?, values?, item?}`.
    """
    data = _data_parts(message)
    if len(data) > 1:
        raise InvalidParamsError("send the answer in one data part")
    value = _plain(MessageToDict(data[0].data)) if data else {"outcome": text_of(message).strip()}
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
    return "\n".join(part.text for part in message.parts if part.WhichOneof("content") == "text")


def _data_parts(message: Message) -> list[Part]:
    return [part for part in message.parts if part.WhichOneof("content") == "data"]


def _plain(value: Any) -> Any:
    """Undo what protobuf does to numbers: it has doubles only."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value
