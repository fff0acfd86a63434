"""What the cases of a document have reached, and what none has."""

from __future__ import annotations

import pytest
from parley_coordinator.rehearsing.coverage import Coverage
from parley_coordinator.rehearsing.paths import names_of, site_of
from parley_coordinator.rehearsing.results import never_used

from tests.coordinator.rehearsing.kit import cases, run_one, workflow

pytestmark = pytest.mark.anyio

DOCUMENT = workflow("""
use: {functions: {price: {call: "quote:1.0.0@agents"}}}
do:
  - size:
      metadata: {label: "How large?"}
      switch: [{large: {when: "${ .n > 9 }", then: ask}}, {small: {then: note}}]
  - ask: {call: price}
  - careful:
      metadata: {label: With care}
      try: [{deep: {do: [{inner: {raise: {error: {type: "urn:x", status: 500}}}}]}}]
      catch: {do: [{handle: {set: {n: 1}}}]}
  - note: {set: {n: 0}, if: "${ .n < 5 }"}
""")


async def _reached(*inputs: int) -> Coverage:
    coverage = Coverage(DOCUMENT)
    for number in inputs:
        (case,) = cases(
            f"case: x\ninput: {{n: {number}}}\nagents: {{quote: {{output: {{price: 1, n: 7}}}}}}\n"
            "expect: {state: completed}"
        )
        result = await run_one(DOCUMENT, case)
        assert result.played is not None
        coverage.add(result.played)
    return coverage


async def test_tasks_and_cases_that_were_not_reached_are_told_with_their_labels() -> None:
    coverage = await _reached(1)

    assert coverage.counts() == {"tasks": (2, 8), "cases": (1, 2)}
    assert [(one.task, one.label, one.case, one.inside) for one in coverage.unreached()] == [
        ("size", "How large?", "large", 0),
        ("ask", "Ask", "", 0),
        ("careful", "With care", "", 3),
        ("price", "Price", "", 0),
    ]
    assert [one.line for one in coverage.unreached()] == [5, 8, 9, 3]


async def test_functions_handlers_and_what_is_inside_are_reached_where_they_run() -> None:
    coverage = await _reached(10, 6)

    assert coverage.counts() == {"tasks": (8, 8), "cases": (2, 2)}
    assert list(coverage.unreached()) == []


async def test_a_task_that_is_always_skipped_is_not_reached() -> None:
    coverage = await _reached(6)

    assert "/do/3/note" not in coverage.tasks


async def test_what_a_file_gives_to_all_is_used_if_one_case_uses_it() -> None:
    text = """
        agents: {quote: {output: {price: 1, n: 7}}, order: {output: 1}}
        cases:
          - {case: a, input: {n: 10}, expect: {state: completed}}
          - {case: b, input: {n: 1}, expect: {state: completed}}
        """
    results = [await run_one(DOCUMENT, case) for case in cases(text)]

    assert [result.warnings for result in results] == [[], []]
    assert list(never_used(results)) == ["agents.order was never used"]


@pytest.mark.parametrize(
    ("path", "site", "names"),
    [
        ("/do/0/a", "/do/0/a", ("a",)),
        ("/do/0/a/fork/branches/1/b/try/0/call", "/do/0/a/fork/branches/1/b/try/0/call", ("call",)),
        ("/do/0/a/call/f", "/use/functions/f", ("a", "f")),
        ("/do/0/a/call/f/call/g", "/use/functions/g", ("a", "f", "g")),
        ("/do/0/a/call/f/do/2/b/foreach/do/0/c", "/use/functions/f/do/2/b/foreach/do/0/c", ("c",)),
        ("/do/0/call/do/0/x", "/do/0/call/do/0/x", ("x",)),
        ("/do/0/a/catch/do/0/b", "/do/0/a/catch/do/0/b", ("b",)),
        ("/input", "", ("/input",)),
        ("", "", ("",)),
    ],
)
def test_a_place_of_a_run_is_a_task_of_the_document(
    path: str, site: str, names: tuple[str, ...]
) -> None:
    assert site_of(path) == site
    assert names_of(path) == names
