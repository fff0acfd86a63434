"""A run that is parked, killed and resumed anywhere ends as if nothing had happened."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from parley_coordinator.workflow.document import Document
from parley_coordinator.workflow.effects import Call
from parley_coordinator.workflow.errors import Standard, WorkflowError

from tests.coordinator.workflow.scripted import Journal, Key, Never, Parks, never_parks, run

COMMUNICATION = str(Standard.COMMUNICATION)


def script(call: Call) -> Any:
    """`f-N` fails N times in a row, `never` does not answer, the rest says what it was told."""
    kind, _, times = call.function.partition("-")
    if kind == "never":
        raise Never
    if kind == "f" and int(call.place.attempt.rpartition(".")[2].partition("~")[0]) <= int(times):
        raise WorkflowError(COMMUNICATION, f"attempt {call.place.attempt} failed")
    return {"place": call.place.path, "attempt": call.place.attempt, "got": call.arguments}


def call_to(function: str) -> dict[str, Any]:
    return {"call": f"{function}:1.0.0@agents", "with": {"seen": "${ . }"}}


def named(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{f"t{index}": task} for index, task in enumerate(tasks)]


def forked(tasks: list[dict[str, Any]]) -> dict[str, Any]:
    return {"fork": {"branches": [{f"b{i}": task} for i, task in enumerate(tasks)]}}


def late(seconds: int) -> dict[str, Any]:
    inner = {**call_to("never"), "timeout": {"after": {"seconds": seconds}}}
    return {"try": [{"ask": inner}], "catch": {"do": [{"nobody": call_to("fallback")}]}}


def overdue(seconds: int) -> dict[str, Any]:
    inside = forked([{"wait": {"minutes": 5}}, {"do": [{"x": call_to("ok")}]}])
    limited = {"do": [{"slow": inside}], "timeout": {"after": {"seconds": seconds}}}
    return {"try": [{"limited": limited}], "catch": {"do": [{"after": call_to("after")}]}}


def exported(task: dict[str, Any]) -> dict[str, Any]:
    return {**task, "export": {"as": "${ {kept: ., before: $context.kept.attempt} }"}}


SIMPLE = st.one_of(
    st.just(call_to("ok")),
    st.just({"set": {"x": "${ . }"}}),
    st.builds(lambda n: {"wait": {"seconds": n}}, st.integers(0, 100)),
    st.builds(late, st.integers(1, 100)),
    st.builds(overdue, st.integers(1, 100)),
    st.just({"switch": [{"some": {"when": ". != null", "then": "continue"}}, {"none": {}}]}),
    st.just({"if": ". == null", **call_to("rare")}),
)
POLICIES = st.sampled_from(
    [
        {"limit": {"attempt": {"count": 2}}},
        {
            "delay": {"seconds": 3},
            "backoff": {"exponential": {}},
            "jitter": {"from": {"seconds": 0}, "to": {"seconds": 2}},
            "limit": {"duration": {"seconds": 20}},
        },
    ]
)


def composites(children: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    some = st.lists(children, min_size=1, max_size=3)
    return st.one_of(
        some.map(lambda tasks: {"do": named(tasks)}),
        some.map(forked),
        st.tuples(some, POLICIES, st.integers(0, 4)).map(_risky),
    )


def _risky(parts: tuple[list[dict[str, Any]], dict[str, Any], int]) -> dict[str, Any]:
    tasks, policy, fails = parts
    body = [*named(tasks), {"risky": call_to(f"f-{fails}")}]
    inner = {"try": body, "catch": {"retry": policy}}
    return {"try": [{"inner": inner}], "catch": {"as": "e", "do": [{"h": {"set": "${ $e }"}}]}}


TASKS = st.recursive(SIMPLE, composites, max_leaves=6)
DOCUMENTS = st.lists(TASKS, min_size=1, max_size=4).map(
    lambda tasks: named([exported(task) for task in tasks])
)


def in_turn(answers: list[bool]) -> Parks:
    left = iter(answers)
    return lambda _key: next(left, False)


def once_each() -> Parks:
    """Park before every row that is about to be written, when it is tried first."""
    seen: set[Key] = set()

    def parks(key: Key) -> bool:
        if key in seen:
            return False
        seen.add(key)
        return True

    return parks


def executed(tasks: list[dict[str, Any]], journal: Journal, parks: Parks) -> Any:
    head = {"dsl": "1.0.3", "namespace": "test", "name": "any", "version": "1.0.0"}
    document = Document.from_json({"document": head, "do": tasks})
    try:
        return ("output", asyncio.run(run(document, script=script, journal=journal, parks=parks)))
    except WorkflowError as error:
        return ("error", error.as_json())


@settings(max_examples=150, deadline=None)
@given(tasks=DOCUMENTS, parks=st.lists(st.booleans(), max_size=60))
def test_parking_before_any_effect_changes_neither_the_outcome_nor_what_was_done(
    tasks: list[dict[str, Any]], parks: list[bool]
) -> None:
    smooth, bumpy = Journal(), Journal()

    expected = executed(tasks, smooth, never_parks)
    outcome = executed(tasks, bumpy, in_turn(parks))

    assert outcome == expected
    assert set(bumpy.performed.values()) <= {1}
    assert bumpy.performed == smooth.performed


@settings(max_examples=50, deadline=None)
@given(tasks=DOCUMENTS)
def test_parking_before_every_effect_once_changes_nothing_either(
    tasks: list[dict[str, Any]],
) -> None:
    smooth, bumpy = Journal(), Journal()

    expected = executed(tasks, smooth, never_parks)
    outcome = executed(tasks, bumpy, once_each())

    assert outcome == expected
    assert bumpy.performed == smooth.performed


@settings(max_examples=100, deadline=None)
@given(
    tasks=st.lists(
        st.sampled_from([call_to("ok"), call_to("f-9"), call_to("f-1"), late(5), {"wait": "PT2S"}]),
        min_size=1,
        max_size=5,
    ).map(lambda tasks: [{"both": forked(tasks)}]),
    parks=st.lists(st.booleans(), max_size=30),
)
def test_a_finished_run_is_told_again_from_its_journal_alone(
    tasks: list[dict[str, Any]], parks: list[bool]
) -> None:
    """Also for forks of which several branches fail, at different times."""
    journal = Journal()
    outcome = executed(tasks, journal, in_turn(parks))
    rows, done = dict(journal.rows), journal.performed.copy()

    again = executed(tasks, journal, never_parks)

    assert again == outcome
    assert journal.rows == rows
    assert journal.performed == done
    assert set(done.values()) <= {1}
