"""Runs a document over the port in `effects`: one pass from the top, as far as the journal allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from parley_coordinator.model import Place
from parley_coordinator.workflow.blocks import run_do, run_try
from parley_coordinator.workflow.branches import run_fork
from parley_coordinator.workflow.document import Document
from parley_coordinator.workflow.effects import Effects
from parley_coordinator.workflow.errors import WorkflowError
from parley_coordinator.workflow.expressions import Expressions
from parley_coordinator.workflow.frame import Ended, Expired, tightest, timeout_error
from parley_coordinator.workflow.listening import run_emit, run_listen
from parley_coordinator.workflow.loops import run_for
from parley_coordinator.workflow.machine import Machine, Runner, check
from parley_coordinator.workflow.outward import run_call, run_protocol, run_workflow
from parley_coordinator.workflow.steps import run_raise, run_set, run_switch, run_wait
from parley_coordinator.workflow.tasks import (
    PROTOCOL_TASKS,
    CallTask,
    DoTask,
    EmitTask,
    ForkTask,
    ForTask,
    ListenTask,
    RaiseTask,
    RunTask,
    SetTask,
    SwitchTask,
    Task,
    TryTask,
    WaitTask,
)

RUNNERS: Final[Mapping[type[Task], Runner]] = {
    CallTask: run_call,
    DoTask: run_do,
    EmitTask: run_emit,
    ForTask: run_for,
    ForkTask: run_fork,
    ListenTask: run_listen,
    RaiseTask: run_raise,
    RunTask: run_workflow,
    SetTask: run_set,
    SwitchTask: run_switch,
    TryTask: run_try,
    WaitTask: run_wait,
    **dict.fromkeys(PROTOCOL_TASKS, run_protocol),
}
"""A new kind of task is a model in `tasks`, a runner in a module of its family, and a line here."""

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
    deadline: datetime | None = None
    """UTC. By when whoever passed the work on wants it done."""


async def interpret(
    document: Document,
    run: RunInfo,
    effects: Effects,
    expressions: Expressions | None = None,
    *,
    runners: Mapping[type[Task], Runner] = RUNNERS,
) -> Any:
    """Run `document` from the top and return its output.

    With the same journal behind `effects` it does the same: interpret again whenever there is
    something new, until it returns or raises an error.

    Args:
        expressions: Evaluates in this process by default, which is for documents that one trusts.
        runners: Of every kind; whoever watches a run wraps them.

    Raises:
        WorkflowError: The run faulted; `instance` points at the task, or is empty.
        Parked: No branch can go on now.
    """
    constants = {"workflow": _about(document, run), "runtime": RUNTIME}
    machine = Machine(
        document,
        effects,
        expressions=expressions or Expressions(),
        constants=constants,
        runners=runners,
    )
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
        data = await machine.expressions.transform(document.input_from, data, constants)
    limit = None if run.deadline is None else tightest(None, run.deadline, "")
    if document.timeout is not None:
        after = machine.timeout(document.timeout, "/timeout").after
        length = await machine.length(after, data, constants, "/timeout")
        limit = tightest(limit, run.started_at + length, "")
    try:
        output = await machine.run_list(
            document.tasks, data, place=Place(path="/do"), limit=limit, variables={}
        )
    except Ended as end:
        output = end.output
    except Expired:
        raise timeout_error("") from None
    if document.output_as is not None:
        scope = {**constants, "context": machine.context}
        output = await machine.expressions.transform(document.output_as, output, scope)
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
