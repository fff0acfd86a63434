"""When a schedule is due next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_coordinator.workflow.document import Schedule
from parley_coordinator.workflow.schedules import kind_of, next_due, too_often

BEGAN = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
MOMENTS = st.integers(0, 70 * 365 * 86400).map(lambda s: BEGAN + timedelta(seconds=s - 10**8))
CRONS = st.sampled_from(["0 6 * * 1-5", "*/5 * * * *", "0 0 29 2 *", "30 2 * * 7", "59 23 31 * *"])


def schedule(**given_: Any) -> Schedule:
    return Schedule.model_validate(given_)


@pytest.mark.parametrize(
    ("given_", "after", "due"),
    [
        ({"every": "PT1H"}, "2026-01-31T12:00", "2026-01-31T13:00"),
        ({"every": "PT1H"}, "2026-01-31T13:00", "2026-01-31T14:00"),
        ({"every": "PT1H"}, "2026-01-31T19:59", "2026-01-31T20:00"),
        ({"after": "PT1H"}, "2026-01-31T19:59", "2026-01-31T20:59"),
        ({"cron": "0 6 * * *"}, "2026-01-31T06:00", "2026-02-01T06:00"),
        ({"cron": "0 0 29 2 *"}, "2026-01-31T06:00", "2028-02-29T00:00"),
        ({"on": {"one": {"with": {"type": "a.b"}}}}, "2026-01-31T06:00", None),
    ],
)
def test_the_next_time_is_in_utc_and_counts_from_the_beginning(
    given_: dict[str, Any], after: str, due: str | None
) -> None:
    at = datetime.fromisoformat(after).replace(tzinfo=UTC)
    expected = None if due is None else datetime.fromisoformat(due).replace(tzinfo=UTC)

    assert next_due(schedule(**given_), BEGAN, at) == expected
    assert kind_of(schedule(**given_)) in given_


@given(CRONS, MOMENTS)
def test_a_cron_is_always_later_and_nothing_is_left_out_between(cron: str, at: datetime) -> None:
    one = next_due(schedule(cron=cron), BEGAN, at)
    assert one is not None
    half = at + (one - at) / 2

    assert one > at
    assert next_due(schedule(cron=cron), BEGAN, half) == one


@given(st.integers(1, 10**6), MOMENTS)
def test_an_interval_is_always_later_and_a_whole_number_of_lengths_from_the_beginning(
    seconds: int, at: datetime
) -> None:
    length = timedelta(seconds=seconds)
    due = next_due(schedule(every={"seconds": seconds}), BEGAN, at)

    assert due is not None
    assert due > at
    assert (due - BEGAN) % length == timedelta()
    assert due - max(at, BEGAN) <= length


@pytest.mark.parametrize("given_", [{"every": "PT0.5S"}, {"after": {"milliseconds": 10}}])
def test_less_than_a_second_is_too_often(given_: dict[str, Any]) -> None:
    assert too_often(schedule(**given_))
    assert not too_often(schedule(every="PT1S"))
