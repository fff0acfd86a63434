"""What a check finds before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from parley_coordinator.workflow.check import FunctionInfo, check

from tests.coordinator.workflow.scripted import load
from tests.coordinator.workflow.test_document import BROKEN

MATCH = FunctionInfo(
    name="match",
    version="1.0.0",
    input_schema={
        "type": "object",
        "required": ["invoice", "lines"],
        "additionalProperties": False,
        "properties": {
            "invoice": {"$ref": "#/$defs/Invoice"},
            "lines": {"type": "array", "items": {"type": "string"}},
            "limit": {"type": ["string", "null"], "pattern": "^[0-9.]+$"},
        },
        "$defs": {
            "Invoice": {
                "type": "object",
                "required": ["id"],
                "additionalProperties": False,
                "properties": {"id": {"type": "string"}},
            }
        },
    },
    output_schema=None,
    effect="read",
    idempotent=True,
)
FREE = FunctionInfo(
    name="free",
    version="2.1.0",
    input_schema=None,
    output_schema=None,
    effect="unknown",
    idempotent=False,
)


class Cards:
    def functions(self) -> Mapping[str, list[FunctionInfo]]:
        return {"match": [MATCH], "free": [FREE]}


def found(text: str) -> list[tuple[int, int, str]]:
    document = load(text)
    return [(f.line, f.column, f.rule) for f in check(document, Cards(), file="x.yaml")]


def messages(text: str) -> str:
    return "\n".join(f.message for f in check(load(text), Cards(), file="x.yaml"))


def call(line: str, *, timeout: bool = True) -> str:
    """A document of one task, whose call is `line`."""
    limit = ", timeout: {after: PT1M}" if timeout else ""
    return f"do:\n  - a:\n      {{{line}, metadata: {{label: A}}{limit}}}\n"


def one(line: str) -> str:
    return f"do:\n  - a:\n      {{{line}, metadata: {{label: A}}}}\n"


SOUND = """
use:
  retries: {some: {delay: PT1S, limit: {attempt: {count: 3}}}}
  errors: {bad: {type: https://example.com/bad, status: 400}}
  timeouts: {short: {after: PT1M}}
do:
  - first:
      metadata: {label: First}
      try:
        - match:
            call: match:1.0.0@agents
            timeout: short
            with: {invoice: {id: "${ .id }"}, lines: ["a", "${ .b }"], limit: null}
      catch: {as: e, when: "${ $e.status == 500 }", retry: some}
  - choose:
      metadata: {label: Choose}
      switch: [{yes: {when: .x, then: ask}}, {no: {then: stop}}]
  - ask:
      metadata: {label: Ask}
      timeout: {after: {days: 1}}
      call: human-task:1.0.0@parley
      with:
        title: "${ .title }"
        candidates: ["role:approver", "${ .who }"]
        excludeActors: ["${ $workflow.requestedBy }"]
        outcomes: [approve, reject]
        summary: [{name: amount, value: "${ .amount }", source: input}]
        proposal: {action: post, arguments: "${ . }"}
      then: end
  - stop:
      metadata: {label: Stop}
      raise: {error: bad}
"""


def test_a_sound_document_has_no_findings() -> None:
    assert check(load(SOUND), Cards(), file="x.yaml") == []


CASES: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "no agent has the skill": (
        call("call: 'nope:1.0.0@agents'"),
        [("unknown-function", "'nope")],
    ),
    "the skill has another version": (
        call("call: 'free:9.9.9@agents'"),
        [("unknown-version", "'free")],
    ),
    "an unknown catalog": (call("call: 'free:2.1.0@moon'"), [("unknown-catalog", "'free")]),
    "an unknown function of people": (
        call("call: 'robot:1.0.0@parley'"),
        [("unknown-function", "'robot")],
    ),
    "a required argument is missing": (
        call("call: 'match:1.0.0@agents', with: {lines: []}"),
        [("missing-argument", "{lines")],
    ),
    "an argument inside is missing": (
        call("call: 'match:1.0.0@agents', with: {lines: [], invoice: {}}"),
        [("missing-argument", "{}")],
    ),
    "an unknown argument": (
        call("call: 'match:1.0.0@agents', with: {lines: [], invoice: {id: x}, size: 1}"),
        [("unknown-argument", "size")],
    ),
    "an unknown argument inside, beside an expression": (
        call("call: 'match:1.0.0@agents', with: {lines: [], invoice: {id: '${ . }', no: x}}"),
        [("unknown-argument", "no: x")],
    ),
    "a literal of another type": (
        call("call: 'match:1.0.0@agents', with: {lines: [1, '${ . }'], invoice: {id: 5}}"),
        [("argument-type", "1, "), ("argument-type", "5}")],
    ),
    "a literal that does not look right": (
        call("call: 'match:1.0.0@agents', with: {lines: [], invoice: '${ . }', limit: '1e3'}"),
        [("argument-type", "'1e3'")],
    ),
    "an object where a list belongs": (
        call("call: 'match:1.0.0@agents', with: {lines: {a: '${ . }'}, invoice: '${ . }'}"),
        [("argument-type", "{a:")],
    ),
    "a call without a deadline": (
        call("call: 'free:2.1.0@agents'", timeout=False),
        [("deadline", "{call")],
    ),
    "people without a deadline and without a proposal": (
        call(
            "call: 'human-task:1.0.0@parley',"
            " with: {title: T, candidates: [approver], outcomes: []}",
            timeout=False,
        ),
        [
            ("deadline", "{call"),
            ("missing-argument", "{title"),
            ("argument-type", "[approver]"),
            ("argument-type", "[]"),
        ],
    ),
    "an unknown target": (one("set: {b: 1}, then: c"), [("unknown-target", "c,")]),
    "a switch that leads nowhere": (
        one("switch: [{x: {when: .a, then: gone}}, {y: {then: end}}]"),
        [("unknown-target", "gone")],
    ),
    "a switch without otherwise": (
        one("switch: [{x: {when: .a, then: end}}]"),
        [("no-default", "[{x")],
    ),
    "a task that nothing leads to": (
        "do:\n  - a: {set: {b: 1}, then: end, metadata: {label: A}}\n"
        "  - b: {set: {b: 1}, metadata: {label: B}}\n",
        [("unreachable", "{set: {b: 1}, metadata: {label: B}")],
    ),
    "a task without a label": ("do:\n  - a: {set: {b: 1}}\n", [("label", "{set")]),
    "retries without end": (
        one("try: [{b: {set: {c: 1}}}], catch: {retry: {delay: PT1S}}"),
        [("unbounded-retry", "{delay")],
    ),
    "named retries without end": (
        "use: {retries: {r: {delay: PT1S}}}\n" + one("set: {b: 1}"),
        [("unbounded-retry", "{delay")],
    ),
    "retry and do in one catch": (
        one(
            "try: [{b: {set: {c: 1}}}],"
            " catch: {retry: {limit: {attempt: {count: 1}}}, do: [{d: {set: {e: 1}}}]}"
        ),
        [("retry-and-do", "do: [{d")],
    ),
    "an unknown retry policy": (
        one("try: [{b: {set: {c: 1}}}], catch: {retry: r}"),
        [("unknown-name", "r}")],
    ),
    "an unknown error": (one("raise: {error: e}"), [("unknown-name", "e}")]),
    "an unknown timeout": (one("set: {b: 1}, timeout: t"), [("unknown-name", "t,")]),
    "a caught error that hides a variable": (
        one("try: [{b: {set: {c: 1}}}], catch: {as: context}"),
        [("variable-name", "context")],
    ),
    "an export in a branch": (
        one("fork: {branches: [{b: {do: [{c: {set: {d: 1}, export: {as: .}}}]}}]}"),
        [("export-in-fork", "{as: .}")],
    ),
    "an end in a branch": (
        one("fork: {branches: [{b: {do: [{c: {set: {d: 1}, then: end}}]}}]}"),
        [("end-in-fork", "end}")],
    ),
    "a branch that goes on": (
        one("fork: {branches: [{b: {set: {d: 1}, then: exit}}]}"),
        [("branch-flow", "{set: {d")],
    ),
    "an expression that does not parse": (one("set: '${ .a + }'"), [("expression", "'${ .a + }")]),
    "an expression deep inside": (
        one("try: [{b: {set: {c: ['${ $nope }']}}}], catch: {}"),
        [("expression", "'${ $nope")],
    ),
    "a variable that is not there yet": (
        one("if: '$input.a', set: {b: '${ $output }'}"),
        [("expression", "'$input.a'"), ("expression", "'${ $output")],
    ),
    "an error's name outside of its catch": (
        one("try: [{b: {set: '${ $e }'}}], catch: {as: e}"),
        [("expression", "'${ $e }'")],
    ),
    "an expression that looks at the clock": (
        one("if: now > 5, set: {a: 1}"),
        [("expression", "now >")],
    ),
    "an expression within a text": (one("set: {b: 'x ${ .a }'}"), [("interpolation", "'x ${")]),
    "a workflow input that uses the context": (
        "input: {from: $context}\n" + one("set: {b: 1}"),
        [("expression", "$context")],
    ),
    "a wait computed wrongly": (one("wait: '${ .a | }'"), [("expression", "'${ .a |")]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_check_finds_it_where_it_stands(name: str) -> None:
    text, expected = CASES[name]
    lines = ["", "the head", *text.splitlines()]

    findings = found(text)

    assert [rule for _line, _column, rule in findings] == [rule for rule, _token in expected]
    for (line, column, _rule), (_expected_rule, token) in zip(findings, expected, strict=True):
        assert lines[line][column - 1 :].startswith(token)


def test_a_timeout_around_a_call_is_a_deadline() -> None:
    assert (
        found(
            "do: [{a: {timeout: {after: PT1M}, metadata: {label: A},"
            " do: [{b: {call: 'free:2.1.0@agents'}}]}}]"
        )
        == []
    )
    assert (
        found(
            "do: [{a: {metadata: {label: A}, try: [{b: {call: 'free:2.1.0@agents'}}],"
            " catch: {retry: {limit: {attempt: {count: 1, duration: PT1M}}}}}}]"
        )
        == []
    )


def test_a_timeout_of_the_whole_workflow_is_none() -> None:
    assert found(
        "timeout: {after: P1D}\ndo: [{a: {metadata: {label: A}, call: 'free:2.1.0@agents'}}]"
    ) == [(3, 10, "deadline")]


def test_a_finding_says_what_is_there_instead() -> None:
    assert "free:2.1.0" not in messages(call("call: 'free:2.1.0@agents'"))
    document = load(call("call: 'free:1.0.0@agents'"))
    (finding,) = check(document, Cards(), file="x.yaml")

    assert finding.fix == "use one of: 2.1.0"
    assert finding.as_json() == {
        "line": 4,
        "column": 14,
        "path": "/do/0/a/call",
        "rule": "unknown-version",
        "message": "'free' has no version 1.0.0",
        "fix": "use one of: 2.1.0",
    }


def test_going_back_is_allowed() -> None:
    assert (
        found("""
do:
  - a: {set: {n: 1}, metadata: {label: A}}
  - b: {switch: [{more: {when: .n, then: a}}, {done: {then: end}}], metadata: {label: B}}
""")
        == []
    )


def test_the_page_of_the_language_names_every_rule() -> None:
    page = (Path(__file__).parents[3] / "docs" / "workflow-language.md").read_text()
    rules = {rule for _text, expected in CASES.values() for rule, _token in expected}
    rules |= {rule for _text, _line, _column, rule, _words in BROKEN.values()}

    assert [rule for rule in sorted(rules) if f"`{rule}`" not in page] == []
