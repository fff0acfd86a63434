"""Where a list of tasks can go: its targets exist, and each of its tasks can be reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from parley_coordinator.workflow.tasks import (
    CONTINUE,
    DIRECTIVES,
    NamedTask,
    SwitchTask,
    Task,
)


@dataclass(frozen=True, slots=True)
class FlowProblem:
    step: str
    """JSON pointer below the list, without the first slash."""
    rule: str
    message: str
    fix: str


def flow_problems(tasks: Sequence[NamedTask]) -> Iterator[FlowProblem]:
    """Yield what is wrong with the directives of one list."""
    indexes = {named.name: index for index, named in enumerate(tasks)}
    names = ", ".join((*indexes, *sorted(DIRECTIVES)))
    for index, named in enumerate(tasks):
        for where, then in directives(named.task):
            if then not in indexes and then not in DIRECTIVES:
                message = f"there is no task {then[:60]!r} in this list"
                step = f"{index}/{named.name}/{where}"
                yield FlowProblem(step, "unknown-target", message, f"use one of: {names}")
        yield from _switch_problem(index, named)
    reached = _reached(tasks, indexes)
    for index, named in enumerate(tasks):
        if index not in reached:
            message = f"nothing leads to {named.name!r}"
            fix = "point a `then` to it, or remove it"
            yield FlowProblem(f"{index}/{named.name}", "unreachable", message, fix)


def directives(task: Task) -> list[tuple[str, str]]:
    """Return every directive that the task can end with, and where below it that is written."""
    found = []
    if isinstance(task, SwitchTask):
        found = [
            (f"switch/{index}/{named.name}/then", named.case.then)
            for index, named in enumerate(task.switch)
        ]
        if any(named.case.when is None for named in task.switch) and task.if_ is None:
            return found
    return [*found, ("then", task.then)]


def _switch_problem(index: int, named: NamedTask) -> Iterator[FlowProblem]:
    task = named.task
    if isinstance(task, SwitchTask) and all(each.case.when for each in task.switch):
        message = f"{named.name!r} does not say what happens otherwise"
        fix = "add a last case without `when`"
        yield FlowProblem(f"{index}/{named.name}/switch", "no-default", message, fix)


def _reached(tasks: Sequence[NamedTask], indexes: dict[str, int]) -> set[int]:
    reached: set[int] = set()
    open_ = [0]
    while open_:
        index = open_.pop()
        if index in reached or index >= len(tasks):
            continue
        reached.add(index)
        for _where, then in directives(tasks[index].task):
            if then == CONTINUE:
                open_.append(index + 1)
            elif then in indexes:
                open_.append(indexes[then])
    return reached
