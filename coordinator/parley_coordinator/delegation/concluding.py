"""From what an agent answered to what it means for the step."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from a2a.types import Message, Task, TaskState
from parley_cards.delegation import DeadlineExceededError
from parley_wire.protojson import layers

from parley_coordinator.delegation import intents, results
from parley_coordinator.delegation.outcomes import Asked, Output, Result
from parley_coordinator.delegation.terms import note_spent
from parley_coordinator.workflow.errors import NO_RESULT, Standard, WorkflowError

if TYPE_CHECKING:
    from parley_coordinator.delegation.routing import Choice
    from parley_coordinator.store.log import RunLog
    from parley_coordinator.workflow.effects import Call

TRANSIENT_CODES: Final = frozenset({"system_unavailable"})
"""Failures of a Parley agent that pass: with an idempotent skill, a workflow may try again."""
LATE: Final = DeadlineExceededError.code
"""An agent stopped at the deadline that was passed on; what it had done by then is done."""
MAX_DEPTH: Final = 64
"""Levels of arrays and objects in an output."""


async def conclude(call: Call, log: RunLog, choice: Choice, reply: Task | Message) -> Result:
    """Turn a terminal or interrupted task, or a bare message, into a result.

    Raises:
        WorkflowError: The step has failed.
    """
    name = choice.card.name
    if isinstance(reply, Message):
        return await _observe(call, log, choice, results.values_of(reply.parts), "")
    state = reply.status.state
    if state in results.INTERRUPTED:
        return Asked(name, reply.id, reply.context_id, results.question_of(reply.status))
    if state in results.TERMINAL:
        note_spent(log, call.place, results.metadata_of(reply))
    if state == TaskState.TASK_STATE_COMPLETED:
        return await _observe(call, log, choice, results.output_of(reply), reply.id)
    if state in results.TERMINAL:
        raise _failed(call, choice, reply)
    why = f"the task is in {results.state_name(state)}"
    return intents.uncertain(log, call.place, choice, why)


def _failed(call: Call, choice: Choice, task: Task) -> WorkflowError:
    """Return the error of a task that ended without success."""
    state, code = task.status.state, results.status_code(task.status)
    said = results.status_text(task.status) or "the agent gave no reason"
    kind, status = Standard.RUNTIME, 500
    if state == TaskState.TASK_STATE_REJECTED:
        status = 422
    elif code == LATE:
        kind, status = Standard.TIMEOUT, 408
    elif code in TRANSIENT_CODES and choice.skill.idempotent:
        kind, status = Standard.COMMUNICATION, 503
    return WorkflowError(
        kind,
        f"{choice.card.name} answered {results.state_name(state)}",
        f"{code}: {said}" if code else said,
        status=status,
        instance=call.place.path,
    )


async def _observe(call: Call, log: RunLog, choice: Choice, values: list[Any], task: str) -> Output:
    """Accept the output, if there is one and it fits the skill's contract."""
    problem = ""
    if not values:
        problem = "it has no artifact with data"
    elif any(deeper_than(value, MAX_DEPTH) for value in values):
        problem = f"it is nested more than {MAX_DEPTH} levels deep"
    elif choice.output_schema is not None:
        if len(values) > 1:
            problem = f"it has {len(values)} results, the contract allows one"
        else:
            problem = "; ".join(choice.output_schema.problems(values[0]))
    if problem:
        raise WorkflowError(
            Standard.RUNTIME,
            f"{choice.card.name} completed {call.function} without a valid result",
            problem,
            status=NO_RESULT,
            instance=call.place.path,
        )
    value = values[0] if len(values) == 1 else values
    await log.observe(call.place, value, {"task": task})
    return Output(value)


def deeper_than(value: Any, levels: int) -> bool:
    """Tell whether more arrays and objects are in each other than `levels`."""
    deepest = next(itertools.islice(layers(value), levels, None), [])
    return any(isinstance(each, (dict, list)) for each in deepest)
