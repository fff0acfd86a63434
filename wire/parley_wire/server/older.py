"""A2A 0.3 in terms of 1.0: what an older client asks, and what it is answered.

The SDK converts the values, both ways, at this edge only: behind it there is 1.0 and one log. What 0.3
cannot say is lost on the way: a data part holds an object, and its numbers are doubles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from a2a.compat.v0_3 import conversions
from a2a.compat.v0_3 import types as older
from a2a.types import a2a_pb2
from a2a.utils.errors import InvalidParamsError
from google.protobuf.json_format import MessageToDict, Parse
from google.protobuf.message import DecodeError
from pydantic import BaseModel, ValidationError

from parley_wire.protojson import MISFITS, whole
from parley_wire.server.forms import invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message


class Operation(NamedTuple):
    """One operation of 0.3."""

    name: str
    """In 1.0."""
    request: type[BaseModel]
    """In 0.3: what `params` is part of."""
    convert: Callable[[Any], Message]


OPERATIONS: Final[dict[str, Operation]] = {
    "message/send": Operation(
        "SendMessage", older.SendMessageRequest, conversions.to_core_send_message_request
    ),
    "message/stream": Operation(
        "SendStreamingMessage",
        older.SendStreamingMessageRequest,
        conversions.to_core_send_message_request,
    ),
    "tasks/get": Operation("GetTask", older.GetTaskRequest, conversions.to_core_get_task_request),
    "tasks/cancel": Operation(
        "CancelTask", older.CancelTaskRequest, conversions.to_core_cancel_task_request
    ),
    "tasks/resubscribe": Operation(
        "SubscribeToTask",
        older.TaskResubscriptionRequest,
        conversions.to_core_subscribe_to_task_request,
    ),
    "tasks/pushNotificationConfig/set": Operation(
        "CreateTaskPushNotificationConfig",
        older.SetTaskPushNotificationConfigRequest,
        conversions.to_core_create_task_push_notification_config_request,
    ),
    "tasks/pushNotificationConfig/get": Operation(
        "GetTaskPushNotificationConfig",
        older.GetTaskPushNotificationConfigRequest,
        conversions.to_core_get_task_push_notification_config_request,
    ),
    "tasks/pushNotificationConfig/list": Operation(
        "ListTaskPushNotificationConfigs",
        older.ListTaskPushNotificationConfigRequest,
        conversions.to_core_list_task_push_notification_config_request,
    ),
    "tasks/pushNotificationConfig/delete": Operation(
        "DeleteTaskPushNotificationConfig",
        older.DeleteTaskPushNotificationConfigRequest,
        conversions.to_core_delete_task_push_notification_config_request,
    ),
    "agent/getAuthenticatedExtendedCard": Operation(
        "GetExtendedAgentCard",
        older.GetAuthenticatedExtendedCardRequest,
        conversions.to_core_get_extended_agent_card_request,
    ),
}
MALFORMED: Final = (*MISFITS, DecodeError)
"""What a conversion may raise about values that do not fit."""
STREAMS: Final = frozenset({"message/stream", "tasks/resubscribe"})


def newer_params(method: str, params: Any) -> dict[str, Any]:
    """Return the parameters of the operation in 1.0.

    Raises:
        InvalidParamsError: If they are not those of the operation in 0.3.
    """
    operation = OPERATIONS[method]
    request = {"jsonrpc": "2.0", "id": 0, "method": method}
    if params is not None:
        request["params"] = params
    try:
        given = operation.convert(operation.request.model_validate(request))
        found: dict[str, Any] = whole(MessageToDict(given))
    except ValidationError as exc:
        raise _invalid(exc) from exc
    except MALFORMED as exc:
        raise invalid("params", f"cannot be read as A2A 0.3: {str(exc)[:300]}") from exc
    return found


def older_result(method: str, text: str) -> Any:
    """Return what a result of 1.0 is in 0.3, as JSON."""
    match OPERATIONS[method].name:
        case "SendMessage":
            sent = _read(text, a2a_pb2.SendMessageResponse())
            value: BaseModel = (
                conversions.to_compat_task(sent.task)
                if sent.HasField("task")
                else conversions.to_compat_message(sent.message)
            )
        case "GetTask" | "CancelTask":
            value = conversions.to_compat_task(_read(text, a2a_pb2.Task()))
        case "DeleteTaskPushNotificationConfig":
            return None
        case "ListTaskPushNotificationConfigs":
            page = _read(text, a2a_pb2.ListTaskPushNotificationConfigsResponse())
            return [
                _json(conversions.to_compat_task_push_notification_config(each))
                for each in page.configs
            ]
        case "GetExtendedAgentCard":
            value = conversions.to_compat_agent_card(_read(text, a2a_pb2.AgentCard()))
        case _:
            config = _read(text, a2a_pb2.TaskPushNotificationConfig())
            value = conversions.to_compat_task_push_notification_config(config)
    return _json(value)


def older_event(text: str, *, last: bool) -> BaseModel:
    """Return what an event of 1.0 is in 0.3.

    Args:
        text: A StreamResponse.
        last: Whether the stream ends with it, which 0.3 says in the event.
    """
    event = conversions.to_compat_stream_response(_read(text, a2a_pb2.StreamResponse()), 0).result
    if isinstance(event, older.TaskStatusUpdateEvent):
        event.final = last
    found: BaseModel = event
    return found


def as_json(value: BaseModel) -> Any:
    """Return a value of 0.3 as the JSON of its JSON-RPC binding."""
    return _json(value)


def _json(value: BaseModel) -> Any:
    return whole(value.model_dump(mode="json", by_alias=True, exclude_none=True))


def _read(text: str, into: Any) -> Any:
    return Parse(text, into, ignore_unknown_fields=True)


def _invalid(error: ValidationError) -> InvalidParamsError:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    # Members of unions are names of classes, in which nobody is interested.
    place = ".".join(str(each) for each in first["loc"] if str(each)[:1].islower())
    return invalid(place or "params", str(first["msg"]).removeprefix("Value error, ")[:200])
