"""Which JSON Schemas of foreign cards may be evaluated."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from parley_cards.contract_schema import DIALECT, MAX_LEVELS, Validator, schema_problem
from referencing import Registry


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"$schema": DIALECT, "type": ["object", "null"]},
        {"type": "array", "items": {"$ref": "#/$defs/x"}, "$defs": {"x": {"type": "string"}}},
        {"properties": {"$id": {"type": "string"}, "$ref": {"type": "string"}}},
        {"const": {"$ref": "http://elsewhere"}, "enum": [{"$id": 1}], "x-note": {"type": 7}},
        {"type": "string", "pattern": r"^-?(0|[1-9]\d*)(\.\d{1,6})?$"},
        {"type": "string", "pattern": r"^sha256:[0-9a-f]{64}$"},
        {"type": "string", "pattern": r"^[A-Z]{2}[0-9]{2}(?:[A-Z0-9]{4} ?){2,7}$"},
        {"$ref": "#/properties/a~1b", "properties": {"a/b": {"type": "string"}}},
        {"allOf": [{"$ref": "#/$defs/x"}, {"$ref": "#/$defs/x"}], "$defs": {"x": {}}},
        {"prefixItems": [{}, True], "items": {"$ref": "#/prefixItems/0"}},
        {"type": "object", "additionalProperties": False, "minProperties": 1},
    ],
)
def test_a_self_contained_schema_may_be_used(schema: dict[str, Any]) -> None:
    assert schema_problem(schema) == ""
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (None, "object"),
        (True, "object"),
        ({"type": "thing"}, "JSON types"),
        ({"type": []}, "JSON types"),
        ({"required": "x"}, "array of different names"),
        ({"required": ["x", "x"]}, "array of different names"),
        ({"minLength": -1}, "whole number"),
        ({"minLength": True}, "whole number"),
        ({"maximum": "9"}, "number"),
        ({"multipleOf": 0}, "above 0"),
        ({"uniqueItems": 1}, "true or false"),
        ({"properties": []}, "object of schemas"),
        ({"properties": {"a": 7}}, "/properties/a"),
        ({"items": [{}]}, "schema"),
        ({"allOf": []}, "array of schemas"),
        ({"anyOf": [None]}, "/anyOf/0"),
        ({"dependentRequired": {"a": "b"}}, "arrays of names"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "2020-12"),
        ({"$ref": "https://elsewhere.example/x"}, "elsewhere"),
        ({"items": {"$ref": "other.json"}}, "elsewhere"),
        ({"$ref": "#name"}, "elsewhere"),
        ({"$ref": "#/$defs/a%20b", "$defs": {"a%20b": {}}}, "no schema is"),
        ({"$ref": "#/$defs/missing"}, "no schema is"),
        ({"$ref": "#/enum/0", "enum": [{"type": "thing"}]}, "no schema is"),
        ({"$ref": "#/x/0", "x": [{"$ref": "#/x/0"}]}, "no schema is"),
        ({"$ref": "#/allOf/01", "allOf": [{}, {}]}, "no schema is"),
        ({"$id": "https://evil.example/", "$ref": "#"}, "$id"),
        ({"items": {"$dynamicRef": "#x"}}, "$dynamicRef"),
        ({"patternProperties": {"a": {}}}, "patternProperties"),
        ({"$ref": "#"}, "back to itself"),
        ({"allOf": [{"$ref": "#"}]}, "back to itself"),
        ({"properties": {"child": {"$ref": "#"}}}, "back to itself"),
        (
            {
                "$ref": "#/$defs/a",
                "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
            },
            "back to itself",
        ),
        ({"pattern": "("}, "not a regular expression"),
        ({"pattern": "(?=a)"}, "look-around"),
        ({"pattern": r"(a)\1"}, "look-around"),
        ({"pattern": "((((a{9}){9}){9}){9}){9}"}, "repeats"),
        ({"pattern": "a{1001}"}, "repeats"),
        ({"pattern": "a" * 201}, "200 characters"),
    ],
)
def test_a_schema_that_is_none_or_reaches_out_is_refused(schema: object, words: str) -> None:
    assert words in schema_problem(schema)


def _doubling(levels: int) -> dict[str, Any]:
    defs: dict[str, Any] = {
        f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(levels)
    }
    return {"$ref": "#/$defs/d0", "$defs": defs | {f"d{levels}": {"type": "string"}}}


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param(_doubling(14), id="doubling"),
        pytest.param(
            {
                "$ref": "#/$defs/d0",
                "$defs": {f"d{i}": {"$ref": f"#/$defs/d{i + 1}"} for i in range(5000)}
                | {"d5000": {}},
            },
            id="chain",
        ),
        pytest.param({"allOf": [{}] * 50_000}, id="wide"),
        pytest.param({"allOf": [{"$ref": "#/allOf/9999"}] * 9999 + [{}]}, id="fan"),
        pytest.param({"allOf": [{"pattern": "(" * 90 + "a" + ")" * 90}] * 1000}, id="patterns"),
        pytest.param({"properties": {f"p{i}": {"type": 1} for i in range(9000)}}, id="wrong"),
    ],
)
def test_a_schema_that_would_cost_much_is_refused_at_little_cost(schema: dict[str, Any]) -> None:
    started = time.process_time()

    assert schema_problem(schema)

    assert time.process_time() - started < 2


def test_a_deep_schema_is_refused_without_a_stack_overflow() -> None:
    schema: dict[str, Any] = {}
    for _ in range(4000):
        schema = {"items": schema}

    assert "deeper" in schema_problem(schema)


def test_the_deepest_allowed_schema_can_be_evaluated() -> None:
    schema: dict[str, Any] = {"type": "string"}
    value: object = "x"
    for _ in range(MAX_LEVELS - 1):
        schema = {"items": schema}
        value = [value]

    assert schema_problem(schema) == ""
    assert Validator(schema, registry=Registry()).is_valid(value)
    assert "deeper" in schema_problem({"items": schema})


def test_a_pattern_takes_linear_time_whatever_it_and_the_data_are() -> None:
    started = time.process_time()

    for pattern in ("(a+)+$", "(a|aa)+$", "a?" * 60 + "a" * 60 + "$", "(.*)*x"):
        assert schema_problem({"pattern": pattern}) == ""
        validator = Validator({"pattern": pattern}, registry=Registry())
        assert not validator.is_valid("a" * 20_000 + "!")

    assert time.process_time() - started < 2


def test_a_pattern_matches_anywhere_and_its_end_is_the_end() -> None:
    validator = Validator({"pattern": "b$"}, registry=Registry())

    assert validator.is_valid("ab")
    assert validator.is_valid(7)
    assert not validator.is_valid("ab\n")
    (error,) = validator.iter_errors("c")
    assert (error.validator, error.validator_value) == ("pattern", "b$")


words = st.sampled_from(
    [
        *("$ref", "$defs", "items", "allOf", "not", "properties", "pattern", "type", "enum"),
        *("required", "minLength", "maximum", "const", "title", "anyOf", "if", "uniqueItems"),
        *("dependentRequired", "prefixItems", "multipleOf", "additionalProperties", "a"),
    ]
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-2, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["#", "#/$defs/a", "a", "(a", "", "string", "object", "#/items"])
)
schemas = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(words, schemas, max_size=4), schemas)
def test_what_is_accepted_is_a_schema_and_can_be_evaluated(schema: Any, value: object) -> None:
    if schema_problem(schema) == "":
        Draft202012Validator.check_schema(schema)
        list(Validator(schema, registry=Registry()).iter_errors(value))
