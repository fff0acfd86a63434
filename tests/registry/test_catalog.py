"""The rules of the registry, without a clock or a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_registry.catalog import (
    Probe,
    Standing,
    Timing,
    after_cursor,
    cursor_after,
    health,
    may_take_name,
    probe_due,
    slug,
)
from parley_registry.errors import InvalidRequestError
from parley_registry.records import Health, timestamp

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TIMING = Timing(grace=timedelta(seconds=10), probe_every=timedelta(seconds=5))


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def standing(*, probe: tuple[float, str] | None = None, url: str = "http://a") -> Standing:
    """Leased until second 0; grace until 10."""
    found = Probe(at=at(probe[0]), problem=probe[1]) if probe else None
    return Standing(url=url, lease_until=START, probe=found)


@pytest.mark.parametrize(
    ("second", "probe", "expected"),
    [
        (-1, None, Health.UP),
        (-1, (-20, "broken"), Health.UP),
        (0, None, Health.UNKNOWN),
        (9, None, Health.UNKNOWN),
        (100, None, Health.UNKNOWN),
        (9, (5, "broken"), Health.UNKNOWN),
        (11, (10, "broken"), Health.DOWN),
        (500, (10, "broken"), Health.DOWN),
        (11, (10, ""), Health.UP),
        (24.9, (10, ""), Health.UP),
        (25, (10, ""), Health.UNKNOWN),
    ],
)
def test_the_lease_has_the_word_and_then_the_probe(
    second: float, probe: tuple[float, str] | None, expected: Health
) -> None:
    assert health(standing(probe=probe), now=at(second), timing=TIMING) is expected


@pytest.mark.parametrize(
    ("second", "probe", "due"),
    [
        (-1, None, False),
        (9.9, None, False),
        (10, None, True),
        (14, (10, ""), False),
        (15, (10, ""), True),
        (14, (10, "broken"), False),
        (15, (10, "broken"), True),
        (10, (-3, "broken"), True),
    ],
)
def test_a_probe_is_due_after_the_grace_and_then_at_intervals(
    second: float, probe: tuple[float, str] | None, due: bool
) -> None:
    assert probe_due(standing(probe=probe), now=at(second), timing=TIMING) is due


@given(
    st.integers(-100, 1000),
    st.none() | st.tuples(st.integers(-100, 1000), st.sampled_from(["", "broken"])),
)
def test_no_agent_is_called_down_without_a_failed_probe_after_its_grace(
    second: float, probe: tuple[float, str] | None
) -> None:
    state = health(standing(probe=probe), now=at(second), timing=TIMING)

    looked_and_failed = probe is not None and probe[1] == "broken" and at(probe[0]) >= at(10)
    assert (state is Health.DOWN) == (looked_and_failed and second >= 0)


@given(st.integers(10, 1000), st.integers(10, 1000))
def test_an_agent_whose_health_is_unknown_after_the_grace_is_always_probed(
    second: float, probed: float
) -> None:
    quiet = standing(probe=(probed, ""))
    if health(quiet, now=at(second), timing=TIMING) is Health.UNKNOWN:
        assert probe_due(quiet, now=at(second), timing=TIMING)


def test_a_name_goes_to_another_address_only_when_its_holder_is_down() -> None:
    down, quiet = standing(probe=(10, "broken")), standing()

    assert may_take_name(None, url="http://b", now=at(99), timing=TIMING)
    assert may_take_name(quiet, url="http://a", now=at(-5), timing=TIMING)
    assert not may_take_name(quiet, url="http://b", now=at(-5), timing=TIMING)
    assert not may_take_name(quiet, url="http://b", now=at(99), timing=TIMING)
    assert may_take_name(down, url="http://b", now=at(11), timing=TIMING)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("documents", "documents"),
        ("Echo Agent!", "echo-agent"),
        ("  --x--  ", "x"),
        ("Caf\u00e9 N\u00ba 5", "cafe-no-5"),
        ("a" * 100, "a" * 63),
        ("../../etc/passwd", "etc-passwd"),
    ],
)
def test_a_card_name_becomes_a_name_for_urls(name: str, expected: str) -> None:
    assert slug(name) == expected


@given(st.text())
def test_a_slug_is_safe_and_stable_or_refused(name: str) -> None:
    try:
        found = slug(name)
    except InvalidRequestError:
        return
    assert slug(found) == found
    assert after_cursor(cursor_after(found)) == found


@given(st.text(max_size=100))
def test_a_cursor_of_somebody_else_is_refused_or_a_name(cursor: str) -> None:
    try:
        name = after_cursor(cursor)
    except InvalidRequestError:
        return
    assert name == "" or slug(name)


@given(st.lists(st.datetimes(timezones=st.just(UTC), min_value=datetime(1000, 1, 1)), min_size=2))  # noqa: DTZ001
def test_timestamps_sort_as_text_and_read_back(times: list[datetime]) -> None:
    assert sorted(map(timestamp, times)) == [timestamp(each) for each in sorted(times)]
    assert [datetime.fromisoformat(timestamp(each)) for each in times] == times
