"""The difference of two texts is exact where that takes no time, and right in any case."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_coordinator.engine import difference as differing
from parley_coordinator.engine.difference import difference

LINES = st.lists(st.sampled_from(("a", "b", "c", "")), max_size=30)


def text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def patched(before: list[str], diff: str) -> list[str]:
    """Apply a diff of which every hunk says where in the first text it begins, and in the second."""
    after: list[str] = []
    place = 0
    for line in diff.splitlines()[2:]:
        if line.startswith("@@"):
            start, _, count = line.split()[1].removeprefix("-").partition(",")
            first = int(start) - (0 if count == "0" else 1)
            after += before[place:first]
            place = first
            start, _, count = line.split()[2].removeprefix("+").partition(",")
            assert len(after) == int(start) - (0 if count == "0" else 1)
            continue
        if line[0] in " -":
            assert before[place] == line[1:]
            place += 1
        if line[0] in " +":
            after.append(line[1:])
    return [*after, *before[place:]]


@given(LINES, LINES)
def test_it_is_the_unified_diff(before: list[str], after: list[str]) -> None:
    expected = difflib.unified_diff(before, after, "one", "two", lineterm="")

    assert difference("one", "two", text(before), text(after)) == text(list(expected))


@given(LINES, LINES)
def test_it_leads_from_one_text_to_the_other_if_it_is_coarse_too(
    before: list[str], after: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(differing, "MAX_STEPS", 0)
        found = difference("one", "two", text(before), text(after))

    assert patched(before, found) == after
    assert (found == "") == (before == after)


def test_texts_that_are_made_to_take_minutes_differ_in_one_change() -> None:
    before = [f"{number % 120}" for number in range(60_000)]
    after = [line for number in range(30_000) for line in (f"{number % 120}", f"y{number}")]

    found = difference("one", "two", text(before), text(after))

    assert found.count("\n@@ ") == 1
    assert patched(before, found) == after
