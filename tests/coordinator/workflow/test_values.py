"""Durations, schemas and errors as values."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_coordinator.workflow.durations import UNITS, duration, words
from parley_coordinator.workflow.errors import BASE, STATUS, Standard, WorkflowError, same_type
from parley_coordinator.workflow.schemas import Schema, problems


@pytest.mark.parametrize(
    ("value", "length"),
    [
        ("PT5M", timedelta(minutes=5)),
        ("P1DT2H3.5S", timedelta(days=1, hours=2, seconds=3.5)),
        ("P2W", timedelta(weeks=2)),
        ({"days": 1, "milliseconds": 5}, timedelta(days=1, milliseconds=5)),
        ({"seconds": 0}, timedelta()),
    ],
)
def test_durations_are_read_in_both_spellings(value: Any, length: timedelta) -> None:
    assert duration(value) == length


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            "P",
            "PT",
            "P1DT",
            "5 minutes",
            "P1Y",
            "P1M",
            "-PT5M",
            "PT5M ",
            "P\u0661D",
            "PT1.1234567S",
        ),
        *({}, {"weeks": 1}, {"days": -1}, {"days": "1"}, {"days": True}, {"days": 4000}, None, 5),
        *({"days": float("inf")}, "P999999999W"),
    ],
)
def test_anything_else_is_no_duration(value: Any) -> None:
    with pytest.raises(ValueError, match=r"duration|number|longer"):
        duration(value)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(UNITS, st.integers(0, 100))))
def test_a_duration_is_said_in_words(value: dict[str, int]) -> None:
    if value:
        said = words(duration(value))

        assert said
        assert all(part.isdigit() for part in said.split()[::2])


@pytest.mark.parametrize(
    ("schema", "value", "sentence"),
    [
        ({"required": ["a", "b"]}, {"a": 1}, "the value lacks 'b'"),
        ({"properties": {"a": {"type": "string"}}}, {"a": 1}, "a must be string, not number"),
        (
            {"properties": {"a": {"type": ["string", "null"]}}},
            {"a": []},
            "a must be string or null, not array",
        ),
        (
            {"properties": {}, "additionalProperties": False},
            {"z": 1},
            "the value has unknown members: z",
        ),
        ({"enum": ["x", "y"]}, "z", 'the value must be one of ["x", "y"], not "z"'),
        ({"const": 1}, 2, "the value must be one of [1], not 2"),
        ({"pattern": "^a+$"}, "b", 'the value must look like ^a+$, which "b" does not'),
        ({"minItems": 2}, [1], "the value is too short: at least 2"),
        ({"maxLength": 1}, "ab", "the value is too long: at most 1"),
        ({"items": {"minimum": 3}}, [5, 1], "1 is out of range: minimum 3"),
        ({"not": {}}, 1, "the value does not fit `not`"),
    ],
)
def test_what_does_not_fit_a_schema_is_said_in_a_sentence(
    schema: dict[str, Any], value: Any, sentence: str
) -> None:
    assert problems(schema, value) == [sentence]


def test_a_large_value_is_not_repeated() -> None:
    (sentence,) = problems({"enum": ["x"]}, "y" * 10_000)

    assert len(sentence) < 250


def test_at_most_five_problems_are_told() -> None:
    assert len(problems({"items": {"type": "string"}}, list(range(100)))) == 5


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"properties": {"a": {"$ref": "other.json#/x"}}},
        {"type": "text"},
        {"minLength": "1"},
        {"pattern": "("},
        {"$ref": "#"},
        {"$ref": "#/$defs/none"},
    ],
)
def test_a_schema_that_leaves_its_document_or_is_none_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="the schema"):
        Schema(schema)


def test_a_pattern_is_matched_in_linear_time() -> None:
    schema = {"type": "string", "pattern": "^(a+)+$"}

    assert problems(schema, "a" * 5000 + "!")


SPELLINGS = [
    f"https://{host}/{folder}/"
    for host in ("serverlessworkflow.io", "open-workflow-specification.org")
    for folder in ("spec/1.0.0/errors", "dsl/errors/types")
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_four_spellings_of_a_standard_error_are_one_type(spelling: str) -> None:
    error = WorkflowError(spelling + "timeout", "Too late")

    assert error.status == 408
    assert error.is_a(Standard.TIMEOUT)
    assert error.matches({"type": BASE + "timeout", "status": 408})
    assert not error.matches({"type": BASE + "runtime"})
    assert not same_type(spelling + "timeout", "https://example.com/timeout")


@pytest.mark.parametrize("standard", list(Standard))
def test_a_standard_error_has_its_status_and_survives_the_journal(standard: Standard) -> None:
    error = WorkflowError(standard, "Title", "detail", instance="/do/0/a")

    assert error.status == STATUS[standard]
    assert WorkflowError.from_json(error.as_json()).as_json() == error.as_json()


def test_members_that_are_not_known_are_left_out() -> None:
    assert WorkflowError("https://example.com/e", "T", status=418).as_json() == {
        "type": "https://example.com/e",
        "status": 418,
        "title": "T",
    }
