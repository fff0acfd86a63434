"""Reading and writing the ERP's rows inside somebody else's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Literal

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, insert, or_, select, update

from parley_systems.amounts import amount_text
from parley_systems.erp import tables
from parley_systems.erp.records import InvoiceState, SupplierData, instant
from parley_systems.erp.rules import InvoiceKey, number_key
from parley_systems.errors import UnknownInvoiceError, UnknownOrderError, UnknownSupplierError
from parley_systems.ubl.model import Invoice, Kind, Order, Party

INVOICES: Final = TypeAdapter(Invoice)
ORDERS: Final = TypeAdapter(Order)
MAX_CANDIDATES: Final = 50
"""So many invoices are compared when duplicates are looked for; the first one decides already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInvoice:
    id: str
    content: Invoice
    seller: str
    supplier: SupplierData | None
    state: InvoiceState
    decided_by: str | None
    reason: str | None
    invoiced: dict[str, dict[str, tuple[Decimal, Decimal]]]
    """By number of each order that it bills: what has been posted on the order's lines so far."""

    @property
    def key(self) -> InvoiceKey:
        return InvoiceKey(
            id=self.id,
            kind=self.content.kind,
            number=self.content.number,
            seller=self.seller,
            currency=self.content.currency,
            gross=self.content.totals.gross,
            issue_date=self.content.issue_date,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOrder:
    content: Order
    supplier_id: str
    state: Literal["open", "closed"]
    invoiced: dict[str, tuple[Decimal, Decimal]]
    """Line id to the quantity and the net amount of posted invoices."""


def supplier(connection: Connection, supplier_id: str) -> SupplierData:
    """Raises: UnknownSupplierError."""
    table = tables.suppliers
    row = connection.execute(select(table).where(table.c.id == supplier_id)).one_or_none()
    if row is None:
        raise UnknownSupplierError(supplier_id)
    accounts = tables.supplier_accounts
    found = connection.execute(
        select(accounts.c.account)
        .where(accounts.c.supplier_id == supplier_id)
        .order_by(accounts.c.position)
    )
    return SupplierData(
        id=row.id,
        name=row.name,
        status=row.status,
        vat_id=row.vat_id,
        bank_accounts=list(found.scalars()),
    )


def supplier_of(connection: Connection, party: Party) -> str | None:
    """Return the one supplier that fits the party's VAT id and ids; None if none or several do."""
    fitting: set[str] = set()
    if party.vat_id is not None:
        table = tables.suppliers
        fitting.update(
            connection.execute(select(table.c.id).where(table.c.vat_id == party.vat_id)).scalars()
        )
    if party.ids:
        ids = tables.supplier_ids
        fitting.update(
            connection.execute(
                select(ids.c.supplier_id).where(ids.c.identifier.in_(party.ids))
            ).scalars()
        )
    return fitting.pop() if len(fitting) == 1 else None


def seller_of(party: Party, supplier_id: str | None) -> str:
    """Return what two documents of one seller have in common."""
    if supplier_id is not None:
        return supplier_id
    return f"vat:{party.vat_id}" if party.vat_id else f"name:{party.name.casefold()}"


def order(connection: Connection, number: str) -> StoredOrder:
    """Raises: UnknownOrderError."""
    table = tables.orders
    row = connection.execute(select(table).where(table.c.number == number)).one_or_none()
    if row is None:
        raise UnknownOrderError(number)
    lines = tables.order_lines
    found = connection.execute(select(lines).where(lines.c.order_number == number))
    return StoredOrder(
        content=ORDERS.validate_json(row.content),
        supplier_id=row.supplier_id,
        state=row.state,
        invoiced={
            line.line_id: (Decimal(line.invoiced_quantity), Decimal(line.invoiced_amount))
            for line in found
        },
    )


def order_exists(connection: Connection, number: str) -> bool:
    table = tables.orders
    found = connection.execute(select(table.c.number).where(table.c.number == number))
    return found.one_or_none() is not None


def set_invoiced(
    connection: Connection, number: str, line_id: str, quantity: Decimal, amount: Decimal
) -> None:
    lines = tables.order_lines
    connection.execute(
        update(lines)
        .where(lines.c.order_number == number, lines.c.line_id == line_id)
        .values(invoiced_quantity=amount_text(quantity), invoiced_amount=amount_text(amount))
    )


def receipts(connection: Connection, number: str) -> Sequence[Row[Any]]:
    """Return an order's receipts, oldest first."""
    table = tables.receipts
    return connection.execute(
        select(table)
        .where(table.c.order_number == number)
        .order_by(table.c.received_on, table.c.id)
    ).all()


def invoice(connection: Connection, invoice_id: str) -> StoredInvoice:
    """Raises: UnknownInvoiceError."""
    table = tables.invoices
    row = connection.execute(select(table).where(table.c.id == invoice_id)).one_or_none()
    if row is None:
        raise UnknownInvoiceError(invoice_id)
    content = INVOICES.validate_json(row.content)
    numbers = {content.order_number, *(line.order_number for line in content.lines)} - {None}
    return StoredInvoice(
        id=row.id,
        content=content,
        seller=row.seller,
        supplier=None if row.supplier_id is None else supplier(connection, row.supplier_id),
        state=row.state,
        decided_by=row.decided_by,
        reason=row.reason,
        invoiced={
            number: order(connection, number).invoiced
            for number in sorted(filter(None, numbers))
            if order_exists(connection, number)
        },
    )


def invoice_exists(connection: Connection, invoice_id: str) -> bool:
    table = tables.invoices
    found = connection.execute(select(table.c.id).where(table.c.id == invoice_id))
    return found.one_or_none() is not None


def add_invoice(
    connection: Connection, invoice_id: str, document: str, content: Invoice, at: datetime
) -> None:
    supplier_id = supplier_of(connection, content.supplier)
    connection.execute(
        insert(tables.invoices).values(
            id=invoice_id,
            document=document,
            content=INVOICES.dump_json(content).decode(),
            kind=content.kind.value,
            number=content.number,
            number_key=number_key(content.number),
            seller=seller_of(content.supplier, supplier_id),
            supplier_id=supplier_id,
            currency=content.currency,
            gross=amount_text(content.totals.gross),
            gross_key=_bare(content.totals.gross),
            issue_date=content.issue_date.isoformat(),
            state="captured",
            captured_at=instant(at),
        )
    )


def decide(
    connection: Connection, invoice_id: str, *, state: InvoiceState, decided_by: str, reason: str
) -> None:
    table = tables.invoices
    connection.execute(
        update(table)
        .where(table.c.id == invoice_id)
        .values(state=state, decided_by=decided_by, reason=reason)
    )


def similar(connection: Connection, stored: StoredInvoice) -> list[tuple[InvoiceKey, InvoiceState]]:
    """Return other invoices of the seller with a like number or the same gross; like numbers come first."""
    table, key = tables.invoices, stored.key
    rows = connection.execute(
        select(table)
        .where(
            table.c.seller == key.seller,
            table.c.kind == key.kind.value,
            table.c.id != key.id,
            or_(
                table.c.number_key == number_key(key.number),
                table.c.gross_key == _bare(key.gross),
            ),
        )
        .order_by(table.c.number_key != number_key(key.number), table.c.captured_at, table.c.id)
        .limit(MAX_CANDIDATES)
    )
    return [
        (
            InvoiceKey(
                id=row.id,
                kind=Kind(row.kind),
                number=row.number,
                seller=row.seller,
                currency=row.currency,
                gross=Decimal(row.gross),
                issue_date=date.fromisoformat(row.issue_date),
            ),
            row.state,
        )
        for row in rows
    ]


def _bare(amount: Decimal) -> str:
    """Return one text per value: 100.00 and 1E+2 are both `100`."""
    return amount_text(amount.normalize())
