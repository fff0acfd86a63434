"""Every task of a document with what holds where it stands, callers before what they call."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from parley_coordinator.workflow.checks.following import Following, Marks
from parley_coordinator.workflow.document import Document
from parley_coordinator.workflow.fields import RetryPolicy
from parley_coordinator.workflow.findings import escape
from parley_coordinator.workflow.flow import unavoidable, ways_of
from parley_coordinator.workflow.tasks import (
    CallTask,
    DoTask,
    ForkTask,
    ForTask,
    ListenTask,
    NamedTask,
    Task,
    TryTask,
)

CATCH: Final = "catch/do"
BRANCHES: Final = "fork/branches"
FUNCTION: Final = "functions"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Site:
    """One task where it stands."""

    path: str
    name: str
    task: Task
    index: int
    """In its list."""
    siblings: Sequence[NamedTask]
    """The list, itself included."""
    slot: str
    """Under which key of its parent the list is: `do`, `try`, `catch/do`, `fork/branches`,
    `foreach/do`, or `functions`."""
    parent: Site | None
    variables: frozenset[str] = frozenset()
    """Names of loops and caught errors around it."""
    limited: bool = False
    """It or a task around it has a timeout."""
    in_branch: bool = False
    in_race: bool = False
    """In a branch of a fork that competes."""

    def is_tried(self, owner: Site) -> bool:
        """Tell whether it stands in the `try` of `owner`, and in no handler inside of that."""
        here: Site | None = self
        while here is not None and here.slot != CATCH:
            if here.parent is owner:
                return here.slot == "try"
            here = here.parent
        return False

    @property
    def around(self) -> Iterator[Site]:
        """The tasks around it, from the inside out."""
        site = self.parent
        while site is not None:
            yield site
            site = site.parent

    def inside(self, other: Site) -> str:
        """Return the slot of `other` that it stands in, at any depth; empty: in none."""
        site: Site | None = self
        while site is not None:
            if site.parent is other:
                return site.slot
            site = site.parent
        return ""


@dataclass(frozen=True, slots=True)
class _Around:
    parent: Site | None = None
    variables: frozenset[str] = frozenset()
    limited: bool = False
    in_branch: bool = False
    in_race: bool = False


def sites(document: Document) -> list[Site]:
    """Return every task: those of `do` in the order of the text, then functions.

    A function stands where it is called: in a branch if any call is, with a deadline if each has.
    """
    found: list[Site] = []
    calls: defaultdict[str, list[Site]] = defaultdict(list)

    def take(some: Iterator[Site]) -> None:
        for site in some:
            found.append(site)
            calls[_calls(site.task)].append(site)

    take(_list(document, document.tasks, "/do", "do", _Around()))
    functions = document.use.functions
    for name in callers_first(functions):
        callers = calls[name]
        around = _Around(
            limited=bool(callers) and all(site.limited for site in callers),
            in_branch=any(site.in_branch for site in callers),
            in_race=any(site.in_race for site in callers),
        )
        named = NamedTask(name, functions[name], {})
        path = f"/use/functions/{escape(name)}"
        take(_task(document, (named,), 0, path, FUNCTION, around))
    return found


def task_lists(document: Document, found: list[Site]) -> Iterator[tuple[str, Sequence[NamedTask]]]:
    """Yield every list of tasks that run one after the other, with its path."""
    yield "/do", document.tasks
    for site in found:
        for slot, tasks in lists_of(site.task):
            if slot != BRANCHES:
                yield f"{site.path}/{slot}", tasks


def lists_of(task: Task) -> list[tuple[str, Sequence[NamedTask]]]:
    """Return the lists inside a task by slot, in the order of the text."""
    match task:
        case DoTask() | ForTask():
            return [("do", task.do)]
        case ForkTask():
            return [(BRANCHES, task.fork.branches)]
        case TryTask():
            handler = task.catch.do
            return [("try", task.try_), *([] if handler is None else [(CATCH, handler)])]
        case ListenTask() if task.foreach is not None and task.foreach.do is not None:
            return [("foreach/do", task.foreach.do)]
    return []


Functions: TypeAlias = Mapping[str, Task]


def callers_first(functions: Functions) -> list[str]:
    """Return the functions in an order in which each comes after those that call it.

    Functions that call themselves in a circle come last.
    """
    called = {name: set(called_by(task)) & functions.keys() for name, task in functions.items()}
    callers = Counter(each for names in called.values() for each in names)
    order = [name for name in functions if not callers[name]]
    for name in order:
        for each in called[name]:
            callers[each] -= 1
            if not callers[each]:
                order.append(each)
    free = set(order)
    return [*order, *(name for name in functions if name not in free)]


def called_by(task: Task) -> Iterator[str]:
    """Yield the functions of the document that a task calls, at any depth."""
    own = _calls(task)
    if own:
        yield own
    for _slot, tasks in lists_of(task):
        for named in tasks:
            yield from called_by(named.task)


def _calls(task: Task) -> str:
    return task.call.name if isinstance(task, CallTask) and not task.call.catalog else ""


def _list(
    document: Document, tasks: Sequence[NamedTask], path: str, slot: str, around: _Around
) -> Iterator[Site]:
    for index, named in enumerate(tasks):
        here = f"{path}/{index}/{escape(named.name)}"
        yield from _task(document, tasks, index, here, slot, around)


def _task(
    document: Document,
    siblings: Sequence[NamedTask],
    index: int,
    path: str,
    slot: str,
    around: _Around,
) -> Iterator[Site]:
    named = siblings[index]
    site = Site(
        path=path,
        name=named.name,
        task=named.task,
        index=index,
        siblings=siblings,
        slot=slot,
        parent=around.parent,
        variables=around.variables,
        limited=around.limited or named.task.timeout is not None,
        in_branch=around.in_branch,
        in_race=around.in_race,
    )
    yield site
    inner = replace(around, parent=site, limited=site.limited)
    for key, tasks in lists_of(named.task):
        scope = _within(document, named.task, key, inner)
        yield from _list(document, tasks, f"{path}/{key}", key, scope)


def _within(document: Document, task: Task, slot: str, around: _Around) -> _Around:
    names = around.variables | variables_of(task, slot)
    found = replace(around, variables=names)
    match task:
        case ForkTask():
            race = around.in_race or task.fork.compete
            return replace(found, in_branch=True, in_race=race)
        case TryTask() if slot == "try":
            policy = task.catch.retry
            if isinstance(policy, str):
                policy = document.use.retries.get(policy)
            attempt = policy.limit.attempt.duration if isinstance(policy, RetryPolicy) else None
            return replace(found, limited=around.limited or attempt is not None)
    return found


def variables_of(task: Task, slot: str) -> frozenset[str]:
    """Return the names that a task makes known in one of its lists."""
    match task:
        case ForTask():
            return frozenset((task.for_.each, task.for_.at))
        case ListenTask() if task.foreach is not None:
            return frozenset((task.foreach.item, task.foreach.at))
        case TryTask() if slot == CATCH:
            return frozenset((task.catch.as_, "error"))
    return frozenset()


class Sites:
    """All of them, in the order of `sites`."""

    def __init__(self, document: Document) -> None:
        self.all = sites(document)
        self.following = Following(self.all, branches=BRANCHES, function=FUNCTION)
        self._place = {site: place for place, site in enumerate(self.all)}
        self._unavoidable: dict[tuple[Site | None, str], set[int]] = {}
        self._calls: defaultdict[str, list[Site]] = defaultdict(list)
        self._called: dict[str, Marks] = {}
        self._tried: dict[Site, Mapping[str, list[Site]]] = {}
        for site in self.all:
            if isinstance(site.task, CallTask):
                self._calls[str(site.task.call)].append(site)

    def call_after(self, site: Site, function: str) -> CallTask | None:
        """Return a call of a function, `name:version@catalog`, that may follow a task."""
        if function not in self._calls:
            return None
        if function not in self._called:
            self._called[function] = Marks(self._calls[function])
        found = self.following.first(site, self._called[function])
        return found.task if found is not None and isinstance(found.task, CallTask) else None

    def place(self, site: Site) -> int:
        """Return the number of a task in `all`."""
        return self._place[site]

    def tried(self, owner: Site) -> Mapping[str, list[Site]]:
        """Return the tasks of a `try` by name, at any depth, without the handlers inside."""
        if owner not in self._tried:
            found: defaultdict[str, list[Site]] = defaultdict(list)
            for place in range(self._place[owner] + 1, len(self.all)):
                site = self.all[place]
                if not site.path.startswith(f"{owner.path}/"):
                    break
                if site.is_tried(owner):
                    found[site.name].append(site)
            self._tried[owner] = dict(found)
        return self._tried[owner]

    def unavoidable(self, site: Site) -> bool:
        """Tell whether every way through its list goes by a task."""
        where = (site.parent, site.slot)
        if where not in self._unavoidable:
            self._unavoidable[where] = unavoidable(ways_of(site.siblings))
        return site.index in self._unavoidable[where]
