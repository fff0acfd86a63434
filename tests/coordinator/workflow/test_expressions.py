"""Expressions: what they may do, and that the shortcuts say what jq says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from parley_coordinator.workflow import expressions
from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_coordinator.workflow.expressions import (
    ExpressionError,
    Expressions,
    compile_check,
    operands,
)
from parley_coordinator.workflow.operators import NoShortcutError
from parley_coordinator.workflow.shortcuts import compile_shortcut

pytestmark = pytest.mark.anyio

_EXPRESSIONS = Expressions()
evaluate, run = _EXPRESSIONS.evaluate, _EXPRESSIONS.run
transform, truthy = _EXPRESSIONS.transform, _EXPRESSIONS.truthy


@pytest.mark.parametrize(
    "text",
    [
        *("env", "env.PATH", "$ENV", "$ENV.PATH", "now", "now | todate", "input", "[inputs]"),
        *("debug", "debug(1)", "stderr", "input_filename", "input_line_number", "halt"),
        *("halt_error", "halt_error(1)", "localtime", 'strflocaltime("%Y")', "$__prog_args"),
        *("get_search_list", '"m" | modulemeta', 'import "a" as a; .', 'include "a"; .'),
        *('import "a" as $a; .', "1) | env | (2", "def f: env; f", ".a | now", "$__loc__"),
        *(". as [$x] | env", "{a: env}", "{env}", "[now]", "if now then 1 else 2 end"),
    ],
)
def test_what_is_no_function_of_the_input_is_refused_when_checked(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_check(text, ["context"])


@pytest.mark.parametrize(
    "text",
    [
        *("env", "now", "input", "inputs", "debug", "debug(1)", "halt", "halt_error", "localtime"),
        *('"\\(env)"', '"\\(now)"', '@text "\\(input)"', 'import "a" as a; .', 'include "a"; .'),
        *("1) | env | (2", "def f: env; f", "first(env)", "$__prog_args"),
        *("path(env)", "reduce env as $x (0; .)", "input_filename", "get_search_list"),
    ],
)
async def test_it_is_refused_when_it_runs_as_well(text: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        await run(text, {"a": 1}, {})

    assert caught.value.is_a(Standard.EXPRESSION)


async def test_the_environment_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_SECRET", "hunter2")

    assert await run("$ENV | tostring", None, {}) == "{}"


@pytest.mark.parametrize("text", [".now", ".env.input", '{now: 1, "env": 2}', '"now"', ".input"])
async def test_names_of_fields_are_free(text: str) -> None:
    compile_check(text, [])

    await run(text, {"now": 1, "env": {"input": 2}, "input": 3}, {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (".a +", "syntax error"),
        ("$nobody.x", "$nobody is not defined"),
        ("$nobody | length", "$nobody is not defined"),
        ("no_such_function", "no_such_function"),
        ("", "syntax error"),
    ],
)
def test_what_does_not_compile_is_said_in_one_line(text: str, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_check(text or " ", ["context"])

    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_templates_are_evaluated_leaf_by_leaf_and_only_where_whole() -> None:
    template = {"a": ["${ .x }", "plain"], "b": {"c": "${ $context.y }"}, "n": 1, "t": "a ${ .x }"}

    assert await evaluate(template, {"x": 1}, {"context": {"y": 2}}) == {
        "a": [1, "plain"],
        "b": {"c": 2},
        "n": 1,
        "t": "a ${ .x }",
    }
    assert await transform(".x", {"x": 5}, {}) == 5
    assert await truthy("${ .x }", {"x": 0}, {}) is True
    assert await truthy(".x", {"x": None}, {}) is False


async def test_the_first_output_counts_and_none_is_null() -> None:
    assert await run("range(3; 9)", None, {}) == 3
    assert await run("empty", None, {}) is None
    assert await run(".a # a comment", {"a": 1}, {}) == 1


def test_the_operands_of_a_condition_are_its_scalars() -> None:
    text = '$context.verdict.outcome == "a.b" and .amount > 10 and (.lines | length) > $input.n[0]'

    assert operands(
        text,
        {"amount": "12.00", "lines": [1]},
        {"context": {"verdict": {"outcome": "hold"}}, "input": {"n": [3]}},
    ) == [
        {"name": "$context.verdict.outcome", "value": "hold"},
        {"name": ".amount", "value": "12.00"},
        {"name": "$input.n[0]", "value": 3},
    ]


def test_what_is_expected_in_workflows_takes_the_shortcut() -> None:
    for text in (
        ".",
        ".a.b[0]",
        "$context.verdict.outcome",
        '$context.verdict.outcome == "auto-approve"',
        "$context + {verdict: .}",
        ".[0] + .[1] + .[2]",
        '"HELD: " + $context.a + "?"',
        "[{name: $context.a, value: .b}] + $context.c",
        '.a // "none"',
        ".a == null and (.b != 1 or $context.c)",
    ):
        assert compile_shortcut(text) is not None, text


SCALARS = st.sampled_from([None, True, False, 0, 1, 2, 7, 2**53, -3, 1.5, "", "a", "b", "é", "1"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c d"]), inner, max_size=3)
    ),
    max_leaves=8,
)
ATOMS = st.sampled_from(
    [
        *(".", ".a", ".b", ".a.b", ".a[0]", ".[0]", '.["a"]', '."b"', '.["c d"].a', ".a[1].b"),
        *(
            "$v",
            "$v.a",
            "$v.b[0]",
            '"a"',
            '""',
            '"x\\ny"',
            "1",
            "0",
            "007",
            "null",
            "true",
            "false",
        ),
        *("{}", "[]", "{a}", "{$v}", '{"b"}', "$w"),
    ]
)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    binary = st.sampled_from(["//", "or", "and", "==", "!=", "<", "<=", ">", ">=", "+"])
    return st.one_of(
        st.tuples(inner, binary, inner).map(" ".join),
        inner.map(lambda text: f"({text})"),
        st.tuples(inner, inner).map(lambda pair: f"{{a: {pair[0]}, b: {pair[1]}}}"),
        st.lists(inner, max_size=3).map(lambda texts: f"[{', '.join(texts)}]"),
        inner.map(lambda text: f"({text}).a"),
    )


TEXTS = st.recursive(ATOMS, _grown, max_leaves=6)


def by_jq(text: str, data: Any, variables: dict[str, Any]) -> tuple[str, Any]:
    try:
        program = expressions._compile(expressions._program(text, tuple(sorted(variables))))
        outputs = iter(program.input_value([variables, data]))
        return "value", next(outputs, None)
    except ValueError:
        return "error", None


@settings(max_examples=400, deadline=None)
@given(TEXTS, VALUES, VALUES)
@example(".a // .b", {"a": False, "b": 1}, None)
@example('{a: .a // "x", b: .b == 1}', {"b": True}, None)
@example(". < $v", "é", "z")
@example(". == $v", 2**53, 2**53 + 0.0)
@example("1 == 1 == 1", None, None)
@example(". + $v", {"a": 1}, {"a": None})
def test_a_shortcut_gives_what_jq_gives_or_nothing(text: str, data: Any, other: Any) -> None:
    variables = {"v": other, "w": 1}
    shortcut = compile_shortcut(text)
    if shortcut is None:
        return
    try:
        value = shortcut(data, variables)
    except NoShortcutError:
        return

    kind, wanted = by_jq(text, data, variables)

    assert kind == "value"
    assert json.dumps(value, sort_keys=True) == json.dumps(wanted, sort_keys=True)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from('.ab$v[]{}()"+=/<>!, :01|?#andor'), max_size=25))
def test_whatever_the_text_is_a_shortcut_and_jq_agree(text: str) -> None:
    data = {"a": {"b": 1}, "b": "x", "v": [0, 1]}
    shortcut = compile_shortcut(text)
    if shortcut is None:
        return
    try:
        value = shortcut(data, {"v": 5})
    except NoShortcutError:
        return

    assert by_jq(text, data, {"v": 5}) == ("value", value)
