"""Invoices, orders, receipts and suppliers as the skills exchange them.

These models are the contract between the agents: the schemas in their cards are generated from
here, and a test keeps the two equal. Nothing here does I/O.
"""

from __future__ import annotations

from typing import Annotated, Final, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from parley_agents.amounts import Amount

Id = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(max_length=2000)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Source = Annotated[str, StringConstraints(min_length=1, max_length=400)]
Unit = Annotated[str, StringConstraints(max_length=200)]
"""UNECE Recommendation 20 code, e.g. C62 for a piece."""
Account = Annotated[str, StringConstraints(max_length=200)]
Accounts = Annotated[list[Account], Field(max_length=100)]
MAX_LINES: Final = 2000


class Contract(BaseModel):
    """A JSON object of a skill: closed, camelCase outside, immutable, no coercion."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        serialize_by_alias=True,
        extra="forbid",
        frozen=True,
        strict=True,
    )


T = TypeVar("T")


class Record(Contract, Generic[T]):
    """What a system of record said, and where and when it said it."""

    data: T
    etag: Annotated[str, StringConstraints(max_length=200)]
    """Of the version that was read; names it in a later write. Empty: the object has no version."""
    source: Source
    """`SYSTEM:TOOL/KEY`, e.g. `erp:ap.order.get/PO-1001`."""
    as_of: Annotated[str, StringConstraints(max_length=40)]
    """UTC time of the read, RFC 3339."""


class InvoiceLine(Contract):
    id: Id
    order_number: Id | None
    """Where a line names an order of its own."""
    order_line_id: Id | None
    """The order line that the supplier names."""
    item_id: Id | None
    description: Text
    quantity: Amount
    unit: Unit | None
    unit_price: Amount
    """Net, per unit."""
    amount: Amount
    """Net, of the whole line."""
    tax_percent: Amount | None


class Charge(Contract):
    """Something that the invoice adds to, or takes off, the sum of its lines."""

    charge: bool
    """False: an allowance, which is taken off."""
    amount: Amount
    reason: Text
    tax_percent: Amount | None


class InvoiceTotals(Contract):
    lines: Amount
    allowances: Amount
    charges: Amount
    net: Amount
    """Lines less allowances plus charges."""
    tax: Amount
    gross: Amount
    prepaid: Amount
    rounding: Amount
    payable: Amount
    """Gross less what was prepaid, rounded."""


class Invoice(Contract):
    id: Id
    """Of the system of record."""
    number: Id
    """The supplier's."""
    kind: Literal["invoice", "credit-note"]
    supplier_id: Id | None
    """None if the system of record does not know the seller."""
    supplier_name: Text
    currency: Currency
    issue_date: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    order_number: Id | None
    payee_iban: Account | None
    """The account that the invoice asks to be paid to."""
    payee_accounts: Accounts
    """Every account that the invoice names."""
    state: Literal["captured", "posted", "blocked"]
    lines: Annotated[list[InvoiceLine], Field(max_length=MAX_LINES)]
    charges: Annotated[list[Charge], Field(max_length=100)]
    """Of the whole document."""
    totals: InvoiceTotals


class Duplicate(Contract):
    """Another invoice that may be the same claim."""

    invoice_id: Id
    number: Id
    issue_date: Text
    gross: Amount
    currency: Currency
    state: Text
    explanation: Text
    """What the two have in common, in one sentence."""


class OrderLine(Contract):
    id: Id
    item_id: Id | None
    description: Text
    quantity: Amount
    unit: Unit | None
    unit_price: Amount
    amount: Amount
    tax_percent: Amount | None
    invoiced_quantity: Amount
    """By invoices that are posted."""
    invoiced_amount: Amount
    """By invoices that are posted, net."""


class Order(Contract):
    number: Id
    supplier_id: Id
    currency: Currency
    state: Annotated[str, StringConstraints(max_length=40)]
    """`open` is the only one that may be invoiced."""
    lines: Annotated[list[OrderLine], Field(max_length=MAX_LINES)]


class Receipt(Contract):
    id: Id
    order_number: Id
    order_line_id: Id
    quantity: Amount


class Supplier(Contract):
    id: Id
    name: Text
    status: Annotated[str, StringConstraints(max_length=40)]
    """`active` is the only one that may be paid without a person."""
    vat_id: Annotated[str, StringConstraints(max_length=200)] | None
    bank_accounts: Accounts
    """IBANs on file."""


Receipts = Annotated[list[Receipt], Field(max_length=10 * MAX_LINES)]
Duplicates = Annotated[list[Duplicate], Field(max_length=100)]
