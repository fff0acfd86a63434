"""What one transaction does with an invoice: compare, check, and book it on its order lines."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import Connection

from parley_systems.amounts import amount_text
from parley_systems.erp import store, views
from parley_systems.erp.records import DuplicateData, InvoiceState
from parley_systems.erp.rules import Problem, likeness, posting_problems
from parley_systems.erp.store import StoredInvoice, StoredOrder
from parley_systems.errors import StaleEtagError, WrongStateError
from parley_systems.ubl.model import InvoiceLine, Kind


def duplicates(connection: Connection, invoice_id: str) -> list[DuplicateData]:
    """Return what may be the same invoice again; like numbers first.

    Raises:
        UnknownInvoiceError: If there is no such invoice.
    """
    stored = store.invoice(connection, invoice_id)
    found = []
    for other, state in store.similar(connection, stored):
        like = likeness(stored.key, other)
        if like is not None:
            found.append(
                DuplicateData(
                    invoice_id=other.id,
                    number=other.number,
                    issue_date=other.issue_date,
                    gross=amount_text(other.gross),
                    currency=other.currency,
                    state=state,
                    match=like.match,
                    explanation=like.explanation,
                )
            )
    return found


def require_current(stored: StoredInvoice, expected_etag: str) -> None:
    """Refuse to decide on what the caller has not read.

    Raises:
        WrongStateError: If the invoice is posted or blocked already.
        StaleEtagError: If it, the accounts on file, or what has been posted on its order lines
            changed since.
    """
    if stored.state != "captured":
        raise WrongStateError(stored.id, state=stored.state)
    current = views.invoice_etag(stored)
    if current != expected_etag:
        raise StaleEtagError(stored.id, current=current)


def problems(stored: StoredInvoice, state: InvoiceState) -> list[Problem]:
    """Return why the invoice must not come into `state`.

    Blocking is always possible: it keeps money from moving.
    """
    if state != "posted":
        return []
    supplier = stored.supplier
    return posting_problems(
        stored.content,
        supplier_status=None if supplier is None else supplier.status,
        accounts_on_file=() if supplier is None else supplier.bank_accounts,
    )


def book_on_order(connection: Connection, stored: StoredInvoice) -> None:
    """Add what was posted to what has been invoiced on the order lines."""
    sign = Decimal(-1) if stored.content.kind is Kind.CREDIT_NOTE else Decimal(1)
    for line in stored.content.lines:
        number = line.order_number or stored.content.order_number
        if number is None or not store.order_exists(connection, number):
            continue
        order = store.order(connection, number)
        line_id = _order_line_of(line, order)
        if line_id is None:
            continue
        quantity, amount = order.invoiced[line_id]
        store.set_invoiced(
            connection,
            number,
            line_id,
            quantity + sign * line.quantity,
            amount + sign * line.amount,
        )


def _order_line_of(line: InvoiceLine, order: StoredOrder) -> str | None:
    """Return the order line that is invoiced: the one named, else the only one with the item."""
    if line.order_line_id is not None:
        return line.order_line_id if line.order_line_id in order.invoiced else None
    same = [each.id for each in order.content.lines if each.item_id == line.item_id]
    return same[0] if line.item_id is not None and len(same) == 1 else None
