"""What the ledger insists on, and what makes two invoices look like one."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parley_systems.erp.rules import (
    InvoiceKey,
    arithmetic_problems,
    likeness,
    number_key,
    posting_problems,
)
from parley_systems.ubl.model import Charge, Kind
from parley_systems.ubl.parse import parse_invoice

from tests.systems.parts import NAMES, sample

INVOICE = parse_invoice(sample("matching"))
ON_FILE = INVOICE.payee_accounts

KEY = InvoiceKey(
    id="inv-1",
    kind=Kind.INVOICE,
    number="NW-2032",
    seller="SUP-100",
    currency="EUR",
    gross=Decimal("1035.30"),
    issue_date=date(2026, 10, 20),
)
keys = st.builds(
    InvoiceKey,
    id=st.sampled_from(["inv-1", "inv-2", "inv-3"]),
    kind=st.sampled_from(Kind),
    number=st.sampled_from(["A-1", "a 01", "AI", "B-2"]),
    seller=st.sampled_from(["SUP-1", "SUP-2"]),
    currency=st.sampled_from(["EUR", "SEK"]),
    gross=st.sampled_from([Decimal(1), Decimal("1.00"), Decimal(2)]),
    issue_date=st.dates(date(2026, 1, 1), date(2026, 1, 20)),
)


@pytest.mark.parametrize("number", ["nw-2032", "NW 2032", "NW-02032", "NW2O32", "nw/2032."])
def test_numbers_that_differ_by_how_they_are_typed_are_alike(number: str) -> None:
    other = replace(KEY, id="inv-2", number=number, gross=Decimal(1))

    like = likeness(KEY, other)

    assert like is not None
    assert like.match == "same-number"
    assert likeness(KEY, replace(other, number="NW-2033")) is None


def test_the_same_amount_within_seven_days_is_alike_and_after_eight_is_not() -> None:
    near = replace(KEY, id="inv-2", number="X", issue_date=KEY.issue_date + timedelta(days=7))
    far = replace(near, issue_date=KEY.issue_date + timedelta(days=8))

    like = likeness(KEY, near)

    assert like is not None
    assert like.match == "same-amount"
    assert likeness(KEY, far) is None


def test_a_credit_note_another_seller_and_the_invoice_itself_are_no_duplicates() -> None:
    assert likeness(KEY, replace(KEY, id="inv-2", kind=Kind.CREDIT_NOTE)) is None
    assert likeness(KEY, replace(KEY, id="inv-2", seller="SUP-200")) is None
    assert likeness(KEY, KEY) is None


@settings(deadline=None)
@given(keys, keys)
def test_likeness_is_symmetric(one: InvoiceKey, other: InvoiceKey) -> None:
    there, back = likeness(one, other), likeness(other, one)

    assert (there and there.match) == (back and back.match)


@settings(deadline=None)
@given(st.text(max_size=30))
def test_a_number_key_is_its_own_key(number: str) -> None:
    assert number_key(number_key(number)) == number_key(number)


@pytest.mark.parametrize("name", NAMES)
def test_the_numbers_of_every_sample_add_up(name: str) -> None:
    assert arithmetic_problems(parse_invoice(sample(name))) == []


@pytest.mark.parametrize("field", ["lines", "allowances", "charges", "net", "tax", "gross"])
def test_a_total_that_is_one_cent_off_is_a_problem(field: str) -> None:
    stated = replace(INVOICE.totals, **{field: getattr(INVOICE.totals, field) + Decimal("0.01")})

    problems = arithmetic_problems(replace(INVOICE, totals=stated))

    assert problems
    assert {problem.code for problem in problems} == {"arithmetic"}


def test_a_payable_amount_above_the_gross_total_is_a_problem() -> None:
    stated = replace(INVOICE.totals, payable=Decimal("99999.00"))

    (problem,) = arithmetic_problems(replace(INVOICE, totals=stated))

    assert problem.message == ("The invoice states 99999.00 as the payable amount; it is 2380.00.")


def test_tax_that_its_rate_does_not_give_is_a_problem_but_a_cent_of_rounding_is_not() -> None:
    (tax,) = INVOICE.taxes

    def taxed(amount: str) -> list[str]:
        due = Decimal(amount)
        totals = replace(
            INVOICE.totals,
            tax=due,
            gross=INVOICE.totals.net + due,
            payable=INVOICE.totals.net + due,
        )
        changed = replace(INVOICE, taxes=(replace(tax, amount=due),), totals=totals)
        return [problem.message for problem in arithmetic_problems(changed)]

    assert taxed("380.01") == []
    assert taxed("380.02") == ["The invoice states 380.02 as the tax at 19 %; it is 380.00."]


def test_a_charge_counts_in_the_net_total() -> None:
    freight = Charge(
        is_charge=True, amount=Decimal("25.00"), reason="Freight", tax_percent=Decimal(19)
    )

    problems = arithmetic_problems(replace(INVOICE, charges=(freight,)))

    assert [problem.message for problem in problems] == [
        "The invoice states 0 as the sum of the charges; it is 25.00."
    ]


def test_an_invoice_in_order_may_be_posted() -> None:
    assert posting_problems(INVOICE, supplier_status="active", accounts_on_file=ON_FILE) == []


@pytest.mark.parametrize(
    ("status", "accounts", "code"),
    [
        (None, ON_FILE, "supplier_unknown"),
        ("blocked", ON_FILE, "supplier_blocked"),
        ("active", (), "bank_account_not_on_file"),
        ("active", ("DE89370400440532013000",), "bank_account_not_on_file"),
    ],
)
def test_nobody_may_post_to_an_unknown_or_blocked_payee(
    status: str | None, accounts: tuple[str, ...], code: str
) -> None:
    problems = posting_problems(INVOICE, supplier_status=status, accounts_on_file=accounts)

    assert [problem.code for problem in problems] == [code]


def test_one_good_account_does_not_excuse_a_strange_one() -> None:
    both = replace(INVOICE, payee_accounts=(*ON_FILE, "LT259990000000666666"))

    problems = posting_problems(both, supplier_status="active", accounts_on_file=ON_FILE)

    assert [problem.code for problem in problems] == ["bank_account_not_on_file"]


def test_an_invoice_that_names_no_account_is_paid_to_the_one_on_file() -> None:
    silent = replace(INVOICE, payee_accounts=())

    assert posting_problems(silent, supplier_status="active", accounts_on_file=ON_FILE) == []
