"""A2A 0.3 agents, addressed as if they spoke 1.0: JSON-RPC and HTTP+JSON.

====================================  ==================================  =================================
1.0                                   JSON-RPC 0.3                        HTTP+JSON 0.3
====================================  ==================================  =================================
SendMessage                           message/send                        POST /v1/message:send
SendStreamingMessage                  message/stream                      POST /v1/message:stream
GetTask                               tasks/get                           GET /v1/tasks/ID
CancelTask                            tasks/cancel                        POST /v1/tasks/ID:cancel
SubscribeToTask                       tasks/resubscribe                   POST /v1/tasks/ID:subscribe
CreateTaskPushNotificationConfig      tasks/pushNotificationConfig/set    POST .../pushNotificationConfigs
GetTaskPushNotificationConfig         tasks/pushNotificationConfig/get    GET .../pushNotificationConfigs/ID
ListTaskPushNotificationConfigs       tasks/pushNotificationConfig/list   none
DeleteTaskPushNotificationConfig      tasks/pushNotificationConfig/delete none
ListTasks                             none                                none
====================================  ==================================  =================================

What 0.3 lacks is refused with `UNSUPPORTED_OPERATION`, as by an agent of 1.0 that does not offer it: so
an answer that was lost cannot be looked up, and its outcome is uncertain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar
from urllib.parse import quote

from a2a.compat.v0_3 import a2a_v0_3_pb2 as proto
from a2a.compat.v0_3 import conversions, proto_utils, types
from a2a.types import SendMessageRequest
from a2a.types import TaskPushNotificationConfig as CoreConfig
from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as ProtobufMessage

from parley_wire.agent_errors import AgentProtocolError, AgentRefusedError
from parley_wire.bindings import (
    EVENTS,
    REST_EVENTS,
    Request,
    dumped,
    jsonrpc_request,
    jsonrpc_result,
    rest_result,
)
from parley_wire.protojson import MISFITS, plain, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from parley_cards.card import Interface
    from pydantic import BaseModel

M = TypeVar("M", bound=ProtobufMessage)

_METHODS: Final = {
    "SendMessage": "message/send",
    "SendStreamingMessage": "message/stream",
    "GetTask": "tasks/get",
    "CancelTask": "tasks/cancel",
    "SubscribeToTask": "tasks/resubscribe",
    "CreateTaskPushNotificationConfig": "tasks/pushNotificationConfig/set",
    "GetTaskPushNotificationConfig": "tasks/pushNotificationConfig/get",
    "ListTaskPushNotificationConfigs": "tasks/pushNotificationConfig/list",
    "DeleteTaskPushNotificationConfig": "tasks/pushNotificationConfig/delete",
}
_SENDS: Final = frozenset({"SendMessage", "SendStreamingMessage"})
_STATES: Final = frozenset(each.value for each in types.TaskState)
_MALFORMED: Final = (*MISFITS, DecodeError, KeyError)


class JsonRpc03:
    """The JSON-RPC binding of A2A 0.3."""

    def __init__(self, interface: Interface, headers: Mapping[str, str]) -> None:
        self._url = interface.url
        self._headers = {
            **_older(headers),
            "content-type": "application/json",
            "accept": EVENTS,
        }

    def request(self, method: str, params: dict[str, Any], number: int) -> Request:
        return _written(lambda: self._request(method, params, number))

    def _request(self, method: str, params: dict[str, Any], number: int) -> Request:
        name = _METHODS.get(method) or _lacking(method)
        if method in _SENDS:
            shown = _send_params(params)
        elif method == "CreateTaskPushNotificationConfig":
            config = conversions.to_compat_push_notification_config(_parsed(params, CoreConfig()))
            shown = {"taskId": params["taskId"], "pushNotificationConfig": _dump(config)}
        elif "taskId" in params:
            shown = {"id": params["taskId"]}
            if "id" in params:
                shown["pushNotificationConfigId"] = params["id"]
        else:
            shown = params
        return jsonrpc_request(self._url, self._headers, name, shown, number, operation=method)

    def result(self, name: str, body: Any, request: Request) -> Any:
        result = jsonrpc_result(name, body, request)
        return _read(name, lambda: _from_json(request.operation, result))


class Rest03:
    """The HTTP+JSON binding of A2A 0.3: the JSON of its protobuf."""

    def __init__(self, interface: Interface, headers: Mapping[str, str]) -> None:
        self._base = interface.url.rstrip("/").removesuffix("/v1") + "/v1"
        self._headers = {**_older(headers), "accept": REST_EVENTS}
        self._with_body = {**self._headers, "content-type": "application/json"}

    def request(self, method: str, params: dict[str, Any], number: int) -> Request:  # noqa: ARG002 - HTTP pairs requests and responses itself
        return _written(lambda: self._request(method, params))

    def _request(self, method: str, params: dict[str, Any]) -> Request:
        task = quote(str(params.get("taskId", params.get("id", ""))), safe="")
        match method:
            case "SendMessage":
                return self._post(method, "/message:send", _send_proto(params))
            case "SendStreamingMessage":
                return self._post(method, "/message:stream", _send_proto(params))
            case "GetTask":
                return self._get(method, f"/tasks/{task}")
            case "CancelTask":
                return self._post(method, f"/tasks/{task}:cancel", {})
            case "SubscribeToTask":
                return self._post(method, f"/tasks/{task}:subscribe", {})
            case "CreateTaskPushNotificationConfig":
                body = _config_proto(params)
                return self._post(method, f"/tasks/{task}/pushNotificationConfigs", body)
            case "GetTaskPushNotificationConfig":
                config = quote(str(params["id"]), safe="")
                return self._get(method, f"/tasks/{task}/pushNotificationConfigs/{config}")
        return _lacking(method)

    def result(self, name: str, body: Any, request: Request) -> Any:
        result = rest_result(name, body)
        return _read(name, lambda: _from_proto(request.operation, result))

    def _post(self, operation: str, path: str, body: dict[str, Any]) -> Request:
        return Request("POST", self._base + path, self._with_body, dumped(body), operation)

    def _get(self, operation: str, path: str) -> Request:
        return Request("GET", self._base + path, self._headers, None, operation)


def _older(headers: Mapping[str, str]) -> dict[str, str]:
    shown = {**headers, "a2a-version": "0.3"}
    if "a2a-extensions" in shown:
        shown["x-a2a-extensions"] = shown["a2a-extensions"]
    return shown


def _lacking(method: str) -> NoReturn:
    raise AgentRefusedError(
        f"A2A 0.3 has no operation {method[:80]} in this binding",
        a2a_code="UNSUPPORTED_OPERATION",
    )


def _parsed(value: Any, into: M) -> M:
    return ParseDict(value, into, ignore_unknown_fields=True)


def _compat_send(params: dict[str, Any]) -> types.MessageSendParams:
    request = _parsed(params, SendMessageRequest())
    shown = conversions.to_compat_send_message_request(request, request_id=0).params
    if shown.configuration is not None and not shown.configuration.history_length:
        # 0.3 has no way to ask for none; 0 is all of it there.
        shown.configuration.history_length = None
    return shown


def _send_params(params: dict[str, Any]) -> dict[str, Any]:
    return _dump(_compat_send(params))


def _send_proto(params: dict[str, Any]) -> dict[str, Any]:
    shown = _compat_send(params)
    request = proto.SendMessageRequest(
        request=proto_utils.ToProto.message(shown.message),
        configuration=proto_utils.ToProto.message_send_configuration(shown.configuration),
    )
    return plain(request)


def _config_proto(params: dict[str, Any]) -> dict[str, Any]:
    config = conversions.to_compat_push_notification_config(_parsed(params, CoreConfig()))
    task = f"tasks/{params['taskId']}"
    place = types.TaskPushNotificationConfig(
        task_id=params["taskId"], push_notification_config=config
    )
    request = proto.CreateTaskPushNotificationConfigRequest(
        parent=task,
        config_id=config.id or "",
        config=proto_utils.ToProto.task_push_notification_config(place),
    )
    return plain(request)


def _dump(model: BaseModel) -> dict[str, Any]:
    shown: dict[str, Any] = whole(_json(model))
    return shown


def _json(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def _written(writing: Callable[[], Request]) -> Request:
    """Raises AgentRefusedError for our own words that do not fit: nothing is sent."""
    try:
        return writing()
    except _MALFORMED as exc:
        raise AgentRefusedError(
            f"nothing was sent, it does not fit into A2A 0.3: {str(exc)[:200]}",
            a2a_code="INVALID_PARAMS",
        ) from exc


def _read(name: str, reading: Callable[[], Any]) -> Any:
    try:
        return reading()
    except _MALFORMED as exc:
        raise AgentProtocolError(
            f"{name} answered with something that is not A2A 0.3: {str(exc)[:200]}"
        ) from exc


def _from_json(operation: str, result: Any) -> Any:
    match operation:
        case "GetTask" | "CancelTask":
            return plain(conversions.to_core_task(types.Task.model_validate(_known(result))))
        case "CreateTaskPushNotificationConfig" | "GetTaskPushNotificationConfig":
            return _config(types.TaskPushNotificationConfig.model_validate(result))
        case "ListTaskPushNotificationConfigs":
            configs = [types.TaskPushNotificationConfig.model_validate(each) for each in result]
            return {"configs": [_config(each) for each in configs]}
        case "DeleteTaskPushNotificationConfig":
            return {}
    return _event(_known(result))


def _event(result: Any) -> dict[str, Any]:
    """An answer to a message, or an event of a stream: `kind` says which; very old agents do not."""
    kind = result.get("kind")
    if kind == "message" or (kind is None and "messageId" in result):
        message = conversions.to_core_message(types.Message.model_validate(result))
        return {"message": plain(message)}
    if kind == "status-update":
        status = types.TaskStatusUpdateEvent.model_validate(result)
        return {"statusUpdate": plain(conversions.to_core_task_status_update_event(status))}
    if kind == "artifact-update":
        artifact = types.TaskArtifactUpdateEvent.model_validate(result)
        return {"artifactUpdate": plain(conversions.to_core_task_artifact_update_event(artifact))}
    return {"task": plain(conversions.to_core_task(types.Task.model_validate(result)))}


def _known(result: Any) -> Any:
    """Return a task or status event with a state that 0.3 has; one that it lacks is `unknown`."""
    status = result.get("status")
    if not isinstance(status, dict) or status.get("state") in _STATES:
        return result
    return {**result, "status": {**status, "state": "unknown"}}


def _config(place: types.TaskPushNotificationConfig) -> dict[str, Any]:
    return plain(conversions.to_core_task_push_notification_config(place))


def _from_proto(operation: str, result: Any) -> Any:
    match operation:
        case "GetTask" | "CancelTask":
            task = proto_utils.FromProto.task(_parsed(result, proto.Task()))
            return plain(conversions.to_core_task(task))
        case "CreateTaskPushNotificationConfig" | "GetTaskPushNotificationConfig":
            config = _parsed(result, proto.TaskPushNotificationConfig())
            return _config(proto_utils.FromProto.task_push_notification_config(config))
        case "SendMessage":
            sent = _parsed(result, proto.SendMessageResponse())
            if sent.WhichOneof("payload") is None:
                raise ValueError("neither task nor msg")
            return _event(_json(proto_utils.FromProto.task_or_message(sent)))
    event = proto_utils.FromProto.stream_response(_parsed(result, proto.StreamResponse()))
    return _event(_json(event))
