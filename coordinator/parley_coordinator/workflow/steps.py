"""The kinds of task that hold no others and touch nothing outside: raise, set, switch, wait."""

from __future__ import annotations

from typing import Any

from parley_coordinator.workflow.effects import NOTE_CHOSE
from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_coordinator.workflow.expressions import operands
from parley_coordinator.workflow.fields import ErrorSpec
from parley_coordinator.workflow.frame import Frame, configuration_error
from parley_coordinator.workflow.machine import Machine, Result
from parley_coordinator.workflow.tasks import RaiseTask, SetTask, SwitchTask, WaitTask


async def run_raise(machine: Machine, task: RaiseTask, data: Any, frame: Frame) -> Result:
    spec = task.raise_.error
    if isinstance(spec, str):
        named = machine.document.use.errors.get(spec)
        if named is None:
            raise configuration_error(f"`use.errors` has no {spec!r}", frame.place.path)
        spec = named
    raise await _error(machine, spec, data, frame)


async def _error(machine: Machine, spec: ErrorSpec, data: Any, frame: Frame) -> WorkflowError:
    async def text(template: str | None) -> str | None:
        value = await machine.expressions.evaluate(template, data, frame.scope)
        return value if value is None or isinstance(value, str) else str(value)

    return WorkflowError(
        await text(spec.type) or Standard.RUNTIME,
        await text(spec.title) or "",
        await text(spec.detail),
        status=spec.status,
        instance=await text(spec.instance) or frame.place.path,
    )


async def run_set(machine: Machine, task: SetTask, data: Any, frame: Frame) -> Result:
    return await machine.expressions.evaluate(task.set, data, frame.scope), None


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
        if await machine.expressions.truthy(named.case.when, data, frame.scope):
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
    length = await machine.length(task.wait, data, frame.scope, frame.place.path)
    await machine.wait(frame.place, started + length, frame.limit)
    return data, None
