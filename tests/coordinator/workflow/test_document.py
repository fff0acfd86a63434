"""Loading: what is a document, and where exactly it is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parley_cards.canonical import digest
from parley_coordinator.errors import InvalidWorkflowError
from parley_coordinator.workflow.document import Document, load_document
from parley_coordinator.workflow.source import MAX_BYTES, MAX_DEPTH, MAX_VALUES, read

HEAD = 'document: {dsl: "1.0.3", namespace: n, name: w, version: "1.0.0"}\n'
GOOD = HEAD + "do:\n  - one: {set: {a: 1}}\n"


def refused(text: str | bytes) -> list[dict[str, Any]]:
    with pytest.raises(InvalidWorkflowError) as caught:
        load_document(text, source="w.yaml")
    found: list[dict[str, Any]] = caught.value.facts["findings"]
    first = found[0]
    assert caught.value.message.startswith(f"w.yaml:{first['line']}:{first['column']}: ")
    assert all(finding["fix"] for finding in found)
    return found


def test_a_document_is_pinned_by_the_digest_of_what_it_says_not_how() -> None:
    one = load_document(GOOD, source="a.yaml")
    same = load_document(
        '{"do": [{"one": {"set": {"a": 1}}}], "document":'
        ' {"version": "1.0.0", "name": "w", "namespace": "n", "dsl": "1.0.3"}}',
        source="b.json",
    )

    assert one.digest == same.digest == digest(one.json)
    assert Document.from_json(one.json).digest == one.digest


def test_a_document_tells_what_it_takes_and_gives() -> None:
    text = GOOD + "input: {schema: {document: {type: object, required: [x]}}}\noutput: {as: .a}\n"

    document = load_document(text, source="w.yaml")

    assert (document.namespace, document.name, document.version) == ("n", "w", "1.0.0")
    assert document.title == "w"
    assert document.input_schema == {"type": "object", "required": ["x"]}
    assert document.output_schema is None
    assert document.output_as == ".a"
    assert document.input_problems({}) == ["the value lacks 'x'"]
    assert document.input_problems({"x": 1}) == []


BROKEN: dict[str, tuple[str, int, int, str, str]] = {
    "a task kind with a typo": (
        HEAD + "do:\n  - one: {sett: {a: 1}}\n",
        *(3, 10, "task-kind", "of no kind"),
    ),
    "two kinds in one task": (
        HEAD + "do:\n  - one:\n      set: {a: 1}\n      wait: PT1S\n",
        *(4, 7, "task-kind", "2 kinds: set, wait"),
    ),
    "an unknown key of a task": (
        HEAD + "do:\n  - one:\n      set: {a: 1}\n      thn: end\n",
        *(5, 7, "unknown-key", "'thn'"),
    ),
    "an unknown key at the top": (
        GOOD + "outputs: {}\n",
        *(4, 1, "unknown-key", "'outputs'"),
    ),
    "a schedule": (
        GOOD + "schedule: {every: PT1H, cron: 0 0 * * *}\n",
        *(4, 11, "schedule", "exactly one of"),
    ),
    "a loop": (
        HEAD + "do:\n  - one: {for: {each: x}, do: [{a: {set: {b: 1}}}]}\n",
        *(3, 16, "missing-key", "'in'"),
    ),
    "a shell": (
        HEAD + "do:\n  - one: {run: {shell: {command: ls}}}\n",
        *(3, 16, "refused", "`run: shell`"),
    ),
    "an http call": (
        HEAD + "do:\n  - one: {call: http, with: {}}\n",
        *(3, 29, "missing-key", "'method'"),
    ),
    "a call of gRPC": (
        HEAD + "do:\n  - one: {call: grpc, with: {}}\n",
        *(3, 17, "refused", "`call: grpc`"),
    ),
    "a call without a catalog": (
        HEAD + "do:\n  - one: {call: match-invoice:1.0.0}\n",
        *(3, 17, "function", "name:version@catalog"),
    ),
    "no head": ("do:\n  - one: {set: {a: 1}}\n", 1, 1, "missing-key", "'document'"),
    "no name": (
        'document: {dsl: "1.0.3", namespace: n, version: "1.0.0"}\ndo: [{a: {set: {b: 1}}}]\n',
        *(1, 11, "missing-key", "'name'"),
    ),
    "a version that is a number": (
        'document: {dsl: "1.0.3", namespace: n, name: w, version: 1.0}\ndo: [{a: {set: {b: 1}}}]\n',
        *(1, 58, "value", "'version'"),
    ),
    "a name that is no label": (
        'document: {dsl: "1.0.3", namespace: n, name: My_W, version: "1.0.0"}\n'
        "do: [{a: {set: {b: 1}}}]\n",
        *(1, 46, "value", "'name'"),
    ),
    "another language version": (
        'document: {dsl: "0.8", namespace: n, name: w, version: "1.0.0"}\ndo: [{a: {set: {}}}]\n',
        *(1, 17, "value", "'dsl'"),
    ),
    "tasks that are an object": (
        HEAD + "do:\n  one: {set: {a: 1}}\n",
        *(3, 3, "task-list", "array"),
    ),
    "no tasks": (HEAD + "do: []\n", 2, 5, "task-list", "at least one"),
    "two names in one entry": (
        HEAD + "do:\n  - one: {set: {a: 1}}\n    two: {set: {a: 1}}\n",
        *(3, 5, "task-list", "one key"),
    ),
    "two tasks of one name": (
        HEAD + "do:\n  - one: {set: {a: 1}}\n  - one: {set: {a: 2}}\n",
        *(4, 5, "task-name", "'one'"),
    ),
    "a task named like a directive": (
        HEAD + "do:\n  - end: {set: {a: 1}}\n",
        *(3, 5, "task-name", "flow directive"),
    ),
    "a task name with a space": (
        HEAD + 'do:\n  - "a b": {set: {a: 1}}\n',
        *(3, 12, "value", "'a b'"),
    ),
    "a duration in words": (
        HEAD + "do:\n  - one: {wait: five minutes}\n",
        *(3, 17, "duration", "ISO 8601"),
    ),
    "a duration with an unknown unit": (
        HEAD + "do:\n  - one: {wait: {weeks: 2}}\n",
        *(3, 17, "duration", "days, hours"),
    ),
    "a negative duration": (
        HEAD + "do:\n  - one: {wait: {days: -1}}\n",
        *(3, 17, "duration", "at least 0"),
    ),
    "a schema that leaves the document": (
        GOOD + "input: {schema: {document: {$ref: 'https://example.com/s.json'}}}\n",
        *(4, 17, "schema", "$ref"),
    ),
    "a schema by resource": (
        GOOD + "input: {schema: {resource: {endpoint: 'https://example.com'}}}\n",
        *(4, 17, "schema", "under `document`"),
    ),
    "a schema of no type": (
        GOOD + "output: {schema: {document: {type: text}}}\n",
        *(4, 18, "schema", "type"),
    ),
    "a race": (
        HEAD + "do:\n  - one: {fork: {compete: 1, branches: [{a: {set: {b: 1}}}]}}\n",
        *(3, 27, "value", "'compete'"),
    ),
    "two default cases": (
        HEAD + "do:\n  - one: {switch: [{a: {then: end}}, {b: {then: end}}]}\n",
        *(3, 19, "switch", "more than one case"),
    ),
    "a case without a name": (
        HEAD + "do:\n  - one: {switch: [{when: .a, then: end}]}\n",
        *(3, 19, "switch", "one key"),
    ),
    "a status out of range": (
        HEAD + "do:\n  - one: {raise: {error: {type: 'urn:x', status: 7}}}\n",
        *(3, 50, "value", "'status'"),
    ),
    "a try without a catch": (
        HEAD + "do:\n  - one: {try: [{a: {set: {b: 1}}}]}\n",
        *(3, 10, "missing-key", "'catch'"),
    ),
    "an unknown key of a retry policy": (
        GOOD + "use: {retries: {r: {delay: PT1S, backof: {}}}}\n",
        *(4, 34, "unknown-key", "'backof'"),
    ),
    "a timeout that is a number": (
        HEAD + "do:\n  - one: {set: {a: 1}, timeout: 5}\n",
        *(3, 33, "type", "a name or an object"),
    ),
    "a duplicate key": (
        HEAD + "do:\n  - one:\n      set: {a: 1}\n      set: {a: 2}\n",
        *(5, 7, "duplicate-key", "'set'"),
    ),
    "broken indentation": (HEAD + "do:\n - one:\n  set: 1\n- x\n", 4, 3, "yaml", "expected"),
    "an expression without quotes": (
        HEAD + 'do:\n  - one: {set: {a: ${ "x: " + .y }}}\n',
        *(3, 21, "yaml", "expected"),
    ),
    "a tag": (HEAD + "do: !!python/object/apply:os.system [ls]\n", 2, 5, "yaml", "the tag"),
    "an anchor within itself": (HEAD + "do: &a [*a]\n", 2, 9, "yaml", "itself"),
    "an alias of nothing": (HEAD + "do: *a\n", 2, 5, "yaml", "stands for nothing"),
    "a number as a key": (HEAD + "do: [{1: {set: {a: 1}}}]\n", 2, 7, "yaml", "not text"),
    "an object as a key": (HEAD + "do: [{{a: 1}: 2}]\n", 2, 7, "yaml", "not text"),
    "not a number": (HEAD + "do: [{a: {set: {b: .nan}}}]\n", 2, 20, "yaml", "not a JSON number"),
    "a huge number": (
        HEAD + f"do: [{{a: {{set: {{b: {'9' * 30}}}}}}}]\n",
        *(2, 20, "yaml", "too large"),
    ),
    "two documents": (GOOD + "---\n" + GOOD, 4, 1, "yaml", "more than one document"),
    "nothing": ("", 1, 1, "yaml", "empty"),
    "a list": ("- a\n", 1, 1, "document", "is an object"),
    "control characters": (HEAD + "do: \x07\n", 1, 1, "yaml", "unacceptable"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_document_is_refused_with_line_column_rule_and_fix(name: str) -> None:
    text, line, column, rule, words = BROKEN[name]

    found = refused(text)

    at = [(each["line"], each["column"], each["rule"]) for each in found]
    assert at[0] == (line, column, rule)
    assert words in found[0]["message"]


def test_all_reasons_are_told_at_once_in_the_order_of_the_text() -> None:
    found = refused(HEAD + "do:\n  - one: {wait: x}\n  - two: {set: {a: 1}, iff: .a}\nextra: 1\n")

    assert [(each["line"], each["rule"]) for each in found] == [
        (3, "duration"),
        (4, "unknown-key"),
        (5, "unknown-key"),
    ]
    assert found[1]["fix"] == "did you mean 'if'?"


def test_a_misspelt_key_is_told_what_it_may_have_meant() -> None:
    assert refused(HEAD + "do: [{a: {set: {b: 1}, exprt: {as: .}}}]\n")[0]["fix"] == (
        "did you mean 'export'?"
    )


def test_a_pinned_document_that_fits_no_more_is_refused_without_a_position() -> None:
    with pytest.raises(InvalidWorkflowError) as caught:
        Document.from_json({"document": {}, "do": []})

    assert {finding["line"] for finding in caught.value.facts["findings"]} == {0}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a" * (MAX_BYTES + 1), id="size"),
        pytest.param("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), id="depth"),
        pytest.param("[" * 100_000, id="open brackets"),
        pytest.param("- " * 50_000, id="nested dashes"),
        pytest.param("a: " + "[0," * MAX_VALUES, id="values"),
        pytest.param(
            "a: &a ["
            + "0, " * 100
            + "]\n"
            + "".join(
                f"{new}: &{new} [{', '.join([f'*{old}'] * 100)}]\n"
                for old, new in zip("abcde", "bcdef", strict=True)
            ),
            id="billion laughs",
        ),
        pytest.param(b"\xff\xfe", id="not UTF-8"),
        pytest.param(b"do: \xc3\x28", id="broken UTF-8"),
        pytest.param("do: " + "1" * 10_000, id="long number"),
        pytest.param("\ud800", id="lone surrogate"),
        pytest.param("%YAML 3.0\n---\na: 1", id="directive"),
    ],
)
def test_hostile_text_is_refused_before_it_costs(text: str | bytes) -> None:
    assert refused(text)[0]["rule"] in ("yaml", "document")


def test_yaml_is_read_as_1_2() -> None:
    text = "on: yes\nno: off\nday: 2026-11-23\noctal: 0o17\nold: 017\nunder: 1_000\nhex: 0xff\n"

    value, positions = read(text + "float: 1e3\nnothing: ~\nsex: 1:30\nquoted: '1'\n", source="x")

    assert value == {
        "on": "yes",
        "no": "off",
        "day": "2026-11-23",
        "octal": 15,
        "old": 17,
        "under": "1_000",
        "hex": 255,
        "float": 1000.0,
        "nothing": None,
        "sex": "1:30",
        "quoted": "1",
    }
    assert positions.of("/day") == (3, 6)
    assert positions.of("/day", key=True) == (3, 1)
    assert positions.of("/day/deeper") == (3, 6)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"#%@\n \t,?~01.<$"), max_size=60))
def test_whatever_the_text_is_it_is_read_or_refused(text: str) -> None:
    try:
        load_document(HEAD + text, source="x")
    except InvalidWorkflowError as error:
        assert error.facts["findings"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["do", "set", "call", "try", "catch", "if", "with", "switch", "when", "a"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_whatever_a_pinned_document_holds_it_is_taken_or_refused(value: Any) -> None:
    head = {"dsl": "1.0.3", "namespace": "n", "name": "w", "version": "1.0.0"}
    try:
        Document.from_json({"document": head, "do": value})
        Document.from_json({"document": head, "do": [{"a": value}]})
    except InvalidWorkflowError as error:
        assert error.facts["findings"]
