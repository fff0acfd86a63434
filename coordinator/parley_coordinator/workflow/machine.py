"""Runs lists of tasks and the data flow around each task; what a kind does is in `steps`, `blocks`.

Order within one task (dsl reference, "task lifecycle"): `if` on the raw input, `input.schema`,
`input.from`, the kind, `output.as`, `output.schema`, `export.as`, `export.schema`, `then`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from parley_coordinator.model import Place
from parley_coordinator.workflow.document import Document
from parley_coordinator.workflow.durations import duration
from parley_coordinator.workflow.effects import (
    NOTE_EXPIRED,
    NOTE_GIVEN,
    NOTE_LIMITED,
    NOTE_SKIPPED,
    Effects,
)
from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_coordinator.workflow.expressions import (
    Expressions,
    FailedExpressionError,
    mentions,
    operands,
)
from parley_coordinator.workflow.extent import excess
from parley_coordinator.workflow.fields import OutputSpec, TimeoutSpec
from parley_coordinator.workflow.frame import (
    Ended,
    Expired,
    Frame,
    Limit,
    Skipped,
    configuration_error,
    owner_of,
    tightest,
    timeout_error,
    validation_error,
)
from parley_coordinator.workflow.schemas import Schema
from parley_coordinator.workflow.tasks import (
    CONTINUE,
    END,
    EXIT,
    ForkTask,
    ListenTask,
    NamedTask,
    Task,
)

MAX_VISITS: Final = 1000
STEPS_IN_A_ROW: Final = 50
"""So many tasks are interpreted before the event loop may do something else."""

_WORD: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")

Result: TypeAlias = tuple[Any, str | None]
"""Raw output, and the directive that replaces the task's own `then`, if any."""
Runner: TypeAlias = Callable[["Machine", Any, Any, Frame], Awaitable[Result]]
"""(machine, task, its transformed input, frame)."""


class Machine:
    """One interpretation of one run: everything that it needs, and the context.

    Args:
        expressions: Evaluates what is written in the document.
        constants: `$workflow` and `$runtime`.
        runners: What each kind of task does.
    """

    def __init__(
        self,
        document: Document,
        effects: Effects,
        *,
        expressions: Expressions,
        constants: Mapping[str, Any],
        runners: Mapping[type[Task], Runner],
    ) -> None:
        self.document = document
        self.effects = effects
        self.expressions = expressions
        self.constants = constants
        self.context: Any = None
        self._steps = 0
        self._runners = runners

    async def run_list(
        self,
        tasks: Sequence[NamedTask],
        data: Any,
        *,
        place: Place,
        limit: Limit | None,
        variables: Mapping[str, Any],
    ) -> Any:
        """Run a list from its first task; return the output of the last one that ran.

        Args:
            place: Of the list: `/do`, and the attempt that its tasks belong to.
            variables: What enclosing tasks have made known: caught errors, items of loops.
        """
        by_name = {named.name: index for index, named in enumerate(tasks)}
        visits = [0] * len(tasks)
        index = 0
        while index < len(tasks):
            await self._breathe()
            named = tasks[index]
            visits[index] += 1
            here = Place(
                path=f"{place.path}/{index}/{named.name}",
                attempt=_visit(place.attempt, visits[index]),
            )
            if visits[index] > MAX_VISITS:
                detail = f"the task ran {MAX_VISITS} times"
                raise WorkflowError(Standard.RUNTIME, "Endless loop", detail, instance=here.path)
            data, then = await self.run_task(
                named, data, place=here, limit=limit, variables=variables
            )
            if then == CONTINUE:
                index += 1
            elif then == EXIT:
                return data
            elif then == END:
                raise Ended(data)
            elif then in by_name:
                index = by_name[then]
            else:
                raise configuration_error(f"there is no task {then!r} in this list", here.path)
        return data

    async def _breathe(self) -> None:
        """Let others have their turn, however many tasks there are that touch nothing outside."""
        self._steps += 1
        if self._steps % STEPS_IN_A_ROW == 0:
            await asyncio.sleep(0)

    async def run_task(
        self,
        named: NamedTask,
        raw: Any,
        *,
        place: Place,
        limit: Limit | None,
        variables: Mapping[str, Any],
        passing_on: bool = False,
    ) -> tuple[Any, str]:
        """Run one task; return its transformed output and the flow directive.

        Args:
            passing_on: Whether a task that is skipped raises `Skipped`.

        Raises:
            WorkflowError: With `instance` set.
            Expired, Ended, Parked: Control flow.
        """
        known = self.effects.recall(place, NOTE_LIMITED)
        if known is not None:
            self.context = known["context"]
            raise WorkflowError.from_json(known["error"])
        try:
            return await self._run_task(named, raw, place, limit, variables)
        except Skipped:
            if passing_on:
                raise
            return raw, named.task.then
        except WorkflowError as raised:
            error = raised
            if isinstance(raised, FailedExpressionError) and _knows_secrets(named.task):
                error = raised.discreet()
            error.instance = raised.instance or place.path
            if error.limited:
                error.limited = False
                body = {"error": error.as_json(), "context": self.context}
                await self.effects.note(place, NOTE_LIMITED, body)
            if error is raised:
                raise
            raise error from None

    async def _run_task(
        self,
        named: NamedTask,
        raw: Any,
        place: Place,
        limit: Limit | None,
        variables: Mapping[str, Any],
    ) -> tuple[Any, str]:
        task = named.task
        about = {
            "name": named.name,
            "reference": place.path,
            "definition": named.definition,
            "input": raw,
        }
        scope = {**variables, **self.constants, "context": self.context, "task": about}
        if task.if_ is not None and not await self.expressions.truthy(task.if_, raw, scope):
            compared = operands(task.if_, raw, scope)
            await self.effects.note(place, NOTE_SKIPPED, {"when": task.if_, "operands": compared})
            raise Skipped
        given = self.effects.recall(place, NOTE_GIVEN)
        if given is not None and "arguments" not in given:
            output = given.get("output", raw)
            scope = {**scope, "input": raw, "task": {**about, "output": output}}
            return await self.hand_on(task.output, task.export, output, scope, place), task.then
        check(task.input.schema_, raw, "input", place.path)
        data = raw
        if task.input.from_ is not None:
            seen = {**scope, "secrets": self._secrets()}
            data = await self.expressions.transform(task.input.from_, raw, seen)
        scope = {**scope, "input": data}
        own = await self._limited(task, data, scope, place=place, limit=limit)
        frame = Frame(
            place=place,
            title=task.label or in_words(named.name),
            limit=own,
            variables=variables,
            scope=scope,
        )
        try:
            output, then = await self._runners[type(task)](self, task, data, frame)
        except Expired as expired:
            if expired.owner != owner_of(place):
                raise
            error = timeout_error(place.path)
            await self.effects.note(place, NOTE_EXPIRED, {"error": error.as_json()})
            raise error from None
        if isinstance(task, ForkTask | ListenTask):
            _check_extent(output, place)
        scope = {**scope, "task": {**about, "output": output}}
        if _knows_secrets(task):
            del scope["input"]
        output = await self.hand_on(task.output, task.export, output, scope, place)
        return output, task.then if then is None else then

    async def hand_on(
        self,
        output_spec: OutputSpec,
        export: OutputSpec,
        output: Any,
        scope: Mapping[str, Any],
        place: Place,
    ) -> Any:
        """Transform and check an output, and export to the context."""
        # A block may have exported meanwhile.
        scope = {**scope, "context": self.context}
        if output_spec.as_ is not None:
            output = await self.expressions.transform(output_spec.as_, output, scope)
        check(output_spec.schema_, output, "output", place.path)
        if export.as_ is not None:
            scope = {**scope, "output": output}
            exported = await self.expressions.transform(export.as_, output, scope)
            check(export.schema_, exported, "context", place.path)
            self.context = exported
        return output

    def _secrets(self) -> dict[str, Any]:
        return {name: self.effects.secret(name) for name in self.document.use.secrets}

    async def _limited(
        self, task: Task, data: Any, scope: Mapping[str, Any], *, place: Place, limit: Limit | None
    ) -> Limit | None:
        if task.timeout is None:
            return limit
        spec = self.timeout(task.timeout, place.path)
        started = await self.effects.time(place, "started")
        length = await self.length(spec.after, data, scope, place.path)
        return tightest(limit, started + length, owner_of(place))

    def timeout(self, timeout: str | TimeoutSpec, path: str) -> TimeoutSpec:
        """Resolve a timeout that may be a name of `use.timeouts`."""
        if isinstance(timeout, TimeoutSpec):
            return timeout
        found = self.document.use.timeouts.get(timeout)
        if found is None:
            raise configuration_error(f"`use.timeouts` has no {timeout!r}", path)
        return found

    async def length(
        self, value: timedelta | str, data: Any, scope: Mapping[str, Any], path: str
    ) -> timedelta:
        """Return a duration that may be an expression."""
        if isinstance(value, timedelta):
            return value
        try:
            return duration(await self.expressions.evaluate(value, data, scope))
        except ValueError as exc:
            raise configuration_error(str(exc), path) from exc

    async def wait(self, place: Place, when: datetime, limit: Limit | None) -> None:
        """Wait until `when`, or until the limit in force passes.

        Raises:
            Expired, Parked: Control flow.
        """
        if limit is not None and limit.at < when:
            await self.effects.wait_until(place, limit.at)
            raise Expired(limit.owner)
        await self.effects.wait_until(place, when)


def _knows_secrets(task: Task) -> bool:
    """Tell whether the input of its body may hold secrets."""
    return mentions(task.input.from_, "secrets")


def _check_extent(output: Any, place: Place) -> None:
    """Hold what was gathered against the limits of what an expression may give."""
    exceeded = excess(output)
    if exceeded is not None:
        detail = f"the output {exceeded}"
        raise WorkflowError(Standard.RUNTIME, "Too much came out", detail, instance=place.path)


def check(schema: Schema | None, value: Any, what: str, path: str) -> None:
    """Hold a value against a schema of the document.

    Raises:
        WorkflowError: `validation`.
    """
    found = schema.problems(value) if schema is not None else []
    if found:
        raise validation_error(what, found, path)


def _visit(attempt: str, number: int) -> str:
    """Number a visit so that no two visits of one task share an attempt, however lists nest.

    First visits are not marked, except within a repeated visit: `1~2` is the second visit of a
    task or the first of one inside `1`; inside `1~2` it is `1~2~1`.
    """
    return attempt if number == 1 and "~" not in attempt else f"{attempt}~{number}"


def in_words(name: str) -> str:
    """`postInvoice` as people read it: `Post invoice`."""
    said = " ".join(_WORD.findall(name)).lower()
    return said[:1].upper() + said[1:]
