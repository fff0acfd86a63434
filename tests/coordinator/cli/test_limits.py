"""The limits of a run, as people write them at the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_cards.delegation import Budget
from parley_cards.delegation_json import read_budget, read_delegation
from parley_cards.errors import ParleyError
from parley_coordinator.cli.errors import UsageError
from parley_coordinator.cli.limits import limits

from tests.coordinator.cli.shell import Shell
from tests.coordinator.cli.test_commands import refused

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("90s", "2026-01-02T03:05:35.000Z"),
        ("30min", "2026-01-02T03:34:05.000Z"),
        ("2h", "2026-01-02T05:04:05.000Z"),
        ("3d", "2026-01-05T03:04:05.000Z"),
        ("2026-05-04T09:30:00Z", "2026-05-04T09:30:00.000Z"),
        ("2026-05-04T09:30:00.25+02:00", "2026-05-04T07:30:00.250Z"),
    ],
)
def test_a_deadline_is_a_moment_or_a_span_from_now(written: str, meant: str) -> None:
    assert limits(written, [], now=NOW) == {"deadline": meant}


@pytest.mark.parametrize(
    "written",
    ["", "2", "0s", "-2h", "2 h", "soon", "2026-05-04", "2026-05-04T09:30:00", "999999d1"],
)
def test_a_deadline_that_could_be_read_in_two_ways_is_refused(written: str) -> None:
    with pytest.raises(UsageError, match="--deadline takes"):
        limits(written, [], now=NOW)


@pytest.mark.parametrize(
    "written", [["calls"], ["calls=-1"], ["cost=2.50"], ["cost=EUR"], ["x=1"], ["calls=1"] * 2]
)
def test_a_budget_that_is_none_is_refused(written: list[str]) -> None:
    with pytest.raises(UsageError, match="--budget takes"):
        limits(None, written, now=NOW)


def test_what_is_not_given_sets_no_limit() -> None:
    assert limits(None, [], now=NOW) == {}


@given(st.text(max_size=30), st.lists(st.text(max_size=20), max_size=2))
def test_whatever_is_written_is_refused_here_or_can_be_read_there(
    deadline: str, budget: list[str]
) -> None:
    try:
        told = limits(deadline, budget, now=NOW)
    except UsageError:
        return
    try:
        read_budget(told.get("budget", {}))
        assert read_delegation(told).deadline is not None
    except ParleyError as exc:
        assert "amount" in exc.message


@pytest.mark.anyio
async def test_a_run_is_started_under_its_limits(parley: Shell) -> None:
    before = datetime.now(UTC)
    words = ("--deadline", "2h", "--budget", "calls=12", "--budget", "cost=2.50 EUR")
    ended = await parley("run", "review", "--set", "amount=7", *words)

    assert ended.status == 0
    (contract,) = parley.served.memory.contracts
    assert contract.budget == Budget(calls=12, cost=Decimal("2.50"), unit="EUR")
    assert contract.deadline is not None
    assert timedelta(hours=2) - timedelta(seconds=1) <= contract.deadline - before
    refused(await parley("run", "review", "--deadline", "later"), 2, "usage")
    past = await parley("run", "review", "--set", "amount=7", "--budget", "cost=007 EUR")
    refused(past, 2, "invalid_request")
