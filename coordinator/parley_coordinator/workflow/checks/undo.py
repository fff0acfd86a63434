"""Undo calls have the shape that the engine knows, and what can be undone is, or is kept on purpose.

In `catch.do`, a call with `metadata.compensates: NAME` undoes the call NAME of the `try` beside it.
"""

from __future__ import annotations

from parley_coordinator.workflow.catalog import AGENTS
from parley_coordinator.workflow.checks.forks import kept
from parley_coordinator.workflow.checks.report import Report
from parley_coordinator.workflow.checks.sites import BRANCHES, CATCH, FUNCTION, Site
from parley_coordinator.workflow.tasks import (
    PROTOCOL_TASKS,
    CallTask,
    ForTask,
    ListenTask,
    Task,
    TryTask,
)

RULE = "compensation"


def undo_call(report: Report, site: Site) -> None:
    """Check the shape of one undo call."""
    given = site.task.metadata.get("compensates")
    if given is None:
        return
    path, name = f"{site.path}/metadata/compensates", site.task.compensates
    if not name:
        report.add(path, RULE, "what it undoes is no name", "write the name of a call")
        return
    if not _is_effect(site.task):
        message = "an undo is a call of an agent or over a protocol"
        report.add(path, RULE, message, "call the skill that undoes it")
        return
    owner = site.parent
    if any(each.slot == FUNCTION for each in (site, *site.around)):
        message = "an undo call inside of a function is not known as one"
        report.add(
            path, RULE, message, "put the `try` and its `catch` where the function is called"
        )
        return
    if owner is None or site.slot != CATCH or not isinstance(owner.task, TryTask):
        message = "an undo call stands in `catch.do`, beside the `try` of what it undoes"
        report.add(path, RULE, message, "move it there")
        return
    found = report.sites.tried(owner).get(name, [])
    if len(found) > 1:
        message = f"more than one task of the `try` is called {name[:60]!r}"
        report.add(path, RULE, message, "name them otherwise")
    elif not found or not _is_effect(found[0].task):
        message = f"the `try` has no call {name[:60]!r}"
        report.add(path, RULE, message, "name a call of an agent or over a protocol")
    else:
        _fits(report, path, site, found[0], owner)


def _fits(report: Report, path: str, site: Site, undone: Site, owner: Site) -> None:
    loop = next(
        (each for each in undone.around if isinstance(each.task, ForTask | ListenTask)), None
    )
    if loop is not None and loop.inside(owner) == "try":
        message = f"{undone.name!r} runs once for each element, and one call undoes the last alone"
        report.add(path, RULE, message, "put a `try` with the undo call into the loop")
        return
    known = report.function(undone.task.call) if isinstance(undone.task, CallTask) else None
    own = site.task.call if isinstance(site.task, CallTask) else None
    if known is not None and known.undo and own is not None and own.name != known.undo:
        message = f"{known.name!r} is undone by {known.undo!r}, not by {own.name!r}"
        report.add(f"{site.path}/call", RULE, message, f"call {known.undo}:VERSION@{AGENTS}")


def handler(report: Report, site: Site) -> None:
    """Undo calls stand in the reverse order of what they undo, each once."""
    if not isinstance(site.task, TryTask) or site.task.catch.do is None:
        return
    tried = report.sites.tried(site)
    order = {name: report.sites.place(found[-1]) for name, found in tried.items()}
    done: dict[str, None] = {}
    lowest = len(report.sites.all)
    for index, named in enumerate(site.task.catch.do):
        name = named.task.compensates
        if name not in order:
            continue
        path = f"{site.path}/{CATCH}/{index}/{named.name}/metadata/compensates"
        if name in done:
            report.add(path, RULE, f"{name!r} is undone twice", "remove one of the undo calls")
            continue
        if lowest < order[name]:
            late = next(each for each in done if order[each] < order[name])
            if not _concurrent(tried[late][-1], tried[name][-1]):
                message = f"{name!r} comes after {late!r}, so it is to be undone before it"
                report.add(path, RULE, message, "undo in the reverse order")
        done[name] = None
        lowest = min(lowest, order[name])


def undoable(report: Report, site: Site) -> None:
    """Check that an effect is undone, or kept on purpose, when something after it fails."""
    task = site.task
    reason = task.metadata.get("keep")
    if reason is not None and not kept(site):
        report.add(f"{site.path}/metadata/keep", RULE, "`keep` says why", "write the reason")
    if not isinstance(task, CallTask) or task.call.catalog != AGENTS or task.compensates:
        return
    function = report.function(task.call)
    if function is None or not function.undo or kept(site) or reason is not None:
        return
    later = report.sites.following.first(site, report.failing)
    if later is None or any(_undoes(report, around, site) for around in site.around):
        return
    message = f"if {later.name!r} fails, what {site.name!r} did stays done"
    fix = (
        f"put both into a try whose catch.do calls {function.undo} with metadata: "
        f"{{compensates: {site.name}}}, or say why not: metadata: {{keep: REASON}}"
    )
    report.add(site.path, RULE, message, fix)


def _undoes(report: Report, owner: Site, site: Site) -> bool:
    """Tell whether a try undoes a task of its list, whatever error comes."""
    task = owner.task
    if not isinstance(task, TryTask) or not site.is_tried(owner):
        return False
    catch = task.catch
    takes_all = not catch.errors.with_.wanted() and catch.when is None and catch.except_when is None
    return takes_all and site.name in report.undone(owner)


def _concurrent(one: Site, other: Site) -> bool:
    """Tell whether they are in different branches of one fork."""
    paths = {each.parent: each for each in (one, *one.around) if each.slot == BRANCHES}
    return any(
        each.slot == BRANCHES and each.parent in paths and paths[each.parent] is not each
        for each in (other, *other.around)
    )


def _is_effect(task: Task) -> bool:
    if isinstance(task, CallTask):
        return task.call.catalog == AGENTS
    return isinstance(task, PROTOCOL_TASKS)
