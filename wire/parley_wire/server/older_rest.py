"""HTTP+JSON of A2A 0.3: paths below `/v1`, and the JSON of its protobuf."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from a2a.compat.v0_3 import a2a_v0_3_pb2, proto_utils
from a2a.compat.v0_3 import types as older
from google.protobuf.json_format import MessageToDict, ParseDict

from parley_wire.protojson import whole
from parley_wire.server.forms import invalid
from parley_wire.server.older import MALFORMED, older_result

if TYPE_CHECKING:
    from pydantic import BaseModel

_COLLECTIONS: Final = {
    ("POST", "message:send"): "message/send",
    ("POST", "message:stream"): "message/stream",
    ("GET", "card"): "agent/getAuthenticatedExtendedCard",
}
_TASK_VERBS: Final = {
    ("POST", "cancel"): "tasks/cancel",
    ("GET", "subscribe"): "tasks/resubscribe",
    ("POST", "subscribe"): "tasks/resubscribe",
}
_PUSH_VERBS: Final = {
    ("POST", False): "tasks/pushNotificationConfig/set",
    ("GET", False): "tasks/pushNotificationConfig/list",
    ("GET", True): "tasks/pushNotificationConfig/get",
    ("DELETE", True): "tasks/pushNotificationConfig/delete",
}


def older_operation(verb: str, path: str) -> tuple[str, dict[str, Any]] | None:
    """Return the method of a path below `/v1` and the parameters in it; None if there is none."""
    method = _COLLECTIONS.get((verb, path))
    if method is not None:
        return method, {}
    match path.split("/"):
        case ["tasks", last] if last:
            task_id, colon, action = last.rpartition(":")
            method = _TASK_VERBS.get((verb, action)) if colon and task_id else None
            if method is not None:
                return method, {"id": task_id}
            return ("tasks/get", {"id": last}) if verb == "GET" else None
        case ["tasks", task_id, "pushNotificationConfigs", *rest] if len(rest) < 2:
            method = _PUSH_VERBS.get((verb, bool(rest)))
            if method == "tasks/pushNotificationConfig/set":
                return method, {"taskId": task_id}
            if method is not None:
                named = {"pushNotificationConfigId": rest[0]} if rest else {}
                return method, {"id": task_id, **named}
    return None


def older_params(method: str, named: dict[str, Any], body: dict[str, Any]) -> Any:
    """Return the parameters that JSON-RPC would have.

    Raises:
        InvalidParamsError: If the body is not that of the operation.
    """
    try:
        if method in {"message/send", "message/stream"}:
            sent = ParseDict(body, a2a_v0_3_pb2.SendMessageRequest(), ignore_unknown_fields=True)
            return _model(proto_utils.FromProto.message_send_params(sent))
        if method == "tasks/pushNotificationConfig/set":
            asked = a2a_v0_3_pb2.CreateTaskPushNotificationConfigRequest()
            ParseDict({"config": body.get("config", body)}, asked, ignore_unknown_fields=True)
            config = proto_utils.FromProto.push_notification_config(
                asked.config.push_notification_config
            )
            return {**named, "pushNotificationConfig": _model(config)}
    except MALFORMED as exc:
        raise invalid("body", f"cannot be read as A2A 0.3: {str(exc)[:300]}") from exc
    if method == "agent/getAuthenticatedExtendedCard":
        return None
    history = {"historyLength": body["historyLength"]} if "historyLength" in body else {}
    return {**named, **history} if method == "tasks/get" else named


def older_body(method: str, text: str) -> Any:
    """Return a result of 1.0 as the JSON of 0.3's protobuf."""
    to = proto_utils.ToProto
    result = older_result(method, text)
    match method:
        case "message/send":
            kind = older.Task if result.get("kind") == "task" else older.Message
            return _dict(to.task_or_message(kind.model_validate(result)))
        case "tasks/get" | "tasks/cancel":
            return _dict(to.task(older.Task.model_validate(result)))
        case "tasks/pushNotificationConfig/delete":
            return {}
        case "agent/getAuthenticatedExtendedCard":
            return result
        case "tasks/pushNotificationConfig/list":
            return {"configs": [_config(each) for each in result]}
    return _config(result)


def older_rest_event(event: Any) -> Any:
    return _dict(proto_utils.ToProto.stream_response(event))


def _config(value: dict[str, Any]) -> Any:
    config = older.TaskPushNotificationConfig.model_validate(value)
    return _dict(proto_utils.ToProto.task_push_notification_config(config))


def _model(value: BaseModel) -> Any:
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)


def _dict(message: Any) -> Any:
    return whole(MessageToDict(message))
