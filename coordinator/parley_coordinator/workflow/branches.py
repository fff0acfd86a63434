"""Branches at the same time: all of them, or the first one to finish."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from parley_coordinator.workflow.effects import NOTE_FORK_FAILED, NOTE_WON, Parked
from parley_coordinator.workflow.errors import WorkflowError
from parley_coordinator.workflow.frame import Expired, Frame, timeout_error
from parley_coordinator.workflow.machine import Machine, Result
from parley_coordinator.workflow.tasks import ForkTask, NamedTask

_Failure: TypeAlias = WorkflowError | Expired
_BranchEnd: TypeAlias = tuple[Any, _Failure | Parked | None]
"""Output, and what kept the branch from having one."""


async def run_fork(machine: Machine, task: ForkTask, data: Any, frame: Frame) -> Result:
    branches = _Branches(machine, task, data, frame)
    output = await (_first(branches) if task.fork.compete else _all(branches))
    return output, None


class _Branches:
    def __init__(self, machine: Machine, task: ForkTask, data: Any, frame: Frame) -> None:
        self.effects = machine.effects
        self.place = frame.place
        self.named = task.fork.branches
        self._machine = machine
        self._data = data
        self._frame = frame

    def path(self, index: int) -> str:
        return f"{self.place.path}/fork/branches/{index}/{self.named[index].name}"

    async def run(self, index: int, named: NamedTask) -> _BranchEnd:
        place = replace(self.place, path=self.path(index))
        try:
            output, _then = await self._machine.run_task(
                named,
                self._data,
                place=place,
                limit=self._frame.limit,
                variables=self._frame.variables,
            )
        except (WorkflowError, Expired, Parked) as end:
            return None, end
        return output, None


async def _all(branches: _Branches) -> list[Any]:
    """Run all branches; return their outputs in declared order.

    A failure waits for its siblings to end or park, so that what they have begun is in the
    journal. Which failure counts is written down: later, another branch may have failed as well.
    """
    known = branches.effects.recall(branches.place, NOTE_FORK_FAILED)
    if known is not None:
        raise _failure(known)
    try:
        async with asyncio.TaskGroup() as group:
            running = [
                group.create_task(branches.run(index, named))
                for index, named in enumerate(branches.named)
            ]
    except BaseExceptionGroup as defects:
        # A defect of the engine, not an error of the run: show it as it is.
        raise defects.exceptions[0] from None
    ends = [each.result() for each in running]
    for named, (_output, end) in zip(branches.named, ends, strict=True):
        if isinstance(end, WorkflowError | Expired):
            await branches.effects.note(branches.place, NOTE_FORK_FAILED, _failed(named.name, end))
            raise end
    for _output, end in ends:
        if end is not None:
            raise end
    return [output for output, _end in ends]


def _failed(branch: str, end: _Failure) -> dict[str, Any]:
    if isinstance(end, Expired):
        error = timeout_error(end.owner.partition("@")[0]).as_json()
        return {"branch": branch, "error": error, "owner": end.owner}
    return {"branch": branch, "error": end.as_json()}


def _failure(known: Mapping[str, Any]) -> _Failure:
    if "owner" in known:
        return Expired(known["owner"])
    return WorkflowError.from_json(known["error"])


async def _first(branches: _Branches) -> Any:
    """Run all branches until one finishes, with an output or an error; the others are stopped.

    Which one has won is written down, and later only that one is told again.
    """
    known = branches.effects.recall(branches.place, NOTE_WON)
    if known is not None:
        winner = next(i for i, each in enumerate(branches.named) if each.name == known["branch"])
        output, end = await branches.run(winner, branches.named[winner])
    else:
        winner, (output, end) = await _race(branches)
        losers = [branches.path(i) for i in range(len(branches.named)) if i != winner]
        body = {"branch": branches.named[winner].name, "losers": losers}
        await branches.effects.note(branches.place, NOTE_WON, body)
    if end is not None:
        raise end
    return output


async def _race(branches: _Branches) -> tuple[int, _BranchEnd]:
    """Return the index and the end of the winner.

    Raises:
        Parked: No branch can go on now.
    """
    running = {
        asyncio.create_task(branches.run(index, named)): index
        for index, named in enumerate(branches.named)
    }
    open_ = set(running)
    try:
        while open_:
            done, open_ = await asyncio.wait(open_, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=running.__getitem__):
                output, end = task.result()
                if not isinstance(end, Parked):
                    return running[task], (output, end)
        raise Parked
    finally:
        for task in open_:
            task.cancel()
        if open_:
            await asyncio.wait(open_)
