"""Operations of A2A 1.0 as HTTP requests: JSON-RPC and HTTP+JSON (A2A 1.0 9, 11)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote, urlencode

from parley_wire.agent_errors import (
    AgentError,
    AgentProtocolError,
    AgentRefusedError,
    from_http,
    from_jsonrpc,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parley_cards.card import Interface

EVENTS: Final = "text/event-stream, application/json"
MAX_VALUES: Final = 250_000
"""In one answer or event: protobuf takes a second for so many, and nothing else happens meanwhile."""
REST_EVENTS: Final = "text/event-stream, application/a2a+json, application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None
    operation: str
    """Named as in JSON-RPC of A2A 1.0."""
    id: int | None = None
    """That the response must carry; None in bindings without ids."""


class Binding(Protocol):
    """How operations become requests."""

    def request(self, method: str, params: dict[str, Any], number: int) -> Request:
        """Return the request for an operation, named as in JSON-RPC; `number` is new each time.

        Raises:
            AgentRefusedError: If the binding has no such operation.
        """
        ...

    def result(self, name: str, body: Any, request: Request) -> Any:
        """Return the result in the body of a 2xx response, or of one event, as A2A 1.0 has it.

        Raises:
            AgentError: If it holds an error, or is not of this binding.
        """
        ...


class JsonRpc:
    """A2A 1.0 section 9."""

    def __init__(self, interface: Interface, headers: Mapping[str, str]) -> None:
        self._url = interface.url
        self._tenant = {"tenant": interface.tenant} if interface.tenant else {}
        self._headers = {**headers, "content-type": "application/json", "accept": EVENTS}

    def request(self, method: str, params: dict[str, Any], number: int) -> Request:
        return jsonrpc_request(
            self._url, self._headers, method, {**self._tenant, **params}, number, operation=method
        )

    def result(self, name: str, body: Any, request: Request) -> Any:
        return jsonrpc_result(name, body, request)


def jsonrpc_request(
    url: str,
    headers: Mapping[str, str],
    method: str,
    params: dict[str, Any],
    number: int,
    *,
    operation: str,
) -> Request:
    body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return Request("POST", url, headers, dumped(body), operation, number)


def jsonrpc_result(name: str, body: Any, request: Request) -> Any:
    """Raises AgentError if it holds an error, or is no answer to this request."""
    if not isinstance(body, dict) or body.get("jsonrpc") != "2.0":
        raise AgentProtocolError(f"{name} did not answer in JSON-RPC 2.0")
    if body.get("error") is not None:
        raise from_jsonrpc(name, body["error"])
    if body.get("id") != request.id or isinstance(body.get("id"), bool) or "result" not in body:
        raise AgentProtocolError(f"{name} answered another request than was sent")
    return body["result"]


class Rest:
    """A2A 1.0 section 11."""

    def __init__(self, interface: Interface, headers: Mapping[str, str]) -> None:
        tenant = f"/{quote(interface.tenant, safe='')}" if interface.tenant else ""
        self._base = interface.url.rstrip("/") + tenant
        self._headers = {**headers, "accept": REST_EVENTS}
        self._with_body = {**self._headers, "content-type": "application/a2a+json"}

    def request(self, method: str, params: dict[str, Any], number: int) -> Request:  # noqa: ARG002 - HTTP pairs requests and responses itself
        verb, path, asked, body = rest_call(method, params)
        query = f"?{urlencode(asked)}" if asked else ""
        content = dumped(body) if body is not None else None
        headers = self._with_body if content is not None else self._headers
        return Request(verb, self._base + path + query, headers, content, method)

    def result(self, name: str, body: Any, request: Request) -> Any:  # noqa: ARG002 - see `request`
        return rest_result(name, body)


def rest_call(
    method: str, params: dict[str, Any]
) -> tuple[str, str, dict[str, Any], dict[str, Any] | None]:
    """Return HTTP method, path below the interface's address, query, and JSON body of an operation.

    Raises:
        AgentRefusedError: If A2A 1.0 has no such operation.
    """
    task = quote(str(params.get("id", "")), safe="")
    match method:
        case "SendMessage":
            return "POST", "/message:send", {}, params
        case "SendStreamingMessage":
            return "POST", "/message:stream", {}, params
        case "GetTask":
            return "GET", f"/tasks/{task}", _but(params, "id"), None
        case "SubscribeToTask":
            return "GET", f"/tasks/{task}:subscribe", {}, None
        case "CancelTask":
            return (
                "POST",
                f"/tasks/{task}:cancel",
                {},
                {k: v for k, v in params.items() if k != "id"},
            )
        case "ListTasks":
            return "GET", "/tasks", _but(params), None
        case "GetExtendedAgentCard":
            return "GET", "/extendedAgentCard", {}, None
    return _push_call(method, params)


def _push_call(
    method: str, params: dict[str, Any]
) -> tuple[str, str, dict[str, Any], dict[str, Any] | None]:
    configs = f"/tasks/{quote(str(params.get('taskId', '')), safe='')}/pushNotificationConfigs"
    one = f"{configs}/{quote(str(params.get('id', '')), safe='')}"
    match method:
        case "CreateTaskPushNotificationConfig":
            return "POST", configs, {}, params
        case "GetTaskPushNotificationConfig":
            return "GET", one, {}, None
        case "ListTaskPushNotificationConfigs":
            return "GET", configs, _but(params, "taskId"), None
        case "DeleteTaskPushNotificationConfig":
            return "DELETE", one, {}, None
    raise AgentRefusedError(
        f"A2A 1.0 has no operation {method[:80]}", a2a_code="UNSUPPORTED_OPERATION"
    )


def rest_result(name: str, body: Any) -> Any:
    """Raises AgentError if the body, or the event of a stream, is an error."""
    if isinstance(body, dict) and "error" in body:
        raise _stream_error(name, body["error"])
    return body


def _but(params: dict[str, Any], *names: str) -> dict[str, Any]:
    """The other parameters, as a query has them."""
    return {
        key: str(value).lower() if isinstance(value, bool) else value
        for key, value in params.items()
        if key not in names
    }


def _stream_error(name: str, error: Any) -> AgentError:
    """An error inside a 2xx stream: its status did not get into the HTTP header."""
    from_status = error.get("code") if isinstance(error, dict) else None
    if not isinstance(from_status, int) or isinstance(from_status, bool):
        return AgentProtocolError(f"{name} sent an error that is not of A2A")
    return from_http(name, from_status, retry_after=None, body={"error": error})


def dumped(body: Any) -> bytes:
    """Raises ValueError on NaN: our own defect, found before anything is sent."""
    return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
