"""Whatever a case file holds, it gives findings or a result."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from parley_coordinator.errors import InvalidWorkflowError

from tests.coordinator.rehearsing.kit import cases, run_one, workflow

DOCUMENT = workflow("""
    do:
      - price:
          try: [{first: {call: "quote:1.0.0@agents", timeout: {after: {hours: 1}}}}]
          catch: {do: [{none: {set: {price: 0}}}]}
      - approve:
          call: human-task:1.0.0@parley
          with:
            title: May it be?
            candidates: ["role:approver"]
            outcomes: [yes, no]
            proposal: {action: nothing}
          timeout: {after: {days: 3}}
      - hear: {listen: {to: {one: {with: {type: paid.v1}}}}, timeout: {after: {hours: 9}}}
      - which: {switch: [{all: {when: "${ .[0] }", then: end}}, {none: {then: end}}]}
    """)
CASE: dict[str, Any] = {
    "case": "x",
    "input": {"amount": 1},
    "requestedBy": "anna",
    "started": "2026-11-23T09:00:00Z",
    "stopAfter": "P9D",
    "agents": {"quote": [{"output": {"price": 1}, "after": "PT2M", "times": 2}]},
    "people": {"*": {"outcome": "yes", "by": "approver", "comment": "", "values": {}}},
    "events": [{"after": "PT1H", "event": {"type": "paid.v1", "source": "/bank", "data": 1}}],
    "expect": {
        "state": "completed",
        "output": [1],
        "calls": ["quote"],
        "asked": [{"task": "approve", "candidates": ["role:approver"]}],
        "emitted": [],
        "tasks": ["price", "hear"],
        "took": "P1D",
    },
}
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["first", "quote", "*", "P1D", "completed", "requester", "${ .x }", "yes"])
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["output", "error", "type", "a"]) | st.text(), inner)
    ),
    max_leaves=8,
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = [path] if path else []
    if isinstance(value, dict | list):
        for key, member in inner:
            found += (
                _paths(member, (*path, key)) if isinstance(member, dict | list) else [(*path, key)]
            )
    return found


def _changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(json.dumps(CASE))
    node: Any = whole
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return whole


def _come_to_an_end(text: str) -> None:
    try:
        found = cases(text)
    except InvalidWorkflowError as exc:
        assert exc.facts["findings"]
        return
    for case in found:
        result = asyncio.run(run_one(DOCUMENT, case))
        json.dumps(result.as_json())


def test_the_case_that_is_changed_passes_as_it_is_but_for_its_times() -> None:
    (case,) = cases(json.dumps({**CASE, "expect": {"output": [1]}}))

    result = asyncio.run(run_one(DOCUMENT, case))

    assert result.passed, result.as_json()


@given(st.sampled_from(_paths(CASE)), _VALUES)
@settings(max_examples=300, deadline=None)
def test_whatever_stands_in_a_case_there_is_a_result_or_a_finding(
    path: tuple[Any, ...], value: Any
) -> None:
    _come_to_an_end(json.dumps(_changed(path, value)))


@given(st.text(max_size=200) | _VALUES.map(json.dumps))
@settings(max_examples=200, deadline=None)
def test_whatever_the_text_is_there_is_a_result_or_a_finding(text: str) -> None:
    _come_to_an_end(text)
