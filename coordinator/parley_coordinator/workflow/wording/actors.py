"""Who does a task, in words: people with their roles, agents, systems outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from parley_coordinator.workflow.calls import Resource, uri_of
from parley_coordinator.workflow.expressions import is_expression
from parley_coordinator.workflow.fields import Function
from parley_coordinator.workflow.tasks import (
    A2aTask,
    CallTask,
    HttpTask,
    McpTask,
    OpenApiTask,
    RunTask,
    Task,
)
from parley_coordinator.workflow.wording.conditions import value
from parley_coordinator.workflow.wording.plain import line, listed, literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parley_coordinator.workflow.calls import EndpointSpec

ActorKind: TypeAlias = Literal["person", "agent", "system", "workflow"]
_MAX_CALLS: Final = 10
_ADDRESS: Final = "at an address that the run works out"


@dataclass(frozen=True, slots=True)
class Actor:
    kind: ActorKind
    who: str
    does: str = ""


def actor_of(task: Task, functions: Mapping[str, Task]) -> Actor | None:
    """Return who does a task; None if nobody outside of the workflow does.

    Args:
        functions: `use.functions`; a call of one is done by who does the function.
    """
    for _ in range(_MAX_CALLS):  # functions in a circle have the shape of a document, too
        if not isinstance(task, CallTask):
            break
        function = task.call
        if function.catalog:
            return _of_catalog(function, task.with_)
        found = functions.get(function.name)
        if found is None:
            return Actor("agent", f"function {function.name}")
        task = found
    return _outside(task)


def _of_catalog(function: Function, given: str | dict[str, Any]) -> Actor:
    if not function.asks_people:
        return Actor("agent", f"agent skill {function.name} {function.version}")
    arguments = given if isinstance(given, dict) else {}
    return Actor("person", _people(arguments), _outcomes(arguments))


def _people(arguments: dict[str, Any]) -> str:
    who = arguments.get("candidates")
    said = _candidates(who) if isinstance(who, list) else ""
    if isinstance(who, str) and is_expression(who):
        said = f"the people that the run names ({value(who)})"
    excluded = arguments.get("excludeActors")
    if isinstance(excluded, list) and excluded:
        said += f", but not {listed([_person(each) for each in excluded], 'or')}"
    elif isinstance(excluded, str) and is_expression(excluded):
        said += f", but not {value(excluded)}"
    return said or "people"


def _candidates(given: list[Any]) -> str:
    roles = [each[5:] for each in given if isinstance(each, str) and each.startswith("role:")]
    others = [_person(each) for each in given if not str(each).startswith("role:")]
    asked = [f"anyone with the role {listed([line(role) for role in roles], 'or')}"]
    return listed([*(asked if roles else []), *others], "or")


def _person(given: Any) -> str:
    if isinstance(given, str) and is_expression(given):
        return value(given)
    kind, colon, name = line(str(given)).partition(":")
    if colon and kind == "role":
        return f"the role {name}"
    return name if colon and kind == "user" else line(str(given))


def _outcomes(arguments: dict[str, Any]) -> str:
    outcomes = arguments.get("outcomes")
    if not isinstance(outcomes, list) or not outcomes:
        return "answers"
    return f"decides: {listed([_person(each) for each in outcomes], 'or')}"


def _outside(task: Task) -> Actor | None:
    if isinstance(task, HttpTask):
        host, path = _place(task.with_.endpoint)
        return Actor(
            "system", f"HTTP service {host}", f"{task.with_.method.upper()} {path}".strip()
        )
    if isinstance(task, OpenApiTask):
        where = _resource(task.with_.document)
        operation = f"operation {line(task.with_.operation_id, limit=80)}"
        return Actor("system", f"OpenAPI service {where}", operation)
    if isinstance(task, A2aTask):
        there = task.with_.agent_card or task.with_.server or ""
        where = _resource(there) if isinstance(there, Resource) else _place(there)[0]
        return Actor("system", f"outside agent {where}", task.with_.method)
    if isinstance(task, McpTask):
        where, _ = _place(task.with_.transport.http.endpoint)
        return Actor("system", f"MCP server {where}", _tool(task))
    if isinstance(task, RunTask):
        run = task.run.workflow
        awaited = "waits for its end" if task.run.await_ else "does not wait for its end"
        who = f"workflow {run.namespace}/{run.name} {run.version}"
        return Actor("workflow", who, awaited)
    return None


def _tool(task: McpTask) -> str:
    parameters = task.with_.parameters
    name = literal(parameters.get("name")) if isinstance(parameters, dict) else None
    what = task.with_.method.partition("/")[0].removesuffix("s")
    return task.with_.method if name is None else f"{what} {name}"


def _resource(resource: Resource) -> str:
    return line(resource.name, limit=80) if resource.name else _place(resource.endpoint)[0]


def _place(endpoint: str | EndpointSpec) -> tuple[str, str]:
    """Return host and path of an address, without what may be secret: credentials and query."""
    uri = uri_of(endpoint)
    if is_expression(uri) or not uri:
        return _ADDRESS, ""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "at an address", ""
    host = parts.netloc.rpartition("@")[2]
    return line(host or "at an address", limit=80), line(parts.path, limit=120)
