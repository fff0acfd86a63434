"""Where a list of tasks can go: its targets exist, each task can be reached, and no loop is endless."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from parley_coordinator.workflow.findings import OneOf
from parley_coordinator.workflow.tasks import (
    CONTINUE,
    DIRECTIVES,
    END,
    NamedTask,
    RaiseTask,
    SwitchTask,
    Task,
    WaitTask,
)

OUT: Final = -1
"""Instead of the index of a task: out of the list, to what follows it."""
OVER: Final = -2
"""The workflow ends."""


@dataclass(frozen=True, slots=True)
class FlowProblem:
    step: str
    """JSON pointer below the list, without the first slash."""
    rule: str
    message: str
    fix: str | OneOf


def flow_problems(tasks: Sequence[NamedTask]) -> Iterator[FlowProblem]:
    """Yield what is wrong with the directives of one list."""
    indexes = {named.name: index for index, named in enumerate(tasks)}
    known = [*indexes, *sorted(DIRECTIVES)]
    for index, named in enumerate(tasks):
        for where, then in directives(named.task):
            if then not in indexes and then not in DIRECTIVES:
                message = f"there is no task {then[:60]!r} in this list"
                step = f"{index}/{named.name}/{where}"
                yield FlowProblem(step, "unknown-target", message, OneOf(then, known))
        yield from _switch_problem(index, named)
    ways = ways_of(tasks)
    found = set(reached(ways, [0]))
    for index, named in enumerate(tasks):
        if index not in found:
            message = f"nothing leads to {named.name!r}"
            fix = "point a `then` to it, or remove it"
            yield FlowProblem(f"{index}/{named.name}", "unreachable", message, fix)
    for loop in loops(ways):
        if loop <= found:
            yield from _loop_problem(tasks, ways, loop)


def directives(task: Task) -> list[tuple[str, str]]:
    """Return every directive that the task can end with, and where below it that is written."""
    if isinstance(task, RaiseTask) and task.if_ is None:
        return []
    found = []
    if isinstance(task, SwitchTask):
        found = [
            (f"switch/{index}/{named.name}/then", named.case.then)
            for index, named in enumerate(task.switch)
        ]
        if any(named.case.when is None for named in task.switch) and task.if_ is None:
            return found
    return [*found, ("then", task.then)]


def unavoidable(ways: Ways) -> set[int]:
    """Return the tasks of a list that every way through it goes by; an error is a way, too."""
    path = _a_way(ways)
    # What is on every way is on this one. Go along it, and see how far one gets beside it.
    place = {index: number for number, index in enumerate(path)}
    found: set[int] = set()
    seen: set[int] = set()
    furthest = 0
    for number, index in enumerate(path):
        if furthest == number:
            found.add(index)
        open_ = [index]
        while open_:
            each = open_.pop()
            if _leaves(ways[each]) and each != path[-1]:
                return found
            on = [place[target] for target in ways[each] if target in place]
            furthest = max([furthest, *on])
            beside = {to for to in ways[each] if to >= 0 and to not in place} - seen
            seen |= beside
            open_ += beside
    return found


def _a_way(ways: Ways) -> list[int]:
    """Return the tasks of a shortest way through a list; none if nothing leaves it."""
    before = {0: 0}
    order = [0]
    for index in order:
        if _leaves(ways[index]):
            path = [index]
            while path[-1] != 0:
                path.append(before[path[-1]])
            return path[::-1]
        for target in ways[index]:
            if target not in before:
                before[target] = index
                order.append(target)
    return []


def _leaves(targets: list[int]) -> bool:
    return not targets or any(target < 0 for target in targets)


def _switch_problem(index: int, named: NamedTask) -> Iterator[FlowProblem]:
    task = named.task
    if isinstance(task, SwitchTask) and all(each.case.when for each in task.switch):
        message = f"{named.name!r} does not say what happens otherwise"
        fix = "add a last case without `when`"
        yield FlowProblem(f"{index}/{named.name}/switch", "no-default", message, fix)


Ways = list[list[int]]
"""Where each task can lead: indexes, `OUT`, `OVER`."""


def ways_of(tasks: Sequence[NamedTask]) -> Ways:
    indexes = {named.name: index for index, named in enumerate(tasks)}

    def target(index: int, then: str) -> int:
        if then == CONTINUE:
            return index + 1 if index + 1 < len(tasks) else OUT
        return OVER if then == END else indexes.get(then, OUT)

    return [
        [target(index, then) for _where, then in directives(named.task)]
        for index, named in enumerate(tasks)
    ]


def reached(ways: Ways, starts: Iterable[int]) -> Iterator[int]:
    """Yield the starts and all that they lead to, nearest first."""
    seen: set[int] = set()
    open_ = deque(starts)
    while open_:
        index = open_.popleft()
        if index not in seen:
            seen.add(index)
            yield index
            open_ += ways[index] if index >= 0 else ()


def loops(ways: Ways) -> Iterator[set[int]]:
    """Yield the sets of tasks of which each leads to each."""
    for found in _components(ways):
        if len(found) > 1 or any(node in ways[node] for node in found):
            yield found


def closure(ways: Ways) -> list[int]:
    """Return what each task leads to: bit `i` for task `i`, bit `len(ways)` for `OUT`."""
    out = 1 << len(ways)
    found = [0] * len(ways)
    with_itself = [0] * len(ways)
    for component in reversed(list(_components(ways))):
        targets = {to for node in component for to in ways[node]}
        bits = out if OUT in targets else 0
        for to in targets:
            bits |= with_itself[to] if to >= 0 and to not in component else 0
        inside = 0
        for node in component:
            inside |= 1 << node
        loop = bool(targets & component)
        for node in component:
            found[node] = bits | inside if loop else bits
            with_itself[node] = bits | inside
    return found


def _components(ways: Ways) -> Iterator[set[int]]:
    """Yield the strongly connected components, each before those that it leads to."""
    order, seen = [], set()
    for start in range(len(ways)):
        stack = [(start, iter(ways[start]))] if start not in seen else []
        seen.add(start)
        while stack:
            node, left = stack[-1]
            child = next((each for each in left if each >= 0 and each not in seen), None)
            if child is None:
                order.append(node)
                stack.pop()
            else:
                seen.add(child)
                stack.append((child, iter(ways[child])))
    back: Ways = [[] for _ in ways]
    for node, targets in enumerate(ways):
        for target in targets:
            if target >= 0:
                back[target].append(node)
    taken: set[int] = set()
    for node in reversed(order):
        if node not in taken:
            found = _reach_free(back, node, taken)
            taken |= found
            yield found


def _reach_free(ways: Ways, start: int, taken: set[int]) -> set[int]:
    found: set[int] = set()
    open_ = [start]
    while open_:
        node = open_.pop()
        if node not in found and node not in taken:
            found.add(node)
            open_ += ways[node]
    return found


def _loop_problem(tasks: Sequence[NamedTask], ways: Ways, loop: set[int]) -> Iterator[FlowProblem]:
    """A loop has a way out, and something in it can make its switches decide otherwise."""
    last = max(index for index in loop if any(0 <= to <= index for to in set(ways[index]) & loop))
    named = tasks[last]
    back = next(
        where
        for where, then in directives(named.task)
        if then in {tasks[to].name for to in loop if to <= last}
    )
    step = f"{last}/{named.name}/{back}"
    if not any(set(ways[index]) - loop for index in loop):
        message = f"{named.name!r} goes back, and nothing leaves the loop"
        fix = "go back from a switch that has a case which goes on"
        yield FlowProblem(step, "unbounded-loop", message, fix)
    elif not any(_changes(tasks[index].task) for index in loop):
        message = "nothing in the loop changes what its switch decides by"
        fix = "call, listen or set something in the loop"
        yield FlowProblem(step, "unbounded-loop", message, fix)


def _changes(task: Task) -> bool:
    """Tell whether data or context can be other after a task than before it."""
    if any(each is not None for each in (task.input.from_, task.output.as_, task.export.as_)):
        return True
    return not isinstance(task, SwitchTask | WaitTask)
