"""What each kind of task does to the shapes of data and context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from parley_coordinator.workflow.arguments import expressions
from parley_coordinator.workflow.checks.inference import Shapes, Trouble
from parley_coordinator.workflow.checks.protocols import templates
from parley_coordinator.workflow.checks.shapes import (
    ARRAY,
    NOTHING,
    UNKNOWN,
    Shape,
    array_of,
    conflict,
    shape_of,
    size,
)
from parley_coordinator.workflow.findings import MAX_FINDINGS, OneOf
from parley_coordinator.workflow.flow import directives
from parley_coordinator.workflow.tasks import (
    PROTOCOL_TASKS,
    CallTask,
    DoTask,
    EmitTask,
    ForkTask,
    ForTask,
    ListenTask,
    NamedTask,
    ProtocolTask,
    RaiseTask,
    RunTask,
    SetTask,
    SwitchTask,
    TryTask,
    WaitTask,
)

if TYPE_CHECKING:
    from parley_coordinator.workflow.checks.dataflow import DataFlow, State

Output: TypeAlias = "tuple[State, list[str]] | None"
"""The raw output and the directives that a task can end with; None: it never ends well."""
_PASSES: int = 3
"""Of a loop, of which the last is over what is not known."""


def run_kind(
    flow: DataFlow, path: str, named: NamedTask, state: State, scope: Shapes, variables: Shapes
) -> Output:
    task = named.task
    thens = [task.then]
    match task:
        case CallTask():
            return _call(flow, path, task, state, scope), thens
        case DoTask():
            return _of(flow.follow(f"{path}/do", task.do, state, variables), thens)
        case ForTask():
            return _for(flow, path, task, state, scope, variables), thens
        case ForkTask():
            return _of(_fork(flow, path, task, state, variables), thens)
        case ListenTask():
            return _listen(flow, path, task, state, scope, variables), thens
        case TryTask():
            return _of(_try(flow, path, task, state, scope, variables), thens)
        case SwitchTask():
            for index, each in enumerate(task.switch):
                where = f"{path}/switch/{index}/{each.name}/when"
                flow.condition(where, each.case.when, state.data, scope)
            return state, [then for _where, then in directives(task)]
    data = _simple(flow, path, named, state.data, scope)
    return None if data is None else (replace(state, data=data), thens)


def _simple(
    flow: DataFlow, path: str, named: NamedTask, data: Shape, scope: Shapes
) -> Shape | None:
    """Return the output of a kind that leaves the context alone."""
    task = named.task
    match task:
        case SetTask():
            return flow.template(f"{path}/set", task.set, data, scope)
        case RaiseTask():
            if not isinstance(task.raise_.error, str):
                given = task.raise_.error.model_dump(exclude_none=True)
                flow.template(f"{path}/raise/error", given, data, scope)
            return None
        case EmitTask():
            given = task.emit.event.with_
            event = flow.template(f"{path}/emit/event/with", given, data, scope)
            return replace(event, closed=False)
        case RunTask():
            flow.template(f"{path}/run/workflow/input", task.run.workflow.input, data, scope)
            hands_on = task.run.await_ and task.run.return_ != "none"
            return UNKNOWN if hands_on else data
        case WaitTask():
            flow.template(f"{path}/wait", task.wait, data, scope)
            return data
    if isinstance(task, PROTOCOL_TASKS):
        flow.template(f"{path}/with", named.definition.get("with"), data, scope)
        _uri_variables(flow, path, task, data)
    return UNKNOWN


def _of(state: State | None, thens: list[str]) -> Output:
    return None if state is None else (state, thens)


def _call(flow: DataFlow, path: str, task: CallTask, state: State, scope: Shapes) -> State:
    given = flow.template(f"{path}/with", task.with_, state.data, scope)
    name = task.call.name
    if not task.call.catalog:
        function = flow.report.document.use.functions.get(name)
        if function is None:
            return replace(state, data=UNKNOWN)
        if function.input.schema_ is not None:
            schema = function.input.schema_.document
            _arguments(flow, path, task, name, schema, state.data, scope)
        found = flow.function(name)
        context = flow.join((state.context, found.context))
        return replace(state, data=found.data, context=context)
    known = flow.report.function(task.call)
    if known is None:
        return replace(state, data=UNKNOWN)
    if known.input_schema is not None and given.kinds:
        label = f"{known.name}:{known.version}"
        _arguments(flow, path, task, label, known.input_schema, state.data, scope)
    output = UNKNOWN if known.output_schema is None else flow.schema(known.output_schema)
    return replace(state, data=output)


def _arguments(
    flow: DataFlow,
    path: str,
    task: CallTask,
    label: str,
    schema: dict[str, Any],
    data: Shape,
    scope: Shapes,
) -> None:
    for where, text, wanted in expressions(task.with_, schema, schema):
        here = f"{path}/with{where}"
        found = flow.expression(here, text, data, scope)
        if flow.troubles[here]:
            continue
        flow.effort.spend(size(found))
        reason = conflict(found, flow.schema(wanted, schema))
        if reason:
            name = where.rsplit("/", 1)[-1] or "with"
            message = f"{name!r} of {label}: {reason}"
            flow.troubles[here] = [Trouble("argument-type", message, "correct the expression")]


def _uri_variables(flow: DataFlow, path: str, task: ProtocolTask, data: Shape) -> None:
    for where, names in templates(path, task):
        troubles: list[Trouble] = []
        flow.effort.spend(sum(map(len, names)))
        for name in dict.fromkeys(names):
            if len(troubles) > MAX_FINDINGS:
                break
            if data.only("object") and data.closed and name not in data.members:
                message = f"the input has no member {name[:40]!r}"
                troubles.append(Trouble("unknown-path", message, OneOf(name, data.members)))
            elif data.members.get(name, UNKNOWN).only("object", "array"):
                message = f"{name!r} is no scalar"
                troubles.append(Trouble("argument-type", message, "name text or a number"))
        flow.troubles[where] = troubles


def _fork(
    flow: DataFlow, path: str, task: ForkTask, state: State, variables: Shapes
) -> State | None:
    outputs: list[Shape] = []
    for index, named in enumerate(task.fork.branches):
        here = f"{path}/fork/branches/{index}/{named.name}"
        ways = flow.task(here, named, state, variables)
        if ways:
            outputs.append(flow.join(end.data for _then, end in ways))
        elif not task.fork.compete:
            outputs.append(NOTHING)
    if task.fork.compete:
        return replace(state, data=flow.join(outputs)) if outputs else None
    if any(not output.kinds for output in outputs):
        return None
    return replace(state, data=array_of(outputs))


def _for(
    flow: DataFlow, path: str, task: ForTask, state: State, scope: Shapes, variables: Shapes
) -> State:
    given = flow.transform(f"{path}/for/in", task.for_.in_, state.data, scope)
    if given.kinds and not given.kinds & {"array", "null"}:
        message = f"a loop goes over an array, not over {' or '.join(sorted(given.kinds))}"
        trouble = Trouble("argument-type", message, "give it an array")
        flow.troubles[f"{path}/for/in"] = [trouble]
    element = given.element if "array" in given.kinds else UNKNOWN
    inner = {**variables, task.for_.each: element, task.for_.at: shape_of(0)}
    here = state
    for number in range(_PASSES):
        seen = {**scope, **inner, "context": here.context}
        flow.condition(f"{path}/while", task.while_, here.data, seen)
        end = flow.follow(f"{path}/do", task.do, here, inner)
        wider = here if end is None else _wider(flow, here, end)
        if wider == here:
            break
        last = number == _PASSES - 2
        here = replace(here, data=UNKNOWN, context=UNKNOWN) if last else wider
    return here


def _listen(
    flow: DataFlow, path: str, task: ListenTask, state: State, scope: Shapes, variables: Shapes
) -> State:
    each = task.foreach
    if each is None:
        return replace(state, data=ARRAY)
    inner = {**variables, each.item: UNKNOWN, each.at: shape_of(0)}
    here = replace(state, data=UNKNOWN)
    for number in range(_PASSES):
        end: State | None = here
        if each.do is not None:
            end = flow.follow(f"{path}/foreach/do", each.do, here, inner)
        if end is not None:
            seen = {**scope, **inner}
            end = flow.hand_on(f"{path}/foreach", each.output, each.export, end, seen)
        wider = here if end is None else _with_context(flow, here, end)
        if wider == here:
            break
        here = replace(here, context=UNKNOWN) if number == _PASSES - 2 else wider
    return replace(here, data=ARRAY)


def _try(
    flow: DataFlow, path: str, task: TryTask, state: State, scope: Shapes, variables: Shapes
) -> State | None:
    flow.exported.append([])
    end = flow.follow(f"{path}/try", task.try_, state, variables)
    context = flow.join((state.context, *flow.exported.pop()))
    if task.catch.retry is not None and context != state.context:
        # a later attempt finds what the ones before have exported
        flow.exported.append([])
        end = flow.follow(f"{path}/try", task.try_, replace(state, context=UNKNOWN), variables)
        context = UNKNOWN
        flow.exported.pop()
    caught: Mapping[str, Shape] = {task.catch.as_: UNKNOWN, "error": UNKNOWN}
    seen = {**scope, **caught, "context": context}
    flow.condition(f"{path}/catch/when", task.catch.when, state.data, seen)
    flow.condition(f"{path}/catch/exceptWhen", task.catch.except_when, state.data, seen)
    start = replace(state, context=context)
    handled: State | None = None
    if task.catch.do is not None:
        handled = flow.follow(f"{path}/catch/do", task.catch.do, start, {**variables, **caught})
    elif task.catch.retry is None:
        handled = start
    if end is None or handled is None:
        return end or handled
    return _wider(flow, end, handled)


def _wider(flow: DataFlow, one: State, other: State) -> State:
    return replace(_with_context(flow, one, other), data=flow.join((one.data, other.data)))


def _with_context(flow: DataFlow, one: State, other: State) -> State:
    return replace(one, context=flow.join((one.context, other.context)))
