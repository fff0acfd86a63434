"""What must hold before a document runs, beyond its shape; docs/workflow-language.md lists the rules."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from typing import Final, TypeAlias

from parley_coordinator.workflow.catalog import Catalog, FunctionInfo
from parley_coordinator.workflow.checks import (
    calls,
    events,
    forks,
    limits,
    people,
    protocols,
    scopes,
    undo,
)
from parley_coordinator.workflow.checks.dataflow import data_flow
from parley_coordinator.workflow.checks.programs import Compiles
from parley_coordinator.workflow.checks.report import EnoughError, Report, World
from parley_coordinator.workflow.checks.sites import Site, task_lists
from parley_coordinator.workflow.document import Document
from parley_coordinator.workflow.findings import Finding, with_rest
from parley_coordinator.workflow.flow import flow_problems

__all__ = ["Catalog", "FunctionInfo", "check"]


def check(
    document: Document,
    catalog: Catalog,
    *,
    file: str,
    compiles: Compiles | None = None,
    workflows: Mapping[str, Collection[str]] | None = None,
    people: Mapping[str, Collection[str]] | None = None,
) -> list[Finding]:
    """Prove what can be proved; return every reason why the document must not run.

    Args:
        file: Name of the document in messages.
        compiles: Says what is wrong with a jq program; by default it is compiled in this process.
        workflows: The versions of every workflow that can be run, by name; None: not known.
        people: The subjects that hold each role; None: not known.

    Returns:
        In the order of the text; empty if the document may run. Of very many not all, and one more
        says so.
    """
    del file
    world = World(functions=catalog.functions(), workflows=workflows, people=people)
    report = Report(document, world, compiles=compiles)
    with contextlib.suppress(EnoughError):
        for of_document in _OF_DOCUMENT:
            of_document(report)
        for site in report.sites.all:
            for of_task in _OF_TASK:
                of_task(report, site)
    found = sorted(report.found, key=lambda each: (each.line, each.column, each.path, each.rule))
    return with_rest(found)


def _label(report: Report, site: Site) -> None:
    if site.parent is None and site.slot == "do" and not site.task.label:
        message = f"{site.name!r} has no label for readers"
        report.add(site.path, "label", message, "add metadata: {label: ...}")


def _flow(report: Report) -> None:
    for path, tasks in task_lists(report.document, report.sites.all):
        for problem in flow_problems(tasks):
            report.add(f"{path}/{problem.step}", problem.rule, problem.message, problem.fix)


_DocumentRule: TypeAlias = Callable[[Report], None]
_TaskRule: TypeAlias = Callable[[Report, Site], None]

_OF_DOCUMENT: Final[tuple[_DocumentRule, ...]] = (
    scopes.document_scopes,
    protocols.document_authentications,
    limits.document_retries,
    calls.catalogs,
    calls.functions,
    events.schedule,
    _flow,
    data_flow,
)
_OF_TASK: Final[tuple[_TaskRule, ...]] = (
    _label,
    scopes.scopes,
    limits.deadline,
    limits.retries,
    calls.call,
    calls.run,
    protocols.protocol,
    forks.branches,
    forks.in_branch,
    forks.in_race,
    events.events,
    people.question,
    undo.undo_call,
    undo.handler,
    undo.undoable,
)
"""A new rule is a function in the module of its family, a line here, and one in the page."""
