"""Gradual types never contradict what happens: a shape holds every value that there can be."""

from __future__ import annotations

import json
from typing import Any

import jq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from parley_coordinator.workflow.checks.dataflow import DataFlow
from parley_coordinator.workflow.checks.inference import infer
from parley_coordinator.workflow.checks.report import Report, World
from parley_coordinator.workflow.checks.schema_shapes import shape_of_schema
from parley_coordinator.workflow.checks.shapes import (
    NOTHING,
    UNKNOWN,
    Shape,
    conflict,
    join,
    shape_of,
    tamed,
)
from parley_coordinator.workflow.schemas import problems

from tests.coordinator.workflow.scripted import load

NAMES = st.sampled_from(("a", "b", "c"))
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(("", "x", "yes"))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
KINDS = st.sampled_from(("null", "boolean", "number", "integer", "string", "array", "object"))


def kind(value: Any) -> str:
    kinds = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return kinds.get(type(value), "number")


def holds(shape: Shape, value: Any) -> bool:
    """Tell whether a value is one of a shape's."""
    if kind(value) not in shape.kinds:
        return False
    if isinstance(value, dict):
        return (
            shape.required <= value.keys()
            and not (shape.closed and value.keys() - shape.members.keys())
            and all(holds(shape.members.get(name, UNKNOWN), value[name]) for name in value)
        )
    if isinstance(value, list) and shape.positions is not None:
        return len(value) == len(shape.positions) and all(map(holds, shape.positions, value))
    return not isinstance(value, list) or all(holds(shape.element, each) for each in value)


def fitting(value: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Schemas, most of which the value fits."""

    @st.composite
    def one(draw: st.DrawFn) -> dict[str, Any]:
        schema: dict[str, Any] = {}
        if draw(st.booleans()):
            schema["type"] = draw(st.sampled_from((kind(value), [kind(value), draw(KINDS)])))
            if isinstance(schema["type"], list) and len(set(schema["type"])) == 1:
                schema["type"] = kind(value)
        if isinstance(value, dict):
            members = {name: draw(fitting(each)) for name, each in value.items()}
            schema["properties"] = members | draw(st.dictionaries(NAMES, schemas(), max_size=1))
            schema["required"] = sorted(draw(st.sets(NAMES, max_size=1)) | value.keys())
            if draw(st.booleans()):
                schema["additionalProperties"] = False
        elif isinstance(value, list) and value and draw(st.booleans()):
            schema["items"] = {"anyOf": [draw(fitting(each)) for each in value]}
        elif draw(st.booleans()):
            schema[draw(st.sampled_from(("const", "enum")))] = value
            if "enum" in schema:
                schema["enum"] = [value, draw(SCALARS)]
        return schema

    return one()


def schemas() -> st.SearchStrategy[dict[str, Any]]:
    return VALUES.flatmap(fitting)


def wider(value: Any) -> st.SearchStrategy[Shape]:
    """Shapes that hold a value, and more."""
    return st.lists(VALUES, max_size=2).map(lambda others: joined(value, others))


def joined(value: Any, others: list[Any]) -> Shape:
    shape = shape_of(value)
    for each in others:
        shape = join(shape, shape_of(each))
    return shape


PATHS = st.lists(st.sampled_from((".a", ".b", ".c", "[0]", "[1]")), min_size=1, max_size=3).map(
    "".join
)
EXPRESSIONS = st.recursive(
    PATHS.map(lambda path: path if path[0] == "." else f".{path}")
    | PATHS.map(lambda path: f"$x{path}")
    | st.sampled_from((".", "$x", "1", '"t"', "null", "true", "{}", "[]")),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(("+", "//", "==", "and", "or", "<")), inner).map(
            lambda parts: f"({' '.join(parts)})"
        ),
        st.lists(inner, max_size=2).map(lambda parts: f"[{', '.join(parts)}]"),
        st.dictionaries(NAMES, inner, max_size=2).map(
            lambda parts: "{" + ", ".join(f"{name}: ({each})" for name, each in parts.items()) + "}"
        ),
    ),
    max_leaves=5,
)


@given(st.data(), VALUES)
def test_the_shape_of_a_schema_holds_every_value_that_fits(data: st.DataObject, value: Any) -> None:
    schema = data.draw(fitting(value) | schemas())
    assume(not problems(schema, value))

    assert holds(shape_of_schema(schema), value)


@given(VALUES, VALUES)
def test_a_join_holds_the_values_of_both(one: Any, other: Any) -> None:
    shape = join(shape_of(one), shape_of(other))

    assert holds(shape, one)
    assert holds(shape, other)
    assert holds(tamed(shape), one)


@settings(deadline=None)
@given(st.data(), VALUES, VALUES, EXPRESSIONS)
def test_the_shape_of_an_expression_holds_what_jq_gives(
    data: st.DataObject, value: Any, variable: Any, text: str
) -> None:
    scope = {"x": data.draw(wider(variable))}
    shape, troubles = infer(text, data.draw(wider(value)), scope)
    program = f".[0] as $x | .[1] | ({text})"
    try:
        found = jq.compile(program).input_text(json.dumps([variable, value])).first()
    except ValueError:
        return

    assert troubles or holds(shape, found)


@given(st.data(), VALUES, EXPRESSIONS)
def test_a_sum_that_cannot_be_is_one_for_jq_as_well(
    data: st.DataObject, value: Any, text: str
) -> None:
    sum_ = f"({text}) + {data.draw(st.sampled_from(('1', chr(34) + 't' + chr(34), '{}', '[]')))}"
    _shape, troubles = infer(sum_, shape_of(value), {"x": shape_of(None)})
    assume([trouble.rule for trouble in troubles] == ["expression"] and "//" not in text)
    assume(" and " not in text and " or " not in text)

    with pytest.raises(ValueError, match="cannot be"):
        jq.compile(f"null as $x | {sum_}").input_text(json.dumps(value)).first()


@given(st.data(), VALUES)
def test_a_conflict_is_never_of_a_value_that_fits(data: st.DataObject, value: Any) -> None:
    schema = data.draw(fitting(value) | schemas())
    if conflict(data.draw(wider(value)), shape_of_schema(schema)):
        assert problems(schema, value)


@given(PATHS)
def test_nothing_is_wrong_with_what_is_not_known(path: str) -> None:
    for text in (f"$x{path}", f".{path.removeprefix('.')}", f"{{a: $x{path}}}", f"$x{path} + 1"):
        assert infer(text, UNKNOWN, {})[1] == []


@given(schemas())
def test_what_is_not_known_is_in_conflict_with_nothing(schema: dict[str, Any]) -> None:
    assert conflict(UNKNOWN, shape_of_schema(schema)) == ""
    assert conflict(shape_of_schema(schema), UNKNOWN) == ""


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_a_schema_that_is_none_is_read_without_failing(schema: Any) -> None:
    odd = {"type": schema, "properties": schema, "required": schema, "$ref": schema}

    assert shape_of_schema(schema) is not None
    assert shape_of_schema({**odd, "items": schema, "anyOf": schema, "enum": schema}) is not None


def test_a_conflict_says_where_it_is() -> None:
    wanted = shape_of_schema(
        {
            "type": "object",
            "required": ["order"],
            "properties": {
                "order": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"total": {"type": "string"}},
                },
            },
        }
    )

    assert conflict(shape_of({"order": {"total": 1}}), wanted) == (
        "order.total is number, not string"
    )
    assert conflict(shape_of({"order": {"sum": "1"}}), wanted) == "order.sum is not allowed"
    assert conflict(shape_of({"orders": []}), wanted) == "order is missing"
    assert conflict(shape_of([{"a": 1}]), wanted) == "it is array, not object"
    assert conflict(NOTHING, wanted) == ""


def test_a_merge_knows_the_members_of_both() -> None:
    context = shape_of({"invoice": {"id": "I-1"}, "verdict": 1})

    shape, _troubles = infer("$context + {verdict: .}", shape_of("yes"), {"context": context})

    assert holds(shape, {"invoice": {"id": "I-2"}, "verdict": "no"})
    assert not holds(shape, {"invoice": {"id": "I-2"}, "verdict": 1})
    assert infer("$c.invoice.number", UNKNOWN, {"c": shape})[1][0].rule == "unknown-path"


def test_a_template_is_typed_leaf_by_leaf() -> None:
    flow = DataFlow(Report(load("do: [{one: {set: {}}}]"), World(functions={})))

    template = {"a": ["${ .n }", "t"], "b": {"c": 1}}
    shape = flow.template("/set", template, shape_of({"n": 2}), {})

    assert shape == shape_of({"a": [7, "x"], "b": {"c": 0}})


def test_a_shape_that_grows_without_end_is_given_up() -> None:
    shape = shape_of(1)
    while shape is not UNKNOWN:
        shape = tamed(Shape(kinds=frozenset(("array",)), positions=(shape, shape)))

    assert holds(shape, "anything")
