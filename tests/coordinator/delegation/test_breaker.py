"""The circuit breaker, as a state machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from parley_coordinator.delegation.breaker import FAILURES, LONGEST_PAUSE_S, Breaker, State

START = datetime(2026, 1, 1, tzinfo=UTC)


class Agents(RuleBasedStateMachine):
    """Calls begin and end in any order, and time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker()
        self.now = START
        self.under_way: list[bool] = []
        """For each call, whether it is the probe."""
        self.failed_in_a_row = 0

    @property
    def state(self) -> State:
        return self.breaker.state(self.now)

    @rule(seconds=st.floats(0, 2 * LONGEST_PAUSE_S))
    def time_passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def a_call_is_asked_for(self) -> None:
        state, probing = self.state, any(self.under_way)
        admission = self.breaker.admit(self.now)
        assert (admission.wait_s == 0) == (
            state is State.CLOSED or (state is State.HALF_OPEN and not probing)
        )
        assert 0 <= admission.wait_s <= LONGEST_PAUSE_S
        if admission.wait_s == 0:
            assert admission.probe == (state is State.HALF_OPEN)
            self.under_way.append(admission.probe)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def a_call_works(self, data: st.DataObject) -> None:
        self._ends(data)
        self.breaker.succeeded()
        self.failed_in_a_row = 0
        self.under_way = [False] * len(self.under_way)
        assert self.state is State.CLOSED

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def a_call_fails(self, data: st.DataObject) -> None:
        probe, before = self._ends(data), self.state
        self.breaker.failed(self.now, probe=probe)
        if probe:
            assert self.state is State.OPEN
        elif before is State.CLOSED:
            self.failed_in_a_row += 1
            assert (self.state is State.OPEN) == (self.failed_in_a_row >= FAILURES)
        else:
            assert self.state is before
        if self.state is State.OPEN:
            self.failed_in_a_row = 0

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def nothing_is_known_of_a_call(self, data: st.DataObject) -> None:
        probe, before = self._ends(data), self.state
        self.breaker.left_open(probe=probe)
        assert self.state is before

    @invariant()
    def there_is_one_probe_at_most(self) -> None:
        assert sum(self.under_way) <= 1

    @invariant()
    def it_never_stays_shut_for_longer_than_the_longest_pause(self) -> None:
        assert self.breaker.state(self.now + timedelta(seconds=LONGEST_PAUSE_S)) is not State.OPEN

    def _ends(self, data: st.DataObject) -> bool:
        return self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))


TestAgents = Agents.TestCase
TestAgents.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_each_failed_probe_doubles_the_pause_up_to_the_longest() -> None:
    breaker, now = Breaker(), START
    for _ in range(FAILURES):
        breaker.failed(now, probe=False)
    pauses = []
    for _ in range(6):
        pauses.append(breaker.wait_s(now))
        now += timedelta(seconds=pauses[-1])
        assert breaker.admit(now).probe
        breaker.failed(now, probe=True)

    assert pauses == [5, 10, 20, 40, 60, 60]


def test_a_clock_that_goes_back_does_not_keep_it_shut() -> None:
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.failed(START, probe=False)

    assert breaker.wait_s(START - timedelta(days=1)) == 5
