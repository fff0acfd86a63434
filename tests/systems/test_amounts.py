"""Amounts are exact and written in one way."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parley_systems.amounts import amount_text, parse_amount
from parley_systems.errors import InvalidAmountError
from parley_systems.iban import has_valid_check_digits, looks_like_iban


@pytest.mark.parametrize(
    "text",
    [
        "1e3", "1E3", "1,200.00", "1 200", "1'200", "1_000", "0x10", "", "-", ".", "5.", ".5",
        "--1", "1.2.3", "NaN", "Infinity", "-inf", "١٢", "\uff11\uff12", "²", "1\n", " 1", "1" * 16,
        "0." + "1" * 16, "12€",
    ],
)  # fmt: skip
def test_an_amount_that_could_be_misread_is_refused(text: str) -> None:
    with pytest.raises(InvalidAmountError, match="PriceAmount in line 7") as caught:
        parse_amount(text, what="PriceAmount in line 7")

    assert caught.value.code == "invalid_amount"


@settings(deadline=None)
@given(st.decimals(min_value=-(10**15) + 1, max_value=10**15 - 1, places=6))
def test_an_amount_survives_being_written_and_read(value: Decimal) -> None:
    assert parse_amount(amount_text(value), what="it") == value


def test_amounts_are_written_without_exponents_and_keep_their_places() -> None:
    assert amount_text(Decimal("1E+3")) == "1000"
    assert amount_text(Decimal("0.0000001")) == "0.0000001"
    assert amount_text(Decimal("10.00")) == "10.00"
    assert parse_amount("+0.10", what="it") == Decimal("0.10")


def test_the_check_digits_of_an_iban_catch_a_typing_error() -> None:
    assert has_valid_check_digits("GB82WEST12345698765432")
    assert not has_valid_check_digits("GB82WEST12345698765423")
    assert not has_valid_check_digits("DK1212341234123412"), "from a published test set"
    assert not looks_like_iban("5050-1055"), "a Bankgiro number is an account, but no IBAN"
    assert not has_valid_check_digits("5050-1055")


@settings(deadline=None)
@given(st.from_regex(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", fullmatch=True), st.data())
def test_two_exchanged_digits_never_pass_both_ways(iban: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(4, len(iban) - 2))
    swapped = iban[:at] + iban[at + 1] + iban[at] + iban[at + 2 :]

    if swapped != iban and iban[at].isdigit() == iban[at + 1].isdigit():
        assert not (has_valid_check_digits(iban) and has_valid_check_digits(swapped))
