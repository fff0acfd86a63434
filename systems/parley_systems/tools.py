"""An MCP server from a table of typed tools.

The SDK's low-level server is used, not its decorator one: that one ignores unknown arguments, turns a
string that looks like JSON into what it looks like, and answers errors as prose. Here arguments and
results are closed pydantic models, and every error is data: `{"error": {code, kind, message,
retryable, facts}}`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from mcp.server.lowlevel import Server
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp.types import Tool as ToolDescription
from parley_cards.errors import Kind, ParleyError
from parley_wire.auth import ANONYMOUS
from parley_wire.problems import log_defect
from pydantic import BaseModel, ConfigDict, ValidationError

from parley_systems.errors import InvalidArgumentsError, UnknownToolError

A = TypeVar("A", bound=BaseModel)

_RETRYABLE: Final = frozenset({Kind.UNAVAILABLE, Kind.TIMEOUT})


class Effect(StrEnum):
    """What a tool does to the system of record; its MCP annotations follow from it."""

    READ = "read"
    ADD = "add"
    """Adds something; nothing that was there changes."""
    CHANGE = "change"
    """Changes something for good."""


class Arguments(BaseModel):
    """Closed: an argument that is not known is refused, not ignored. Nothing is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool(Generic[A]):
    name: str
    title: str
    description: str
    arguments: type[A]
    result: type[BaseModel]
    effect: Effect
    run: Callable[[A, str], Awaitable[BaseModel]]
    """Called with the arguments and the name of the authenticated caller; may raise ParleyError."""

    def described(self) -> ToolDescription:
        reads = self.effect is Effect.READ
        return ToolDescription(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=self.arguments.model_json_schema(),
            output_schema=self.result.model_json_schema(mode="serialization"),
            annotations=ToolAnnotations(
                title=self.title,
                read_only_hint=reads,
                destructive_hint=self.effect is Effect.CHANGE,
                # Every write takes an idempotency key, which is one of its arguments.
                idempotent_hint=True,
                open_world_hint=False,
            ),
        )


def create_server(name: str, *, version: str, tools: Iterable[Tool[Any]]) -> Server[Any]:
    """Return an MCP server that offers `tools` and nothing else."""
    table = {tool.name: tool for tool in tools}
    listing = ListToolsResult(tools=[tool.described() for tool in table.values()])
    schemas = {each.name: each.input_schema for each in listing.tools}

    async def list_tools(_: Any, __: PaginatedRequestParams | None) -> ListToolsResult:
        return listing

    async def call_tool(context: Any, params: CallToolRequestParams) -> CallToolResult:
        caller = _caller(context.request)
        try:
            result = await _call(table, params, caller)
        except ParleyError as exc:
            return _answer(_refusal(exc), is_error=True)
        except Exception as exc:  # noqa: BLE001 - a process edge: the caller gets a reference
            reference = log_defect(exc, doing=f"tool {params.name[:80]!r}")
            return _answer(_defect(reference), is_error=True)
        return _answer(result.model_dump(mode="json"), is_error=False)

    return Server(
        name,
        version=version,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        get_tool_input_schema=schemas.get,
    )


async def _call(
    table: dict[str, Tool[Any]], params: CallToolRequestParams, caller: str
) -> BaseModel:
    tool = table.get(params.name)
    if tool is None:
        raise UnknownToolError(
            f"there is no tool {params.name[:80]!r}; list the tools", tools=sorted(table)
        )
    try:
        arguments = tool.arguments.model_validate(params.arguments or {})
    except ValidationError as exc:
        problems = [
            {"argument": ".".join(map(str, each["loc"]))[:80], "problem": each["msg"][:300]}
            for each in exc.errors(include_url=False, include_context=False, include_input=False)
        ][:20]
        first = problems[0]
        raise InvalidArgumentsError(
            f"{tool.name}: the argument {first['argument']!r} is wrong: {first['problem']}",
            problems=problems,
        ) from exc
    return await tool.run(arguments, caller)


def _caller(request: Any) -> str:
    """Return who the transport authenticated; in memory there is no request."""
    user = None if request is None else request.scope.get("user")
    return ANONYMOUS if user is None else str(user.display_name)


def _refusal(error: ParleyError) -> dict[str, Any]:
    return _error(error.code, error.kind, error.message, error.facts)


def _defect(reference: str) -> dict[str, Any]:
    message = f"something went wrong here; the log has it under {reference}"
    return _error("internal", Kind.INTERNAL, message, {"reference": reference})


def _error(code: str, kind: Kind, message: str, facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "error": {
            "code": code,
            "kind": kind.value,
            "message": message,
            "retryable": kind in _RETRYABLE,
            "facts": facts,
        }
    }


def _answer(value: dict[str, Any], *, is_error: bool) -> CallToolResult:
    text = json.dumps(value, ensure_ascii=False)
    return CallToolResult(
        content=[TextContent(type="text", text=text)],
        structured_content=value,
        is_error=is_error,
    )
