"""What came of a case, and of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parley_coordinator.rehearsing.cases import Case
from parley_coordinator.rehearsing.differences import ABSENT, MAX_DIFFERENCES, Difference
from parley_coordinator.rehearsing.expectations import unmet
from parley_coordinator.rehearsing.naming import name_findings
from parley_coordinator.rehearsing.paths import steps
from parley_coordinator.rehearsing.playing import Played, play
from parley_coordinator.workflow.catalog import FunctionInfo
from parley_coordinator.workflow.document import Document
from parley_coordinator.workflow.durations import words
from parley_coordinator.workflow.expressions import Expressions


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One case that was run, or could not be."""

    case: Case
    document: Document | None
    """None: it has none that loads."""
    played: Played | None = None
    """None: it was not run."""
    problems: Sequence[str] = ()
    """Why the case cannot be so; without any, it was run."""
    differences: Sequence[Difference] = ()
    warnings: Sequence[str] = ()
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return self.played is not None and not self.problems and not self.differences

    @property
    def took(self) -> str:
        """How long the run took, in its own time."""
        return "" if self.played is None else words(self.played.took)

    def as_json(self) -> dict[str, Any]:
        return {
            "case": self.case.name,
            "file": self.case.source,
            "line": self.case.line,
            "workflow": None if self.document is None else self.document.name,
            "passed": self.passed,
            "state": None if self.played is None or self.played.broken else self.played.state,
            "took": self.took,
            "milliseconds": round(self.seconds * 1000, 1),
            "problems": list(self.problems),
            "differences": [
                {
                    "where": each.where,
                    **({} if each.expected is ABSENT else {"expected": each.expected}),
                    **({} if each.found is ABSENT else {"found": each.found}),
                }
                for each in self.differences
            ],
            "warnings": list(self.warnings),
            "path": [visit.title for visit in self.played.visits] if self.played else [],
            "standing": list(standing(self.played)) if self.played else [],
        }


async def run_case(
    case: Case,
    document: Document,
    functions: Mapping[str, list[FunctionInfo]],
    *,
    expressions: Expressions,
    timer: Callable[[], float],
) -> Result:
    """Run one case and hold it against what it expects.

    Args:
        document: One that `check` has found nothing in.
        timer: Seconds of real time.
    """
    found = [
        f"{case.source}:{each.line}:{each.column}: {each.message}; {each.fix}"
        for each in name_findings(case, document)
    ]
    if found:
        return Result(case=case, document=document, problems=found)
    begun = timer()
    played = await play(case, document, functions, expressions)
    seconds = timer() - begun
    return Result(
        case=case,
        document=document,
        played=played,
        problems=[played.broken] if played.broken else [],
        differences=[] if played.broken else _first(unmet(case.expect, played)),
        warnings=[] if played.broken else list(_warnings(case, played)),
        seconds=seconds,
    )


def _first(found: Iterator[Difference]) -> list[Difference]:
    return [each for each, _ in zip(found, range(MAX_DIFFERENCES), strict=False)]


def _warnings(case: Case, played: Played) -> Iterator[str]:
    if case.given.unused == "allow":
        return
    for section, name, which in played.unused:
        if (section, name) not in case.shared:
            yield f"{section}.{name}{which} was never used"


def never_used(results: Sequence[Result]) -> Iterator[str]:
    """Yield what a file gives to all of its cases and none of them uses; all of them were run."""
    shared: dict[tuple[str, str, str], list[bool]] = {}
    for result in results:
        if result.played is None or result.problems:
            return  # it might have
        unused = {(section, name) for section, name, _which in result.played.unused}
        for section, name in result.case.shared:
            key = (result.case.source, section, name)
            shared.setdefault(key, []).append((section, name) not in unused)
    for (_source, section, name), used in sorted(shared.items()):
        if not any(used) and section != "secrets":
            yield f"{section}.{name} was never used"


def standing(played: Played) -> Iterator[str]:
    """Say where a run that has not completed stands, with the label of each task."""
    titles = {visit.path: visit.title for visit in played.visits}
    error = played.error
    if error is not None and error.instance:
        label = titles.get(error.instance, "") or _name(error.instance)
        yield f"{label} ({error.instance})"
    for each in played.journal.standing if played.state == "waiting" else ():
        label = titles.get(each.path, "") or _name(each.path)
        until = "" if each.until is None else f", until {each.until.isoformat()}"
        yield f"{label} ({each.path}){until}"


def _name(path: str) -> str:
    return next((step.name for step in reversed(list(steps(path)))), path)
