"""Events: announce one, wait for others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from parley_coordinator.workflow.effects import (
    NOTE_CLOSED,
    NOTE_EVENTS,
    NOTE_UNHEARD,
    Subscription,
)
from parley_coordinator.workflow.errors import WorkflowError
from parley_coordinator.workflow.events import event_as
from parley_coordinator.workflow.frame import Expired, Frame, configuration_error
from parley_coordinator.workflow.hearing import Hearing, expected_of, wanted_of
from parley_coordinator.workflow.loops import iteration
from parley_coordinator.workflow.machine import Machine, Result
from parley_coordinator.workflow.tasks import EmitTask, ListenTask

_TEXTS = ("type", "source", "subject", "id", "dataschema", "datacontenttype")


async def run_emit(machine: Machine, task: EmitTask, data: Any, frame: Frame) -> Result:
    """Publish the event; the output is the event."""
    given = await machine.expressions.evaluate(task.emit.event.with_, data, frame.scope)
    head = machine.document
    event = {
        "specversion": "1.0",
        "source": f"/{head.namespace}/{head.name}/{head.version}",
        **{name: value for name, value in given.items() if value is not None},
    }
    for name in _TEXTS:
        if name in event and (not isinstance(event[name], str) or not event[name]):
            raise configuration_error(f"{name!r} of an event must be text", frame.place.path)
    return await machine.effects.emit(frame.place, event, frame.title), None


async def run_listen(machine: Machine, task: ListenTask, data: Any, frame: Frame) -> Result:
    """Wait for events; the output is the array of what they brought, in the order they came."""
    place, strategy = frame.place, task.listen.to
    hearing = Hearing(strategy, data, machine.expressions, frame.scope)
    await machine.effects.subscribe(
        Subscription(
            place=place,
            filters=wanted_of(strategy),
            title=frame.title,
            expected=await expected_of(strategy, data, machine.expressions, frame.scope),
        )
    )
    try:
        return await _listen(machine, task, hearing, frame), None
    except (WorkflowError, Expired):
        # Whatever the reason, nobody listens here any more.
        await machine.effects.note(place, NOTE_CLOSED, {})
        raise


async def _listen(machine: Machine, task: ListenTask, hearing: Hearing, frame: Frame) -> Any:
    """Return what the events brought, once there were enough.

    Raises:
        Expired: They did not come in time.
    """
    place = frame.place
    unheard = machine.effects.recall(place, NOTE_UNHEARD)
    outputs: list[Any] = []
    looked = 0
    while True:
        events = machine.effects.received(place)
        if unheard is not None:
            events = events[: unheard["count"]]
        while looked < len(events) and not hearing.done:
            event = events[looked]
            looked += 1
            if await hearing.hears(event):
                value = event_as(event, task.listen.read)
                outputs.append(await _each(machine, task, value, len(outputs), frame))
                await hearing.settle(outputs, {**frame.scope, "context": machine.context})
        if hearing.done:
            await machine.effects.note(place, NOTE_EVENTS, {"events": hearing.used})
            return outputs
        if unheard is None:
            if looked < len(machine.effects.received(place)):
                continue  # what was done about an event has brought another one
            await machine.effects.wait_for_event(place, frame.deadline)
            await machine.effects.note(place, NOTE_UNHEARD, {"count": looked})
        if frame.limit is None:
            raise AssertionError("a listen without a deadline cannot expire")
        raise Expired(frame.limit.owner)


async def _each(machine: Machine, task: ListenTask, value: Any, index: int, frame: Frame) -> Any:
    """Do what is to be done with one event; return what it adds to the output."""
    each = task.foreach
    if each is None:
        return value
    here = iteration(frame.place, index)
    variables = {**frame.variables, each.item: value, each.at: index}
    output = value
    if each.do is not None:
        output = await machine.run_list(
            each.do,
            value,
            place=replace(here, path=f"{here.path}/foreach/do"),
            limit=frame.limit,
            variables=variables,
        )
    scope = {**frame.scope, **variables}
    return await machine.hand_on(each.output, each.export, output, scope, here)
