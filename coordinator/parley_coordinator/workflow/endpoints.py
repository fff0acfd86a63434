"""The arguments of a protocol call, evaluated: endpoints are URIs, members are objects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from parley_coordinator.workflow.calls import (
    AuthenticationPolicy,
    EndpointSpec,
    Resource,
    authentication_of,
    uri_of,
)
from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_coordinator.workflow.expressions import is_expression
from parley_coordinator.workflow.frame import Frame, configuration_error
from parley_coordinator.workflow.machine import Machine
from parley_coordinator.workflow.tasks import (
    A2aTask,
    HttpTask,
    McpTask,
    OpenApiTask,
    ProtocolTask,
)

_VARIABLE: Final = re.compile(r"\{([^{}]*)\}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


async def arguments_of(
    machine: Machine, task: ProtocolTask, data: Any, frame: Frame
) -> tuple[dict[str, Any], AuthenticationPolicy | None]:
    """Return `with`, evaluated, in the language's own keys, and the policy of its endpoint."""
    reader = _Reader(machine, data, frame)
    match task:
        case HttpTask():
            return await reader.http(task)
        case OpenApiTask():
            return await reader.openapi(task)
        case A2aTask():
            return await reader.a2a(task)
        case McpTask():
            return await reader.mcp(task)


class _Reader:
    def __init__(self, machine: Machine, data: Any, frame: Frame) -> None:
        self._machine = machine
        self._data = data
        self._frame = frame

    async def http(self, task: HttpTask) -> tuple[dict[str, Any], AuthenticationPolicy | None]:
        spec = task.with_
        return {
            "method": spec.method.upper(),
            "endpoint": await self.uri(spec.endpoint),
            "headers": await self.members(spec.headers, "headers"),
            "query": await self.members(spec.query, "query"),
            "body": await self.value(spec.body),
            "output": spec.output,
            "redirect": spec.redirect,
        }, authentication_of(spec.endpoint)

    async def openapi(
        self, task: OpenApiTask
    ) -> tuple[dict[str, Any], AuthenticationPolicy | None]:
        spec = task.with_
        return {
            "document": await self.uri(spec.document.endpoint),
            "operationId": await self.value(spec.operation_id),
            "parameters": await self.members(spec.parameters, "parameters"),
            "output": spec.output,
            "redirect": spec.redirect,
        }, spec.authentication

    async def a2a(self, task: A2aTask) -> tuple[dict[str, Any], AuthenticationPolicy | None]:
        spec = task.with_
        endpoint: str | EndpointSpec | None = spec.server
        if spec.agent_card is not None:
            endpoint = spec.agent_card.endpoint
        if endpoint is None:
            raise configuration_error("`call: a2a` needs agentCard or server", self.path)
        return {
            "method": spec.method,
            "agentCard" if spec.agent_card is not None else "server": await self.uri(endpoint),
            "parameters": await self.members(spec.parameters, "parameters"),
        }, authentication_of(endpoint)

    async def mcp(self, task: McpTask) -> tuple[dict[str, Any], AuthenticationPolicy | None]:
        spec, http = task.with_, task.with_.transport.http
        timeout = None
        if spec.timeout is not None:
            length = await self._machine.length(
                spec.timeout, self._data, self._frame.scope, self.path
            )
            timeout = length.total_seconds()
        client = None
        if spec.client is not None:
            client = {"name": spec.client.name, "version": spec.client.version}
        return {
            "protocolVersion": spec.protocol_version,
            "method": spec.method,
            "parameters": await self.members(spec.parameters, "parameters"),
            "endpoint": await self.uri(http.endpoint),
            "headers": await self.members(http.headers, "headers"),
            "timeout": timeout,
            "client": client,
        }, authentication_of(http.endpoint)

    @property
    def path(self) -> str:
        return self._frame.place.path

    async def value(self, template: Any) -> Any:
        return await self._machine.expressions.evaluate(template, self._data, self._frame.scope)

    async def members(self, template: Any, what: str) -> dict[str, Any]:
        value = await self.value(template)
        if not isinstance(value, dict):
            raise configuration_error(f"`{what}` must give an object", self.path)
        return value

    async def uri(self, endpoint: str | EndpointSpec | Resource) -> str:
        text = uri_of(endpoint.endpoint if isinstance(endpoint, Resource) else endpoint)
        if not is_expression(text):
            return expand(text, self._data)
        value = await self.value(text)
        if not isinstance(value, str):
            raise configuration_error("an endpoint must be text", self.path)
        return value


def expand(template: str, data: Any) -> str:
    """Expand `{name}` with the top-level scalars of `data` (RFC 6570, simple expansion).

    A name that is missing or null leaves nothing.

    Raises:
        WorkflowError: `expression`, if a value is an object or an array, or a name is none.
    """
    members = data if isinstance(data, Mapping) else {}

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if not _NAME.fullmatch(name):
            raise _cannot(f"{name[:40]!r} is no name of a variable")
        found = members.get(name)
        if isinstance(found, dict | list):
            raise _cannot(f"{name!r} is no scalar")
        if isinstance(found, bool):
            found = str(found).lower()
        return "" if found is None else quote(str(found), safe="")

    return _VARIABLE.sub(value, template)


def _cannot(detail: str) -> WorkflowError:
    return WorkflowError(Standard.EXPRESSION, "A URI template cannot be expanded", detail)
