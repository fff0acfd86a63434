"""Pauses between tries."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from parley_coordinator.delegation.gates import AgentRestingError
from parley_coordinator.delegation.retrying import (
    FIRST_S,
    LONGEST_S,
    MAX_DEFERRALS,
    MAX_TRIES,
    Tries,
    pause_s,
)
from parley_wire.agent_errors import AgentBusyError, AgentServerError, AgentUnreachableError

draws = st.floats(0, 1)


@given(st.integers(1, 10_000), draws)
def test_a_pause_is_drawn_from_all_that_is_allowed_after_so_many_tries(
    failed: int, drawn: float
) -> None:
    longest = min(LONGEST_S, FIRST_S * 2 ** min(failed - 1, 30))

    assert pause_s(Tries(failed), AgentUnreachableError("no"), lambda: drawn) == drawn * longest


@given(st.floats(0, 300), draws)
def test_what_an_agent_asks_for_is_never_cut_short(asked: float, drawn: float) -> None:
    for exc in (AgentBusyError("later", retry_after_s=asked), AgentRestingError("a", asked)):
        assert asked <= pause_s(Tries(), exc, lambda: drawn) <= asked * 1.1


def test_a_busy_agent_that_does_not_say_for_how_long_is_treated_as_one_that_failed() -> None:
    assert Tries().after(AgentBusyError("later")) == Tries(failed=1)
    assert Tries().after(AgentBusyError("later", retry_after_s=3)) == Tries(deferred=1)


@given(st.lists(st.booleans(), max_size=40))
def test_tries_end(deferred: list[bool]) -> None:
    tries = Tries()
    for each in deferred:
        exc = AgentBusyError("later", retry_after_s=1) if each else AgentServerError("broken")
        tries = tries.after(exc)

    failed = len(deferred) - sum(deferred)
    assert tries.spent() == (failed >= MAX_TRIES or sum(deferred) >= MAX_DEFERRALS)
