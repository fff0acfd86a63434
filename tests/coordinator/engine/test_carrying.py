"""What a new run takes over from the journal of one that ended: rules that hold for any journal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from parley_coordinator.engine.carrying import carry, last_visit
from parley_coordinator.model import Entry

AT = datetime(2026, 1, 1, tzinfo=UTC)
FORK = "/do/1/both/fork/branches"
PATHS = [
    "/do/0/first",
    "/do/1/both",
    f"{FORK}/0/left",
    f"{FORK}/0/left/do/0/inner",
    f"{FORK}/1/right",
    "/do/2/last",
    "/do/2/last/do/0/inner",
]
KINDS = ["intended", "sent", "observed", "failed", "cancelled", "chose", "time.started", "expired"]


def journal(rows: list[tuple[str, str, str]]) -> list[Entry]:
    """Make a journal of distinct rows; each has its bodies' usual members."""
    bodies: dict[str, dict[str, Any]] = {"cancelled": {"outcome": "TASK_STATE_CANCELED"}}
    keys = list(dict.fromkeys(rows))
    return [
        Entry(
            run_id="r",
            seq=number,
            path=path,
            attempt=attempt,
            kind=kind,
            at=AT,
            body=bodies.get(kind, {}),
        )
        for number, (path, attempt, kind) in enumerate(keys, start=2)
    ]


journals = st.lists(
    st.tuples(st.sampled_from(PATHS), st.sampled_from(["1", "1#1", "1#2"]), st.sampled_from(KINDS)),
    max_size=30,
).map(journal)
steps = st.sampled_from(PATHS)


@given(journals, steps)
def test_rows_are_kept_whole_once_and_in_their_order(rows: list[Entry], step: str) -> None:
    kept = carry(rows, step, last_visit(rows, step)).rows

    assert kept == [row for row in rows if row in kept]


@given(journals, steps)
def test_the_visit_of_the_step_begins_anew(rows: list[Entry], step: str) -> None:
    attempt = last_visit(rows, step)
    kept = carry(rows, step, attempt).rows

    assert not [row for row in kept if row.path == step and row.attempt == attempt]


@given(journals, steps)
def test_nothing_that_came_after_the_step_is_kept_but_in_branches_beside_it(
    rows: list[Entry], step: str
) -> None:
    attempt = last_visit(rows, step)
    since = min(
        (row.seq for row in rows if row.path == step and row.attempt == attempt),
        default=10_000,
    )
    other = f"{FORK}/1/" if f"{FORK}/0/" in step else f"{FORK}/0/"
    beside = other if FORK in step else None

    for row in carry(rows, step, attempt).rows:
        assert row.seq < since or (beside is not None and row.path.startswith(beside))


@given(journals, st.one_of(st.none(), steps))
def test_what_was_left_open_is_done_anew(rows: list[Entry], step: str | None) -> None:
    attempt = None if step is None else last_visit(rows, step)
    kept = carry(rows, step, attempt).rows
    begun = {(row.path, row.attempt) for row in kept if row.kind == "intended"}
    ended = {(row.path, row.attempt) for row in kept if row.kind in ("observed", "failed")}

    assert begun <= ended


@given(journals, steps)
def test_every_effect_that_would_be_repeated_is_named(rows: list[Entry], step: str) -> None:
    attempt = last_visit(rows, step)
    carried = carry(rows, step, attempt)
    kept = {(row.path, row.attempt) for row in carried.rows}
    ended = {(row.path, row.attempt) for row in rows if row.kind in ("failed", "cancelled")}
    effects = {(row.path, row.attempt) for row in rows if row.kind == "intended"}

    named = {(place.path, place.attempt) for place in carried.again}
    assert named == effects - kept - ended


@given(journals)
def test_starting_over_keeps_nothing(rows: list[Entry]) -> None:
    assert carry(rows, "/do", None).rows == []


def test_what_every_agent_has_declined_is_not_named_as_repeated() -> None:
    path = "/do/0/first"
    declined = [(path, "1", kind) for kind in ("intended", "declined.1")]
    taken = [*declined, (path, "1", "intended.2")]

    assert carry(journal(declined), path, "1").again == []
    assert [place.path for place in carry(journal(taken), path, "1").again] == [path]
