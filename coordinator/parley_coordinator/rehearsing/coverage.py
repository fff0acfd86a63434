"""Which tasks of a document, and which cases of its switches, some case has reached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from parley_coordinator.rehearsing.paths import site_of
from parley_coordinator.rehearsing.playing import Played
from parley_coordinator.workflow.checks.sites import Site, sites
from parley_coordinator.workflow.document import Document
from parley_coordinator.workflow.machine import in_words
from parley_coordinator.workflow.tasks import SwitchTask


@dataclass(frozen=True, slots=True)
class Unreached:
    """A task, or a case of a switch, that no case reached."""

    path: str
    line: int
    """0 if the document did not come from text."""
    task: str
    label: str
    case: str
    """Of a switch; empty: the task itself."""
    inside: int = 0
    """How many tasks it holds, which were not reached either."""

    def as_json(self) -> dict[str, object]:
        return {
            "path": self.path,
            "line": self.line,
            "task": self.task,
            "label": self.label,
            "case": self.case or None,
            "inside": self.inside,
        }


@dataclass
class Coverage:
    """Of one document, over all of its cases."""

    document: Document
    tasks: set[str] = field(default_factory=set)
    """Pointers in the document."""
    cases: set[tuple[str, str]] = field(default_factory=set)

    def add(self, played: Played) -> None:
        self.tasks |= {site_of(visit.path) for visit in played.visits}
        self.cases |= {(site_of(path), case) for path, case in played.chosen}

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return how many of `tasks` and `cases` were reached, and how many there are."""
        found = sites(self.document)
        cases = [(site.path, name) for site in found for name in _cases(site)]
        return {
            "tasks": (sum(site.path in self.tasks for site in found), len(found)),
            "cases": (sum(each in self.cases for each in cases), len(cases)),
        }

    def unreached(self) -> Iterator[Unreached]:
        """Yield them in the order of the text; what is inside of a task goes with it."""
        found = sites(self.document)
        for site in found:
            label = site.task.label or in_words(site.name)
            line = self.document.positions.of(site.path, key=True)[0]
            if site.path in self.tasks:
                for name in _cases(site):
                    if (site.path, name) not in self.cases:
                        yield Unreached(site.path, line, site.name, label, name)
            elif site.parent is None or site.parent.path in self.tasks:
                inside = sum(each.path.startswith(f"{site.path}/") for each in found)
                yield Unreached(site.path, line, site.name, label, "", inside)


def _cases(site: Site) -> list[str]:
    task = site.task
    return [named.name for named in task.switch] if isinstance(task, SwitchTask) else []
