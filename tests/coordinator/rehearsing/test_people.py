"""People in cases: what they decide, held against what the inbox refuses."""

from __future__ import annotations

import pytest

from tests.coordinator.rehearsing.kit import run, told, workflow

pytestmark = pytest.mark.anyio

ASKED = workflow("""
do:
  - approve:
      call: human-task:1.0.0@parley
      with:
        title: May it be?
        candidates: ["role:approver"]
        excludeActors: ["${ $workflow.requestedBy }"]
        outcomes: [yes, no]
        form: {type: object, properties: {amount: {type: number, maximum: 10}}, required: [amount]}
        proposal: {action: nothing}
      timeout: {after: {days: 3}}
""")
TEN = "values: {amount: 10}"


async def test_a_person_decides_and_time_passes_until_then() -> None:
    result = await run(
        ASKED,
        f"""
        case: x
        people: {{approve: {{outcome: yes, by: anna, comment: ok, {TEN}, after: {{days: 2}}}}}}
        expect:
          output: {{outcome: yes, by: anna, comment: ok, {TEN}, at: "2026-01-07T09:00:00Z"}}
          asked: [{{task: approve, title: "May it be?", outcomes: [yes, no], excludeActors: [requester]}}]
          took: P2D
        """,
    )

    assert result.passed, told(result)


async def test_anybody_answers_what_nobody_else_does() -> None:
    result = await run(
        ASKED,
        f"""
        case: x
        people: {{"*": {{outcome: no, by: approver, {TEN}}}}}
        expect: {{output: {{outcome: no}}}}
        """,
    )

    assert result.passed


@pytest.mark.parametrize(
    ("decision", "code", "reason"),
    [
        (f"outcome: maybe, by: approver, {TEN}", "invalid_decision", "'maybe' is not offered"),
        (f"outcome: yes, by: requester, {TEN}", "not_eligible", "may not decide it"),
        (f"outcome: yes, by: operator, {TEN}", "not_eligible", "is not a candidate"),
        (f"outcome: yes, by: eve, roles: [operator], {TEN}", "not_eligible", "not a candidate"),
        (f"outcome: yes, by: auditor, {TEN}", "not_permitted", "may not item:decide"),
        ("outcome: yes, by: approver", "invalid_decision", "amount is missing"),
        (
            "outcome: yes, by: approver, values: {amount: 11}",
            "invalid_decision",
            "amount must be at most 10",
        ),
        (
            "outcome: yes, by: approver, values: {amount: 1, x: 1}",
            "invalid_decision",
            "x is not a field",
        ),
    ],
)
async def test_a_decision_that_the_inbox_refuses_fails_the_case_unless_it_says_so(
    decision: str, code: str, reason: str
) -> None:
    impossible = await run(
        ASKED, f"case: x\npeople: {{approve: {{{decision}}}}}\nexpect: {{state: completed}}"
    )
    foreseen = await run(
        ASKED,
        f"case: x\npeople: {{approve: {{{decision}, refused: {code}}}}}\n"
        "expect: {error: {type: timeout}, took: P3D}",
    )

    assert reason in impossible.problems[0]
    assert foreseen.passed, foreseen.problems


async def test_a_refusal_that_does_not_come_or_is_another_one_fails_the_case() -> None:
    taken = await run(
        ASKED,
        f"case: x\npeople: {{approve: {{outcome: yes, by: approver, {TEN}, refused: not_eligible}}}}"
        "\nexpect: {state: completed}",
    )
    other = await run(
        ASKED,
        "case: x\npeople: {approve: {outcome: yes, by: auditor, refused: not_eligible}}"
        "\nexpect: {state: completed}",
    )

    assert "which the inbox takes" in taken.problems[0]
    assert "as not_permitted, not as not_eligible" in other.problems[0]


async def test_after_a_refused_decision_the_question_stays_open_for_the_next() -> None:
    result = await run(
        ASKED,
        f"""
        case: x
        people:
          approve:
            - {{outcome: yes, by: requester, {TEN}, refused: not_eligible}}
            - {{outcome: no, by: approver, {TEN}}}
        expect: {{output: {{outcome: no}}, asked: [{{}}]}}
        """,
    )

    assert result.passed


async def test_a_question_that_is_none_is_an_error_as_in_the_real_engine() -> None:
    document = workflow("""
        do:
          - ask:
              call: human-task:1.0.0@parley
              with: {title: "", candidates: ["role:approver"], outcomes: [x], proposal: {}}
        """)
    result = await run(
        document,
        "case: x\npeople: {ask: {silent: true}}\nunused: allow\n"
        "expect: {error: {type: validation, detail: it has no title}}",
    )

    assert result.passed


async def test_a_rehearsal_stops_when_it_is_told_to() -> None:
    result = await run(
        ASKED,
        "case: x\nstopAfter: P2D\npeople: {approve: {silent: true}}\n"
        "expect: {state: waiting, took: P2D}",
    )

    assert result.passed
    assert result.as_json()["standing"] == [
        "Approve (/do/0/approve), until 2026-01-08T09:00:00+00:00"
    ]
