"""The kinds of task that have somebody else do it: calls of functions and protocols, sub-workflows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Literal

from parley_coordinator.model import Place
from parley_coordinator.workflow.authentication import resolve
from parley_coordinator.workflow.compensation import handled_attempt, undone_path
from parley_coordinator.workflow.effects import NOTE_GIVEN, NOTE_SKIPPED, Call, Child, Request
from parley_coordinator.workflow.endpoints import arguments_of
from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_coordinator.workflow.frame import (
    Expired,
    Frame,
    Skipped,
    configuration_error,
    owner_of,
)
from parley_coordinator.workflow.machine import Machine, Result
from parley_coordinator.workflow.tasks import (
    A2aTask,
    CallTask,
    HttpTask,
    McpTask,
    NamedTask,
    OpenApiTask,
    ProtocolTask,
    RunTask,
)


async def run_call(machine: Machine, task: CallTask, data: Any, frame: Frame) -> Result:
    undone = undone_path(machine.document.json, frame.place.path, task.compensates)
    if await _nothing_to_undo(machine, frame, undone):
        raise Skipped
    given = machine.effects.recall(frame.place, NOTE_GIVEN)
    if given is not None:
        arguments = given["arguments"]
    else:
        arguments = await machine.expressions.evaluate(task.with_, data, frame.scope)
    if not isinstance(arguments, dict):
        raise configuration_error("`with` must give an object", frame.place.path)
    if not task.call.catalog:
        return await _function(machine, task.call.name, arguments, frame), None
    call = Call(
        place=frame.place,
        function=task.call.name,
        version=task.call.version,
        catalog=task.call.catalog,
        arguments=arguments,
        deadline=frame.deadline,
        title=frame.title,
        compensates=undone,
    )
    if task.call.asks_people:
        return await _in_time(frame, lambda: machine.effects.human_task(call)), None
    return await _in_time(frame, lambda: machine.effects.call(call)), None


async def _function(machine: Machine, name: str, arguments: Any, frame: Frame) -> Any:
    """Run a function of the document on its arguments.

    Raises:
        Skipped: Its `if` does not hold.
    """
    function = machine.document.use.functions.get(name)
    if function is None:
        raise configuration_error(f"`use.functions` has no {name!r}", frame.place.path)
    definition = machine.document.json["use"]["functions"][name]
    output, _then = await machine.run_task(
        NamedTask(name, function, definition),
        arguments,
        place=replace(frame.place, path=f"{frame.place.path}/call/{name}"),
        limit=frame.limit,
        variables=frame.variables,
        passing_on=True,
    )
    return output


async def run_protocol(machine: Machine, task: ProtocolTask, data: Any, frame: Frame) -> Result:
    undone = undone_path(machine.document.json, frame.place.path, task.compensates)
    if await _nothing_to_undo(machine, frame, undone):
        raise Skipped
    arguments, policy = await arguments_of(machine, task, data, frame)
    request = Request(
        place=frame.place,
        protocol=_protocol(task),
        arguments=arguments,
        authentication=await resolve(machine, policy, data, frame),
        idempotent=task.idempotent,
        deadline=frame.deadline,
        title=frame.title,
        compensates=undone,
    )
    return await _in_time(frame, lambda: machine.effects.request(request)), None


def _protocol(task: ProtocolTask) -> Literal["a2a", "http", "mcp", "openapi"]:
    match task:
        case HttpTask():
            return "http"
        case OpenApiTask():
            return "openapi"
        case A2aTask():
            return "a2a"
        case McpTask():
            return "mcp"


async def run_workflow(machine: Machine, task: RunTask, data: Any, frame: Frame) -> Result:
    spec = task.run.workflow
    child = Child(
        place=frame.place,
        namespace=spec.namespace,
        name=spec.name,
        version=spec.version,
        input=await machine.expressions.evaluate(spec.input, data, frame.scope),
        awaited=task.run.await_,
        deadline=frame.deadline,
        title=frame.title,
    )
    output = await _in_time(frame, lambda: machine.effects.run_workflow(child))
    return (output if task.run.await_ and task.run.return_ != "none" else data), None


async def _in_time(frame: Frame, act: Callable[[], Awaitable[Any]]) -> Any:
    """Act; a deadline that is not the task's own is the matter of the task whose it is."""
    try:
        return await act()
    except WorkflowError as error:
        limit = frame.limit
        if limit is None or limit.owner == owner_of(frame.place):
            raise
        if not error.is_a(Standard.TIMEOUT) or error.from_callee:
            raise
        raise Expired(limit.owner) from error


async def _nothing_to_undo(machine: Machine, frame: Frame, undone: str) -> bool:
    """Tell whether this is an undo call and what it undoes has never happened; once for all."""
    if not undone:
        return False
    if machine.effects.recall(frame.place, NOTE_SKIPPED) is not None:
        return True
    if machine.effects.happened(Place(path=undone, attempt=handled_attempt(frame.place))):
        return False
    await machine.effects.note(frame.place, NOTE_SKIPPED, {"when": "", "undoes": undone})
    return True
