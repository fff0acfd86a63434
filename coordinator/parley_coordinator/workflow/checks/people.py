"""Questions to people can be answered, and nobody approves what they asked for themselves."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from parley_coordinator.workflow.checks.report import Report
from parley_coordinator.workflow.checks.sites import Site
from parley_coordinator.workflow.expressions import body_of, is_expression
from parley_coordinator.workflow.tasks import CallTask

REQUESTER: Final = "requester"
"""The role that may start runs."""
_REQUESTED_BY: Final = "$workflow.requestedBy"


def question(report: Report, site: Site) -> None:
    task = site.task
    if not isinstance(task, CallTask) or not task.call.asks_people:
        return
    given = task.with_ if isinstance(task.with_, dict) else {}
    _eligible(report, f"{site.path}/with/candidates", given)
    _approval(report, site, given)


def _eligible(report: Report, path: str, given: Mapping[str, Any]) -> None:
    candidates = given.get("candidates")
    if not isinstance(candidates, list) or not candidates:
        return
    excluded = _literals(given.get("excludeActors"))
    people = report.world.people
    subjects: set[str] = set()
    open_ended = False
    for index, candidate in enumerate(candidates):
        kind, _, name = candidate.partition(":") if isinstance(candidate, str) else ("", "", "")
        if kind == "user" and not is_expression(candidate):
            subjects.add(name)
        elif kind == "role" and people is not None:
            if name not in people:
                message = f"nobody can have the role {name[:60]!r}"
                fix = f"use one of: {', '.join(sorted(people)) or 'none'}"
                report.add(f"{path}/{index}", "unknown-role", message, fix)
                open_ended = True
            subjects |= set(people.get(name, ()))
        else:
            open_ended = True
    if open_ended:
        return
    left = subjects - excluded
    if not left:
        message = "nobody is left who may answer"
        report.add(path, "nobody-eligible", message, "add a candidate who is not excluded")
    elif len(left) == 1 and _excludes_requester(given) and _may_start(left, people):
        message = f"only {min(left)!r} may answer, and nobody may when they started the run"
        report.add(path, "nobody-eligible", message, "add another candidate")


def _may_start(subjects: set[str], people: Mapping[str, Collection[str]] | None) -> bool:
    return people is not None and subjects <= set(people.get(REQUESTER, ()))


def _literals(excluded: Any) -> set[str]:
    elements = excluded if isinstance(excluded, list) else []
    return {each for each in elements if isinstance(each, str) and not is_expression(each)}


def _excludes_requester(given: Mapping[str, Any]) -> bool:
    excluded = given.get("excludeActors")
    elements = excluded if isinstance(excluded, list) else [excluded]
    return any(
        isinstance(each, str) and is_expression(each) and _REQUESTED_BY in body_of(each)
        for each in elements
    )


def _approval(report: Report, site: Site, given: Mapping[str, Any]) -> None:
    """A question whose proposal names a writing call that follows is an approval of it."""
    proposal = given.get("proposal")
    action = proposal.get("action") if isinstance(proposal, dict) else None
    if not isinstance(action, str) or _excludes_requester(given):
        return
    call = report.sites.call_after(site, action)
    function = None if call is None else report.function(call.call)
    if function is not None and function.effect == "write":
        message = f"whoever started the run may approve its {function.name!r}"
        fix = f'exclude them: excludeActors: ["${{ {_REQUESTED_BY} }}"]'
        report.add(f"{site.path}/with", "self-approval", message, fix)
