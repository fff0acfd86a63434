"""How `parley test` says what came of the cases."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from parley_coordinator.cli.output import console, print_table, text, value_text
from parley_coordinator.rehearsing.differences import ABSENT
from parley_coordinator.rehearsing.paths import steps
from parley_coordinator.rehearsing.results import standing
from parley_coordinator.workflow.durations import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from parley_coordinator.cli.testing import CaseFile
    from parley_coordinator.rehearsing.coverage import Coverage
    from parley_coordinator.rehearsing.playing import Played
    from parley_coordinator.rehearsing.results import Result

MAX_VALUE: Final = 400
MAX_VISITS: Final = 60
_NAMES: Final = range(40, 81)
"""How wide the column of names may be."""


def print_results(files: Sequence[CaseFile]) -> None:
    """Print a line for each case, and below it what is wrong with it."""
    for file in files:
        if not (file.results or file.problems):
            continue
        _line(file.name, "bold")
        for problem in file.problems:
            _line(f"  ✗ {problem}", "red")
        longest = max((len(result.case.name) for result in file.results), default=0)
        width = min(max(longest, _NAMES.start), _NAMES.stop - 1)
        for result in file.results:
            _print_result(result, width)
        for warning in file.warnings:
            _line(f"  ! {warning}", "yellow")


def print_coverage(reached: Sequence[Coverage]) -> None:
    """Print how much of each document the cases have reached, and what none has."""
    for each in reached:
        counts = each.counts()
        said = " and ".join(f"{n} of {total} {what}" for what, (n, total) in counts.items())
        rows = [
            (
                text(str(one.line)),
                text(one.task),
                text(one.label),
                text(f"case {one.case}" if one.case else _inside(one.inside)),
            )
            for one in each.unreached()
        ]
        _line(f"\n{each.document.name}: {said} reached", "" if rows else "green")
        if rows:
            print_table(("line", "task", "label", "never reached"), rows, empty="")


def counted(files: Sequence[CaseFile]) -> str:
    """Return how it ended, in words."""
    results = [result for file in files for result in file.results]
    failed = sum(file.failed for file in files)
    warnings = sum(len(file.warnings) for file in files)
    warnings += sum(len(result.warnings) for result in results)
    seconds = sum(result.seconds for result in results)
    passed = sum(result.passed for result in results)
    more = f", {_many(warnings, 'warning')}" if warnings else ""
    return f"{passed} passed, {failed} failed{more}, in {seconds * 1000:.0f} ms"


def failure_lines(result: Result) -> Iterator[str]:
    """Yield what is wrong, the way that the run took, and where it stands."""
    yield from result.problems
    for difference in result.differences:
        yield difference.where
        yield f"  expected  {_shown(difference.expected)}"
        yield f"  found     {_shown(difference.found)}"
    played = result.played
    if played is None:
        return
    if played.visits:
        yield "the run went by"
        yield from _way(played)
    for place in standing(played):
        yield f"it stands at {place}"


def _print_result(result: Result, width: int) -> None:
    mark, style = ("✓", "green") if result.passed else ("✗", "red")
    spent = f"{result.seconds * 1000:.0f} ms"
    _line(f"  {mark} {result.case.name:<{width}}  {spent:>7}  {result.took}", style)
    if not result.passed:
        _line(f"      {result.case.source}:{result.case.line}", "dim")
        for line in failure_lines(result):
            _line(f"      {line}")
    for warning in result.warnings:
        _line(f"      ! {warning}", "yellow")


def _way(played: Played) -> Iterator[str]:
    """Yield the tasks that the run came to, each below the one that holds it."""
    before: timedelta | None = None
    visits = played.visits
    for visit in visits[:MAX_VISITS]:
        at = visit.at - played.journal.started
        depth = max(0, len(list(steps(visit.path))) - 1)
        yield f"  {words(at) if at != before else '':<20}{'  ' * depth}{visit.title}"
        before = at
    if len(visits) > MAX_VISITS:
        yield f"  and {_many(len(visits) - MAX_VISITS, 'more task')}"


def _inside(count: int) -> str:
    return f"the task, and {_many(count, 'task')} inside" if count else "the task"


def _shown(value: Any) -> str:
    if value is ABSENT:
        return "nothing"
    said = value_text(value)
    return said if len(said) <= MAX_VALUE else f"{said[:MAX_VALUE]}..."


def _line(said: str, style: str = "") -> None:
    console().print(text(said, style), soft_wrap=True)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
