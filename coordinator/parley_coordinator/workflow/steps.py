"""The kinds of task that hold no others: call, raise, set, switch, wait."""

from __future__ import annotations

from typing import Any

from parley_coordinator.workflow.effects import NOTE_CHOSE, Call
from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_coordinator.workflow.expressions import evaluate, operands, truthy
from parley_coordinator.workflow.fields import ErrorSpec
from parley_coordinator.workflow.frame import Expired, Frame, configuration_error, owner_of
from parley_coordinator.workflow.machine import Machine, Result
from parley_coordinator.workflow.tasks import CallTask, RaiseTask, SetTask, SwitchTask, WaitTask


async def run_call(machine: Machine, task: CallTask, data: Any, frame: Frame) -> Result:
    arguments = evaluate(task.with_, data, frame.scope)
    if not isinstance(arguments, dict):
        raise configuration_error("`with` must give an object", frame.place.path)
    call = Call(
        place=frame.place,
        function=task.call.name,
        version=task.call.version,
        catalog=task.call.catalog,
        arguments=arguments,
        deadline=frame.deadline,
        title=frame.title,
    )
    try:
        if task.call.asks_people:
            return await machine.effects.human_task(call), None
        return await machine.effects.call(call), None
    except WorkflowError as error:
        limit = frame.limit
        if limit is None or limit.owner == owner_of(frame.place):
            raise
        if not error.is_a(Standard.TIMEOUT):
            raise
        raise Expired(limit.owner) from error


async def run_raise(machine: Machine, task: RaiseTask, data: Any, frame: Frame) -> Result:
    spec = task.raise_.error
    if isinstance(spec, str):
        named = machine.document.use.errors.get(spec)
        if named is None:
            raise configuration_error(f"`use.errors` has no {spec!r}", frame.place.path)
        spec = named
    raise _error(spec, data, frame)


def _error(spec: ErrorSpec, data: Any, frame: Frame) -> WorkflowError:
    def text(template: str | None) -> str | None:
        value = evaluate(template, data, frame.scope)
        return value if value is None or isinstance(value, str) else str(value)

    return WorkflowError(
        text(spec.type) or Standard.RUNTIME,
        text(spec.title) or "",
        text(spec.detail),
        status=spec.status,
        instance=text(spec.instance) or frame.place.path,
    )


async def run_set(_machine: Machine, task: SetTask, data: Any, frame: Frame) -> Result:
    return evaluate(task.set, data, frame.scope), None


async def run_switch(machine: Machine, task: SwitchTask, data: Any, frame: Frame) -> Result:
    known = machine.effects.recall(frame.place, NOTE_CHOSE)
    if known is not None:
        return data, known["then"]
    default, compared, chosen = None, dict[str, Any](), None
    for named in task.switch:
        if named.case.when is None:
            default = named
            continue
        for operand in operands(named.case.when, data, frame.scope):
            compared[operand["name"]] = operand["value"]
        if truthy(named.case.when, data, frame.scope):
            chosen = named
            break
    found = chosen or default
    then = found.case.then if found else task.then
    body = {
        "case": found.name if found else "",
        "when": (found.case.when or "") if found else "",
        "then": then,
        "operands": [{"name": name, "value": value} for name, value in compared.items()],
    }
    await machine.effects.note(frame.place, NOTE_CHOSE, body)
    return data, then


async def run_wait(machine: Machine, task: WaitTask, data: Any, frame: Frame) -> Result:
    started = await machine.effects.time(frame.place, "started")
    length = machine.length(task.wait, data, frame.scope, frame.place.path)
    await machine.wait(frame.place, started + length, frame.limit)
    return data, None
