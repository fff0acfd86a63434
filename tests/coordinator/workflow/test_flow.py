"""Where a list of tasks can go, found fast and the same as by trying everything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from parley_coordinator.workflow.flow import OUT, OVER, Ways, loops, reached, unavoidable

LISTS = st.integers(1, 7).flatmap(
    lambda size: st.lists(
        st.lists(st.integers(0, size - 1) | st.sampled_from((OUT, OVER)), max_size=3),
        min_size=size,
        max_size=size,
    )
)


def leaves(ways: Ways, closed: int | None = None) -> bool:
    """Tell whether a list can be left, by its end or by an error, without one of its tasks."""
    shut = [[] if index == closed else row for index, row in enumerate(ways)]
    found = set() if closed == 0 else set(reached(shut, [0])) - {closed}
    return any(each < 0 or not ways[each] for each in found)


@given(LISTS)
def test_a_task_is_unavoidable_if_nothing_leaves_without_it(ways: Ways) -> None:
    expected = {task for task in range(len(ways)) if leaves(ways) and not leaves(ways, task)}

    assert unavoidable(ways) == expected


@given(LISTS)
def test_a_loop_is_a_largest_set_of_tasks_that_lead_to_each_other(ways: Ways) -> None:
    def after(task: int) -> set[int]:
        return set(reached(ways, ways[task]))

    expected = {
        frozenset(each for each in range(len(ways)) if each in after(task) and task in after(each))
        for task in range(len(ways))
        if task in after(task)
    }

    assert {frozenset(loop) for loop in loops(ways)} == expected
