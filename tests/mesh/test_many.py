"""Small versions of `make bench-parked` and `make bench-reconnects`: what they promise, not how fast."""

from __future__ import annotations

import pytest

from benchmarks import parked, reconnects
from benchmarks.ground import ground

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]


@pytest.mark.crash
async def test_parked_runs_cost_no_work_and_wake_before_the_queue_would() -> None:
    with ground() as found:
        result = await parked.measure(found, 40, 1)

    assert result.idle_cpu < 0.25
    # Whoever waits for the queue waits for up to two seconds; the best of them shows who woke it.
    assert min(result.event_ms) < 500
    assert min(result.decision_ms) < 500


async def test_clients_that_are_cut_off_see_everything_once_and_in_order() -> None:
    with ground() as found:
        tallies = await reconnects.measure(found, 24, 7, clients=6)

    assert all(each.reconnects >= 24 for each in tallies)
    assert {each.name: (each.lost, each.doubled) for each in tallies} == {
        each.name: (0, 0) for each in tallies
    }
