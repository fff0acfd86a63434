"""What a run that goes on for another one takes over from its journal. Pure (ADR-0021).

A run that ended without success is never opened again: it is final for whoever watches it. A new run
of the same document goes on from a step. What was done before that step is carried over, row by row,
and answers the new run as it answered the old one; the rest is set aside and happens anew.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from parley_coordinator.model import Place, is_within
from parley_coordinator.workflow.effects import (
    NOTE_CAUGHT,
    NOTE_CLOSED,
    NOTE_EVENTS,
    NOTE_EXPIRED,
    NOTE_FORK_FAILED,
    NOTE_LIMITED,
    NOTE_UNHEARD,
    NOTE_WON,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from parley_coordinator.model import Entry

_OPENS: Final = frozenset({"intended", "asked", "child", "listening"})
_CLOSES: Final = frozenset(
    {"observed", "failed", "decided", NOTE_EVENTS, NOTE_UNHEARD, NOTE_CLOSED}
)
_ENDS_OF_BLOCKS: Final = frozenset(
    {NOTE_CAUGHT, NOTE_EXPIRED, NOTE_FORK_FAILED, NOTE_LIMITED, NOTE_WON}
)
"""What a task that holds the step wrote because of how the step ended."""
_NOT_DONE: Final = frozenset(
    {"TASK_STATE_CANCELED", "TASK_STATE_REJECTED", "TASK_STATE_FAILED", "nothing was sent"}
)
"""Outcomes of a cancellation after which it is certain that the step had no effect."""
_BRANCH: Final = re.compile(r"(.*?/fork/branches/)([0-9]+)(?=/)")


@dataclass(frozen=True, slots=True)
class Carried:
    """The part of a journal that still holds."""

    rows: list[Entry]
    """Oldest first."""
    again: list[Place]
    """Had an effect, or may have had one, and will be done again; in the order of the document's run."""


def last_visit(entries: Sequence[Entry], path: str) -> str | None:
    """Return the attempt of the newest row at exactly this path; None if it has none."""
    return next((entry.attempt for entry in reversed(entries) if entry.path == path), None)


def carry(
    entries: Sequence[Entry],
    path: str | None,
    attempt: str | None,
    idle: Collection[str] = (),
) -> Carried:
    """Divide a journal at a step.

    Args:
        entries: All rows, oldest first.
        path: JSON pointer of the step; None: nothing but what was left open happens anew.
        attempt: From `last_visit`; None: every visit of the step.
        idle: Runs that this one has started, and that are known to have done nothing outside.
    """
    target = None if path is None else _Target(entries, path, attempt)
    rows = [entry for entry in entries if entry.path]
    open_ = _left_open(rows)
    clocks = _running_out(rows, open_)
    kept = [
        entry
        for entry in rows
        if (entry.path, entry.attempt) not in open_
        and entry not in clocks
        and (target is None or target.keeps(entry))
    ]
    still = {(entry.path, entry.attempt) for entry in kept}
    aside = [entry for entry in rows if (entry.path, entry.attempt) not in still]
    return Carried(kept, _done_again(aside, idle))


def was_idle(entries: Iterable[Entry]) -> bool:
    """Tell whether a run is known to have had no effect, by its whole journal."""
    return not _done_again(entries, ())


class _Target:
    """The step from which a run goes on."""

    def __init__(self, entries: Sequence[Entry], path: str, attempt: str | None) -> None:
        self._path = path
        visit = [
            entry.seq
            for entry in entries
            if is_within(entry.path, path) and _holds(attempt, entry.attempt)
        ]
        self._attempt = attempt
        self._since = min(visit, default=entries[-1].seq + 1 if entries else 0)
        """Rows from here on came after the step began, or beside it."""

    def keeps(self, entry: Entry) -> bool:
        if _beside(entry.path, self._path):
            return True
        if entry.seq >= self._since:
            return False
        around = is_within(self._path, entry.path) and entry.path != self._path
        around = around and (self._attempt is None or _holds(entry.attempt, self._attempt))
        return not (around and _of_a_block(entry.kind))


def _holds(attempt: str | None, other: str) -> bool:
    """Tell whether an attempt is another one or holds it; None holds every one."""
    return attempt is None or Place(path="", attempt=attempt).holds(other)


def _of_a_block(kind: str) -> bool:
    """Tell whether a row of a task around the step must not bind the new run: its clock, its end."""
    return kind in _ENDS_OF_BLOCKS or kind.startswith("time.")


def _running_out(rows: Sequence[Entry], open_: set[tuple[str, str]]) -> list[Entry]:
    """Return the clocks of the tasks around what was left open: it gets new time.

    What was left open in a task that has ended all the same is not done again, nor has that new time.
    """
    ended = [(entry.path, entry.attempt) for entry in rows if entry.kind in _ENDS_OF_BLOCKS]
    going = [place for place in open_ if not any(_around(each, place) for each in ended)]
    return [
        entry
        for entry in rows
        if entry.kind.startswith("time.")
        and any(_around((entry.path, entry.attempt), place) for place in going)
    ]


def _around(block: tuple[str, str], place: tuple[str, str]) -> bool:
    return place[0] != block[0] and is_within(place[0], block[0]) and _holds(block[1], place[1])


def _left_open(rows: Iterable[Entry]) -> set[tuple[str, str]]:
    """Return the places where something was begun of which no end is known."""
    opened: set[tuple[str, str]] = set()
    closed: set[tuple[str, str]] = set()
    for entry in rows:
        place = (entry.path, entry.attempt)
        if entry.kind in _OPENS:
            waited_for = entry.kind != "child" or entry.body["awaited"]
            (opened if waited_for else closed).add(place)
        elif entry.kind in _CLOSES:
            closed.add(place)
    return opened - closed


def _done_again(aside: Iterable[Entry], idle: Collection[str]) -> list[Place]:
    """Return the places, of those set aside, that are not known to have had no effect."""
    begun: dict[tuple[str, str], Place] = {}
    harmless: set[tuple[str, str]] = set()
    busy: set[tuple[str, str]] = set()
    intended: set[tuple[str, str]] = set()
    under_way: Counter[tuple[str, str]] = Counter()
    for entry in aside:
        place = (entry.path, entry.attempt)
        if entry.kind in ("intended", "child", "emitted"):
            begun[place] = entry.place
        verb = entry.kind.partition(".")[0]
        under_way[place] += (verb == "intended") - (verb == "declined")
        if verb == "intended":
            intended.add(place)
        if entry.kind == "child":
            # That another run failed says nothing about what it had done by then.
            (harmless if entry.body["run"] in idle else busy).add(place)
        if entry.kind == "failed" and not entry.body.get("sent"):
            harmless.add(place)
        if verb == "cancelled":
            # The newest one counts: a task may come to light after nothing was found to cancel.
            done = entry.body.get("outcome") not in _NOT_DONE
            (harmless.discard if done else harmless.add)(place)
    # All that it was sent to have said that they have begun nothing.
    harmless |= {place for place, count in under_way.items() if place in intended and count == 0}
    return [place for key, place in begun.items() if key in busy or key not in harmless]


def _beside(path: str, step: str) -> bool:
    """Tell whether a path is in another branch of a fork that the step is in."""
    for match in _BRANCH.finditer(step):
        prefix = step[: match.start(2)]
        if path.startswith(prefix):
            branch = path[len(prefix) :].partition("/")[0]
            if branch != match[2]:
                return True
    return False
