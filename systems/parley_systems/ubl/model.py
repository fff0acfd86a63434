"""Invoices, credit notes and orders as values, with the words of UBL 2.1 made plain.

Only what matching and posting need is kept. Amounts are in the currency of the document. Text is
cleaned: Unicode NFC, no control or invisible characters. Identifiers are never empty: None if absent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Final

_PRICE_PLACES: Final = Decimal("1E-10")


class Kind(StrEnum):
    INVOICE = "invoice"
    CREDIT_NOTE = "credit-note"
    """Its amounts are positive: what the seller gives back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    name: str
    """The trading name, else the legal one; may be empty."""
    ids: tuple[str, ...]
    """Party identifications and the endpoint, in document order."""
    vat_id: str | None
    """Without spaces, in upper case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What `base_quantity` units cost."""

    amount: Decimal
    base_quantity: Decimal

    @property
    def per_unit(self) -> Decimal:
        """The price of one unit; when it has to be divided, at most 10 decimal places."""
        if self.base_quantity == 1:
            return self.amount
        quotient = self.amount / self.base_quantity
        rounded = quotient.quantize(_PRICE_PLACES, rounding=ROUND_HALF_EVEN).normalize()
        return Decimal(format(rounded, "f"))


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceLine:
    id: str
    order_number: str | None
    """The order of this line, if the line names one of its own."""
    order_line_id: str | None
    item_id: str | None
    """The seller's item id, else the standard one (GTIN), else the buyer's."""
    description: str
    quantity: Decimal
    unit: str | None
    price: Price
    amount: Decimal
    """Net of the line's allowances and charges."""
    tax_percent: Decimal | None
    """None: not stated, or several taxes with different rates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    id: str
    item_id: str | None
    description: str
    quantity: Decimal
    unit: str | None
    price: Price
    amount: Decimal
    tax_percent: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """An allowance or a charge on the whole document."""

    is_charge: bool
    amount: Decimal
    """Not negative by itself: `is_charge` says whether it is added or taken off."""
    reason: str
    tax_percent: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tax:
    """The tax of one category and rate."""

    category: str | None
    percent: Decimal | None
    taxable: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """As the seller states them; nothing here has been checked to add up."""

    lines: Decimal
    allowances: Decimal
    charges: Decimal
    net: Decimal
    tax: Decimal
    gross: Decimal
    prepaid: Decimal
    rounding: Decimal
    payable: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    kind: Kind
    number: str
    issue_date: date
    due_date: date | None
    currency: str
    supplier: Party
    customer: Party
    order_number: str | None
    payee_accounts: tuple[str, ...]
    """IBANs or other account ids, without spaces, in upper case, each once, in document order."""
    lines: tuple[InvoiceLine, ...]
    """At least one."""
    charges: tuple[Charge, ...]
    taxes: tuple[Tax, ...]
    totals: Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    number: str
    issue_date: date
    currency: str
    supplier: Party
    customer: Party
    lines: tuple[OrderLine, ...]
    """At least one."""

    @property
    def net(self) -> Decimal:
        return sum((line.amount for line in self.lines), Decimal(0))
