"""Any document with loops, events and races ends alike, however often its run is interrupted."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parley_coordinator.workflow.effects import Parked

from tests.coordinator.workflow.scripted import STARTED, Journal, Parks, never_parks
from tests.coordinator.workflow.test_resume import (
    POLICIES,
    SIMPLE,
    call_to,
    executed,
    exported,
    forked,
    in_turn,
    named,
    once_each,
)
from tests.coordinator.workflow.test_resume import _risky as risky

Tasks: TypeAlias = st.SearchStrategy[dict[str, Any]]

BREADTH = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ARRIVING = ((2, "even"), (3, "odd"), (5, "odd"), (30, "even"))
"""Seconds from the start, and the type of the event that comes then."""


def arriving() -> Journal:
    head = {"specversion": "1.0", "source": "/outside"}
    return Journal(
        events=[
            (STARTED + timedelta(seconds=after), {**head, "id": str(after), "type": kind})
            for after, kind in ARRIVING
        ]
    )


def heard(parts: tuple[dict[str, Any], list[dict[str, Any]]]) -> dict[str, Any]:
    """Listen for seven seconds, do something about each event, and get over it if they are not enough."""
    to, tasks = parts
    listen: dict[str, Any] = {"listen": {"to": to}, "timeout": {"after": {"seconds": 7}}}
    if tasks:
        listen["foreach"] = {"do": named(tasks), "output": {"as": "${ {done: .} }"}}
    return {"try": [{"hear": listen}], "catch": {"do": [{"nobody": call_to("nobody")}]}}


def looped(parts: tuple[list[dict[str, Any]], int]) -> dict[str, Any]:
    tasks, times = parts
    return {"for": {"in": f"${{ [range({times})] }}"}, "do": named(tasks)}


def raced(tasks: list[dict[str, Any]]) -> dict[str, Any]:
    branches = [{f"b{index}": task} for index, task in enumerate(tasks)]
    return {"fork": {"compete": True, "branches": branches}}


EVEN = {"with": {"type": "even"}}
ODD = {"with": {"type": "odd"}}
STRATEGIES: Tasks = st.sampled_from(
    [
        {"one": EVEN},
        {"all": [ODD, EVEN]},
        {"any": [], "until": "${ length == 2 }"},
        {"any": [ODD], "until": {"one": EVEN}},
    ]
)
EMITS = st.just({"emit": {"event": {"with": {"type": "even", "data": "${ . }"}}}})


def lists(children: Tasks) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(children, min_size=1, max_size=3)


def without_events(children: Tasks) -> Tasks:
    """Who of two that listen at the same moment hears an event is chance, so branches do not."""
    return st.one_of(
        lists(children).map(lambda tasks: {"do": named(tasks)}),
        lists(children).map(forked),
        st.tuples(lists(children), st.integers(0, 3)).map(looped),
        st.tuples(lists(children), POLICIES, st.integers(0, 4)).map(risky),
    )


def with_events(children: Tasks) -> Tasks:
    return st.one_of(
        lists(children).map(lambda tasks: {"do": named(tasks)}),
        st.tuples(lists(children), st.integers(0, 3)).map(looped),
        st.tuples(STRATEGIES, lists(children)).map(heard),
    )


def anything(children: Tasks) -> Tasks:
    return st.one_of(without_events(children), with_events(children), lists(children).map(raced))


def documents(tasks: Tasks) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(tasks, min_size=1, max_size=4).map(
        lambda found: named([exported(task) for task in found])
    )


QUIET = st.recursive(st.one_of(SIMPLE, EMITS), without_events, max_leaves=4)
LISTENING = st.recursive(
    st.one_of(QUIET, STRATEGIES.map(lambda to: heard((to, [])))), with_events, max_leaves=5
)
ANYTHING = st.recursive(
    st.one_of(SIMPLE, EMITS, STRATEGIES.map(lambda to: heard((to, [])))), anything, max_leaves=7
)


def ended(tasks: list[dict[str, Any]], journal: Journal, parks: Parks) -> Any:
    try:
        return executed(tasks, journal, parks)
    except Parked:
        return "waiting"


def in_moments(events: list[tuple[datetime, dict[str, Any]]]) -> list[Any]:
    """Sort events of the same moment: which of two branches announces first is chance."""
    return sorted(events, key=lambda each: (each[0], each[1]["id"]))


@BREADTH
@given(tasks=documents(LISTENING), parks=st.lists(st.booleans(), max_size=60))
def test_parking_before_any_effect_changes_nothing(
    tasks: list[dict[str, Any]], parks: list[bool]
) -> None:
    smooth = arriving()
    expected = ended(tasks, smooth, never_parks)

    for parking in (in_turn(parks), once_each()):
        bumpy = arriving()

        assert ended(tasks, bumpy, parking) == expected
        assert bumpy.performed == smooth.performed
        assert in_moments(bumpy.events) == in_moments(smooth.events)
        assert set(bumpy.performed.values()) <= {1}


@BREADTH
@given(tasks=documents(ANYTHING), parks=st.lists(st.booleans(), max_size=60))
def test_a_finished_run_is_told_again_from_its_journal_alone(
    tasks: list[dict[str, Any]], parks: list[bool]
) -> None:
    """Also who has won a race, and who has heard which event."""
    journal = arriving()
    outcome = ended(tasks, journal, in_turn(parks))
    before = copy.deepcopy(journal)

    assert ended(tasks, journal, never_parks) == outcome
    assert journal.rows == before.rows
    assert journal.performed == before.performed
    assert journal.events == before.events
