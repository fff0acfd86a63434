"""The parameters of A2A operations, checked before any work (A2A 1.0 3)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from a2a.types import (
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    SendMessageRequest,
    SubscribeToTaskRequest,
)
from parley_cards.canonical import digest_bytes

from parley_wire.protojson import whole
from parley_wire.server.forms import fits, invalid, usual_form
from parley_wire.server.push_params import PushConfig, push_config
from parley_wire.server.texts import State, timestamp

MAX_ID: Final = 256
MAX_PARTS: Final = 256
DEFAULT_PAGE: Final = 50
MAX_PAGE: Final = 100

_CONTENT: Final = frozenset({"text", "raw", "url", "data"})
_MESSAGE_TYPES: Final[dict[str, type]] = {
    "messageId": str,
    "contextId": str,
    "taskId": str,
    "role": str,
    "parts": list,
    "metadata": dict,
    "extensions": list,
    "referenceTaskIds": list,
}
_PART_TYPES: Final[dict[str, type]] = {
    "text": str,
    "url": str,
    "data": object,
    "metadata": dict,
    "filename": str,
    "mediaType": str,
}
_SEND_TYPES: Final[dict[str, type]] = {"message": dict, "configuration": dict, "metadata": dict}
_CONFIGURATION_TYPES: Final[dict[str, type]] = {
    "acceptedOutputModes": list,
    "historyLength": int,
    "returnImmediately": bool,
    "taskPushNotificationConfig": dict,
}
_LIST_TYPES: Final[dict[str, type]] = {
    "contextId": str,
    "status": str,
    "pageSize": int,
    "pageToken": str,
    "historyLength": int,
    "statusTimestampAfter": str,
    "includeArtifacts": bool,
}
_ID_TYPES: Final[dict[str, type]] = {"id": str, "historyLength": int, "metadata": dict}
_STATES: Final = frozenset({*(state.value for state in State), "TASK_STATE_UNSPECIFIED"})
_RFC3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendParams:
    message: dict[str, Any]
    """In the usual form: valid, of a user, with at least one part."""
    digest: str
    """Of the whole message."""
    history_length: int | None
    return_immediately: bool
    push: PushConfig | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListParams:
    context_id: str
    state: str
    """Empty: any."""
    page_size: int
    page_token: str
    history_length: int | None
    changed_since: str
    """In the form of `texts.timestamp`; empty: ever."""
    artifacts: bool


def send_params(params: Any) -> SendParams:
    """Raises: InvalidParamsError."""
    given = usual_form(params, _SEND_TYPES, SendMessageRequest)
    message = given.get("message")
    if not isinstance(message, dict):
        raise invalid("message", "is required")
    message = _message(message)
    configuration = given.get("configuration", {})
    if not fits(configuration, _CONFIGURATION_TYPES):
        configuration = usual_form({"configuration": configuration}, {}, SendMessageRequest).get(
            "configuration", {}
        )
    push = configuration.get("taskPushNotificationConfig")
    return SendParams(
        message=message,
        digest=_digest(message),
        history_length=_history_length(configuration),
        return_immediately=bool(configuration.get("returnImmediately", False)),
        push=None
        if push is None
        else push_config(push, "configuration.taskPushNotificationConfig"),
    )


def task_params(params: Any) -> tuple[str, int | None]:
    """Return the task id and the history length of Get, Cancel and Subscribe.

    Raises:
        InvalidParamsError: If there is no id.
    """
    if fits(params, _ID_TYPES):
        given = params
    elif isinstance(params, dict) and "metadata" in params:
        given = usual_form(params, {}, CancelTaskRequest)
    elif isinstance(params, dict) and ("historyLength" in params or "history_length" in params):
        given = usual_form(params, {}, GetTaskRequest)
    else:
        given = usual_form(params, {}, SubscribeToTaskRequest)
    if not given.get("id"):
        raise invalid("id", "is required")
    return given["id"], _history_length(given)


def list_params(params: Any) -> ListParams:
    """Raises: InvalidParamsError."""
    if isinstance(params, dict):
        _known_state(params.get("status"))
    given = usual_form(params, _LIST_TYPES, ListTasksRequest)
    page_size = given.get("pageSize", DEFAULT_PAGE)
    if not 1 <= page_size <= MAX_PAGE:
        raise invalid("pageSize", f"must be between 1 and {MAX_PAGE}")
    state = given.get("status", "")
    return ListParams(
        context_id=given.get("contextId", ""),
        state="" if state == "TASK_STATE_UNSPECIFIED" else state,
        page_size=page_size,
        page_token=given.get("pageToken", ""),
        history_length=_history_length(given),
        changed_since=_moment(given.get("statusTimestampAfter", "")),
        artifacts=bool(given.get("includeArtifacts", False)),
    )


def _message(value: dict[str, Any]) -> dict[str, Any]:
    parts = value.get("parts")
    usual = (
        fits(value, _MESSAGE_TYPES)
        and value.get("role") in {"ROLE_USER", "ROLE_AGENT"}
        and all(fits(part, _PART_TYPES) for part in parts or ())
        and all(isinstance(each, str) for each in value.get("extensions", ()))
        and all(isinstance(each, str) for each in value.get("referenceTaskIds", ()))
    )
    message: dict[str, Any] = whole(value if usual else usual_form(value, {}, Message))
    _check_ids(message)
    if message.get("role") != "ROLE_USER":
        raise invalid("message.role", "must be ROLE_USER: a client speaks for its user")
    parts = message.get("parts")
    if not parts:
        raise invalid("message.parts", "must hold at least one part")
    if len(parts) > MAX_PARTS:
        raise invalid("message.parts", f"must hold at most {MAX_PARTS} parts")
    for index, part in enumerate(parts):
        if len(_CONTENT & part.keys()) != 1:
            raise invalid(f"message.parts[{index}]", "must hold one of text, raw, url or data")
    return message


def _digest(message: dict[str, Any]) -> str:
    """Tell apart different messages; equal for a message that is sent again.

    Not RFC 8785, which is ten times slower in Python: nobody else has to come to the same digest.
    """
    return digest_bytes(json.dumps(message, sort_keys=True, separators=(",", ":")).encode())


def _check_ids(message: dict[str, Any]) -> None:
    if not message.get("messageId"):
        raise invalid("message.messageId", "is required")
    for name in ("messageId", "contextId", "taskId"):
        if len(message.get(name, "")) > MAX_ID:
            raise invalid(f"message.{name}", f"must have at most {MAX_ID} characters")


def _known_state(given: Any) -> None:
    if given is None or (isinstance(given, str) and given in _STATES):
        return
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= len(State):
        return
    raise invalid("status", f"is not a task state: {str(given)[:80]!r}")


def _history_length(given: dict[str, Any]) -> int | None:
    length = given.get("historyLength")
    if length is not None and length < 0:
        raise invalid("historyLength", "must not be negative")
    return length


def _moment(text: str) -> str:
    if not text:
        return ""
    if not _RFC3339.fullmatch(text):
        raise invalid("statusTimestampAfter", "must be an RFC 3339 time with an offset")
    whole, dot, rest = text.partition(".")
    digits = re.match(r"\d*", rest)
    fraction = digits.group() if digits else ""
    zone = rest[len(fraction) :]
    # datetime reads at most six digits of a second.
    shortened = f"{whole}.{fraction[:6]}{zone}" if dot else text
    try:
        return timestamp(datetime.fromisoformat(shortened.upper()))
    except (ValueError, OverflowError) as exc:
        raise invalid("statusTimestampAfter", "is not a time that exists") from exc
