"""What branches may do that run at the same time."""

from __future__ import annotations

from parley_coordinator.workflow.checks.report import Report
from parley_coordinator.workflow.checks.sites import Site
from parley_coordinator.workflow.tasks import (
    CONTINUE,
    END,
    A2aTask,
    CallTask,
    EmitTask,
    ForkTask,
    HttpTask,
    ListenTask,
    McpTask,
    OpenApiTask,
    RunTask,
    SwitchTask,
)

_A2A_READS = ("tasks/get", "tasks/list", "tasks/resubscribe", "agent/getAuthenticatedExtendedCard")
_HTTP_READS = ("GET", "HEAD", "OPTIONS")


def branches(report: Report, site: Site) -> None:
    if not isinstance(site.task, ForkTask):
        return
    for index, named in enumerate(site.task.fork.branches):
        if named.task.then != CONTINUE or isinstance(named.task, SwitchTask):
            path = f"{site.path}/fork/branches/{index}/{named.name}"
            message = f"the branch {named.name!r} has nowhere to go to"
            report.add(path, "branch-flow", message, "put the tasks into a `do` of the branch")


def in_branch(report: Report, site: Site) -> None:
    """Hold a task inside of a branch to what concurrent branches may do."""
    if not site.in_branch:
        return
    task = site.task
    exports = [("export", task.export)]
    if isinstance(task, ListenTask) and task.foreach is not None:
        exports.append(("foreach/export", task.foreach.export))
    for where, export in exports:
        if export.as_ is not None:
            message = "a branch of a fork exports to the context, in no defined order"
            fix = "export from the fork: its output is the array of the branches' outputs"
            report.add(f"{site.path}/{where}", "export-in-fork", message, fix)
    thens = [("then", task.then)]
    if isinstance(task, SwitchTask):
        thens += [
            (f"switch/{index}/{named.name}/then", named.case.then)
            for index, named in enumerate(task.switch)
        ]
    for where, then in thens:
        if then == END:
            message = "a branch of a fork ends the workflow while others run"
            path = f"{site.path}/{where}"
            report.add(path, "end-in-fork", message, "use exit, or raise an error")


def in_race(report: Report, site: Site) -> None:
    """The branch that loses is stopped: what it has done by then stays done."""
    if not site.in_race or not _writes(report, site) or kept(site):
        return
    message = f"{site.name!r} may have acted when another branch wins, and stays done"
    fix = "let branches that compete read, wait and ask, and act after the fork; or say why it may"
    report.add(site.path, "race-writes", message, f"{fix}: metadata: {{keep: REASON}}")


def kept(site: Site) -> bool:
    """Tell whether the author says why an effect may stay."""
    reason = site.task.metadata.get("keep")
    return isinstance(reason, str) and bool(reason.strip())


def _writes(report: Report, site: Site) -> bool:
    match site.task:
        case CallTask():
            if not site.task.call.catalog or site.task.call.asks_people:
                return False
            function = report.function(site.task.call)
            return function is not None and function.effect != "read"
        case HttpTask():
            return site.task.with_.method.upper() not in _HTTP_READS
        case A2aTask():
            return site.task.with_.method not in _A2A_READS
        case McpTask():
            return bool(site.task.with_.method == "tools/call")
        case OpenApiTask() | RunTask() | EmitTask():
            return True
    return False
