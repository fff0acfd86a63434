"""Case files: the format is strict, and every refusal says where and what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from parley_coordinator.rehearsing.cases import AgentAnswer

from tests.coordinator.rehearsing.kit import cases, refused

MINIMAL = "case: It ends\nexpect: {state: completed}\n"


def test_a_case_says_its_name_and_what_it_expects() -> None:
    (case,) = cases(MINIMAL)

    assert (case.name, case.line, case.expect.ends) == ("It ends", 1, "completed")
    assert case.given.requested_by == "requester"
    assert case.given.input == {}


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("- 1", (1, 1), "a case is an object"),
        ("expect: {state: completed}", (1, 1), "the key 'case' is missing"),
        ("case: x", (1, 1), "the key 'expect' is missing"),
        ("case: ' '\nexpect: {state: completed}", (1, 7), "a case has a name"),
        ("case: x\nexpect: {}", (2, 9), "nothing is expected"),
        (MINIMAL + "agent: {}", (3, 1), "there is no key 'agent' here"),
        (MINIMAL + "agents: {a: {otput: 1}}", (3, 13), "exactly one of"),
        (MINIMAL + "agents: {a: {output: 1, silent: true}}", (3, 13), "exactly one of"),
        (MINIMAL + "agents: {a: []}", (3, 13), "at least 1 item"),
        (MINIMAL + "agents: {a: 1}", (3, 13), "must be an answer"),
        (MINIMAL + "agents: {a: [{output: 1}, {output: 2, times: 0}]}", (3, 46), "greater than"),
        (MINIMAL + "people: {a: {outcome: approve}}", (3, 13), "somebody decides"),
        (MINIMAL + "people: {a: {outcome: x, by: a, roles: [boss]}}", (3, 41), "'roles'"),
        (MINIMAL + "events: [{event: {type: x}}]", (3, 10), "'source' of an event"),
        (MINIMAL + "events: [{event: {source: x}}]", (3, 10), "an event has a `type`"),
        (MINIMAL + "events: [{event: {}}]", (3, 10), "an event is not empty"),
        (MINIMAL + "started: yesterday", (3, 10), "a time is ISO 8601"),
        (MINIMAL + "started: 2026-01-01T00:00:00", (3, 10), "a time is ISO 8601"),
        (MINIMAL + "stopAfter: P1Y", (3, 12), "not an ISO 8601 duration"),
        (MINIMAL + "case: y", (3, 1), "appears twice"),
        ("case: x\nexpect: {error: {status: 1}}", (2, 26), "greater than or equal to 100"),
        ("case: x\nexpect: {state: waiting, output: 1}", (2, 9), "only a completed run"),
        ("case: x\nexpect: {error: {status: 500}, output: 1}", (2, 9), "has no output"),
        ("case: x\nexpect: {calls: [{with: 1}]}", (2, 18), "a call that is expected has one"),
        ("cases: []", (1, 8), "at least 1 item"),
        ("a: *b", (1, 4), "stands for nothing"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_column(
    text: str, where: tuple[int, int], message: str
) -> None:
    found = refused(text)

    assert message in found[0]["message"]
    assert (found[0]["line"], found[0]["column"]) == where
    assert found[0]["fix"]


def test_text_that_is_no_unicode_is_refused() -> None:
    assert refused('case: "\\ud800"\nexpect: {state: completed}')


def test_a_misspelt_key_is_told_with_the_one_that_it_may_be() -> None:
    (finding,) = refused(MINIMAL + "requestBy: anna")

    assert finding["fix"] == "did you mean 'requestedBy'?"


def test_what_a_file_gives_to_all_of_its_cases_each_may_replace_by_name() -> None:
    first, second = cases(
        """
        input: {amount: 1}
        started: 2026-11-23T10:00:00+01:00
        agents: {quote: {output: 1}, order: {output: 2}}
        cases:
          - case: one
            agents: {order: {output: 3}}
            expect: {state: completed}
          - case: two
            input: {amount: 2}
            expect: {state: completed}
        """
    )

    assert first.given.started == datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert first.given.input == {"amount": 1}
    assert second.given.input == {"amount": 2}
    order = first.given.agents["order"]
    assert isinstance(order, AgentAnswer)
    assert order.output == 3
    assert first.shared == {("agents", "quote")}
    assert second.shared == {("agents", "quote"), ("agents", "order")}
    assert second.line == 9


def test_two_cases_of_a_file_have_two_names() -> None:
    (finding,) = refused(
        "cases:\n- {case: x, expect: {state: completed}}\n- {case: x, expect: {state: waiting}}"
    )

    assert (finding["line"], finding["message"]) == (
        3,
        "two cases of one file have the same name",
    )


def test_values_come_from_files_as_json_yaml_or_text_whole_or_in_part() -> None:
    files = {"a.json": '{"b": [1, {"c/d": 2}]}', "a.yaml": "on: no", "a.xml": "<a/>"}
    (case,) = cases(
        MINIMAL
        + """
input:
  whole: {fromFile: a.json}
  part: {fromFile: a.json, at: /b/1/c~1d}
  yaml: {fromFile: a.yaml}
  text: {fromFile: a.xml}
  forced: {fromFile: a.json, as: text}
""",
        files,
    )

    assert case.given.input == {
        "whole": {"b": [1, {"c/d": 2}]},
        "part": 2,
        "yaml": {"on": "no"},
        "text": "<a/>",
        "forced": '{"b": [1, {"c/d": 2}]}',
    }


def test_all_answers_may_stand_in_another_file() -> None:
    (case,) = cases(
        MINIMAL + "agents: {fromFile: a.yaml}", {"a.yaml": "quote: {output: {price: 1}}"}
    )

    assert list(case.given.agents) == ["quote"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{fromFile: none.json}", "cannot read none.json: No such file"),
        ("{fromFile: 1}", "`fromFile` is a path"),
        ("{fromFile: a.json, of: x}", "`fromFile` is a path"),
        ("{fromFile: a.json, as: xml}", "`as` is one of json, text, yaml"),
        ("{fromFile: a.json, at: b}", "`at` is a JSON pointer"),
        ("{fromFile: a.json, at: /b/7}", "a.json: there is nothing at /b/7"),
        ("{fromFile: bad.json}", "bad.json: "),
        ("{fromFile: bad.yaml}", "bad.yaml: "),
        ("{fromFile: big.txt}", "big.txt: it has more than"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_where_it_is_named(value: str, message: str) -> None:
    files = {
        "a.json": '{"b": []}',
        "bad.json": "{",
        "bad.yaml": "{",
        "big.txt": "x" * (1 << 20) + "x",
    }
    (finding,) = refused(MINIMAL + f"input: {{x: {value}}}", files)

    assert message in finding["message"]
    assert (finding["line"], finding["column"]) == (3, 12)


def test_files_that_are_named_again_and_again_do_not_fill_the_memory() -> None:
    many = ", ".join(["{fromFile: big.txt}"] * 40)
    (finding,) = refused(MINIMAL + f"input: [{many}]", {"big.txt": "x" * (1 << 20)})

    assert "files add more than" in finding["message"]


def test_durations_are_written_as_in_workflows() -> None:
    (case,) = cases("case: x\nexpect: {took: {days: 3, hours: 2}}\nstopAfter: PT1M")

    assert case.expect.took == timedelta(days=3, hours=2)
    assert case.given.stop_after == timedelta(minutes=1)
