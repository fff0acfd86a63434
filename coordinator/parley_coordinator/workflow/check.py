"""What must hold before a document runs, beyond its shape; docs/workflow-language.md lists the rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from parley_coordinator.workflow.arguments import misfits
from parley_coordinator.workflow.catalog import (
    AGENTS,
    HUMAN_TASK_FUNCTION,
    Catalog,
    FunctionInfo,
)
from parley_coordinator.workflow.document import Document
from parley_coordinator.workflow.expressions import (
    VARIABLES,
    ExpressionError,
    compile_check,
    is_expression,
)
from parley_coordinator.workflow.fields import PEOPLE, RetryPolicy, TimeoutSpec
from parley_coordinator.workflow.findings import Finding, escape
from parley_coordinator.workflow.flow import flow_problems
from parley_coordinator.workflow.tasks import (
    CONTINUE,
    END,
    CallTask,
    DoTask,
    ForkTask,
    NamedTask,
    RaiseTask,
    SetTask,
    SwitchTask,
    Task,
    TryTask,
    WaitTask,
)

__all__ = ["Catalog", "FunctionInfo", "check"]

_RUN: Final = frozenset(("workflow", "runtime"))
_TASK: Final = _RUN | {"context", "task"}
_BODY: Final = _TASK | {"input"}


def check(document: Document, catalog: Catalog, *, file: str) -> list[Finding]:
    """Prove what can be proved; return every reason why the document must not run.

    Args:
        file: Name of the document in messages.

    Returns:
        In the order of the text; empty if the document may run.
    """
    checker = _Checker(document, catalog.functions(), file)
    checker.document()
    return sorted(checker.found, key=lambda found: (found.line, found.column, found.path))


@dataclass(frozen=True, slots=True)
class _Around:
    """What holds where a task stands."""

    caught: frozenset[str] = frozenset()
    """Names of caught errors."""
    limited: bool = False
    """An enclosing task has a timeout."""
    fork: bool = False
    """Inside a branch."""


class _Checker:
    def __init__(
        self, document: Document, functions: Mapping[str, list[FunctionInfo]], file: str
    ) -> None:
        self._document = document
        self._functions = functions
        self._file = file
        self.found: list[Finding] = []

    def add(self, path: str, rule: str, message: str, fix: str, *, key: bool = False) -> None:
        finding = self._document.positions.finding(path, rule, message, fix, key=key)
        self.found.append(finding)

    def document(self) -> None:
        doc = self._document
        self.template("/input/from", doc.input_from, _RUN, bare=True)
        self.template("/output/as", doc.output_as, _RUN | {"context"}, bare=True)
        self.timeout("/timeout", doc.timeout, _RUN)
        for name, policy in doc.use.retries.items():
            self.retry(f"/use/retries/{escape(name)}", policy, _BODY | {"error"})
        for named, path in _entries(doc.tasks, "/do"):
            if not named.task.label:
                message = f"{named.name!r} has no label for readers"
                self.add(path, "label", message, "add metadata: {label: ...}")
        self.tasks("/do", doc.tasks, _Around())

    def tasks(self, path: str, tasks: Sequence[NamedTask], around: _Around) -> None:
        for problem in flow_problems(tasks):
            self.add(f"{path}/{problem.step}", problem.rule, problem.message, problem.fix)
        for named, here in _entries(tasks, path):
            self.task(here, named.task, around)

    def task(self, path: str, task: Task, around: _Around) -> None:
        before = _TASK | around.caught
        body = _BODY | around.caught
        self.condition(f"{path}/if", task.if_, before)
        self.template(f"{path}/input/from", task.input.from_, before, bare=True)
        self.template(f"{path}/output/as", task.output.as_, body, bare=True)
        self.template(f"{path}/export/as", task.export.as_, body | {"output"}, bare=True)
        self.timeout(f"{path}/timeout", task.timeout, body)
        if around.fork:
            self.branch(path, task)
        inner = replace(around, limited=around.limited or task.timeout is not None)
        self.kind(path, task, inner, body)

    def kind(self, path: str, task: Task, around: _Around, body: frozenset[str]) -> None:
        match task:
            case CallTask():
                self.call(path, task, around, body)
            case DoTask():
                self.tasks(f"{path}/do", task.do, around)
            case ForkTask():
                self.fork(f"{path}/fork/branches", task, around)
            case RaiseTask():
                self.raised(f"{path}/raise/error", task, body)
            case SetTask():
                self.template(f"{path}/set", task.set, body)
            case SwitchTask():
                for index, named in enumerate(task.switch):
                    here = f"{path}/switch/{index}/{named.name}/when"
                    self.condition(here, named.case.when, body)
            case TryTask():
                self.tried(path, task, around, body)
            case WaitTask():
                self.template(f"{path}/wait", task.wait, body)

    def branch(self, path: str, task: Task) -> None:
        """Hold a task inside of a branch to what concurrent branches may do."""
        if task.export.as_ is not None:
            message = "a branch of a fork exports to the context, in no defined order"
            fix = "export from the fork: its output is the array of the branches' outputs"
            self.add(f"{path}/export", "export-in-fork", message, fix)
        thens = [("then", task.then)]
        if isinstance(task, SwitchTask):
            thens += [
                (f"switch/{index}/{named.name}/then", named.case.then)
                for index, named in enumerate(task.switch)
            ]
        for where, then in thens:
            if then == END:
                message = "a branch of a fork ends the workflow while others run"
                self.add(f"{path}/{where}", "end-in-fork", message, "use exit, or raise an error")

    def fork(self, path: str, task: ForkTask, around: _Around) -> None:
        for named, here in _entries(task.fork.branches, path):
            if named.task.then != CONTINUE or isinstance(named.task, SwitchTask):
                message = f"the branch {named.name!r} has nowhere to go to"
                self.add(here, "branch-flow", message, "put the tasks into a `do` of the branch")
            self.task(here, named.task, replace(around, fork=True))

    def call(self, path: str, task: CallTask, around: _Around, body: frozenset[str]) -> None:
        if not around.limited:
            who = "people" if task.call.asks_people else "an agent"
            message = f"the call of {who} has no deadline"
            self.add(path, "deadline", message, "add timeout: {after: {minutes: 5}}")
        self.template(f"{path}/with", task.with_, body)
        function = self.function(f"{path}/call", task)
        if function is None:
            return
        for misfit in misfits(task.with_, function):
            where = f"{path}/with{misfit.path}"
            self.add(where, misfit.rule, misfit.message, misfit.fix, key=misfit.at_key)

    def function(self, path: str, task: CallTask) -> FunctionInfo | None:
        wanted = task.call
        if wanted.catalog == PEOPLE:
            versions = [HUMAN_TASK_FUNCTION] if wanted.asks_people else []
        elif wanted.catalog == AGENTS:
            versions = list(self._functions.get(wanted.name, []))
        else:
            message = f"there is no catalog {wanted.catalog!r}"
            self.add(path, "unknown-catalog", message, f"use @{AGENTS} or @{PEOPLE}")
            return None
        if not versions:
            message = f"no agent has the skill {wanted.name!r}"
            if wanted.catalog == PEOPLE:
                message = f"the catalog {PEOPLE} has no function {wanted.name!r}"
            self.add(path, "unknown-function", message, "correct the name, or register its agent")
            return None
        found = next((each for each in versions if each.version == wanted.version), None)
        if found is None:
            known = ", ".join(sorted({each.version for each in versions}))
            message = f"{wanted.name!r} has no version {wanted.version}"
            self.add(path, "unknown-version", message, f"use one of: {known}")
        return found

    def raised(self, path: str, task: RaiseTask, body: frozenset[str]) -> None:
        spec = task.raise_.error
        if isinstance(spec, str):
            if spec not in self._document.use.errors:
                message = f"`use.errors` has no {spec!r}"
                self.add(path, "unknown-name", message, "define it, or write the error here")
            return
        for name, value in spec.model_dump(exclude_none=True).items():
            self.template(f"{path}/{name}", value, body)

    def tried(self, path: str, task: TryTask, around: _Around, body: frozenset[str]) -> None:
        caught, catch = task.catch, f"{path}/catch"
        if caught.as_ in VARIABLES:
            message = f"`as: {caught.as_}` hides ${caught.as_}"
            self.add(f"{catch}/as", "variable-name", message, "choose another name")
        known = body | {caught.as_, "error"}
        self.condition(f"{catch}/when", caught.when, known)
        self.condition(f"{catch}/exceptWhen", caught.except_when, known)
        policy = caught.retry
        if isinstance(policy, RetryPolicy):
            self.retry(f"{catch}/retry", policy, known)
        elif policy is not None:
            name, policy = policy, self._document.use.retries.get(policy)
            if policy is None:
                message = f"`use.retries` has no {name!r}"
                self.add(f"{catch}/retry", "unknown-name", message, "define it")
        if policy is not None and caught.do is not None:
            message = "retry and do in one catch mean different things to different runtimes"
            fix = "retry in an inner try, handle in an outer one"
            self.add(f"{catch}/do", "retry-and-do", message, fix, key=True)
        attempt = policy.limit.attempt.duration if policy is not None else None
        inner = replace(around, limited=around.limited or attempt is not None)
        self.tasks(f"{path}/try", task.try_, inner)
        if caught.do is not None:
            names = around.caught | {caught.as_, "error"}
            self.tasks(f"{catch}/do", caught.do, replace(around, caught=names))

    def retry(self, path: str, policy: RetryPolicy, known: frozenset[str]) -> None:
        if policy.limit.attempt.count is None and policy.limit.duration is None:
            message = "the retries have no end"
            self.add(path, "unbounded-retry", message, "add limit: {attempt: {count: 3}}")
        self.condition(f"{path}/when", policy.when, known)
        self.condition(f"{path}/exceptWhen", policy.except_when, known)
        self.template(f"{path}/delay", policy.delay, known)
        self.template(f"{path}/limit/duration", policy.limit.duration, known)
        self.template(f"{path}/limit/attempt/duration", policy.limit.attempt.duration, known)
        if policy.jitter is not None:
            self.template(f"{path}/jitter/from", policy.jitter.from_, known)
            self.template(f"{path}/jitter/to", policy.jitter.to, known)

    def timeout(self, path: str, timeout: str | TimeoutSpec | None, known: frozenset[str]) -> None:
        if isinstance(timeout, str) and timeout not in self._document.use.timeouts:
            message = f"`use.timeouts` has no {timeout!r}"
            self.add(path, "unknown-name", message, "define it, or write {after: ...}")
        if isinstance(timeout, TimeoutSpec):
            self.template(f"{path}/after", timeout.after, known)

    def condition(self, path: str, text: str | None, known: Iterable[str]) -> None:
        if text is not None:
            self.expression(path, text, known)

    def template(self, path: str, value: Any, known: frozenset[str], *, bare: bool = False) -> None:
        """Check every expression in a value; `bare`: the text itself may go without `${ }`."""
        if isinstance(value, str):
            if bare or is_expression(value):
                self.expression(path, value, known)
            elif "${" in value:
                message = "an expression is a whole value, not a part of a text"
                fix = 'write "${ \\"text \\" + .value }"'
                self.add(path, "interpolation", message, fix)
        elif isinstance(value, dict):
            for name, member in value.items():
                self.template(f"{path}/{escape(name)}", member, known)
        elif isinstance(value, list):
            for index, element in enumerate(value):
                self.template(f"{path}/{index}", element, known)

    def expression(self, path: str, text: str, known: Iterable[str]) -> None:
        try:
            compile_check(text, known)
        except ExpressionError as exc:
            names = ", ".join(f"${name}" for name in sorted(known))
            self.add(path, "expression", str(exc), f"correct it; it sees {names}")


def _entries(tasks: Sequence[NamedTask], path: str) -> Iterable[tuple[NamedTask, str]]:
    return [(named, f"{path}/{index}/{named.name}") for index, named in enumerate(tasks)]
