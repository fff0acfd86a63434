"""`call: mcp`: one request to an MCP server over streamable HTTP, in a session of its own.

The document's protocol version chooses the era: 2026-07-28 is spoken without a session; for an earlier
one `initialize` comes first, and server and client agree on a version.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import httpx
import httpx2
import mcp_types as types
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from pydantic import RootModel, ValidationError

from parley_coordinator.protocols.content import headers_of, shown_uri
from parley_coordinator.protocols.http import reason
from parley_coordinator.protocols.mcp_bridge import Bridge
from parley_coordinator.protocols.outcome import (
    LostError,
    misconfigured,
    told,
    unfit,
    unreachable,
    unusable,
)
from parley_coordinator.protocols.outlet import (
    MAX_ANSWER_BYTES,
    TooLargeError,
    address,
    failed,
    host_of,
)
from parley_coordinator.workflow.errors import Standard, WorkflowError

if TYPE_CHECKING:
    from parley_coordinator.protocols.outcome import Trail
    from parley_coordinator.protocols.outlet import Outlet
    from parley_coordinator.workflow.effects import Request

KEY: Final = "parley/idempotency-key"
"""Of `_meta` in `tools/call`: the same for each time that one call is sent."""
WRITES: Final = "tools/call"
_REQUESTS: Final[dict[str, type[types.Request[Any, Any]]]] = {
    "tools/list": types.ListToolsRequest,
    "tools/call": types.CallToolRequest,
    "prompts/list": types.ListPromptsRequest,
    "prompts/get": types.GetPromptRequest,
    "resources/list": types.ListResourcesRequest,
    "resources/read": types.ReadResourceRequest,
    "resources/templates/list": types.ListResourceTemplatesRequest,
}
_NO_ANSWER: Final = frozenset((types.CONNECTION_CLOSED, types.REQUEST_TIMEOUT, types.PARSE_ERROR))
"""Codes with which the SDK says that no answer came, or none that can be read."""
_OUR_FAULT: Final = frozenset((types.METHOD_NOT_FOUND, types.INVALID_PARAMS, types.INVALID_REQUEST))


class _Result(RootModel[dict[str, Any]]):
    """As the server wrote it."""


@dataclass(kw_only=True)
class McpRequest:
    """Implements `outcome.Prepared` for one request."""

    outlet: Outlet
    url: httpx.URL
    headers: dict[str, str]
    authentication: dict[str, Any] | None
    request: types.Request[Any, Any]
    mode: str
    timeout_s: float | None
    client: types.Implementation
    facts: dict[str, Any]
    idempotent: bool
    traceable: bool = False
    who: str = field(init=False)

    def __post_init__(self) -> None:
        self.who = host_of(self.url)

    async def send(self, trail: Trail) -> Any:  # noqa: ARG002 - nothing to look up
        call = _Call(self)
        try:
            async with asyncio.timeout(self.timeout_s):
                await call.run()
        except TimeoutError:
            if call.result is None:
                raise call.too_late(f"no answer within {self.timeout_s:g} s") from None
        except BaseExceptionGroup as group:
            # What ended the session; that is no news if the answer had come before.
            if call.result is None:
                raise call.ended(group) from group
        if call.result is None:
            raise call.refused()
        if not _is_json(call.result):
            raise unusable(self.who, "there are numbers in it that JSON does not have")
        if call.result.get("resultType", "complete") != "complete":
            raise _interrupted(self.who)
        if call.result.get("isError") is True:
            raise _tool_failed(self.request, call.result)
        return call.result

    async def cancel(self, trail: Trail) -> str:  # noqa: ARG002 - nothing to call back
        return "a request cannot be called back"


class _Call:
    """One session: what was reached in it, and what was said."""

    def __init__(self, request: McpRequest) -> None:
        self._request = request
        self._bridge = Bridge(request.outlet, request.headers, request.authentication)
        self._begun = False
        self._said: BaseException | None = None
        self.result: dict[str, Any] | None = None

    async def run(self) -> None:
        """Open a session, ask, and leave it.

        Raises:
            BaseExceptionGroup: What ended the session.
        """
        ask = self._request
        async with httpx2.AsyncClient(
            transport=self._bridge, trust_env=False, timeout=None
        ) as http:
            session = Client(
                streamable_http_client(
                    str(ask.url), http_client=http, max_sse_event_size=MAX_ANSWER_BYTES
                ),
                mode=ask.mode,
                client_info=ask.client,
                cache=None,
            )
            # Said inside, raised outside: the session wraps what leaves it, in a group of chance.
            try:
                async with session as client:
                    try:
                        self._begin()
                        result = await client.session.send_request(ask.request, _Result)
                        self.result = result.root
                    except (MCPError, ValidationError) as exc:
                        self._said = exc
            except (MCPError, ValidationError, RuntimeError) as exc:
                self._said = self._said or exc

    def _begin(self) -> None:
        self._begun = True
        self._bridge.status = None

    def too_late(self, detail: str) -> WorkflowError | LostError:
        if self._begun:
            return LostError(detail)
        return unreachable(self._request.who, f"no session: {detail}")

    def ended(self, group: BaseExceptionGroup[BaseException]) -> BaseException:
        """Say what a session that broke means for the request."""
        _, foreign = group.split(Exception)
        if foreign is not None:
            return foreign  # we are being stopped
        said, _ = group.split((MCPError, ValidationError, RuntimeError))
        if self._bridge.failure is None and said is not None:
            self._said = self._said or _first(said)
            return self.refused()
        if self._bridge.failure is None:
            return self.too_late(f"the session broke: {told(str(_first(group)))}")
        return self._meaning(self._bridge.failure)

    def refused(self) -> WorkflowError | LostError:
        """Say what an error of the protocol means for the request."""
        who, failure, said = self._request.who, self._bridge.failure, self._said
        if failure is not None:
            return self._meaning(failure)
        if isinstance(said, ValidationError):
            return unusable(who, "what it answered is not of MCP")
        status = self._bridge.status
        detail = said.error.message if isinstance(said, MCPError) else str(said or "no answer")
        if status is not None and status >= 400:
            refused = status == 401 and self._request.authentication is not None
            kind = Standard.AUTHENTICATION if refused else Standard.COMMUNICATION
            return WorkflowError(kind, reason(status), told(detail), status=status)
        if not isinstance(said, MCPError):
            return WorkflowError(Standard.RUNTIME, f"{who} does not speak our MCP", told(detail))
        if said.error.code in _NO_ANSWER:
            return self.too_late(told(detail))
        title = f"{who} refused {self._request.request.method}"
        known = 422 if said.error.code in _OUR_FAULT else 500
        return WorkflowError(Standard.RUNTIME, title, told(detail), status=known)

    def _meaning(self, failure: Exception) -> WorkflowError | LostError:
        who = self._request.who
        if isinstance(failure, WorkflowError):
            return failure
        if isinstance(failure, TooLargeError):
            return unusable(who, "it answered with more than is allowed")
        if isinstance(failure, httpx.TransportError):
            found = failed(failure, who)
            if isinstance(found, WorkflowError) or self._begun:
                return found
            return unreachable(who, f"no session: {failure}")
        return self.too_late(told(str(failure)))


def prepare(request: Request, outlet: Outlet, key: str) -> McpRequest:
    """Check the arguments of a `call: mcp`.

    Raises:
        WorkflowError: `configuration`, `validation`.
    """
    given = request.arguments
    method, parameters = given["method"], dict(given["parameters"])
    wanted = given["protocolVersion"]
    if wanted in MODERN_PROTOCOL_VERSIONS:
        mode = wanted
    elif wanted in HANDSHAKE_PROTOCOL_VERSIONS:
        mode = "legacy"
    else:
        known = ", ".join((*HANDSHAKE_PROTOCOL_VERSIONS, *MODERN_PROTOCOL_VERSIONS))
        raise misconfigured(f"MCP {str(wanted)[:40]!r} is not spoken here; there are {known}")
    if method == WRITES:
        meta = parameters.get("_meta")
        parameters["_meta"] = {KEY: key, **(meta if isinstance(meta, dict) else {})}
    url = address(given["endpoint"])
    headers = headers_of(given["headers"])
    idempotent = request.idempotent or method != WRITES
    facts = {
        "protocol": "mcp",
        "method": method,
        "uri": shown_uri(url),
        "idempotent": idempotent,
        "headers": sorted(headers),
    }
    if isinstance(parameters.get("name"), str):
        facts["name"] = parameters["name"][:200]
    client = given.get("client") or {"name": "parley", "version": version("parley-mesh")}
    return McpRequest(
        outlet=outlet,
        url=url,
        headers=headers,
        authentication=request.authentication,
        request=_request(method, parameters),
        mode=mode,
        timeout_s=given.get("timeout"),
        client=types.Implementation(name=client["name"], version=client["version"]),
        facts=facts,
        idempotent=idempotent,
    )


def _is_json(value: Any) -> bool:
    """The SDK's parser lets NaN and Infinity through."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def _request(method: str, parameters: dict[str, Any]) -> types.Request[Any, Any]:
    body = {"method": method, "params": parameters} if parameters else {"method": method}
    try:
        return _REQUESTS[method].model_validate(body, by_name=False)
    except ValidationError as exc:
        error = exc.errors(include_url=False, include_input=False)[0]
        place = "/".join(str(step) for step in error["loc"])
        raise unfit(f"{method}: {place}: {error['msg']}") from None


def _tool_failed(request: types.Request[Any, Any], result: dict[str, Any]) -> WorkflowError:
    name = getattr(request.params, "name", request.method)
    content = result.get("content")
    texts = [
        each["text"]
        for each in (content if isinstance(content, list) else [])
        if isinstance(each, dict) and isinstance(each.get("text"), str)
    ]
    detail = told("\n".join(texts)) or "it gave no reason"
    return WorkflowError(Standard.RUNTIME, f"{told(str(name))} failed", detail)


def _interrupted(who: str) -> WorkflowError:
    title = f"{who} needs an answer first"
    detail = "the server asks for input, which a workflow cannot give it"
    return WorkflowError(Standard.RUNTIME, title, detail, status=428)
