"""UBL documents are read as what they say, or refused with the line that is wrong."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parley_cards.errors import ParleyError
from parley_systems.errors import (
    DocumentTooLargeError,
    InvalidAmountError,
    InvalidDocumentError,
    UnsupportedDocumentError,
)
from parley_systems.ubl.model import Kind, Price
from parley_systems.ubl.parse import parse_invoice, parse_order

from tests.systems.parts import SAMPLES, sample

MATCHING = sample("matching")
ORDER = (SAMPLES / "orders" / "PO-1001.xml").read_text("utf-8")


def test_an_invoice_is_read_with_exact_amounts_and_references() -> None:
    invoice = parse_invoice(MATCHING)

    assert invoice.kind is Kind.INVOICE
    assert invoice.number == "NW-2041"
    assert (invoice.issue_date, invoice.due_date) == (date(2026, 11, 2), date(2026, 12, 2))
    assert invoice.order_number == "PO-1001"
    assert invoice.supplier.vat_id == "DE999100007"
    assert invoice.supplier.ids == ("SUP-100", "4099999100009")
    assert invoice.payee_accounts == ("DE23999000000000100100",)
    assert [line.order_line_id for line in invoice.lines] == ["1", "2"]
    assert invoice.lines[0].item_id == "CH-7"
    assert invoice.lines[0].price.per_unit == Decimal("100.00")
    assert invoice.lines[0].tax_percent == Decimal(19)
    assert invoice.totals.gross == Decimal("2380.00")
    assert invoice.taxes[0].amount == Decimal("380.00")


def test_an_order_is_read_with_its_lines() -> None:
    order = parse_order(ORDER)

    assert order.number == "PO-1001"
    assert [(line.id, str(line.quantity)) for line in order.lines] == [("1", "10"), ("2", "4")]
    assert order.net == Decimal("2000.00")


def test_a_credit_note_is_read_as_one() -> None:
    note = (
        MATCHING.replace("Invoice-2", "CreditNote-2")
        .replace("<Invoice ", "<CreditNote ")
        .replace("</Invoice>", "</CreditNote>")
        .replace("cac:InvoiceLine", "cac:CreditNoteLine")
        .replace("cbc:InvoicedQuantity", "cbc:CreditedQuantity")
    )

    read = parse_invoice(note)

    assert read.kind is Kind.CREDIT_NOTE
    assert read.lines[0].quantity == 10


def test_a_price_for_many_units_is_divided_exactly_or_to_ten_places() -> None:
    assert Price(amount=Decimal("50.00"), base_quantity=Decimal(100)).per_unit == Decimal("0.5")
    third = Price(amount=Decimal(1), base_quantity=Decimal(3)).per_unit
    assert third == Decimal("0.3333333333")
    assert str(Price(amount=Decimal(3000), base_quantity=Decimal(3)).per_unit) == "1000"


def test_an_order_reference_that_stands_for_none_is_none() -> None:
    """Peppol BIS Billing 3.0: `NA` where only the sales order is known."""
    assert parse_invoice(MATCHING.replace("PO-1001", "NA")).order_number is None


def test_text_loses_characters_that_nobody_sees() -> None:
    invoice = parse_invoice(MATCHING.replace("Office chair", "Office\u202e c\u200bhair"))

    assert invoice.lines[0].description == "Office chair"


@pytest.mark.parametrize(
    ("old", "new", "error", "said"),
    [
        ("<cbc:ID>NW-2041</cbc:ID>", "", InvalidDocumentError, "cbc:ID is missing"),
        ("<cbc:ID>NW-2041</cbc:ID>", "<cbc:ID> </cbc:ID>", InvalidDocumentError, "is empty"),
        (
            "<cbc:ID>NW-2041</cbc:ID>",
            "<cbc:ID>NW-2041</cbc:ID><cbc:ID>NW-1</cbc:ID>",
            InvalidDocumentError,
            "twice",
        ),
        ("<cbc:ID>NW-2041", "<cbc:ID>NW\u202e-2041", InvalidDocumentError, "no identifier"),
        ("<cbc:ID>NW-2041", f"<cbc:ID>{'9' * 201}", InvalidDocumentError, "no identifier"),
        ("2026-11-02", "2026-02-30", InvalidDocumentError, "YYYY-MM-DD"),
        ("2026-11-02", "02.11.2026", InvalidDocumentError, "YYYY-MM-DD"),
        (">EUR</cbc:Doc", ">euro</cbc:Doc", InvalidDocumentError, "no currency code"),
        (
            '<cbc:PriceAmount currencyID="EUR">100.00',
            '<cbc:PriceAmount currencyID="USD">100.00',
            InvalidDocumentError,
            "one currency",
        ),
        ('currencyID="EUR">2380.00', 'currencyID="EUR">2,380.00', InvalidAmountError, "plain"),
        ('currencyID="EUR">2380.00', 'currencyID="EUR">1e3', InvalidAmountError, "plain"),
        ('currencyID="EUR">2380.00', 'currencyID="EUR">NaN', InvalidAmountError, "plain"),
        (
            'currencyID="EUR">2380.00',
            'currencyID="EUR">\uff12\uff13\uff18\uff10',
            InvalidAmountError,
            "plain",
        ),
        ("<cbc:ID>2</cbc:ID>", "<cbc:ID>1</cbc:ID>", InvalidDocumentError, "appears twice"),
        ("cac:InvoiceLine>", "cac:Other>", InvalidDocumentError, "has no cac:InvoiceLine"),
        (
            "<cbc:LineID>1</cbc:LineID>",
            "<cbc:LineID>1</cbc:LineID></cac:OrderLineReference>"
            "<cac:OrderLineReference><cbc:LineID>2</cbc:LineID>",
            InvalidDocumentError,
            "split it",
        ),
        ("cac:LegalMonetaryTotal", "cac:Other", InvalidDocumentError, "is missing"),
        ("<cbc:IssueDate>2026-11-02</cbc:IssueDate>", "", InvalidDocumentError, "IssueDate"),
        (
            "</cac:PartyTaxScheme>",
            "</cac:PartyTaxScheme><cac:PartyTaxScheme><cbc:CompanyID>DE1</cbc:CompanyID>"
            "</cac:PartyTaxScheme>",
            InvalidDocumentError,
            "two VAT ids",
        ),
        (
            "<cac:TaxTotal>",
            "<cac:AllowanceCharge><cbc:ChargeIndicator>yes</cbc:ChargeIndicator>"
            "</cac:AllowanceCharge><cac:TaxTotal>",
            InvalidDocumentError,
            "true or false",
        ),
        (
            '<cbc:TaxAmount currencyID="EUR">',
            '<cbc:TaxAmount currencyID="SEK">',
            InvalidDocumentError,
            "no cac:TaxTotal is in EUR",
        ),
        ("cbc:TaxableAmount", "cbc:Other", InvalidDocumentError, "TaxableAmount is missing"),
        ("xsd:Invoice-2", "xsd:Invoice-3", UnsupportedDocumentError, "UBL 2.1"),
    ],
)
def test_a_document_that_could_be_read_in_two_ways_or_none_is_refused(
    old: str, new: str, error: type[ParleyError], said: str
) -> None:
    assert old in MATCHING

    with pytest.raises(error, match=said):
        parse_invoice(MATCHING.replace(old, new))


def test_another_kind_of_document_is_named() -> None:
    with pytest.raises(UnsupportedDocumentError, match="'Order'"):
        parse_invoice(ORDER)
    with pytest.raises(UnsupportedDocumentError, match="'Invoice'"):
        parse_order(MATCHING)


def test_a_price_for_no_units_is_refused() -> None:
    base = '<cbc:BaseQuantity unitCode="C62">0</cbc:BaseQuantity></cac:Price>'

    with pytest.raises(InvalidAmountError, match="above 0"):
        parse_invoice(MATCHING.replace("</cac:Price>", base))


def test_an_order_without_a_price_is_refused() -> None:
    with pytest.raises(InvalidDocumentError, match="cac:Price"):
        parse_order(ORDER.replace("cac:Price>", "cac:Other>"))


def test_allowances_and_charges_on_the_document_are_read() -> None:
    charge = (
        "<cac:AllowanceCharge><cbc:ChargeIndicator>{}</cbc:ChargeIndicator>"
        "<cbc:AllowanceChargeReason>{}</cbc:AllowanceChargeReason>"
        '<cbc:Amount currencyID="EUR">{}</cbc:Amount></cac:AllowanceCharge>'
    )
    both = charge.format("true", "Freight", "25.00") + charge.format("false", "Bonus", "10.00")

    invoice = parse_invoice(MATCHING.replace("<cac:TaxTotal>", both + "<cac:TaxTotal>", 1))

    assert [(each.is_charge, each.reason, str(each.amount)) for each in invoice.charges] == [
        (True, "Freight", "25.00"),
        (False, "Bonus", "10.00"),
    ]
    assert str(invoice.totals.charges) == "25.00"


def test_too_many_lines_are_refused() -> None:
    start, end = MATCHING.index("  <cac:InvoiceLine>"), MATCHING.index("</Invoice>")
    line = (
        "<cac:InvoiceLine><cbc:ID>{}</cbc:ID>"
        '<cbc:LineExtensionAmount currencyID="EUR">1</cbc:LineExtensionAmount>'
        "<cac:Item/></cac:InvoiceLine>"
    )
    lines = "".join(line.format(number) for number in range(2001))

    with pytest.raises(DocumentTooLargeError, match="2000"):
        parse_invoice(MATCHING[:start] + lines + MATCHING[end:])


@pytest.mark.parametrize(
    ("before", "part", "limit"),
    [
        (
            "<cac:PartyName>",
            "<cac:PartyIdentification><cbc:ID>{}</cbc:ID></cac:PartyIdentification>",
            50,
        ),
        (
            "<cac:TaxTotal>",
            "<cac:PaymentMeans><cac:PayeeFinancialAccount><cbc:ID>{}</cbc:ID>"
            "</cac:PayeeFinancialAccount></cac:PaymentMeans>",
            50,
        ),
        (
            "<cac:TaxTotal>",
            "<cac:AllowanceCharge><cbc:ChargeIndicator>true</cbc:ChargeIndicator>"
            '<cbc:Amount currencyID="EUR">{}</cbc:Amount></cac:AllowanceCharge>',
            100,
        ),
    ],
)
def test_what_may_repeat_may_not_repeat_without_end(before: str, part: str, limit: int) -> None:
    many = "".join(part.format(number) for number in range(limit + 1))

    with pytest.raises(DocumentTooLargeError, match=f"{limit} are allowed"):
        parse_invoice(MATCHING.replace(before, many + before, 1))


def test_a_unit_is_an_identifier_too() -> None:
    with pytest.raises(InvalidDocumentError, match="unitCode"):
        parse_invoice(MATCHING.replace('unitCode="C62"', f'unitCode="{"C" * 201}"'))


@settings(deadline=None)
@given(st.data())
def test_a_damaged_document_is_read_or_refused_with_a_code(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(MATCHING)))
    length = data.draw(st.integers(0, 60))
    put = data.draw(st.sampled_from(["", "9", "-", "<", "e9", "<cbc:ID>7</cbc:ID>", "\u202e", "é"]))

    try:
        parse_invoice(MATCHING[:at] + put + MATCHING[at + length :])
    except ParleyError as exc:
        assert exc.code in {
            "malformed_xml", "invalid_document", "invalid_amount", "unsupported_document",
        }  # fmt: skip
