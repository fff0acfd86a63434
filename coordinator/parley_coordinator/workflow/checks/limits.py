"""Nothing waits or tries for ever."""

from __future__ import annotations

from datetime import timedelta

from parley_coordinator.workflow.checks.report import Report
from parley_coordinator.workflow.checks.sites import Site
from parley_coordinator.workflow.fields import RetryPolicy
from parley_coordinator.workflow.findings import escape
from parley_coordinator.workflow.tasks import (
    PROTOCOL_TASKS,
    CallTask,
    ListenTask,
    RunTask,
    Task,
    TryTask,
)


def deadline(report: Report, site: Site) -> None:
    """A timeout of the whole workflow is none: what it ends is not said."""
    if site.limited:
        return
    who = _waits_for(site.task)
    if who:
        message = f"{who} has no deadline"
        report.add(site.path, "deadline", message, "add timeout: {after: {minutes: 5}}")


def _waits_for(task: Task) -> str:
    match task:
        case CallTask() if task.call.catalog:
            return f"the call of {'people' if task.call.asks_people else 'an agent'}"
        case ListenTask():
            return "the listen"
        case RunTask() if task.run.await_:
            return "the run of another workflow"
    if isinstance(task, PROTOCOL_TASKS):
        return f"the call over {task.call}"
    return ""


def document_retries(report: Report) -> None:
    for name, policy in report.document.use.retries.items():
        _policy(report, f"/use/retries/{escape(name)}", policy)


def retries(report: Report, site: Site) -> None:
    if not isinstance(site.task, TryTask):
        return
    catch, path = site.task.catch, f"{site.path}/catch"
    if isinstance(catch.retry, RetryPolicy):
        _policy(report, f"{path}/retry", catch.retry)
    known = catch.retry in report.document.use.retries if isinstance(catch.retry, str) else True
    if catch.retry is not None and known and catch.do is not None:
        message = "retry and do in one catch mean different things to different runtimes"
        fix = "retry in an inner try, handle in an outer one"
        report.add(f"{path}/do", "retry-and-do", message, fix, key=True)


def _policy(report: Report, path: str, policy: RetryPolicy) -> None:
    if policy.limit.attempt.count is None and policy.limit.duration is None:
        message = "the retries have no end"
        report.add(path, "unbounded-retry", message, "add limit: {attempt: {count: 3}}")
    growths = sorted(policy.backoff.model_fields_set)
    if len(growths) > 1:
        message = f"a backoff is either {' or '.join(growths)}"
        report.add(f"{path}/backoff", "retry-policy", message, "keep one of them")
    jitter = policy.jitter
    if jitter is None or not isinstance(jitter.from_, timedelta):
        return
    if isinstance(jitter.to, timedelta) and jitter.from_ > jitter.to:
        message = "the jitter begins above its end"
        report.add(f"{path}/jitter", "retry-policy", message, "exchange `from` and `to`")
