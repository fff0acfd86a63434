"""Whether the names in a case are of anything in the workflow: a misspelt one would never be used."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from parley_coordinator.rehearsing.cases import SECTIONS, Case
from parley_coordinator.rehearsing.cast import ANYBODY
from parley_coordinator.rehearsing.expect import CallSpec
from parley_coordinator.workflow.checks.sites import Site, sites
from parley_coordinator.workflow.document import Document
from parley_coordinator.workflow.fields import HUMAN_TASK
from parley_coordinator.workflow.findings import Finding, escape
from parley_coordinator.workflow.tasks import PROTOCOL_TASKS, CallTask, RunTask

_FEW = 8


@dataclass
class _Names:
    """What a case may name, by section."""

    tasks: set[str] = field(default_factory=set)
    callees: set[str] = field(default_factory=set)
    """Skills, protocols and workflows."""
    answers: dict[str, set[str]] = field(default_factory=lambda: {each: set() for each in SECTIONS})


def name_findings(case: Case, document: Document) -> Iterator[Finding]:
    """Yield each name that means nothing; not those that the file gives to all of its cases."""
    known = _names(document)
    for path, kind, name in _mentioned(case):
        names = _meant(known, kind)
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            some = ", ".join(sorted(names)[:_FEW]) or "none"
            fix = f"did you mean {close[0]!r}?" if close else f"use one of: {some}"
            message = f"the workflow has no {kind.rstrip('s')} {name[:60]!r}"
            if kind in SECTIONS:
                message = f"nothing in the workflow asks {name[:60]!r} among its {kind}"
            yield case.positions.finding(
                case.path + path, "name", message, fix, key=kind in SECTIONS
            )


def _meant(known: _Names, kind: str) -> set[str]:
    match kind:
        case "tasks":
            return known.tasks
        case "calls":
            return known.callees
        case "calls or tasks":
            return known.callees | known.tasks
    return known.answers[kind]


def _mentioned(case: Case) -> Iterator[tuple[str, str, str]]:
    """Yield where a name stands, what it is to be of, and the name."""
    for section in SECTIONS:
        for name in getattr(case.given, section):
            if (section, name) not in case.shared and (section, name) != ("people", ANYBODY):
                yield f"/{section}/{escape(name)}", section, name
    expect = case.expect
    for index, name in enumerate(expect.tasks or ()):
        yield f"/expect/tasks/{index}", "tasks", name
    for index, name in enumerate(expect.not_called):
        yield f"/expect/notCalled/{index}", "calls or tasks", name
    for index, asked in enumerate(expect.asked or ()):
        if asked.task is not None:
            yield f"/expect/asked/{index}/task", "tasks", asked.task
    for index, call in enumerate(expect.calls or ()):
        if isinstance(call, str):
            yield f"/expect/calls/{index}", "calls", call
        else:
            yield from _of_call(f"/expect/calls/{index}", call)


def _of_call(path: str, call: CallSpec) -> Iterator[tuple[str, str, str]]:
    for key in ("skill", "protocol", "workflow"):
        name = getattr(call, key)
        if name is not None:
            yield f"{path}/{key}", "calls", name
    if call.task is not None:
        yield f"{path}/task", "tasks", call.task


def _names(document: Document) -> _Names:
    found = sites(document)
    known = _Names(tasks={site.name for site in found})
    callers = _callers(found)
    for site in found:
        section, callee = _section(site)
        if section:
            known.callees.add(callee)
            known.answers[section] |= {site.name, *callers.get(site.name, ())}
            if section in ("agents", "workflows"):
                known.answers[section].add(callee)
    return known


def _section(site: Site) -> tuple[str, str]:
    """Return where the answers to a task stand, and whom it calls; empty if it calls nobody."""
    task = site.task
    if isinstance(task, PROTOCOL_TASKS):
        return "protocols", task.call
    if isinstance(task, RunTask):
        return "workflows", task.run.workflow.name
    if isinstance(task, CallTask) and task.call.catalog:
        return ("people", HUMAN_TASK) if task.call.asks_people else ("agents", task.call.name)
    return "", ""


def _callers(found: list[Site]) -> Mapping[str, set[str]]:
    """Return by function the tasks that call it, directly or through other functions."""
    callers: dict[str, set[str]] = {}
    for site in found:
        task = site.task
        if isinstance(task, CallTask) and not task.call.catalog:
            callers.setdefault(task.call.name, set()).add(site.name)
    for _ in callers:
        for name, direct in callers.items():
            callers[name] = direct.union(*(callers.get(each, ()) for each in direct))
    return callers
