"""No run can build a value that is too large or too deep to be written down and read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_coordinator.workflow.extent import MAX_LEVELS, MAX_SIZE, excess

from tests.coordinator.workflow.scripted import fault, load, run

pytestmark = pytest.mark.anyio

SIZE, LEVELS = "is larger than", "is nested more than 100 levels deep"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def nested(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"in": value}
    return value


def doubled(times: int) -> Any:
    value: Any = "x"
    for _ in range(times):
        value = [value, value]
    return value


def test_what_is_at_the_limit_passes_and_one_more_does_not() -> None:
    assert excess(nested(MAX_LEVELS)) is None
    assert excess(nested(MAX_LEVELS + 1)) == LEVELS
    assert excess("x" * (MAX_SIZE - 1)) is None
    assert (excess("x" * MAX_SIZE) or "").startswith(SIZE)


def test_what_shares_its_parts_is_as_large_as_it_would_be_written() -> None:
    assert excess(doubled(10)) is None
    assert (excess(doubled(90)) or "").startswith(SIZE)


@given(VALUES)
def test_a_value_whose_text_is_short_is_within_the_limits(value: Any) -> None:
    assert len(json.dumps(value)) < MAX_SIZE
    assert excess(value) is None


@pytest.mark.parametrize(
    ("task", "exceeded"),
    [
        ("set: {a: '${ . }'}", LEVELS),
        ("set: '${ {a: .} }'", LEVELS),
        ("set: '${ $task }'", LEVELS),
        ("set: '${ reduce range(99) as $i (.; [.]) }'", LEVELS),
        ("set: {}, output: {as: {a: '${ $input }'}}", LEVELS),
        ("fork: {branches: [{x: {wait: PT0S}}]}", LEVELS),
        ("fork: {branches: [{x: {wait: PT0S}}, {y: {wait: PT0S}}]}", SIZE),
        ("set: {a: '${ . }', b: '${ . }'}", SIZE),
        ("set: '${ {t: (.t + .t)} }'", SIZE),
        ("set: '${ [.] + [.] }'", SIZE),
    ],
)
async def test_a_loop_that_makes_its_value_grow_fails_at_the_limit(
    task: str, exceeded: str
) -> None:
    loop = f"do: [{{l: {{for: {{in: '${{ [range(300)] }}'}}, do: [{{grow: {{{task}}}}}]}}}}]"

    error = await fault(loop, data={"t": "text"})

    assert error.instance == "/do/0/l/do/0/grow"
    assert error.detail is not None
    assert exceeded in error.detail


async def test_a_loop_that_hands_its_value_on_does_not() -> None:
    loop = "do: [{l: {for: {in: '${ [range(300)] }'}, do: [{same: {set: '${ . }'}}]}}]"

    assert await run(load(loop), data=nested(MAX_LEVELS)) == nested(MAX_LEVELS)
