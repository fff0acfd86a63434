"""Lists in order, and what to do about errors: do, try."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Final

from parley_coordinator.model import Place
from parley_coordinator.workflow.effects import NOTE_CAUGHT, NOTE_RETRYING
from parley_coordinator.workflow.errors import WorkflowError
from parley_coordinator.workflow.fields import RetryPolicy
from parley_coordinator.workflow.frame import (
    Expired,
    Frame,
    configuration_error,
    owner_of,
    tightest,
    timeout_error,
)
from parley_coordinator.workflow.machine import Machine, Result
from parley_coordinator.workflow.tasks import Catch, DoTask, TryTask

LONGEST_BACKOFF: Final = timedelta(days=1)
"""Growing delays stop here."""


async def run_do(machine: Machine, task: DoTask, data: Any, frame: Frame) -> Result:
    place = replace(frame.place, path=f"{frame.place.path}/do")
    output = await machine.run_list(
        task.do, data, place=place, limit=frame.limit, variables=frame.variables
    )
    return output, None


async def run_try(machine: Machine, task: TryTask, data: Any, frame: Frame) -> Result:
    """Run the list; on an error that the catch takes, start over or handle it.

    Every attempt starts from the original input; what earlier attempts exported stays.
    """
    policy = _policy(machine, task.catch, frame)
    if policy is not None and policy.limit.duration is not None:
        await machine.effects.time(frame.place, "started")
    for number in count(1):
        place = frame.place
        if policy is not None:
            place = replace(place, attempt=f"{place.attempt}.{number}")
        try:
            return await _attempt(machine, task, data, frame, place=place, policy=policy), None
        except WorkflowError as raised:
            error = raised
        caught = {**frame.variables, "error": error.as_json(), task.catch.as_: error.as_json()}
        scope = {**frame.scope, **caught, "context": machine.context}
        if not await _takes(machine, task.catch, error, data, scope):
            raise error
        if policy is not None:
            retry = _Retry(machine, policy, frame, place, number)
            if await retry.again(error, data, scope):
                continue
        if policy is not None and task.catch.do is None:
            raise error
        return await _handle(machine, task.catch, data, frame, caught), None
    raise AssertionError  # pragma: no cover - `count` does not end


def _policy(machine: Machine, catch: Catch, frame: Frame) -> RetryPolicy | None:
    if not isinstance(catch.retry, str):
        return catch.retry
    found = machine.document.use.retries.get(catch.retry)
    if found is None:
        raise configuration_error(f"`use.retries` has no {catch.retry!r}", frame.place.path)
    return found


async def _attempt(
    machine: Machine,
    task: TryTask,
    data: Any,
    frame: Frame,
    *,
    place: Place,
    policy: RetryPolicy | None,
) -> Any:
    limit = frame.limit
    longest = policy.limit.attempt.duration if policy else None
    if longest is not None:
        started = await machine.effects.time(place, "started")
        length = await machine.length(longest, data, frame.scope, place.path)
        limit = tightest(limit, started + length, owner_of(place))
    inner = replace(place, path=f"{place.path}/try")
    try:
        return await machine.run_list(
            task.try_, data, place=inner, limit=limit, variables=frame.variables
        )
    except Expired as expired:
        if longest is None or expired.owner != owner_of(place):
            raise
        raise timeout_error(place.path) from None


async def _takes(
    machine: Machine, catch: Catch, error: WorkflowError, data: Any, scope: Mapping[str, Any]
) -> bool:
    if not error.matches(catch.errors.with_.wanted()):
        return False
    holds = machine.expressions.truthy
    if catch.when is not None and not await holds(catch.when, data, scope):
        return False
    return catch.except_when is None or not await holds(catch.except_when, data, scope)


async def _handle(
    machine: Machine, catch: Catch, data: Any, frame: Frame, caught: Mapping[str, Any]
) -> Any:
    await machine.effects.note(frame.place, NOTE_CAUGHT, {"error": caught[catch.as_]})
    if catch.do is None:
        return data
    place = replace(frame.place, path=f"{frame.place.path}/catch/do")
    return await machine.run_list(catch.do, data, place=place, limit=frame.limit, variables=caught)


class _Retry:
    """Decides whether a failed attempt is followed by another one, and waits for its time.

    Retry `n` waits `delay * (1 | n | 2^(n-1))` and a uniform jitter; `limit.attempt.count` bounds
    the retries, `limit.duration` the time from the start of the first attempt to that of the last.
    """

    def __init__(
        self, machine: Machine, policy: RetryPolicy, frame: Frame, place: Place, number: int
    ) -> None:
        self._machine = machine
        self._effects = machine.effects
        self._policy = policy
        self._frame = frame
        self._place = place
        """Of the attempt that failed."""
        self._number = number

    async def again(self, error: WorkflowError, data: Any, scope: Mapping[str, Any]) -> bool:
        known = self._effects.recall(self._place, NOTE_RETRYING)
        if known is not None:
            until = datetime.fromisoformat(known["until"])
        else:
            planned = await self._plan(data, scope)
            if planned is None:
                return False
            until = planned
            body = {
                "error": error.as_json(),
                "until": until.isoformat(),
                "attempt": self._number,
            }
            await self._effects.note(self._place, NOTE_RETRYING, body)
        await self._machine.wait(self._place, until, self._frame.limit)
        return True

    async def _plan(self, data: Any, scope: Mapping[str, Any]) -> datetime | None:
        policy, limit = self._policy, self._policy.limit
        holds = self._machine.expressions.truthy
        if policy.when is not None and not await holds(policy.when, data, scope):
            return None
        if policy.except_when is not None and await holds(policy.except_when, data, scope):
            return None
        if limit.attempt.count is not None and self._number > limit.attempt.count:
            return None
        path = self._place.path
        length = self._machine.length
        failed = await self._effects.time(self._place, "failed")
        delay = await length(policy.delay, data, scope, path)
        longest = max(delay, LONGEST_BACKOFF)
        factor = policy.backoff.factor(self._number)
        until = failed + (longest if delay > longest / factor else delay * factor)
        if policy.jitter is not None:
            low = (await length(policy.jitter.from_, data, scope, path)).total_seconds()
            high = (await length(policy.jitter.to, data, scope, path)).total_seconds()
            drawn = await self._effects.jitter(self._place, min(low, high), max(low, high))
            until += timedelta(seconds=drawn)
        if limit.duration is not None:
            begun = await self._effects.time(self._frame.place, "started")
            if until - begun > await length(limit.duration, data, scope, path):
                return None
        return until
