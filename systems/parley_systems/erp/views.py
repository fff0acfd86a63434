"""From stored values to what the ERP answers. Pure."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from parley_cards.canonical import digest
from sqlalchemy import Row

from parley_systems.amounts import amount_text
from parley_systems.erp.records import (
    ChargeData,
    InvoiceData,
    LineData,
    OrderData,
    OrderLineData,
    ReceiptData,
    Record,
    TaxData,
    TotalsData,
    etag_of,
)
from parley_systems.erp.store import StoredInvoice, StoredOrder
from parley_systems.ubl.model import InvoiceLine

T = TypeVar("T")
_ZERO = Decimal(0)


def invoice_data(stored: StoredInvoice) -> InvoiceData:
    content = stored.content
    on_file = [] if stored.supplier is None else stored.supplier.bank_accounts
    accounts = list(content.payee_accounts)
    strange = [account for account in accounts if account not in on_file]
    stated = content.totals
    return InvoiceData(
        id=stored.id,
        kind=content.kind.value,
        number=content.number,
        supplier_id=None if stored.supplier is None else stored.supplier.id,
        supplier_name=content.supplier.name,
        supplier_vat_id=content.supplier.vat_id,
        currency=content.currency,
        issue_date=content.issue_date,
        due_date=content.due_date,
        order_number=content.order_number,
        payee_iban=next(iter(strange or accounts), None),
        payee_accounts=accounts,
        lines=[_line(line, content.order_number) for line in content.lines],
        charges=[
            ChargeData(
                charge=each.is_charge,
                amount=amount_text(each.amount),
                reason=each.reason,
                tax_percent=_optional(each.tax_percent),
            )
            for each in content.charges
        ],
        taxes=[
            TaxData(
                category=tax.category,
                percent=_optional(tax.percent),
                taxable=amount_text(tax.taxable),
                tax=amount_text(tax.amount),
            )
            for tax in content.taxes
        ],
        totals=TotalsData(
            lines=amount_text(stated.lines),
            allowances=amount_text(stated.allowances),
            charges=amount_text(stated.charges),
            net=amount_text(stated.net),
            tax=amount_text(stated.tax),
            gross=amount_text(stated.gross),
            prepaid=amount_text(stated.prepaid),
            rounding=amount_text(stated.rounding),
            payable=amount_text(stated.payable),
        ),
        state=stored.state,
        decided_by=stored.decided_by,
        reason=stored.reason,
    )


def _line(line: InvoiceLine, order_number: str | None) -> LineData:
    return LineData(
        id=line.id,
        order_number=line.order_number or order_number,
        order_line_id=line.order_line_id,
        item_id=line.item_id,
        description=line.description,
        quantity=amount_text(line.quantity),
        unit=line.unit,
        unit_price=amount_text(line.price.per_unit),
        amount=amount_text(line.amount),
        tax_percent=_optional(line.tax_percent),
    )


def order_data(stored: StoredOrder) -> OrderData:
    content = stored.content
    lines = []
    for line in content.lines:
        quantity, amount = stored.invoiced.get(line.id, (_ZERO, _ZERO))
        lines.append(
            OrderLineData(
                id=line.id,
                item_id=line.item_id,
                description=line.description,
                quantity=amount_text(line.quantity),
                unit=line.unit,
                unit_price=amount_text(line.price.per_unit),
                amount=amount_text(line.amount),
                tax_percent=_optional(line.tax_percent),
                invoiced_quantity=amount_text(quantity),
                invoiced_amount=amount_text(amount),
            )
        )
    return OrderData(
        number=content.number,
        supplier_id=stored.supplier_id,
        supplier_name=content.supplier.name,
        currency=content.currency,
        issue_date=content.issue_date,
        state=stored.state,
        net=amount_text(content.net),
        lines=lines,
    )


def receipt_data(row: Row[Any]) -> ReceiptData:
    return ReceiptData(
        id=row.id,
        order_number=row.order_number,
        order_line_id=row.order_line_id,
        quantity=row.quantity,
        received_on=row.received_on,
    )


def record(data: T, *, at: datetime, source: str, etag: str | None = None) -> Record[T]:
    """Wrap `data` with its etag, when it was read, and where."""
    return Record(data=data, etag=etag or etag_of(data), as_of=at, source=f"erp:{source}")


def invoice_etag(stored: StoredInvoice) -> str:
    """Return the etag of what a decision about an invoice rests on.

    It covers what has been posted on the invoice's order lines: of two invoices for the same
    delivery that were both matched before either was posted, the second one has become stale.
    """
    booked = {
        number: {line: [amount_text(each) for each in sums] for line, sums in lines.items()}
        for number, lines in stored.invoiced.items()
    }
    return digest([etag_of(invoice_data(stored)), booked]).removeprefix("sha256:")[:32]


def _optional(value: Decimal | None) -> str | None:
    return None if value is None else amount_text(value)
