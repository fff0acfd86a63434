"""What is called exists, takes what it is given, and does not call itself for ever."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from parley_coordinator.workflow.arguments import misfits
from parley_coordinator.workflow.catalog import AGENTS, HUMAN_TASK_FUNCTION, FunctionInfo
from parley_coordinator.workflow.checks.report import Report
from parley_coordinator.workflow.checks.sites import (
    BRANCHES,
    CATCH,
    FUNCTION,
    Site,
    called_by,
    callers_first,
)
from parley_coordinator.workflow.fields import PEOPLE, Function
from parley_coordinator.workflow.findings import OneOf, escape
from parley_coordinator.workflow.schemas import Schema
from parley_coordinator.workflow.tasks import (
    CONTINUE,
    CallTask,
    ForkTask,
    ForTask,
    ListenTask,
    RunTask,
)

LATEST: Final = "latest"
MAX_NESTED: Final = 16
"""So many functions deep a call may go."""


def catalogs(report: Report) -> None:
    for name in report.document.use.catalogs:
        path = f"/use/catalogs/{escape(name)}"
        message = f"the catalog {name[:60]!r} is not read: functions come from the registry"
        fix = f"remove it; @{AGENTS} and @{PEOPLE} need no declaration"
        report.add(path, "unknown-catalog", message, fix, key=True)


def functions(report: Report) -> None:
    """Check the functions of the document as such."""
    known = report.document.use.functions
    called = {name: set(called_by(task)) & known.keys() for name, task in known.items()}
    depths: dict[str, int] = {}
    for name in reversed(callers_first(known)):
        depths[name] = 1 + max((depths.get(each, MAX_NESTED) for each in called[name]), default=0)
    for name, task in known.items():
        path = f"/use/functions/{escape(name)}"
        if depths[name] > MAX_NESTED:
            message = f"the function {name!r} calls itself"
            if name not in _reachable(name, called):
                message = f"{name!r} calls functions that call others, more than {MAX_NESTED} deep"
            report.add(path, "recursion", message, "use `for`, or a `then` that goes back")
        if task.then != CONTINUE:
            message = f"the function {name!r} has nowhere to go to"
            report.add(f"{path}/then", "unknown-target", message, "put `then` to the call")


def _reachable(name: str, called: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    open_ = list(called[name])
    while open_:
        each = open_.pop()
        if each not in found:
            found.add(each)
            open_ += called[each]
    return found


def call(report: Report, site: Site) -> None:
    if not isinstance(site.task, CallTask):
        return
    task, path = site.task, f"{site.path}/call"
    if not task.call.catalog:
        _own_function(report, site, task)
        return
    function = _function(report, path, task.call)
    if function is not None and function.input_schema is not None:
        label = f"{function.name}:{function.version}"
        schema = report.schema(function.input_schema)
        if schema is not None:
            _arguments(report, site, task, label, schema)


def _own_function(report: Report, site: Site, task: CallTask) -> None:
    known = report.document.use.functions
    function = known.get(task.call.name)
    if function is None:
        message = f"`use.functions` has no {task.call.name!r}"
        fix: str | OneOf = f"define it, or write NAME:VERSION@{AGENTS}"
        if known:
            fix = OneOf(
                task.call.name, known, otherwise=f"define it, write NAME:VERSION@{AGENTS}, or "
            )
        report.add(f"{site.path}/call", "unknown-function", message, fix)
    elif function.input.schema_ is not None:
        _arguments(report, site, task, task.call.name, function.input.schema_)


def _arguments(report: Report, site: Site, task: CallTask, label: str, schema: Schema) -> None:
    for misfit in misfits(task.with_, label, schema, report.patience):
        where = f"{site.path}/with{misfit.path}"
        report.add(where, misfit.rule, misfit.message, misfit.fix, key=misfit.at_key)


def _function(report: Report, path: str, wanted: Function) -> FunctionInfo | None:
    if wanted.catalog == PEOPLE:
        versions = [HUMAN_TASK_FUNCTION] if wanted.asks_people else []
    elif wanted.catalog == AGENTS:
        versions = list(report.world.functions.get(wanted.name, []))
    else:
        message = f"there is no catalog {wanted.catalog!r}"
        report.add(path, "unknown-catalog", message, f"use @{AGENTS} or @{PEOPLE}")
        return None
    if not versions:
        message = f"no agent has the skill {wanted.name!r}"
        if wanted.catalog == PEOPLE:
            message = f"the catalog {PEOPLE} has no function {wanted.name!r}"
        report.add(path, "unknown-function", message, "correct the name, or register its agent")
        return None
    found = report.function(wanted)
    if found is None:
        known = sorted({each.version for each in versions})
        message = f"{wanted.name!r} has no version {wanted.version}"
        report.add(path, "unknown-version", message, OneOf(wanted.version, known))
    return found


def run(report: Report, site: Site) -> None:
    """Check the run of another workflow."""
    if not isinstance(site.task, RunTask):
        return
    wanted, path = site.task.run.workflow, f"{site.path}/run/workflow"
    document = report.document
    own = (wanted.namespace, wanted.name) == (document.namespace, document.name)
    itself = own and wanted.version in (document.version, LATEST)
    if itself:
        if site.task.run.await_ and _always(report, site):
            message = "the workflow always runs itself and waits for it"
            fix = "run it under a condition: a switch that may pass it by"
            report.add(path, "recursion", message, fix)
        return
    if report.world.workflows is None:
        return
    versions = report.world.workflows.get(wanted.name)
    if versions is None and not own:
        message = f"there is no workflow {wanted.name!r}"
        report.add(f"{path}/name", "unknown-workflow", message, "correct the name, or deploy it")
    elif wanted.version != LATEST and wanted.version not in (versions or ()):
        message = f"{wanted.name!r} has no version {wanted.version}"
        known = sorted(versions or (LATEST,))
        report.add(f"{path}/version", "unknown-version", message, OneOf(wanted.version, known))


def _always(report: Report, site: Site) -> bool:
    """Tell whether every run that does not fail comes to this task."""
    here: Site | None = site
    while here is not None:
        if here.slot == FUNCTION or here.task.if_ is not None or here.slot in (CATCH, "foreach/do"):
            return False
        parent = here.parent
        if parent is not None and isinstance(parent.task, ForTask | ListenTask):
            return False
        if here.slot == BRANCHES:
            if parent and isinstance(parent.task, ForkTask) and parent.task.fork.compete:
                return False
        elif not report.sites.unavoidable(here):
            return False
        here = parent
    return True
