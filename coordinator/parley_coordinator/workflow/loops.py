"""Loops over a collection: one iteration after the other, durable in the middle."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any, Final

from parley_coordinator.model import Place
from parley_coordinator.workflow.effects import NOTE_CHECKPOINT
from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_coordinator.workflow.frame import Expired, Frame, configuration_error
from parley_coordinator.workflow.machine import Machine, Result
from parley_coordinator.workflow.tasks import ForTask

CHECKPOINT_EVERY: Final = 100
"""So many iterations at most are told again from the journal when a run goes on."""
MAX_ITERATIONS: Final = 100_000


async def run_for(machine: Machine, task: ForTask, data: Any, frame: Frame) -> Result:
    """Run the list once for each element; each iteration gets the output of the one before."""
    place = frame.place
    elements = await machine.expressions.transform(task.for_.in_, data, frame.scope)
    if elements is None:
        return data, None
    if not isinstance(elements, list):
        raise configuration_error("`for.in` must give an array", place.path)
    if len(elements) > MAX_ITERATIONS:
        detail = f"the array has {len(elements)} elements, {MAX_ITERATIONS} are allowed"
        raise WorkflowError(Standard.RUNTIME, "Too long a loop", detail, instance=place.path)
    done, data = _resumed(machine, place, data)
    if done:
        await _look_at_the_clock(machine, iteration(place, done - 1), frame)
    for index in range(done, len(elements)):
        here = iteration(place, index)
        variables = {
            **frame.variables,
            task.for_.each: elements[index],
            task.for_.at: index,
        }
        if task.while_ is not None:
            scope = {**frame.scope, **variables, "context": machine.context}
            if not await machine.expressions.truthy(task.while_, data, scope):
                break
        data = await machine.run_list(
            task.do,
            data,
            place=replace(here, path=f"{place.path}/do"),
            limit=frame.limit,
            variables=variables,
        )
        if (index + 1) % CHECKPOINT_EVERY == 0:
            await _checkpoint(machine, here, data, frame)
    return data, None


def iteration(place: Place, index: int) -> Place:
    """Return the place of one iteration, of which `index` is 0-based."""
    return replace(place, attempt=f"{place.attempt}#{index + 1}")


def _resumed(machine: Machine, place: Place, data: Any) -> tuple[int, Any]:
    """Return how many iterations are behind the last checkpoint, and the output of the last."""
    done = 0
    for number in count(CHECKPOINT_EVERY, CHECKPOINT_EVERY):
        known = machine.effects.recall(iteration(place, number - 1), NOTE_CHECKPOINT)
        if known is None:
            return done, data
        done, data, machine.context = number, known["data"], known["context"]
    raise AssertionError  # pragma: no cover - `count` does not end


async def _checkpoint(machine: Machine, here: Place, data: Any, frame: Frame) -> None:
    body = {"data": data, "context": machine.context}
    await machine.effects.note(here, NOTE_CHECKPOINT, body)
    await _look_at_the_clock(machine, here, frame)


async def _look_at_the_clock(machine: Machine, here: Place, frame: Frame) -> None:
    """End a loop that ran out of its time; steps that touch nothing outside would never notice.

    Raises:
        Expired: On every replay again.
    """
    if frame.limit is None:
        return
    now = await machine.effects.time(here, "checkpoint")
    if now >= frame.limit.at:
        raise Expired(frame.limit.owner)
