"""A document in words."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parley_coordinator.workflow.document import Document
from parley_coordinator.workflow.outline import Entry, outline
from parley_coordinator.workflow.outline_text import WIDTH, outline_json, outline_text
from parley_coordinator.workflow.wording.conditions import condition
from parley_coordinator.workflow.wording.fields import Field, fields

from tests.coordinator.workflow.documents import (
    HERE,
    document,
    every_kind,
    invoice_exception,
    task_lists,
)


def entries(of: Document) -> dict[str, Entry]:
    return {entry.number: entry for entry in outline(of).walk()}


def line_of(task: dict[str, Any], **more: Any) -> str:
    said = outline(document([{"it": task}], **more)).entries[0].line
    return said.removesuffix(" - then the workflow ends")


def test_the_outline_of_the_invoice_workflow_is_what_its_owners_read() -> None:
    expected = (HERE / "invoice-exception.outline.txt").read_text(encoding="utf-8")

    assert outline_text(outline(invoice_exception())) == expected


def test_every_kind_of_task_is_said() -> None:
    found = entries(every_kind())

    assert {entry.kind for entry in found.values()} == {
        *("agent", "person", "system", "workflow", "data", "choice", "case", "steps", "loop"),
        *("fork", "attempt", "retry", "handler", "raise", "wait", "announce", "listen"),
    }
    assert found["2"].who == "HTTP service shop.example"
    assert found["3"].does.startswith("at the same time; the first to finish wins")
    assert found["3.3"].line == (
        "Ask the price tool - by MCP server tools.example - tool price - within 30 seconds"
    )
    assert found["5.3"].line == "Let them think - waits 2 hours - then go to 5.1"
    assert found["6.1"].does == (
        "for each line of lines, one after the other, as long as attempts is not 9"
    )
    assert found["7"].line == (
        "Send the bill - by workflow finance/billing latest - waits for its end - within 1 day"
    )
    assert found["8"].does == (
        "waits for the event com.example.paid, whose order (data.order) is the id of the run"
    )
    assert found["9"].then == "then the workflow ends"


def test_people_are_named_with_their_roles_and_who_may_not() -> None:
    ask = entries(every_kind())["5.1"]

    assert ask.kind == "person"
    assert ask.who == "anyone with the role approver or ada, but not whoever asked for the run"
    assert ask.does == "decides: agree, ask-again or refuse"
    assert ask.deadline == "within 8 hours"


def test_what_undoes_another_call_says_which() -> None:
    refund = entries(every_kind())["6.4.1"]

    assert (refund.undoes, refund.on_error) == ("6.2 (Charge the card)", True)


def test_cases_say_their_condition_and_where_they_go() -> None:
    found = entries(every_kind())

    assert [found[f"4.{case}"].line for case in (1, 2, 3, 4)] == [
        'Small, if total is less than 500 and channel is "web": go to 6',
        "Not for us, if total is not given or"
        ' (total is more than 100000 and country is not "DE"): go to 10',
        "Start over, if [.lines[] | select(.open)] | length > 0: go to 1",
        "Someone must, otherwise: go to 5",
    ]
    assert found["5.2.1"].then == "go on after 5"
    assert found["5.2.3"].then == "the workflow ends"


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ('${ $context.verdict.outcome == "auto-approve" }', 'verdict.outcome is "auto-approve"'),
        (".a and .b", "a holds and b holds"),
        (".a >= 5 or .b <= 2.", ".a >= 5 or .b <= 2."),
        ("(.a == 1 or .b == 2) and .c == true", "(a is 1 or b is 2) and c is true"),
        ("$context.a == .a", "$context.a == .a"),
        ("$item.open != null", "item.open is given"),
        (".lines[0].open", "lines[0].open holds"),
        ('.a | test("x")', '.a | test("x")'),
        ("$workflow.requestedBy != .owner", "whoever asked for the run is not owner"),
    ],
)
def test_a_condition_is_said_in_words_if_that_is_certain(expression: str, said: str) -> None:
    assert condition(expression) == said


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ({"cron": "0 6 * * *"}, "Starts every day at 06:00 (UTC)"),
        ({"cron": "15 8,17 * * 1-5"}, "Starts on Monday to Friday at 08:15 and 17:15 (UTC)"),
        ({"cron": "*/10 * * * *"}, "Starts every 10 minutes (UTC)"),
        ({"cron": "5 * * * sun"}, "Starts on Sunday every hour at minute 5 (UTC)"),
        ({"cron": "0 0 1 * *"}, "Starts on day 1 of every month at 00:00 (UTC)"),
        (
            {"cron": "0 0 1-7 */2 *"},
            "Starts at the times of the cron schedule “0 0 1-7 */2 *” (UTC)",
        ),
        ({"every": {"hours": 1}}, "Starts every hour"),
        ({"after": {"minutes": 5}}, "Starts again 5 minutes after a run has completed"),
        (
            {"on": {"one": {"with": {"type": "com.example.paid"}}}},
            "Starts when this comes: the event com.example.paid",
        ),
    ],
)
def test_a_schedule_is_said_in_words(schedule: dict[str, Any], said: str) -> None:
    assert outline(document([{"it": {"set": {"a": 1}}}], schedule=schedule)).start == said


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({}, "try again, at once"),
        ({"delay": "PT3S", "limit": {"attempt": {"count": 1}}}, "once, waiting 3 seconds"),
        (
            {"delay": "PT1S", "backoff": {"exponential": {}}, "limit": {"attempt": {"count": 4}}},
            "up to 4 times, waiting 1 second, doubling each time",
        ),
        ({"delay": "${ .pause }"}, "waiting a time that the run works out (pause)"),
        ({"when": "$error.status == 503"}, "if error.status is 503"),
    ],
)
def test_a_retry_is_said_in_words(policy: dict[str, Any], said: str) -> None:
    catch = {"errors": {"with": {"status": 503}}, "retry": policy}
    tried = document([{"it": {"try": [{"x": {"set": {"a": 1}}}], "catch": catch}}])

    again = entries(tried)["1.2"]

    assert again.text == "In case of any error with status 503"
    assert said in again.does


def test_an_error_that_is_taken_and_not_handled_is_said_to_be() -> None:
    catch = {"errors": {"with": {"type": "https://example.com/errors/odd"}}, "when": ".a"}
    tried = document([{"it": {"try": [{"x": {"set": {"a": 1}}}], "catch": catch}}])

    said = entries(tried)["1.2"].line

    assert said == (
        "In case of the error https://example.com/errors/odd, if a holds: go on nevertheless"
    )


def test_an_address_shows_neither_credentials_nor_query() -> None:
    call = {"call": "http", "with": {"method": "GET", "endpoint": "https://u:p@a.example/b?key=c"}}

    assert line_of(call) == "It - by HTTP service a.example - GET /b"


def test_a_call_of_a_function_of_the_document_is_done_by_who_does_the_function() -> None:
    ask = {"call": "human-task:1.0.0@parley", "with": {"candidates": ["role:approver"]}}
    use = {"functions": {"ask": ask, "askAgain": {"call": "ask"}}}

    assert line_of({"call": "askAgain"}, use=use) == (
        "It - by anyone with the role approver - answers"
    )


def test_functions_in_a_circle_end() -> None:
    use = {"functions": {"one": {"call": "other"}, "other": {"call": "one"}}}

    assert line_of({"call": "one"}, use=use) == "It"


def test_an_entry_without_a_label_is_called_by_its_name() -> None:
    named = document([{"askTheERPAgain": {"set": {"a": 1}}}])

    assert outline(named).entries[0].text == "Ask the ERP again"


def test_json_has_every_line_of_the_text() -> None:
    said = outline(every_kind())

    def count(steps: list[dict[str, Any]]) -> int:
        return sum(1 + count(step["steps"]) for step in steps)

    assert count(outline_json(said)["steps"]) == len(list(said.walk()))


@given(task_lists())
@settings(max_examples=40, deadline=None)
def test_numbers_are_unique_and_follow_the_document(do: list[dict[str, Any]]) -> None:
    numbers = [entry.number for entry in outline(document(do)).walk()]

    assert len(set(numbers)) == len(numbers)
    assert sorted(numbers, key=lambda each: [int(part) for part in each.split(".")]) == numbers


@given(st.text(max_size=400), st.text(max_size=80))
def test_whatever_a_label_holds_the_outline_is_lines_of_visible_text(
    label: str, literal: str
) -> None:
    do = [{"it": {"metadata": {"label": label}, "set": {"a": literal}}}]
    try:
        hostile = document(do, document={"summary": label})
    except ValueError:
        return  # no canonical form

    said = outline_text(outline(hostile))

    assert max(map(len, said.split("\n"))) <= max(WIDTH, 90)
    assert {unicodedata.category(each) for each in said if each != "\n"} & {"Cc", "Cs"} == set()


def test_the_members_of_a_schema_are_rows() -> None:
    schema = {
        "type": "object",
        "required": ["lines"],
        "properties": {
            "lines": {
                "type": "array",
                "items": {"properties": {"amount": {"type": "string", "maxLength": 9}}},
            },
            "mode": {"enum": ["fast", "safe"], "description": "How to go about it."},
        },
    }

    assert fields(schema) == [
        Field("lines", "array", required=True, about=""),
        Field("lines[].amount", "string", required=False, about="at most 9 characters"),
        Field("mode", "fast or safe", required=False, about="How to go about it."),
    ]
    assert fields(None) == fields(True) == []
