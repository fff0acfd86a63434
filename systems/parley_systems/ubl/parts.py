"""The aggregates that UBL documents share: parties, lines, prices, charges, taxes, totals."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from parley_systems.errors import InvalidAmountError, InvalidDocumentError
from parley_systems.ubl.fields import (
    at_most,
    attribute,
    decimal,
    decimal_of,
    every,
    find,
    first_text,
    identifier,
    identifier_of,
    money,
    money_of,
    require,
    require_identifier,
    text,
)
from parley_systems.ubl.model import (
    Charge,
    InvoiceLine,
    OrderLine,
    Party,
    Price,
    Tax,
    Totals,
)
from parley_systems.ubl.xml import Element

_ITEM_IDS: Final = (
    "cac:SellersItemIdentification/cbc:ID",
    "cac:StandardItemIdentification/cbc:ID",
    "cac:BuyersItemIdentification/cbc:ID",
)
MAX_PARTY_IDS: Final = 50
MAX_ACCOUNTS: Final = 50
MAX_PARTS: Final = 100
"""Charges, tax totals, or taxes of a total."""
_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)
_TRUTH: Final = {"true": True, "1": True, "false": False, "0": False}


def party(element: Element) -> Party:
    ids = [
        *at_most(MAX_PARTY_IDS, element, "cac:PartyIdentification/cbc:ID"),
        *at_most(1, element, "cbc:EndpointID"),
    ]
    vat_ids = {
        compact(vat_id)
        for scheme in every(element, "cac:PartyTaxScheme")
        if (identifier(scheme, "cac:TaxScheme/cbc:ID") or "VAT").upper() == "VAT"
        and (vat_id := identifier(scheme, "cbc:CompanyID"))
    }
    if len(vat_ids) > 1:
        raise InvalidDocumentError(
            f"the party in line {element.line} has two VAT ids; only one is allowed",
            line=element.line,
        )
    return Party(
        name=first_text(element, "cac:PartyName/cbc:Name")
        or first_text(element, "cac:PartyLegalEntity/cbc:RegistrationName"),
        ids=tuple(dict.fromkeys(each for each in map(identifier_of, ids) if each)),
        vat_id=next(iter(vat_ids), None),
    )


def payee_accounts(root: Element) -> tuple[str, ...]:
    found = at_most(MAX_ACCOUNTS, root, "cac:PaymentMeans/cac:PayeeFinancialAccount/cbc:ID")
    return tuple(dict.fromkeys(compact(each) for each in map(identifier_of, found) if each))


def compact(value: str) -> str:
    """Return an account or VAT id as it is compared: upper case, no spaces."""
    return "".join(value.split()).upper()


def invoice_line(line: Element, quantity_path: str, currency: str) -> InvoiceLine:
    quantity = find(line, quantity_path)
    item = require(line, "cac:Item")
    amount = money_of(require(line, "cbc:LineExtensionAmount"), currency)
    how_many = _ONE if quantity is None else decimal_of(quantity)
    return InvoiceLine(
        id=require_identifier(line, "cbc:ID"),
        order_number=_first_id(line, "cac:OrderLineReference/cac:OrderReference/cbc:ID"),
        order_line_id=_first_id(line, "cac:OrderLineReference/cbc:LineID"),
        item_id=_item_id(item),
        description=_description(item),
        quantity=how_many,
        unit=_unit(quantity),
        price=_price(line, currency) or Price(amount=amount, base_quantity=how_many or _ONE),
        amount=amount,
        tax_percent=_tax_percent(item),
    )


def order_line(item_line: Element, currency: str) -> OrderLine:
    quantity = require(item_line, "cbc:Quantity")
    item = require(item_line, "cac:Item")
    price = _price(item_line, currency)
    if price is None:
        raise InvalidDocumentError(
            f"the order line in line {item_line.line} has no cac:Price", line=item_line.line
        )
    how_many = decimal_of(quantity)
    stated = money(item_line, "cbc:LineExtensionAmount", currency)
    return OrderLine(
        id=require_identifier(item_line, "cbc:ID"),
        item_id=_item_id(item),
        description=_description(item),
        quantity=how_many,
        unit=_unit(quantity),
        price=price,
        amount=how_many * price.per_unit if stated is None else stated,
        tax_percent=_tax_percent(item),
    )


def _first_id(element: Element, path: str) -> str | None:
    """Return the one identifier at a path that UBL lets repeat.

    Raises:
        InvalidDocumentError: If there are two different ones: a line is matched with one order line.
    """
    found = every(element, path)
    values = list(dict.fromkeys(each for each in map(identifier_of, found) if each))
    if len(values) > 1:
        raise InvalidDocumentError(
            f"the line in line {element.line} refers to {len(values)} different {path}; split it",
            line=element.line,
        )
    return values[0] if values else None


def _item_id(item: Element) -> str | None:
    return next((found for path in _ITEM_IDS if (found := identifier(item, path))), None)


def _description(item: Element) -> str:
    return text(item, "cbc:Name") or first_text(item, "cbc:Description")


def _unit(quantity: Element | None) -> str | None:
    return None if quantity is None else attribute(quantity, "unitCode")


def _price(line: Element, currency: str) -> Price | None:
    price = find(line, "cac:Price")
    if price is None:
        return None
    base = find(price, "cbc:BaseQuantity")
    base_quantity = _ONE if base is None else decimal_of(base)
    if base is not None and base_quantity <= 0:
        raise InvalidAmountError(
            f"BaseQuantity in line {base.line} is {base.text[:40]!r}; it must be above 0"
        )
    return Price(
        amount=money_of(require(price, "cbc:PriceAmount"), currency), base_quantity=base_quantity
    )


def _tax_percent(item: Element) -> Decimal | None:
    categories = every(item, "cac:ClassifiedTaxCategory")
    percents = {decimal(category, "cbc:Percent") for category in categories}
    return percents.pop() if len(percents) == 1 else None


def charge(element: Element, currency: str) -> Charge:
    indicator = require(element, "cbc:ChargeIndicator")
    is_charge = _TRUTH.get(indicator.text)
    if is_charge is None:
        raise InvalidDocumentError(
            f"ChargeIndicator in line {indicator.line} is {indicator.text[:40]!r};"
            " write true or false",
            line=indicator.line,
        )
    categories = every(element, "cac:TaxCategory")
    percents = {decimal(category, "cbc:Percent") for category in categories}
    return Charge(
        is_charge=is_charge,
        amount=money_of(require(element, "cbc:Amount"), currency),
        reason=first_text(element, "cbc:AllowanceChargeReason"),
        tax_percent=percents.pop() if len(percents) == 1 else None,
    )


def taxes(root: Element, currency: str) -> tuple[tuple[Tax, ...], Decimal]:
    """Return the taxes in the document's currency, and their stated total.

    A second total in the currency of the tax report (BT-111) is left out.

    Raises:
        InvalidDocumentError: If there are tax totals, but none in the document's currency.
    """
    found = at_most(MAX_PARTS, root, "cac:TaxTotal")
    stated = [(each, require(each, "cbc:TaxAmount")) for each in found]
    own = [
        (each, amount)
        for each, amount in stated
        if amount.attributes.get("currencyID", "").strip() == currency
    ]
    if stated and not own:
        raise InvalidDocumentError(
            f"no cac:TaxTotal is in {currency}, the currency of the document",
            line=stated[0][0].line,
        )
    subtotals = [part for each, _ in own for part in at_most(MAX_PARTS, each, "cac:TaxSubtotal")]
    total = sum((money_of(amount, currency) for _, amount in own), _ZERO)
    return tuple(_tax(part, currency) for part in subtotals), total


def _tax(subtotal: Element, currency: str) -> Tax:
    category = require(subtotal, "cac:TaxCategory")
    amount = money_of(require(subtotal, "cbc:TaxAmount"), currency)
    percent = decimal(category, "cbc:Percent")
    taxable = money(subtotal, "cbc:TaxableAmount", currency)
    if taxable is None:
        raise InvalidDocumentError(
            f"cbc:TaxableAmount is missing in the TaxSubtotal in line {subtotal.line}",
            line=subtotal.line,
        )
    return Tax(
        category=identifier(category, "cbc:ID"),
        percent=decimal(subtotal, "cbc:Percent") if percent is None else percent,
        taxable=taxable,
        amount=amount,
    )


def totals(
    element: Element,
    lines: tuple[InvoiceLine, ...],
    charges: tuple[Charge, ...],
    tax: Decimal,
    currency: str,
) -> Totals:
    """Return the totals; those that UBL leaves optional and the seller left out are computed."""

    def stated(name: str, otherwise: Decimal) -> Decimal:
        value = money(element, f"cbc:{name}", currency)
        return otherwise if value is None else value

    line_total = stated("LineExtensionAmount", sum((line.amount for line in lines), _ZERO))
    allowance_total = stated(
        "AllowanceTotalAmount", sum((each.amount for each in charges if not each.is_charge), _ZERO)
    )
    charge_total = stated(
        "ChargeTotalAmount", sum((each.amount for each in charges if each.is_charge), _ZERO)
    )
    net = stated("TaxExclusiveAmount", line_total - allowance_total + charge_total)
    return Totals(
        lines=line_total,
        allowances=allowance_total,
        charges=charge_total,
        net=net,
        tax=tax,
        gross=stated("TaxInclusiveAmount", net + tax),
        prepaid=stated("PrepaidAmount", _ZERO),
        rounding=stated("PayableRoundingAmount", _ZERO),
        payable=money_of(require(element, "cbc:PayableAmount"), currency),
    )
