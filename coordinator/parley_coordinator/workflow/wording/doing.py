"""What the workflow does by itself, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from parley_coordinator.workflow.tasks import (
    DoTask,
    EmitTask,
    ForkTask,
    ForTask,
    ListenTask,
    RaiseTask,
    SetTask,
    SwitchTask,
    Task,
    TryTask,
    WaitTask,
)
from parley_coordinator.workflow.wording.conditions import condition, value
from parley_coordinator.workflow.wording.happenings import announced, awaited
from parley_coordinator.workflow.wording.plain import line, listed, literal, words
from parley_coordinator.workflow.wording.policies import raised, span

if TYPE_CHECKING:
    from parley_coordinator.workflow.document import Use

Kind: TypeAlias = Literal[
    "agent", "person", "system", "workflow", "data", "choice", "case", "steps", "loop", "fork",
    "attempt", "retry", "handler", "raise", "wait", "announce", "listen",
]  # fmt: skip
_MAX_SHOWN: Final = 6
_MAX_LITERAL: Final = 30
_OWN: Final[Mapping[type[Task], Kind]] = {
    DoTask: "steps",
    EmitTask: "announce",
    ForkTask: "fork",
    ForTask: "loop",
    ListenTask: "listen",
    RaiseTask: "raise",
    SetTask: "data",
    SwitchTask: "choice",
    TryTask: "attempt",
    WaitTask: "wait",
}


def done(task: Task, use: Use) -> tuple[Kind, str]:
    """Return the kind of a task that the workflow does by itself, and what it does."""
    said = ""
    match task:
        case SetTask():
            said = _set(task)
        case ForTask():
            said = _loop(task)
        case ForkTask():
            first = "at the same time; the first to finish wins, the others are stopped"
            said = first if task.fork.compete else "all at the same time"
        case RaiseTask():
            said = f"ends with the error {raised(task.raise_.error, use.errors)}"
        case WaitTask():
            said = f"waits {span(task.wait)}"
        case EmitTask():
            said = announced(task.emit.event.with_)
        case ListenTask():
            each = task.foreach is not None and task.foreach.do is not None
            said = awaited(task.listen.to) + ("; does this with each" if each else "")
    return _OWN.get(type(task), "system"), said


def _loop(task: ForTask) -> str:
    given = task.for_.in_
    many = value(given) if isinstance(given, str) else f"{len(given)} given values"
    said = f"for each {task.for_.each} of {many}, one after the other"
    return said if task.while_ is None else f"{said}, as long as {condition(task.while_)}"


def _set(task: SetTask) -> str:
    if isinstance(task.set, str):
        return f"works out {value(task.set)}"
    shown = [_assigned(name, given) for name, given in list(task.set.items())[:_MAX_SHOWN]]
    if len(task.set) > _MAX_SHOWN:
        shown.append(f"{len(task.set) - _MAX_SHOWN} more")
    return f"sets {listed(shown)}"


def _assigned(name: str, given: Any) -> str:
    said = literal(given)
    named = line(words(name), limit=60)
    return named if said is None or len(said) > _MAX_LITERAL else f"{named} to “{said}”"
