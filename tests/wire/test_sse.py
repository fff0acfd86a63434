from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_wire.errors import BodyTooLargeError
from parley_wire.sse import SseParser

from tests.wire.support import PATIENT


def parsed(raw: bytes, cuts: list[int], *, max_bytes: int = 1000) -> list[bytes]:
    parser = SseParser(max_bytes=max_bytes)
    places = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    found: list[bytes] = []
    for start, end in pairwise(places):
        found += parser.feed(raw[start:end])
    return found


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_data_lines_are_joined_and_the_rest_is_passed_over(end: str) -> None:
    lines = [
        ": ping",
        "",
        "event: x",
        "id: 7",
        "data: {",
        "data:  1",
        "data",
        "retry: 5",
        "",
        "data: b",
        "",
    ]
    raw = (end.join(lines) + end).encode()
    if end == "\r":
        raw += b"x"  # a final CR waits for its LF

    assert parsed(raw, []) == [b"{\n 1\n", b"b"]


@PATIENT
@given(
    st.lists(st.text('ab{}":é ', max_size=6), max_size=5),
    st.lists(st.integers(0, 80), max_size=8),
    st.sampled_from(["\n", "\r\n"]),
)
def test_it_does_not_matter_where_the_bytes_are_cut(
    texts: list[str], cuts: list[int], end: str
) -> None:
    raw = "".join(f": ping{end}{end}data: {text}{end}{end}" for text in texts).encode()

    assert parsed(raw, cuts) == [text.encode() for text in texts]
    assert parsed(b"\xef\xbb\xbf" + raw, cuts) == [text.encode() for text in texts]


def test_an_event_that_is_not_ended_is_not_given() -> None:
    assert parsed(b"data: a\n\ndata: b\n", []) == [b"a"]


@pytest.mark.parametrize("raw", [b"data: " + b"x" * 2000, b"data: x\n" * 600, b"x" * 2000])
def test_an_event_larger_than_allowed_is_refused_before_it_is_complete(raw: bytes) -> None:
    with pytest.raises(BodyTooLargeError):
        parsed(raw, list(range(0, 4000, 50)))


def test_the_events_before_one_that_is_too_large_are_not_lost() -> None:
    parser = SseParser(max_bytes=10)

    assert parser.feed(b"data: a\n\ndata: " + b"x" * 20 + b"\n\ndata: b\n\n") == [b"a"]
    with pytest.raises(BodyTooLargeError):
        parser.feed(b"")


@PATIENT
@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_any_bytes_are_read_without_an_error(raw: bytes, cuts: list[int]) -> None:
    parsed(raw, cuts)
