"""No document of a permitted size takes the memory or the minutes of those that check it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_coordinator.errors import DiagramTooLargeError, InvalidWorkflowError
from parley_coordinator.workflow.check import check
from parley_coordinator.workflow.checks.programs import MAX_PROGRAMS
from parley_coordinator.workflow.checks.report import MAX_EXPRESSION
from parley_coordinator.workflow.diagram import MAX_BOXES, MAX_EDGES, diagram
from parley_coordinator.workflow.document import Document, load_document
from parley_coordinator.workflow.findings import MAX_FINDINGS, Finding, OneOf
from parley_coordinator.workflow.flow import OUT, OVER, Ways, closure, reached
from parley_coordinator.workflow.source import MAX_KEY, read

from tests.coordinator.workflow.test_broken import PEOPLE, WORKFLOWS, Skills

HEAD = {"document": {"dsl": "1.0.3", "namespace": "n", "name": "w", "version": "1.0.0"}}
LABEL = {"metadata": {"label": "A"}}
DEADLINE = {"timeout": {"after": "PT1M"}}
RESERVE = {"call": "reserve:1.0.0@agents"}
Tasks = list[dict[str, Any]]


def refused(text: str) -> dict[str, Any]:
    with pytest.raises(InvalidWorkflowError) as caught:
        read(text, source="w.yaml")
    finding: dict[str, Any] = caught.value.facts["findings"][0]
    return finding


def load(tasks: Tasks, **more: Any) -> Document:
    return load_document(json.dumps({**HEAD, **more, "do": tasks}), source="w.json")


def inside(tasks: Tasks) -> Tasks:
    return [{"all": {**LABEL, **DEADLINE, "do": tasks}}]


def found(document: Document, compiled: list[str] | None = None) -> list[Finding]:
    def compiles(program: str) -> str | None:
        if compiled is not None:
            compiled.append(program)
        return None

    people: Any = PEOPLE
    return check(
        document, Skills(), file="w", compiles=compiles, people=people, workflows=WORKFLOWS
    )


def test_an_alias_counts_as_the_text_that_it_stands_for() -> None:
    finding = refused(f"a: &a '{'x' * 400_000}'\nb: [{'*a,' * 1000} 1]\n")

    assert (finding["line"], finding["rule"]) == (2, "yaml")
    assert "more than 2097152 characters" in finding["message"]


def test_an_alias_of_a_list_counts_as_all_that_is_in_it() -> None:
    finding = refused(
        f"a: &a [{'x' * 200_000}, &b [{'y' * 200_000}]]\nb: [*a, *b, *a, *b, *a, *b, *a]\n"
    )

    assert "more than 2097152 characters" in finding["message"]


def test_a_key_has_a_limit() -> None:
    read(f"{'k' * MAX_KEY}: 1", source="w.yaml")

    finding = refused(f"{'k' * (MAX_KEY + 1)}: 1")

    assert (finding["message"], finding["fix"]) == (
        "a key has 257 characters, 256 are allowed",
        "shorten it",
    )


def test_many_values_deep_below_long_keys_are_refused() -> None:
    keys = [f"{number:02}{'k' * 250}" for number in range(60)]
    text = "".join(f"{{ {key}: " for key in keys) + f"[{'1,' * 45_000} 1]" + "}" * 60

    assert "too deep below long keys" in refused(text)["message"]


def test_of_many_findings_the_first_are_listed_and_one_says_that_there_are_more() -> None:
    document = load([{f"t{number}": {"set": {}, "then": "z"}} for number in range(9000)])

    reported = found(document)

    assert len(reported) == MAX_FINDINGS + 1
    assert {each.rule for each in reported[:-1]} == {"unknown-target"}
    assert reported[-1].rule == "too-many-findings"
    assert max(len(each.fix) for each in reported) < 200
    assert reported[0].fix.endswith(" and 8991 more")


def test_of_many_reasons_to_refuse_a_document_the_first_are_listed() -> None:
    with pytest.raises(InvalidWorkflowError) as caught:
        load([{f"t{number}": {"zet": 1}} for number in range(9000)])

    findings = caught.value.facts["findings"]
    assert len(findings) == MAX_FINDINGS + 1
    assert findings[-1]["rule"] == "too-many-findings"


def test_the_names_that_look_most_like_the_one_that_is_wrong_come_first() -> None:
    known = [f"step{number}" for number in range(20)] + ["approve"]

    assert OneOf("aprove", known).said(closest=True).startswith("use one of: approve, step0, ")
    assert OneOf("aprove", known).said(closest=True).endswith(" and 9 more")
    assert OneOf("aprove", known).said(closest=False).startswith("use one of: step0, step1, ")


def test_programs_beyond_a_number_are_one_finding_and_are_not_compiled() -> None:
    template = {f"k{number}": f"${{ [range({number})] | add }}" for number in range(9000)}
    compiled: list[str] = []

    reported = found(load([{"s": {**LABEL, "set": template}}]), compiled)

    assert [each.rule for each in reported] == ["too-many-expressions"]
    assert len(compiled) == MAX_PROGRAMS


def test_programs_of_very_much_text_are_too_many() -> None:
    text = " | ".join(["map(.)"] * 800)
    template = {f"k{number}": f"${{ {text} | {number} }}" for number in range(120)}
    compiled: list[str] = []

    reported = found(load([{"s": {**LABEL, "set": template}}]), compiled)

    assert [each.rule for each in reported] == ["too-many-expressions"]
    assert len(compiled) < 40


def test_the_same_program_is_compiled_once() -> None:
    template = {f"k{number}": "${ range(3) }" for number in range(9000)}
    compiled: list[str] = []

    assert found(load([{"s": {**LABEL, "set": template}}]), compiled) == []
    assert len(compiled) == 1


def test_an_expression_has_a_limit() -> None:
    long = "${ " + " + ".join([".a"] * 200_000) + " }"
    compiled: list[str] = []

    (finding,) = found(load([{"s": {**LABEL, "set": {"a": long}}}]), compiled)

    assert f"{MAX_EXPRESSION} are allowed" in finding.message
    assert compiled == []


def tries(depth: int, tasks: Tasks) -> Tasks:
    catch = {"retry": {"limit": {"attempt": {"count": 1}}}}
    for level in range(depth):
        tasks = [{f"t{level}": {"try": tasks, "catch": catch}}]
    tasks[0][f"t{depth - 1}"].update(LABEL)
    return tasks


def many_templates() -> Document:
    template = {f"k{number}": "${ .a }" for number in range(40_000)}
    return load(tries(13, [{"s": {"set": template, "export": {"as": "${ {a: $context} }"}}}]))


def large_shapes() -> Document:
    names = {f"p{number}": {"type": "string"} for number in range(4500)}
    schema = {"type": "object", "properties": names, "additionalProperties": False}
    sums = {f"k{number}": "${ " + "+".join(["."] * 900) + " }" for number in range(400)}
    return load([{"s": {**LABEL, "set": sums}}], input={"schema": {"document": schema}})


def effects_in_the_right_order() -> Document:
    count = 5000
    catch = [
        {
            f"u{n}": {
                "call": "release:1.0.0@agents",
                "metadata": {"compensates": f"t{count - 1 - n}"},
            }
        }
        for n in range(count)
    ]
    effects = [{f"t{number}": RESERVE} for number in range(count)]
    return load(inside([{"t": {"try": effects, "catch": {"do": catch}}}]))


def effects_that_nothing_follows() -> Document:
    def tasks() -> Iterator[dict[str, Any]]:
        for number in range(1800):
            cases = [{"x": {"when": ".a", "then": f"a{number}"}}, {"y": {"then": f"s{number + 1}"}}]
            yield {f"s{number}": {"switch": cases}}
            yield {f"a{number}": {**RESERVE, "then": f"b{number}"}}

    after: Tasks = [{f"b{number}": {"set": {}}} for number in range(4000)]
    return load(inside([*tasks(), {"s1800": {"set": {}, "then": "b0"}}, *after]))


def questions_after_what_they_are_about() -> Document:
    about = {"action": "release:1.0.0@agents"}
    given = {"title": "t", "candidates": ["role:approver"], "outcomes": ["a"], "summary": []}
    asked = {"call": "human-task:1.0.0@parley", "with": {**given, "proposal": about}}
    calls = [{f"c{number}": {"call": "release:1.0.0@agents"}} for number in range(1300)]
    return load(inside([*calls, *({f"t{number}": asked} for number in range(1300))]))


def literals_for_a_large_schema() -> Document:
    schema = {"not": {"anyOf": [{"required": [f"b{number}" for number in range(4000)]}]}}
    function = {"call": "release:1.0.0@agents", "input": {"schema": {"document": schema}}}
    calls = [{f"t{number}": {"call": "f", "with": {"a": 1}}} for number in range(2000)]
    return load(inside(calls), use={"functions": {"f": function}})


@pytest.mark.parametrize(
    "document",
    [
        many_templates,
        large_shapes,
        effects_in_the_right_order,
        effects_that_nothing_follows,
        questions_after_what_they_are_about,
        literals_for_a_large_schema,
    ],
)
def test_a_document_with_nothing_wrong_that_is_made_to_take_long_does_not(document: Any) -> None:
    assert found(document()) == []


def test_functions_in_a_long_chain_are_ordered_and_refused() -> None:
    functions = {f"f{number}": {"call": f"f{number + 1}"} for number in range(8000)}

    reported = found(load([{"a": {**LABEL, "call": "f0"}}], use={"functions": functions}))

    assert {each.rule for each in reported} == {"recursion", "too-many-findings"}


def test_a_text_without_end_in_an_expression_is_read_once() -> None:
    text = '"\\' * 4000
    template = {f"k{number}": f"${{ {text} }}" for number in range(60)}

    assert found(load([{"s": {**LABEL, "set": template}}])) == []


def test_a_diagram_of_too_many_tasks_is_refused_before_it_is_drawn() -> None:
    many = load([{f"t{number}": {**LABEL, "set": {}}} for number in range(MAX_BOXES + 1)])

    with pytest.raises(DiagramTooLargeError) as caught:
        diagram(many)

    assert caught.value.facts == {"tasks": MAX_BOXES + 1, "ways": MAX_BOXES + 1}


def test_a_diagram_of_too_many_ways_is_refused_at_any_depth() -> None:
    cases = [{f"c{number}": {"when": ".a", "then": "end"}} for number in range(MAX_EDGES)]

    with pytest.raises(DiagramTooLargeError):
        diagram(load(inside([{"s": {"switch": cases}}])))


LISTS = st.integers(1, 7).flatmap(
    lambda size: st.lists(
        st.lists(st.integers(0, size - 1) | st.sampled_from((OUT, OVER)), max_size=3),
        min_size=size,
        max_size=size,
    )
)


@given(LISTS)
def test_what_follows_is_known_for_all_tasks_of_a_list_at_once(ways: Ways) -> None:
    def bits(task: int) -> int:
        after = set(reached(ways, ways[task])) - {OVER}
        return sum(1 << (len(ways) if each == OUT else each) for each in after)

    assert closure(ways) == [bits(task) for task in range(len(ways))]
