"""Follows the shapes of data and context through a document, as the interpreter would the values.

A task that can be reached in several ways sees the join of what they bring. Findings of a later,
wider look replace those of an earlier one, so what is left holds for every run.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from parley_coordinator.workflow.arguments import DEFINITIONS
from parley_coordinator.workflow.checks.calls import MAX_NESTED
from parley_coordinator.workflow.checks.inference import (
    Effort,
    Shapes,
    TooMuchError,
    Trouble,
    infer,
)
from parley_coordinator.workflow.checks.report import Report
from parley_coordinator.workflow.checks.schema_shapes import shape_of_schema
from parley_coordinator.workflow.checks.shapes import (
    NOTHING,
    NULL,
    OBJECT,
    TEXT,
    UNKNOWN,
    Shape,
    array_of,
    join,
    object_of,
    shape_of,
    size,
    tamed,
)
from parley_coordinator.workflow.checks.sites import callers_first
from parley_coordinator.workflow.checks.task_shapes import run_kind
from parley_coordinator.workflow.expressions import is_expression
from parley_coordinator.workflow.fields import OutputSpec
from parley_coordinator.workflow.findings import escape
from parley_coordinator.workflow.schemas import Schema
from parley_coordinator.workflow.tasks import CONTINUE, END, EXIT, CallTask, NamedTask, Task

_TASK: Final = 100
"""What a look at a task costs; a document that takes more than `MAX_EFFORT` is not looked at."""
_SCHEMA: Final = 100
_WIDEN_AFTER: Final = 3


@dataclass(frozen=True, slots=True)
class State:
    data: Shape
    context: Shape


LOST: Final = State(UNKNOWN, UNKNOWN)


def data_flow(report: Report) -> None:
    """Report the arguments and paths that cannot be right, whatever a run is given."""
    flow = DataFlow(report)
    try:
        flow.document()
    except TooMuchError:
        return  # a later look may have taken back what an earlier one found
    for path, troubles in flow.troubles.items():
        for trouble in troubles:
            report.add(path, trouble.rule, trouble.message, trouble.fix)


class DataFlow:
    def __init__(self, report: Report) -> None:
        self.report = report
        self.troubles: dict[str, list[Trouble]] = {}
        self.exported: list[list[Shape]] = []
        """The contexts that each enclosing `try` has seen exported."""
        self._document = report.document
        self._ended: dict[str, State] = {}
        self._schemas: dict[tuple[int, int], Shape] = {}
        self.effort = Effort()
        self._functions: dict[str, State] = {}
        given = self._document.input_schema
        self._given = UNKNOWN if given is None else self.schema(given)
        self._constants: Shapes = {
            "workflow": object_of(
                {
                    "id": TEXT,
                    "definition": UNKNOWN,
                    "input": self._given,
                    "requestedBy": TEXT,
                    "startedAt": OBJECT,
                }
            ),
            "runtime": object_of({"name": TEXT, "version": TEXT, "metadata": OBJECT}),
        }

    def document(self) -> None:
        document = self._document
        for name in reversed(callers_first(document.use.functions)):
            self._function(name)
        data = self.transform("/input/from", document.input_from, self._given, self._constants)
        last = self.follow("/do", document.tasks, State(data, NULL), {})
        ends = [*self._ended.values(), *([] if last is None else [last])]
        if ends:
            end = self.joined(ends)
            scope = {**self._constants, "context": end.context}
            self.transform("/output/as", document.output_as, end.data, scope)

    def function(self, name: str) -> State:
        """Return what a function of the document gives, whatever it is given.

        Returns:
            With the context `NOTHING` if it leaves that alone.
        """
        return self._functions.get(name, LOST)

    def _function(self, name: str) -> None:
        task = self._document.use.functions[name]
        definition = self._document.json["use"]["functions"][name]
        self.exported.append([])
        path = f"/use/functions/{escape(name)}"
        ways = self.task(path, NamedTask(name, task, definition), LOST, {})
        context = UNKNOWN if self.exported.pop() else NOTHING
        self._functions[name] = State(self.join(state.data for _then, state in ways), context)

    def follow(
        self, path: str, tasks: Sequence[NamedTask], state: State, variables: Shapes
    ) -> State | None:
        """Follow a list from its first task; None: it is never left."""
        indexes = {named.name: index for index, named in enumerate(tasks)}
        incoming = {0: state}
        visits: Counter[int] = Counter()
        open_ = deque([0])
        out: list[State] = []
        while open_:
            index = open_.popleft()
            visits[index] += 1
            if visits[index] > _WIDEN_AFTER:
                incoming[index] = LOST
            here = f"{path}/{index}/{escape(tasks[index].name)}"
            for then, end in self.task(here, tasks[index], incoming[index], variables):
                target = indexes.get(then, index + 1 if then == CONTINUE else -1)
                if then == END:
                    self._end(here, end)
                elif then == EXIT or target == len(tasks):
                    out.append(end)
                elif target >= 0:
                    known = incoming.get(target)
                    wider = end if known is None else self.joined([known, end])
                    if wider != known:
                        incoming[target] = wider
                        open_.append(target)
        return self.joined(out) if out else None

    def _end(self, path: str, state: State) -> None:
        known = self._ended.get(path)
        self._ended[path] = state if known is None else self.joined([known, state])

    def task(
        self, path: str, named: NamedTask, state: State, variables: Shapes
    ) -> list[tuple[str, State]]:
        """Return the ways out of one task: directives, and what they go on with."""
        self.effort.spend(_TASK)
        task = named.task
        about = {"name": TEXT, "reference": TEXT, "definition": UNKNOWN, "input": state.data}
        scope: Shapes = {
            **variables,
            **self._constants,
            "context": state.context,
            "task": replace(object_of(about), closed=False),
        }
        self.condition(f"{path}/if", task.if_, state.data, scope)
        data = self._narrowed(state.data, task.input.schema_)
        data = self.transform(f"{path}/input/from", task.input.from_, data, scope)
        scope = {**scope, "input": data}
        ways = [(task.then, state)] if self._may_be_skipped(task) else []
        found = run_kind(self, path, named, replace(state, data=data), scope, variables)
        if found is not None:
            output, thens = found
            end = self.hand_on(path, task.output, task.export, output, scope)
            ways += [(then, end) for then in thens]
        return self._by_directive(ways)

    def _may_be_skipped(self, task: Task) -> bool:
        """Tell whether it may hand on its input: for its `if`, as an undo call, or as a function."""
        called: set[str] = set()
        functions = self._document.use.functions
        while len(called) < MAX_NESTED and task.if_ is None and not task.compensates:
            if not isinstance(task, CallTask) or task.call.name not in functions:
                return False
            if task.call.catalog or task.call.name in called:
                return False
            called.add(task.call.name)
            task = functions[task.call.name]
        return task.if_ is not None or task.compensates != ""

    def hand_on(
        self, path: str, output: OutputSpec, export: OutputSpec, state: State, scope: Shapes
    ) -> State:
        scope = {**scope, "context": state.context}
        data = self.transform(f"{path}/output/as", output.as_, state.data, scope)
        data = self._narrowed(data, output.schema_)
        if export.as_ is None:
            return State(data, state.context)
        scope = {**scope, "output": data}
        context = self.transform(f"{path}/export/as", export.as_, data, scope)
        context = self._narrowed(context, export.schema_)
        for seen in self.exported:
            seen.append(context)
        return State(data, context)

    def condition(self, path: str, text: str | None, value: Shape, scope: Shapes) -> None:
        if text is not None:
            self.expression(path, text, value, scope)

    def transform(self, path: str, template: Any, value: Shape, scope: Shapes) -> Shape:
        """Return the shape of what `from` or `as` gives."""
        if template is None:
            return value
        if isinstance(template, str):
            return self.expression(path, template, value, scope)
        return self.template(path, template, value, scope)

    def template(self, path: str, template: Any, value: Shape, scope: Shapes) -> Shape:
        """Look at every expression in a value of the document; return the shape of the whole."""
        if isinstance(template, str):
            self.effort.spend(len(template) // 10)
            if is_expression(template):
                return self.expression(path, template, value, scope)
        self.effort.spend(1)
        if isinstance(template, Mapping):
            members = {
                name: self.template(f"{path}/{escape(name)}", member, value, scope)
                for name, member in template.items()
            }
            return self._tamed(object_of(members))
        if isinstance(template, list | tuple):
            elements = [
                self.template(f"{path}/{index}", element, value, scope)
                for index, element in enumerate(template)
            ]
            return self._tamed(array_of(elements))
        return shape_of(template)

    def expression(self, path: str, text: str, value: Shape, scope: Shapes) -> Shape:
        shape, troubles = infer(text, value, scope, self.effort)
        self.troubles[path] = troubles
        return shape

    def schema(self, schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> Shape:
        """Return the shape of a schema of the document or the catalog.

        Args:
            root: Of the schema's definitions, if that is another.
        """
        key = (id(schema), id(root))
        if key not in self._schemas:
            around = root or {}
            definitions = {name: around[name] for name in DEFINITIONS if name in around}
            self._schemas[key] = shape_of_schema({**definitions, **schema})
            self.effort.spend(_SCHEMA + size(self._schemas[key]))
        return self._schemas[key]

    def _narrowed(self, shape: Shape, schema: Schema | None) -> Shape:
        """Return the shape of a value that has been held against a schema."""
        if schema is None or shape is not UNKNOWN:
            return shape
        return self.schema(schema.document)

    def _tamed(self, shape: Shape) -> Shape:
        self.effort.spend(size(shape))
        return tamed(shape)

    def join(self, shapes: Iterable[Shape]) -> Shape:
        found = NOTHING
        for shape in shapes:
            self.effort.spend(2 * size(shape))
            found = self._tamed(join(found, shape))
        return found

    def joined(self, states: Iterable[State]) -> State:
        ends = list(states)
        return State(self.join(end.data for end in ends), self.join(end.context for end in ends))

    def _by_directive(self, ways: list[tuple[str, State]]) -> list[tuple[str, State]]:
        found: dict[str, State] = {}
        for then, state in ways:
            found[then] = self.joined([found[then], state]) if then in found else state
        return list(found.items())
