"""What is shown of text from outside: readable, harmless, without passwords."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from parley_wire.showing import one_line, plain, shown_url, without_passwords

ANY = st.text(st.characters(codec=None, categories=None))
PASSWORD = "geheim"


def test_a_terminal_is_not_moved_coloured_or_turned() -> None:
    assert plain("a\x1b[31m\r\u202eb\tc\nd") == "a\\u001b[31m\\r\\u202eb\tc\nd"


@given(ANY, st.integers(1, 50))
def test_any_text_becomes_one_printable_line_of_bounded_length(text: str, most: int) -> None:
    shown = one_line(text, most)

    assert len(shown.splitlines()) <= 1
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert len(shown) <= 6 * most + 60


def test_a_url_is_shown_without_whatever_may_be_secret_in_it() -> None:
    for url, shown in {
        "http://127.0.0.1:8421/v1": "http://127.0.0.1:8421/v1",
        "https://me:geheim@host/x": "https://***@host/x",
        "https://me:a/b?c#geheim@host": "https://***@host",
        "https://host/x?token=geheim#geheim": "https://host/x",
        "me:geheim@host": "***@host",
    }.items():
        assert shown_url(url) == shown


@given(st.text(st.characters(exclude_characters="@ ", codec="ascii")))
def test_nothing_before_the_host_of_a_url_is_shown(password: str) -> None:
    assert shown_url(f"https://me:{password}@host.example") == "https://***@host.example"


def test_passwords_inside_a_text_are_left_out() -> None:
    told = without_passwords(
        "at postgresql://me:geheim@db/parley and redis://:geheim@x, password='geheim' password=geheim"
    )

    assert PASSWORD not in told
    assert told.startswith("at postgresql://***@db/parley and redis://***@x")
