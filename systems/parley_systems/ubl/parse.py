"""UBL 2.1 Invoice, CreditNote and Order, from bytes to values.

This is not a validator of EN 16931: it reads what matching needs and refuses what could be read in
two ways. Whether the numbers add up is for `parley_systems.erp.rules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from parley_systems.errors import (
    DocumentTooLargeError,
    InvalidDocumentError,
    UnsupportedDocumentError,
)
from parley_systems.ubl import parts, xml
from parley_systems.ubl.fields import (
    at_most,
    currency_code,
    day,
    every,
    find,
    identifier,
    require,
    require_identifier,
)
from parley_systems.ubl.model import Invoice, Kind, Order
from parley_systems.ubl.xml import Element

MAX_LINES: Final = 2_000
_NAMESPACE: Final = "urn:oasis:names:specification:ubl:schema:xsd:"
_LINES: Final = {
    Kind.INVOICE: ("cac:InvoiceLine", "cbc:InvoicedQuantity"),
    Kind.CREDIT_NOTE: ("cac:CreditNoteLine", "cbc:CreditedQuantity"),
}
_NO_ORDER: Final = "NA"
"""Stands for "no order" where the sales order is named alone (Peppol BIS Billing 3.0, BT-13)."""


def parse_invoice(raw: bytes | str) -> Invoice:
    """Read an Invoice or a CreditNote.

    Raises:
        DocumentTooLargeError: Above 1 MiB, 100,000 elements, 2,000 lines, 100 charges or taxes,
            or 50 ids of a party or accounts.
        MalformedXmlError: See `xml.read`.
        UnsupportedDocumentError: If the root is anything else.
        InvalidDocumentError: If something needed is missing, doubled, or in another currency.
        InvalidAmountError: If a number is not a plain decimal.
    """
    root = _root(raw, ("Invoice", "CreditNote"))
    kind = Kind.INVOICE if root.name == "Invoice" else Kind.CREDIT_NOTE
    totals = require(root, "cac:LegalMonetaryTotal")
    currency = _currency(root, require(totals, "cbc:PayableAmount"))
    line_path, quantity_path = _LINES[kind]
    lines = tuple(
        parts.invoice_line(line, quantity_path, currency) for line in _lines(root, line_path)
    )
    charges = tuple(
        parts.charge(each, currency)
        for each in at_most(parts.MAX_PARTS, root, "cac:AllowanceCharge")
    )
    taxes, tax = parts.taxes(root, currency)
    order_number = identifier(root, "cac:OrderReference/cbc:ID")
    if order_number in {None, _NO_ORDER}:
        named = {line.order_number for line in lines}
        order_number = named.pop() if len(named) == 1 else None
    return Invoice(
        kind=kind,
        number=require_identifier(root, "cbc:ID"),
        issue_date=_issued(root),
        due_date=day(root, "cbc:DueDate") or _payment_due(root),
        currency=currency,
        supplier=parts.party(require(root, "cac:AccountingSupplierParty/cac:Party")),
        customer=parts.party(require(root, "cac:AccountingCustomerParty/cac:Party")),
        order_number=order_number,
        payee_accounts=parts.payee_accounts(root),
        lines=lines,
        charges=charges,
        taxes=taxes,
        totals=parts.totals(totals, lines, charges, tax, currency),
    )


def parse_order(raw: bytes | str) -> Order:
    """Read an Order; raises as `parse_invoice`."""
    root = _root(raw, ("Order",))
    items = _lines(root, "cac:OrderLine/cac:LineItem")
    currency = _currency(root, require(items[0], "cac:Price/cbc:PriceAmount"))
    return Order(
        number=require_identifier(root, "cbc:ID"),
        issue_date=_issued(root),
        currency=currency,
        supplier=parts.party(require(root, "cac:SellerSupplierParty/cac:Party")),
        customer=parts.party(require(root, "cac:BuyerCustomerParty/cac:Party")),
        lines=tuple(parts.order_line(item, currency) for item in items),
    )


def _root(raw: bytes | str, names: Sequence[str]) -> Element:
    root = xml.read(raw)
    if root.name not in names or root.namespace != f"{_NAMESPACE}{root.name}-2":
        raise UnsupportedDocumentError(
            f"the document is a {root.name[:60]!r} of namespace {root.namespace[:120]!r};"
            f" a UBL 2.1 {' or '.join(names)} is needed"
        )
    return root


def _currency(root: Element, amount: Element) -> str:
    """Return the document's currency: as it says, else that of `amount`."""
    stated = find(root, "cbc:DocumentCurrencyCode")
    if stated is not None:
        return currency_code(stated.text, line=stated.line)
    return currency_code(amount.attributes.get("currencyID", "").strip(), line=amount.line)


def _issued(root: Element) -> date:
    issued = day(root, "cbc:IssueDate")
    if issued is None:
        raise InvalidDocumentError(
            f"cbc:IssueDate is missing in the {root.name}", element="cbc:IssueDate"
        )
    return issued


def _payment_due(root: Element) -> date | None:
    due = [day(means, "cbc:PaymentDueDate") for means in every(root, "cac:PaymentMeans")]
    return min((each for each in due if each is not None), default=None)


def _lines(root: Element, path: str) -> list[Element]:
    """Return the lines; there is one, they are not too many, and their ids differ."""
    lines = every(root, path)
    if not lines:
        raise InvalidDocumentError(f"the {root.name} has no {path}", element=path)
    if len(lines) > MAX_LINES:
        raise DocumentTooLargeError(
            f"the {root.name} has {len(lines)} lines, {MAX_LINES} are allowed", limit=MAX_LINES
        )
    seen: set[str] = set()
    for line in lines:
        key = require_identifier(line, "cbc:ID")
        if key in seen:
            raise InvalidDocumentError(
                f"the line id {key[:40]!r} appears twice in the {root.name}; number the lines",
                line=line.line,
            )
        seen.add(key)
    return lines
