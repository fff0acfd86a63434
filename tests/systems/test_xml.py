"""Hostile XML is refused with a code and a line, before anything acts on it."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from parley_cards.errors import ParleyError
from parley_systems.errors import (
    DocumentTooLargeError,
    InvalidDocumentError,
    MalformedXmlError,
)
from parley_systems.ubl import xml

BILLION_LAUGHS = """<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<lolz>&b;</lolz>"""


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (BILLION_LAUGHS, "DOCTYPE"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "DOCTYPE"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "http://127.0.0.1/">]><a>&x;</a>', "DOCTYPE"),
        ('<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1/"> %p;]><a/>', "DOCTYPE"),
        ("<!DOCTYPE a><a/>", "DOCTYPE"),
        ("<a>&undefined;</a>", "undefined entity"),
        ("<a>" * 33 + "</a>" * 33, "deeper than 32"),
        ("<a " + " ".join(f'x{n}="1"' for n in range(33)) + "/>", "more than 32 attributes"),
        ("<a><b></a>", "mismatched tag"),
        ("<a/><b/>", "junk after document element"),
        ("", "no element found"),
        ("not XML", "line 1"),
        ("<a>\x00</a>", "not well-formed"),
        ("<p:a/>", "unbound prefix"),
        ("<a>\ud800</a>", "lone surrogate"),
    ],
)
def test_a_document_that_attacks_the_parser_is_malformed(document: str, said: str) -> None:
    with pytest.raises(MalformedXmlError, match=said) as caught:
        xml.read(document)

    assert caught.value.code == "malformed_xml"


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xfe\x00",
        b'<?xml version="1.0" encoding="utf-8"?><a>\xff</a>',
        b'<?xml version="1.0" encoding="windows-1252"?><a/>',
        b'<?xml version="1.0" encoding="rot13"?><a/>',
        b'<?xml version="1.0" encoding="no-such"?><a/>',
        b'<?xml version="1.0" encoding="utf-7"?><a/>',
    ],
)
def test_bytes_that_cannot_be_decoded_safely_are_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedXmlError):
        xml.read(raw)


def test_a_document_over_one_mebibyte_is_refused_unread() -> None:
    with pytest.raises(DocumentTooLargeError):
        xml.read("<a>" + " " * xml.MAX_BYTES + "<unclosed>")


def test_too_many_elements_are_refused() -> None:
    with pytest.raises(DocumentTooLargeError, match="100000 elements"):
        xml.read("<a>" + "<b/>" * xml.MAX_ELEMENTS + "</a>")


def test_text_is_read_in_the_declared_encoding() -> None:
    latin = '<?xml version="1.0" encoding="ISO-8859-1"?><a>Büro</a>'

    assert xml.read(latin.encode("iso-8859-1")).text == "Büro"
    assert xml.read('<?xml version="1.0" encoding="utf-16"?><a>Büro</a>'.encode("utf-16")).text == (
        "Büro"
    )
    assert xml.read(latin).text == "Büro", "in a str, the declaration means nothing any more"


def test_comments_and_instructions_do_not_split_text() -> None:
    root = xml.read("<a> 1<!-- 9 -->00 <?php 9 ?>\n  EUR<![CDATA[ net ]]></a>")

    assert root.text == "100 EUR net"


def test_an_element_that_appears_twice_where_one_is_meant_is_refused_with_both_lines() -> None:
    root = xml.read("<a>\n<b>1</b>\n<b>2</b></a>")

    with pytest.raises(InvalidDocumentError, match="lines 2 and 3"):
        root.one("", "b")


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=400), st.text(max_size=400)))
@example(b"\xef\xbb\xbf<a/>")
def test_whatever_arrives_is_read_or_refused_with_a_code(raw: bytes | str) -> None:
    try:
        xml.read(raw)
    except ParleyError as exc:
        assert exc.code in {"malformed_xml", "document_too_large"}
