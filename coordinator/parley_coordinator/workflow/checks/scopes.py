"""Expressions see only what is in scope where they stand; names do not hide each other."""

from __future__ import annotations

from typing import Any

from parley_coordinator.workflow.checks.report import BODY, RUN, TASK, Report
from parley_coordinator.workflow.checks.sites import CATCH, Site, variables_of
from parley_coordinator.workflow.events import EventFilter, Strategy
from parley_coordinator.workflow.expressions import VARIABLES, mentions
from parley_coordinator.workflow.fields import RetryPolicy, TimeoutSpec
from parley_coordinator.workflow.findings import escape
from parley_coordinator.workflow.tasks import (
    PROTOCOL_TASKS,
    CallTask,
    EmitTask,
    ForTask,
    ListenTask,
    RaiseTask,
    RunTask,
    SetTask,
    SwitchTask,
    TryTask,
    WaitTask,
)

_HIDDEN = frozenset((*VARIABLES, "ENV", "__loc__", "__prog_args"))


def document_scopes(report: Report) -> None:
    document = report.document
    report.template("/input/from", document.input_from, RUN, bare=True)
    report.template("/output/as", document.output_as, RUN | {"context"}, bare=True)
    _timeout(report, "/timeout", document.timeout, RUN)
    for name, spec in document.use.timeouts.items():
        _timeout(report, f"/use/timeouts/{escape(name)}", spec, BODY)
    for name, policy in document.use.retries.items():
        _retry_scopes(report, f"/use/retries/{escape(name)}", policy, BODY | {"error"})
    for name, error in document.use.errors.items():
        path = f"/use/errors/{escape(name)}"
        report.template(path, error.model_dump(exclude_none=True), BODY)
    for name, authentication in document.use.authentications.items():
        path = f"/use/authentications/{escape(name)}"
        given = authentication.model_dump(mode="json", by_alias=True, exclude_unset=True)
        report.template(path, given, BODY, private=(path,))


def scopes(report: Report, site: Site) -> None:
    """Check the expressions of one task, those of tasks inside excepted."""
    path, task = site.path, site.task
    before, body = TASK | site.variables, BODY | site.variables
    report.condition(f"{path}/if", task.if_, before)
    private = (f"{path}/input/from",) if isinstance(task, PROTOCOL_TASKS) else ()
    report.template(f"{path}/input/from", task.input.from_, before, bare=True, private=private)
    secret = bool(private) and mentions(task.input.from_, "secrets")
    _handed_on(report, f"{path}/output/as", task.output.as_, body, secret=secret)
    _handed_on(report, f"{path}/export/as", task.export.as_, body | {"output"}, secret=secret)
    _timeout(report, f"{path}/timeout", task.timeout, body)
    _kind(report, site, body)


def _handed_on(
    report: Report, path: str, template: Any, known: frozenset[str], *, secret: bool
) -> None:
    """Check `as`.

    Args:
        secret: Whether the transformed input holds secrets.
    """
    if secret and mentions(template, "input"):
        message = "$input holds a secret here: what is handed on is written down"
        report.add(path, "secret", message, "use `.`, or $task.input, which is before `input.from`")
        return
    report.template(path, template, known, bare=True)


def _kind(report: Report, site: Site, body: frozenset[str]) -> None:
    path, task = site.path, site.task
    match task:
        case CallTask():
            report.template(f"{path}/with", task.with_, body)
        case EmitTask():
            report.template(f"{path}/emit/event/with", task.emit.event.with_, body)
        case ForTask():
            report.template(f"{path}/for/in", task.for_.in_, body, bare=True)
            loop = body | variables_of(task, "do")
            report.condition(f"{path}/while", task.while_, loop)
            names = [("for/each", task.for_.each, True)]
            names.append(("for/at", task.for_.at, "at" in task.for_.model_fields_set))
            _names(report, site, names)
        case ListenTask():
            strategy_scopes(report, f"{path}/listen/to", task.listen.to, body)
            _foreach(report, site, task, body)
        case RaiseTask():
            _raised(report, f"{path}/raise/error", task, body)
        case RunTask():
            report.template(f"{path}/run/workflow/input", task.run.workflow.input, body)
        case SetTask():
            report.template(f"{path}/set", task.set, body)
        case SwitchTask():
            for index, named in enumerate(task.switch):
                here = f"{path}/switch/{index}/{named.name}/when"
                report.condition(here, named.case.when, body)
        case TryTask():
            _tried(report, site, task, body)
        case WaitTask():
            report.template(f"{path}/wait", task.wait, body)


def strategy_scopes(report: Report, path: str, strategy: Strategy, known: frozenset[str]) -> None:
    """Check the expressions of what ends a listen."""
    for where, each in filters_of(strategy, path):
        report.template(f"{where}/with", each.with_, known)
        for name, correlation in each.correlate.items():
            here = f"{where}/correlate/{escape(name)}"
            report.condition(f"{here}/from", correlation.from_, known)
            report.template(f"{here}/expect", correlation.expect, known)
    if isinstance(strategy.until, str):
        report.condition(f"{path}/until", strategy.until, known)
    elif strategy.until is not None:
        strategy_scopes(report, f"{path}/until", strategy.until, known)


def filters_of(strategy: Strategy, path: str) -> list[tuple[str, EventFilter]]:
    if strategy.one is not None:
        return [(f"{path}/one", strategy.one)]
    kind = "all" if strategy.all is not None else "any"
    return [(f"{path}/{kind}/{index}", each) for index, each in enumerate(strategy.filters)]


def _foreach(report: Report, site: Site, task: ListenTask, body: frozenset[str]) -> None:
    each, path = task.foreach, f"{site.path}/foreach"
    if each is None:
        return
    known = body | variables_of(task, "foreach/do")
    report.template(f"{path}/output/as", each.output.as_, known, bare=True)
    report.template(f"{path}/export/as", each.export.as_, known | {"output"}, bare=True)
    names = [("foreach/item", each.item, True)]
    names.append(("foreach/at", each.at, "at" in each.model_fields_set))
    _names(report, site, names)


def _raised(report: Report, path: str, task: RaiseTask, body: frozenset[str]) -> None:
    spec = task.raise_.error
    if isinstance(spec, str):
        if spec not in report.document.use.errors:
            message = f"`use.errors` has no {spec[:60]!r}"
            report.add(path, "unknown-name", message, "define it, or write the error here")
        return
    report.template(path, spec.model_dump(exclude_none=True), body)


def _tried(report: Report, site: Site, task: TryTask, body: frozenset[str]) -> None:
    catch, path = task.catch, f"{site.path}/catch"
    _names(report, site, [("catch/as", catch.as_, catch.as_ != "error")])
    known = body | variables_of(task, CATCH)
    report.condition(f"{path}/when", catch.when, known)
    report.condition(f"{path}/exceptWhen", catch.except_when, known)
    if isinstance(catch.retry, RetryPolicy):
        _retry_scopes(report, f"{path}/retry", catch.retry, known)
    elif catch.retry is not None and catch.retry not in report.document.use.retries:
        message = f"`use.retries` has no {catch.retry[:60]!r}"
        report.add(f"{path}/retry", "unknown-name", message, "define it")


def _retry_scopes(report: Report, path: str, policy: RetryPolicy, known: frozenset[str]) -> None:
    report.condition(f"{path}/when", policy.when, known)
    report.condition(f"{path}/exceptWhen", policy.except_when, known)
    report.template(f"{path}/delay", policy.delay, known)
    report.template(f"{path}/limit/duration", policy.limit.duration, known)
    report.template(f"{path}/limit/attempt/duration", policy.limit.attempt.duration, known)
    if policy.jitter is not None:
        report.template(f"{path}/jitter/from", policy.jitter.from_, known)
        report.template(f"{path}/jitter/to", policy.jitter.to, known)


def _timeout(
    report: Report, path: str, timeout: str | TimeoutSpec | None, known: frozenset[str]
) -> None:
    if isinstance(timeout, str) and timeout not in report.document.use.timeouts:
        message = f"`use.timeouts` has no {timeout[:60]!r}"
        report.add(path, "unknown-name", message, "define it, or write {after: ...}")
    if isinstance(timeout, TimeoutSpec):
        report.template(f"{path}/after", timeout.after, known)


def _names(report: Report, site: Site, names: list[tuple[str, str, bool]]) -> None:
    """Report names that hide others.

    Args:
        names: Where each stands below the task, what it is, and whether it may hide nothing of
            what surrounds it; the names that a document does not write (`index`, `error`) may.
    """
    seen: set[str] = set()
    for where, name, own in names:
        hidden = name in _HIDDEN or name in seen or (own and name in site.variables)
        if hidden:
            message = f"the name {name!r} hides ${name}"
            report.add(f"{site.path}/{where}", "variable-name", message, "choose another name")
        seen.add(name)
