"""What differs between two texts, in a time that does not depend on what they say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import accumulate
from typing import Final, TypeAlias

MAX_STEPS: Final = 12_000_000
"""Pairs of equal lines that are looked at: about a second."""
_CONTEXT: Final = 3

_Change: TypeAlias = tuple[str, int, int, int, int]
"""`equal`, `replace`, `delete` or `insert`; the lines of the first text, and of the second."""


class TooDifferentError(Exception):
    """The texts take more than `MAX_STEPS` to compare."""


class _Matcher(SequenceMatcher[str]):
    """Gives up on texts of which many lines are equal to many others, and none follow each other."""

    def __init__(self, before: Sequence[str], after: Sequence[str]) -> None:
        super().__init__(None, before, after)
        self._steps = [
            0,
            *accumulate(1 + len(self.b2j.get(line, ())) for line in before),  # type: ignore[attr-defined]  # typeshed lacks it
        ]
        self._left = MAX_STEPS

    def find_longest_match(  # type: ignore[override]  # only ever called with all four
        self, alo: int, ahi: int, blo: int, bhi: int
    ) -> object:
        self._left -= self._steps[ahi] - self._steps[alo]
        if self._left < 0:
            raise TooDifferentError
        return super().find_longest_match(alo, ahi, blo, bhi)


def difference(one: str, other: str, before: str, after: str) -> str:
    """Return the unified diff of two texts, empty if they are the same, line by line.

    If they take too long to compare, all between the first and the last difference is one change.

    Args:
        one: What to call the first text.
    """
    here, there = before.splitlines(), after.splitlines()
    if here == there:
        return ""
    try:
        hunks = list(_Matcher(here, there).get_grouped_opcodes(_CONTEXT))
    except TooDifferentError:
        hunks = [_one_change(here, there)]
    lines = [f"--- {one}", f"+++ {other}"]
    for hunk in hunks:
        lines += _hunk(hunk, here, there)
    return "".join(f"{line}\n" for line in lines)


def _one_change(here: Sequence[str], there: Sequence[str]) -> list[_Change]:
    shorter = min(len(here), len(there))
    start = next((n for n in range(shorter) if here[n] != there[n]), shorter)
    left = shorter - start
    end = next((n for n in range(left) if here[-1 - n] != there[-1 - n]), left)
    first, last = max(0, start - _CONTEXT), min(end, _CONTEXT)
    a, b = len(here) - end, len(there) - end
    return [
        ("equal", first, start, first, start),
        ("replace", start, a, start, b),
        ("equal", a, a + last, b, b + last),
    ]


def _hunk(changes: list[_Change], here: Sequence[str], there: Sequence[str]) -> Iterator[str]:
    _, a, _, b, _ = changes[0]
    _, _, a_end, _, b_end = changes[-1]
    yield f"@@ -{_lines(a, a_end)} +{_lines(b, b_end)} @@"
    for kind, a, a_end, b, b_end in changes:
        if kind == "equal":
            yield from (f" {line}" for line in here[a:a_end])
            continue
        yield from (f"-{line}" for line in here[a:a_end])
        yield from (f"+{line}" for line in there[b:b_end])


def _lines(start: int, end: int) -> str:
    """Say which lines, as `diff -u` does: the first and how many; of none, the one before."""
    count = end - start
    if count == 1:
        return str(start + 1)
    return f"{start + 1 if count else start},{count}"
