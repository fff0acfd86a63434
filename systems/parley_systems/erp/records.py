"""What the ERP answers: business objects as JSON, each read wrapped with where and when it was read.

Amounts are decimal strings. The models are closed and frozen; their JSON Schemas are what the MCP
tools publish.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from parley_cards.canonical import digest
from pydantic import BaseModel, ConfigDict, PlainSerializer

from parley_systems.amounts import AmountText

T = TypeVar("T")


def instant(value: datetime) -> str:
    """Return RFC 3339 in UTC with `Z`."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Instant = Annotated[datetime, PlainSerializer(instant, return_type=str)]
InvoiceState = Literal["captured", "posted", "blocked"]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LineData(Model):
    id: str
    order_number: str | None
    order_line_id: str | None
    item_id: str | None
    description: str
    quantity: AmountText
    unit: str | None
    unit_price: AmountText
    """Of one unit: a price base quantity has been divided out."""
    amount: AmountText
    tax_percent: AmountText | None


class ChargeData(Model):
    charge: bool
    """False: an allowance."""
    amount: AmountText
    reason: str
    tax_percent: AmountText | None


class TaxData(Model):
    category: str | None
    percent: AmountText | None
    taxable: AmountText
    tax: AmountText


class TotalsData(Model):
    lines: AmountText
    allowances: AmountText
    charges: AmountText
    net: AmountText
    tax: AmountText
    gross: AmountText
    prepaid: AmountText
    rounding: AmountText
    payable: AmountText


class InvoiceData(Model):
    id: str
    kind: Literal["invoice", "credit-note"]
    number: str
    supplier_id: str | None
    """None: no supplier of the master data, or several, fit the seller's VAT id and ids."""
    supplier_name: str
    supplier_vat_id: str | None
    currency: str
    issue_date: date
    due_date: date | None
    order_number: str | None
    payee_iban: str | None
    """Of several accounts: the first that is not on file for the supplier, else the first."""
    payee_accounts: list[str]
    lines: list[LineData]
    charges: list[ChargeData]
    taxes: list[TaxData]
    totals: TotalsData
    state: InvoiceState
    decided_by: str | None
    reason: str | None


class DuplicateData(Model):
    invoice_id: str
    number: str
    issue_date: date
    gross: AmountText
    currency: str
    state: InvoiceState
    match: Literal["same-number", "same-amount"]
    explanation: str


class OrderLineData(Model):
    id: str
    item_id: str | None
    description: str
    quantity: AmountText
    unit: str | None
    unit_price: AmountText
    amount: AmountText
    tax_percent: AmountText | None
    invoiced_quantity: AmountText
    """By posted invoices; credit notes count negative."""
    invoiced_amount: AmountText


class OrderData(Model):
    number: str
    supplier_id: str
    supplier_name: str
    currency: str
    issue_date: date
    state: Literal["open", "closed"]
    net: AmountText
    lines: list[OrderLineData]


class ReceiptData(Model):
    id: str
    order_number: str
    order_line_id: str
    quantity: AmountText
    received_on: date


class SupplierData(Model):
    id: str
    name: str
    status: Literal["active", "blocked"]
    vat_id: str | None
    bank_accounts: list[str]


class Record(Model, Generic[T]):
    """Something read from the ERP."""

    data: T
    etag: str
    """Changes whenever `data` does; compare for equality only."""
    as_of: Instant
    source: str
    """`erp:TOOL/KEY`."""


class ProblemData(Model):
    code: str
    message: str


class PreviewData(Model):
    allowed: bool
    state_after: InvoiceState
    problems: list[ProblemData]


class WriteResult(Model):
    effect_id: str
    status: Literal["applied", "unchanged"]
    reversible_until: Instant | None
    """None: there is no way back through these tools."""
    invoice: Record[InvoiceData]


def etag_of(data: Any) -> str:
    """Return the etag of one model or a list of them: a digest of its JSON."""
    if isinstance(data, BaseModel):
        value: Any = data.model_dump(mode="json")
    else:
        value = [each.model_dump(mode="json") for each in data]
    return digest(value).removeprefix("sha256:")[:32]
