"""Runs a document over the port in `effects`: one pass from the top, as far as the journal allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from parley_coordinator.model import Place
from parley_coordinator.workflow.blocks import run_do, run_fork, run_try
from parley_coordinator.workflow.document import Document
from parley_coordinator.workflow.effects import Effects
from parley_coordinator.workflow.errors import WorkflowError
from parley_coordinator.workflow.expressions import transform
from parley_coordinator.workflow.frame import Ended, Expired, tightest, timeout_error
from parley_coordinator.workflow.machine import Machine, Runner, check
from parley_coordinator.workflow.steps import run_call, run_raise, run_set, run_switch, run_wait
from parley_coordinator.workflow.tasks import (
    CallTask,
    DoTask,
    ForkTask,
    RaiseTask,
    SetTask,
    SwitchTask,
    Task,
    TryTask,
    WaitTask,
)

RUNNERS: Final[Mapping[type[Task], Runner]] = {
    CallTask: run_call,
    DoTask: run_do,
    ForkTask: run_fork,
    RaiseTask: run_raise,
    SetTask: run_set,
    SwitchTask: run_switch,
    TryTask: run_try,
    WaitTask: run_wait,
}
"""A new kind of task is a model in `tasks`, a runner in `steps` or `blocks`, and a line here."""

RUNTIME: Final = {"name": "parley", "version": "1.0", "metadata": {}}
"""`$runtime`. Constant, so that every replay sees the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What a run is told about itself; `$workflow` shows it to expressions."""

    id: str
    input: Any
    """As the caller sent it."""
    started_at: datetime
    """UTC."""
    requested_by: str
    """Subject of the caller."""


async def interpret(document: Document, run: RunInfo, effects: Effects) -> Any:
    """Run `document` from the top and return its output.

    With the same journal behind `effects` it does the same: interpret again whenever there is
    something new, until it returns or raises an error.

    Raises:
        WorkflowError: The run faulted; `instance` points at the task, or is empty.
        Parked: No branch can go on now.
    """
    constants = {"workflow": _about(document, run), "runtime": RUNTIME}
    machine = Machine(document, effects, constants=constants, runners=RUNNERS)
    try:
        return await _interpret(machine, document, run, constants)
    except WorkflowError as error:
        error.instance = error.instance or ""
        raise


async def _interpret(
    machine: Machine, document: Document, run: RunInfo, constants: Mapping[str, Any]
) -> Any:
    check(document.checks_input, run.input, "input", "/input")
    data = run.input
    if document.input_from is not None:
        data = transform(document.input_from, data, constants)
    limit = None
    if document.timeout is not None:
        after = machine.timeout(document.timeout, "/timeout").after
        length = machine.length(after, data, constants, "/timeout")
        limit = tightest(None, run.started_at + length, "")
    try:
        output = await machine.run_list(
            document.tasks, data, place=Place(path="/do"), limit=limit, caught={}
        )
    except Ended as end:
        output = end.output
    except Expired:
        raise timeout_error("") from None
    if document.output_as is not None:
        output = transform(document.output_as, output, {**constants, "context": machine.context})
    check(document.checks_output, output, "output", "/output")
    return output


def _about(document: Document, run: RunInfo) -> dict[str, Any]:
    started = run.started_at
    milliseconds = int(started.timestamp() * 1000)
    return {
        "id": run.id,
        "definition": document.json,
        "input": run.input,
        "requestedBy": run.requested_by,
        "startedAt": {
            "iso8601": started.isoformat().replace("+00:00", "Z"),
            "epoch": {"seconds": milliseconds // 1000, "milliseconds": milliseconds},
        },
    }
