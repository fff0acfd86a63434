"""The documents agent: takes invoices in, and fetches what an invoice is to be compared with.

It captures and reads; it neither judges nor posts.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from parley_agents.erp import Erp
from parley_agents.errors import SystemRefusedError
from parley_agents.records import (
    Contract,
    Duplicates,
    Id,
    Invoice,
    Order,
    Receipts,
    Record,
    Supplier,
)
from parley_agents.runtime import Agent, SkillTask


class CaptureRequest(Contract):
    document: Annotated[str, StringConstraints(min_length=1, max_length=1_048_576)]
    """UBL 2.1 Invoice or CreditNote, as XML."""


class Captured(Contract):
    invoice: Record[Invoice]
    duplicates: Record[Duplicates]
    """Other invoices that may be the same claim."""


class OrderRequest(Contract):
    order_number: Id | None
    """None: the invoice names none."""


class FoundOrder(Contract):
    order: Record[Order] | None


class FoundReceipts(Contract):
    receipts: Record[Receipts] | None


class SupplierRequest(Contract):
    supplier_id: Id | None
    """None: the seller is not known."""


class FoundSupplier(Contract):
    supplier: Record[Supplier] | None


def create_agent(erp: Erp) -> Agent:
    agent = Agent("documents", uses=[erp])

    @agent.skill("capture-invoice")
    async def capture_invoice(task: SkillTask, request: CaptureRequest) -> Captured:
        captured = await erp.write(
            "ap.invoice.capture",
            document=request.document,
            idempotency_key=task.key("capture"),
        )
        # Read again: a key that was used before returns the invoice as it was then.
        invoice_id = captured.invoice.data.id
        return Captured(
            invoice=await erp.read(Invoice, "ap.invoice.get", invoice_id=invoice_id),
            duplicates=await erp.read(
                Duplicates,
                "ap.invoice.find_duplicates",
                invoice_id=invoice_id,
            ),
        )

    @agent.skill("retrieve-order")
    async def retrieve_order(_: SkillTask, request: OrderRequest) -> FoundOrder:
        if request.order_number is None:
            return FoundOrder(order=None)
        try:
            found = await erp.read(Order, "ap.order.get", order_number=request.order_number)
        except SystemRefusedError as exc:
            _unless_unknown(exc)
            return FoundOrder(order=None)
        return FoundOrder(order=found)

    @agent.skill("retrieve-receipts")
    async def retrieve_receipts(_: SkillTask, request: OrderRequest) -> FoundReceipts:
        if request.order_number is None:
            return FoundReceipts(receipts=None)
        try:
            found = await erp.read(
                Receipts,
                "ap.receipt.list",
                order_number=request.order_number,
            )
        except SystemRefusedError as exc:
            _unless_unknown(exc)
            return FoundReceipts(receipts=None)
        return FoundReceipts(receipts=found)

    @agent.skill("retrieve-supplier")
    async def retrieve_supplier(_: SkillTask, request: SupplierRequest) -> FoundSupplier:
        if request.supplier_id is None:
            return FoundSupplier(supplier=None)
        try:
            found = await erp.read(Supplier, "ap.supplier.get", supplier_id=request.supplier_id)
        except SystemRefusedError as exc:
            _unless_unknown(exc)
            return FoundSupplier(supplier=None)
        return FoundSupplier(supplier=found)

    return agent


def _unless_unknown(exc: SystemRefusedError) -> None:
    """Raise what the system said, unless it said that there is no such object."""
    if exc.sort != "not_found":
        raise exc
