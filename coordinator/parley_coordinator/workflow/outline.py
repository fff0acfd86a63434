"""A document as numbered plain language: what is done, by whom, on which condition, by when.

One structure for every form that people read: text, JSON, the page of a workflow, and the diagram.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from parley_coordinator.workflow.document import Document, Use
from parley_coordinator.workflow.findings import escape
from parley_coordinator.workflow.tasks import (
    CONTINUE,
    END,
    EXIT,
    Catch,
    DoTask,
    ForkTask,
    ForTask,
    ListenTask,
    NamedTask,
    RaiseTask,
    SwitchTask,
    Task,
    TaskList,
    TryTask,
)
from parley_coordinator.workflow.wording.actors import actor_of
from parley_coordinator.workflow.wording.conditions import condition
from parley_coordinator.workflow.wording.doing import Kind, done
from parley_coordinator.workflow.wording.happenings import started
from parley_coordinator.workflow.wording.plain import line, sentence, words
from parley_coordinator.workflow.wording.policies import caught, retried, within

_OVER: Final = "the workflow ends"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One numbered line, and the lines below it."""

    number: str
    """`8.2.1`; stays as long as the order of the document does."""
    path: str
    """JSON pointer of the task, case, retry or handler in the document."""
    kind: Kind
    text: str
    does: str = ""
    """What the kind adds: `waits 2 hours`, `all at the same time`."""
    who: str = ""
    condition: str = ""
    """`only if ...`, `if ...` or `otherwise`."""
    deadline: str = ""
    undoes: str = ""
    """Number and text of the call whose effect is undone."""
    then: str = ""
    """Where it goes on, if that is not the next line: `go to 9`, `the workflow ends`."""
    on_error: bool = False
    """Is on a path that is taken after an error only."""
    children: tuple[Entry, ...] = ()

    @property
    def details(self) -> list[str]:
        """What follows the text, in the order in which people ask for it."""
        found = [self.condition, f"by {self.who}" if self.who else "", self.does, self.deadline]
        found += [f"undoes {self.undoes}" if self.undoes else "", self.then]
        return [each for each in found if each]

    @property
    def line(self) -> str:
        """All of it on one line, without the number."""
        if self.kind in ("case", "retry", "handler"):
            said = ", ".join(each for each in (self.text, self.condition) if each)
            return ": ".join(each for each in (said, self.does, self.then) if each)
        return " - ".join([self.text, *self.details])

    def walk(self) -> Iterator[Entry]:
        """Yield it and all below it, in the order of the numbers."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    namespace: str
    name: str
    version: str
    digest: str
    title: str
    summary: str
    start: str
    """When runs start, as a sentence without its full stop."""
    deadline: str
    """Of the whole run; empty if there is none."""
    entries: tuple[Entry, ...]

    def walk(self) -> Iterator[Entry]:
        for entry in self.entries:
            yield from entry.walk()


def outline(document: Document) -> Outline:
    """Say what a document does."""
    use = document.use
    entries = _List(use, document.tasks, "/do", "", _OVER).entries()
    numbered = {
        entry.path.rpartition("/")[2]: f"{entry.number} ({entry.text})"
        for top in entries
        for entry in top.walk()
    }
    return Outline(
        namespace=document.namespace,
        name=document.name,
        version=document.version,
        digest=document.digest,
        title=line(document.title),
        summary=line(document.summary, limit=2000),
        start=started(document.schedule),
        deadline=within(document.timeout, use.timeouts),
        entries=tuple(_with_undone(entry, numbered) for entry in entries),
    )


@dataclass(frozen=True, slots=True)
class _List:
    """A list of tasks, and where it stands."""

    use: Use
    tasks: TaskList
    path: str
    prefix: str
    """Of the numbers: empty, or `8.2.`"""
    after: str
    """Where the end of the list leads, in words."""
    on_error: bool = False

    def entries(self) -> tuple[Entry, ...]:
        return tuple(self._entry(index, named) for index, named in enumerate(self.tasks))

    def goes(self, index: int, then: str) -> str:
        """Say where a directive of the task at `index` leads."""
        if then == END:
            return _OVER
        if then == EXIT:
            return self.after
        names = [named.name for named in self.tasks]
        target = index + 1 if then == CONTINUE else names.index(then) if then in names else -1
        if target < 0:
            return f"go to {line(then)}"
        return f"go to {self.prefix}{target + 1}" if target < len(names) else self.after

    def _entry(self, index: int, named: NamedTask) -> Entry:
        task = named.task
        actor = actor_of(task, self.use.functions)
        kind, does = (actor.kind, actor.does) if actor else done(task, self.use)
        number = f"{self.prefix}{index + 1}"
        path = f"{self.path}/{index}/{escape(named.name)}"
        return Entry(
            number=number,
            path=path,
            kind=kind,
            text=line(task.label) or sentence(words(named.name)),
            does=does,
            who=actor.who if actor else "",
            condition=f"only if {condition(task.if_)}" if task.if_ is not None else "",
            deadline=within(task.timeout, self.use.timeouts),
            undoes=line(task.compensates),
            then=self._then(index, task),
            on_error=self.on_error,
            children=(
                self._cases(index, task, number, path)
                if isinstance(task, SwitchTask)
                else self._children(task, number, path)
            ),
        )

    def _then(self, index: int, task: Task) -> str:
        """Say where a task leads, if that is not the line below it."""
        if isinstance(task, RaiseTask) and task.if_ is None:
            return ""
        goes = self.goes(index, task.then)
        if isinstance(task, SwitchTask):
            default = any(named.case.when is None for named in task.switch)
            return "" if default else f"otherwise {goes}"
        last = index == len(self.tasks) - 1
        below = self.after if last else self.goes(index, CONTINUE)
        return f"then {goes}" if goes != below or (last and goes == _OVER) else ""

    def _cases(self, index: int, task: SwitchTask, number: str, path: str) -> tuple[Entry, ...]:
        return tuple(
            Entry(
                number=f"{number}.{at}",
                path=f"{path}/switch/{at - 1}/{escape(named.name)}",
                kind="case",
                text=sentence(words(named.name)),
                condition=(
                    "otherwise" if named.case.when is None else f"if {condition(named.case.when)}"
                ),
                then=self.goes(index, named.case.then),
                on_error=self.on_error,
            )
            for at, named in enumerate(task.switch, start=1)
        )

    def _children(self, task: Task, number: str, path: str) -> tuple[Entry, ...]:
        match task:
            case DoTask():
                return self._below(task.do, f"{path}/do", number).entries()
            case ForTask():
                after = f"go on with the next {task.for_.each}"
                return self._below(task.do, f"{path}/do", number, after).entries()
            case ForkTask():
                return self._below(task.fork.branches, f"{path}/fork/branches", number).entries()
            case ListenTask() if task.foreach is not None and task.foreach.do is not None:
                after = "go on with the next event"
                return self._below(task.foreach.do, f"{path}/foreach/do", number, after).entries()
            case TryTask():
                tried = self._below(task.try_, f"{path}/try", number).entries()
                return (*tried, *self._caught(task.catch, number, path, first=len(tried) + 1))
        return ()

    def _caught(self, catch: Catch, number: str, path: str, *, first: int) -> Iterator[Entry]:
        text = f"In case of {caught(catch)}"
        if catch.retry is not None:
            yield Entry(
                number=f"{number}.{first}",
                path=f"{path}/catch/retry",
                kind="retry",
                text=text,
                does=retried(catch.retry, self.use.retries),
                on_error=True,
            )
            first += 1
        if catch.do is not None or catch.retry is None:
            own = f"{number}.{first}"
            after = f"go on after {number}"
            below = self._below(catch.do or (), f"{path}/catch/do", own, after, on_error=True)
            yield Entry(
                number=own,
                path=f"{path}/catch",
                kind="handler",
                text=text,
                does="" if catch.do else "go on nevertheless",
                on_error=True,
                children=below.entries(),
            )

    def _below(
        self, tasks: TaskList, path: str, number: str, after: str = "", *, on_error: bool = False
    ) -> _List:
        return _List(
            self.use,
            tasks,
            path,
            f"{number}.",
            after or f"go on after {number}",
            on_error or self.on_error,
        )


def _with_undone(entry: Entry, numbered: Mapping[str, str]) -> Entry:
    return replace(
        entry,
        undoes=numbered.get(entry.undoes, entry.undoes),
        children=tuple(_with_undone(child, numbered) for child in entry.children),
    )
