"""Strict JSON and the canonical form."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_cards.canonical import canonical, digest, digest_bytes
from parley_cards.errors import FACES, ParleyError
from parley_cards.strict_json import (
    MAX_DEPTH,
    JsonTooLargeError,
    MalformedJsonError,
    loads,
)

SAFE = 2**53 - 1
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-SAFE, SAFE)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


@given(values)
def test_what_was_written_is_read_back(value: object) -> None:
    assert loads(json.dumps(value)) == value
    assert loads(json.dumps(value, ensure_ascii=False).encode()) == value


# A whole float from 2^53 up to 10^21 is written with all its digits and read back as an integer that
# has no canonical form; what is pinned must not hold such numbers.
pinnable = st.recursive(
    st.none() | st.booleans() | st.integers(-SAFE, SAFE) | st.floats(-SAFE, SAFE) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


@given(pinnable)
def test_the_canonical_form_is_one_form_and_means_the_same(value: object) -> None:
    form = canonical(value)

    assert canonical(loads(form)) == form
    assert digest(value) == digest_bytes(form)


@given(st.dictionaries(st.text(), scalars, min_size=2))
def test_the_digest_does_not_depend_on_key_order(value: dict[str, object]) -> None:
    assert digest(dict(reversed(value.items()))) == digest(value)


def test_the_canonical_form_is_that_of_the_standard() -> None:
    """RFC 8785 appendix: key order by UTF-16, shortest numbers, minimal escapes."""
    value = {"\u20ac": 1.0, "\r": 1e21, "1": 0.002, "\U0001f600": -0.0, "\ufb33": "\u000f/"}

    assert canonical(value) == (
        '{"\\r":1e+21,"1":0.002,"\u20ac":1,"\U0001f600":0,"\ufb33":"\\u000f/"}'.encode()
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**53, {"a": -(2**53)}])
def test_what_readers_would_disagree_on_has_no_canonical_form(value: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        canonical(value)


@given(st.text(), scalars, scalars, st.integers(0, 5))
def test_an_equal_key_at_any_depth_is_refused(
    key: str, first: object, second: object, depth: int
) -> None:
    twice = f"{{{json.dumps(key)}: {json.dumps(first)}, {json.dumps(key)}: {json.dumps(second)}}}"
    raw = '{"a":[' * depth + twice + "]}" * depth

    with pytest.raises(MalformedJsonError, match="twice"):
        loads(raw)


def test_equal_keys_are_seen_through_their_escapes() -> None:
    with pytest.raises(MalformedJsonError, match="twice"):
        loads(r'{"a": 1, "\u0061": 2}')


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "[NaN]", '{"a": -Infinity}'])
def test_numbers_that_json_lacks_are_refused(text: str) -> None:
    with pytest.raises(MalformedJsonError):
        loads(text)


@pytest.mark.parametrize("text", ["1e999", "-1e999", "9" * 401, "0." + "1" * 400])
def test_numbers_without_bound_are_refused(text: str) -> None:
    with pytest.raises(MalformedJsonError, match="number"):
        loads(text)


@pytest.mark.parametrize(
    "text", [r'"\ud800"', r'"\udc00"', r'{"\ud800": 1}', r'["a", {"b": "\udfff\ud800"}]', "\ud800"]
)
def test_a_lone_surrogate_is_refused(text: str) -> None:
    with pytest.raises(MalformedJsonError):
        loads(text)


def test_a_surrogate_pair_is_one_character() -> None:
    assert loads(r'"\ud83d\ude00"') == "\U0001f600"


@given(st.integers(1, MAX_DEPTH), st.booleans())
def test_depth_up_to_the_limit_is_read(depth: int, arrays: bool) -> None:
    opening, closing = ("[", "]") if arrays else ('{"a":', "}")

    loads(opening * depth + "1" + closing * depth)


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 1000, 100_000])
@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"[":'])
def test_deeper_nesting_is_refused_before_it_is_parsed(depth: int, opening: str) -> None:
    with pytest.raises(MalformedJsonError, match="deeper"):
        loads(opening * depth)


def test_brackets_inside_strings_are_not_depth() -> None:
    text = '"' + '[{\\"' * 1000 + '"'

    assert loads(text) == '[{"' * 1000


@pytest.mark.parametrize("raw", ["[1,1,1,1]", "[[],[],[]]", '[{"a":1},{"a":1}]', '["","","",""]'])
def test_more_values_than_allowed_are_refused_before_they_are_parsed(raw: str) -> None:
    assert loads(raw, max_values=6) == loads(raw)
    with pytest.raises(MalformedJsonError, match="more than 3 values"):
        loads(raw, max_values=3)


@given(st.text(alphabet='a,[{\\"\n'), st.integers(0, 3))
def test_what_stands_in_strings_is_no_value(text: str, more: int) -> None:
    raw = json.dumps([text] * (more + 1))

    assert loads(raw, max_values=more + 1) == [text] * (more + 1)


def test_the_limit_is_in_bytes() -> None:
    assert loads('"ää"', max_bytes=6) == "ää"
    with pytest.raises(JsonTooLargeError):
        loads('"ää"', max_bytes=5)


@pytest.mark.parametrize(
    "raw", [b"", b" ", b"\xef\xbb\xbf{}", b"\xff", b"{'a': 1}", b"[1,]", b"01", b'"\x00"', b"{}{}"]
)
def test_what_is_almost_json_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedJsonError):
        loads(raw)


pieces = st.lists(
    st.sampled_from(
        [
            *(b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\u", b"d800", b"1e", b"-", b"NaN"),
            *(b"\xff", b"null", b'"a"', b"0", b" ", b"\\", b"\x00", b"true", b"9" * 500),
        ]
    ),
    max_size=30,
).map(b"".join)


@given(st.binary() | pieces | st.text())
def test_hostile_bytes_never_raise_anything_but_a_parley_error(raw: bytes | str) -> None:
    value, error = None, None
    try:
        value = loads(raw)
    except ParleyError as exc:
        error = exc

    assert error is None or (error.message and error.face is FACES[error.kind])
    json.dumps(value, allow_nan=False)


@given(pieces)
def test_what_is_accepted_is_what_the_standard_parser_reads(raw: bytes) -> None:
    try:
        value = loads(raw)
    except ParleyError:
        return
    assert json.loads(raw) == value
