"""Operations of A2A 1.0 as HTTP requests, in the two bindings that we speak (A2A 1.0 9, 11)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote, urlencode

from parley_cards.extensions import DEDUPE, DELEGATION, FORM, SKILL_CONTRACT

from parley_wire.agent_errors import AgentError, AgentProtocolError, from_http, from_jsonrpc
from parley_wire.errors import UnsupportedAgentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parley_cards.card import Card, Interface

KNOWN_EXTENSIONS: Final = frozenset({SKILL_CONTRACT, DELEGATION, FORM, DEDUPE})
_VERSION: Final = re.compile(r"1\.0(\.\d+)?", re.ASCII)
_EVENTS: Final = "text/event-stream, application/json"
_REST_EVENTS: Final = "text/event-stream, application/a2a+json, application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None
    id: int | None = None
    """That the response must carry; None in bindings without ids."""


class Binding(Protocol):
    """How operations become requests."""

    def request(self, method: str, params: dict[str, Any], number: int) -> Request:
        """Return the request for an operation, named as in JSON-RPC; `number` is new each time."""
        ...

    def result(self, name: str, body: Any, number: int | None) -> Any:
        """Return the result in the body of a 2xx response, or of one event.

        Raises:
            AgentError: If it holds an error, or is not of this binding.
        """
        ...


def binding_of(card: Card, *, token: str | None) -> Binding:
    """Choose the first interface of the card that we speak (A2A 1.0 8.3.2).

    Raises:
        UnsupportedAgentError: If there is none, or the card requires an extension unknown to us.
    """
    extensions = card.json["capabilities"].get("extensions") or []
    unknown = [
        str(each["uri"])[:200]
        for each in extensions
        if each.get("required") and each["uri"] not in KNOWN_EXTENSIONS
    ]
    if unknown:
        raise UnsupportedAgentError(
            f"{card.name[:80]} requires extensions that Parley does not speak: {', '.join(unknown)}",
            extensions=unknown,
        )
    headers = {"a2a-version": "1.0"}
    active = [each["uri"] for each in extensions if each["uri"] in KNOWN_EXTENSIONS]
    if active:
        headers["a2a-extensions"] = ", ".join(active)
    if token:
        headers["authorization"] = f"Bearer {token}"
    for interface in card.interfaces:
        if _VERSION.fullmatch(interface.protocol_version):
            if interface.binding == "JSONRPC":
                return _JsonRpc(interface, headers)
            if interface.binding == "HTTP+JSON":
                return _Rest(interface, headers)
    offered = [f"{each.binding} {each.protocol_version}" for each in card.interfaces]
    raise UnsupportedAgentError(
        f"{card.name[:80]} offers {', '.join(offered)[:200]};"
        " Parley speaks JSONRPC 1.0 and HTTP+JSON 1.0",
        offered=offered,
    )


class _JsonRpc:
    def __init__(self, interface: Interface, headers: Mapping[str, str]) -> None:
        self._url = interface.url
        self._tenant = {"tenant": interface.tenant} if interface.tenant else {}
        self._headers = {**headers, "content-type": "application/json", "accept": _EVENTS}

    def request(self, method: str, params: dict[str, Any], number: int) -> Request:
        body = {
            "jsonrpc": "2.0",
            "id": number,
            "method": method,
            "params": {**self._tenant, **params},
        }
        return Request("POST", self._url, self._headers, _dumped(body), number)

    def result(self, name: str, body: Any, number: int | None) -> Any:
        if not isinstance(body, dict) or body.get("jsonrpc") != "2.0":
            raise AgentProtocolError(f"{name} did not answer in JSON-RPC 2.0")
        if "error" in body:
            raise from_jsonrpc(name, body["error"])
        if body.get("id") != number or isinstance(body.get("id"), bool) or "result" not in body:
            raise AgentProtocolError(f"{name} answered another request than was sent")
        return body["result"]


class _Rest:
    def __init__(self, interface: Interface, headers: Mapping[str, str]) -> None:
        tenant = f"/{quote(interface.tenant, safe='')}" if interface.tenant else ""
        self._base = interface.url.rstrip("/") + tenant
        self._headers = {**headers, "accept": _REST_EVENTS}
        self._with_body = {**self._headers, "content-type": "application/a2a+json"}

    def request(self, method: str, params: dict[str, Any], number: int) -> Request:  # noqa: ARG002 - HTTP pairs requests and responses itself
        task = quote(str(params.get("id", "")), safe="")
        match method:
            case "SendMessage":
                return self._post("/message:send", params)
            case "SendStreamingMessage":
                return self._post("/message:stream", params)
            case "GetTask":
                return self._get(f"/tasks/{task}")
            case "SubscribeToTask":
                return self._get(f"/tasks/{task}:subscribe")
            case "CancelTask":
                return self._post(f"/tasks/{task}:cancel", {})
            case "ListTasks":
                shown = {
                    key: str(value).lower() if isinstance(value, bool) else value
                    for key, value in params.items()
                }
                return self._get(f"/tasks?{urlencode(shown)}")
        raise ValueError(f"{method} is no operation of this client")

    def result(self, name: str, body: Any, number: int | None) -> Any:  # noqa: ARG002 - see `request`
        if isinstance(body, dict) and "error" in body:
            raise _stream_error(name, body["error"])
        return body

    def _post(self, path: str, body: dict[str, Any]) -> Request:
        return Request("POST", self._base + path, self._with_body, _dumped(body))

    def _get(self, path: str) -> Request:
        return Request("GET", self._base + path, self._headers, None)


def _stream_error(name: str, error: Any) -> AgentError:
    """An error inside a 2xx stream: its status did not get into the HTTP header."""
    from_status = error.get("code") if isinstance(error, dict) else None
    if not isinstance(from_status, int) or isinstance(from_status, bool):
        return AgentProtocolError(f"{name} sent an error that is not of A2A")
    return from_http(name, from_status, retry_after=None, body={"error": error})


def _dumped(body: Any) -> bytes:
    """Raises ValueError on NaN: our own defect, found before anything is sent."""
    return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
