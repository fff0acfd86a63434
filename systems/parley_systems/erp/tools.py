"""The ERP's MCP tools: few, typed, in business words.

Reads answer `{data, etag, as_of, source}`. Writes take an `idempotency_key`, and an `expected_etag`
where there is something to have read. `.preview` says what a write would do, and does nothing.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, StringConstraints

from parley_systems.erp.ledger import Ledger, Request, Ruling
from parley_systems.erp.records import (
    DuplicateData,
    InvoiceData,
    OrderData,
    PreviewData,
    ReceiptData,
    Record,
    SupplierData,
    WriteResult,
)
from parley_systems.tools import Arguments, Effect, Tool

Id = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,200}$")]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class OfInvoice(Arguments):
    invoice_id: Id


class OfOrder(Arguments):
    order_number: Id


class OfSupplier(Arguments):
    supplier_id: Id


class Capture(Arguments):
    document: Annotated[str, StringConstraints(min_length=1, max_length=1_048_576)]
    """A UBL 2.1 Invoice or CreditNote, at most 1 MiB."""
    idempotency_key: Key


class Rule(Arguments):
    invoice_id: Id
    expected_etag: Id
    decided_by: Id
    """The person, or the policy, that decided."""
    reason: Reason
    idempotency_key: Key


def tools(ledger: Ledger) -> list[Tool[Any]]:
    """Return the tools over `ledger`, reads first."""
    return [*_reads(ledger), *_previews(ledger), *_writes(ledger)]


def _reads(ledger: Ledger) -> list[Tool[Any]]:
    async def invoice(arguments: OfInvoice, _: str) -> BaseModel:
        return await ledger.invoice(arguments.invoice_id)

    async def duplicates(arguments: OfInvoice, _: str) -> BaseModel:
        return await ledger.duplicates(arguments.invoice_id)

    async def order(arguments: OfOrder, _: str) -> BaseModel:
        return await ledger.order(arguments.order_number)

    async def receipts(arguments: OfOrder, _: str) -> BaseModel:
        return await ledger.receipts(arguments.order_number)

    async def supplier(arguments: OfSupplier, _: str) -> BaseModel:
        return await ledger.supplier(arguments.supplier_id)

    return [
        Tool(
            name="ap.invoice.get",
            title="Get an invoice",
            description="Return a captured invoice or credit note with its state.",
            arguments=OfInvoice,
            result=Record[InvoiceData],
            effect=Effect.READ,
            run=invoice,
        ),
        Tool(
            name="ap.invoice.find_duplicates",
            title="Find duplicates of an invoice",
            description="Return other invoices of the same seller with a like number, or with the"
            " same amount within seven days.",
            arguments=OfInvoice,
            result=Record[list[DuplicateData]],
            effect=Effect.READ,
            run=duplicates,
        ),
        Tool(
            name="ap.order.get",
            title="Get a purchase order",
            description="Return a purchase order with what has been invoiced on each line.",
            arguments=OfOrder,
            result=Record[OrderData],
            effect=Effect.READ,
            run=order,
        ),
        Tool(
            name="ap.receipt.list",
            title="List the receipts of a purchase order",
            description="Return what was received on a purchase order, oldest first.",
            arguments=OfOrder,
            result=Record[list[ReceiptData]],
            effect=Effect.READ,
            run=receipts,
        ),
        Tool(
            name="ap.supplier.get",
            title="Get a supplier",
            description="Return a supplier's master data: status and the bank accounts on file.",
            arguments=OfSupplier,
            result=Record[SupplierData],
            effect=Effect.READ,
            run=supplier,
        ),
    ]


def _previews(ledger: Ledger) -> list[Tool[Any]]:
    async def post(arguments: Rule, _: str) -> BaseModel:
        return await ledger.preview(_posting(arguments), tool="ap.invoice.post.preview")

    async def block(arguments: Rule, _: str) -> BaseModel:
        return await ledger.preview(_blocking(arguments), tool="ap.invoice.block.preview")

    return [
        Tool(
            name="ap.invoice.post.preview",
            title="Preview posting an invoice",
            description="Say whether ap.invoice.post would succeed now; nothing is written.",
            arguments=Rule,
            result=Record[PreviewData],
            effect=Effect.READ,
            run=post,
        ),
        Tool(
            name="ap.invoice.block.preview",
            title="Preview blocking an invoice",
            description="Say whether ap.invoice.block would succeed now; nothing is written.",
            arguments=Rule,
            result=Record[PreviewData],
            effect=Effect.READ,
            run=block,
        ),
    ]


def _writes(ledger: Ledger) -> list[Tool[Any]]:
    async def capture(arguments: Capture, caller: str) -> BaseModel:
        request = _request("ap.invoice.capture", arguments, arguments.idempotency_key, caller)
        return await ledger.capture(request, arguments.document)

    async def post(arguments: Rule, caller: str) -> BaseModel:
        request = _request("ap.invoice.post", arguments, arguments.idempotency_key, caller)
        return await ledger.rule(request, _posting(arguments))

    async def block(arguments: Rule, caller: str) -> BaseModel:
        request = _request("ap.invoice.block", arguments, arguments.idempotency_key, caller)
        return await ledger.rule(request, _blocking(arguments))

    return [
        Tool(
            name="ap.invoice.capture",
            title="Capture an invoice",
            description="Store a UBL 2.1 Invoice or CreditNote; the same document is the same"
            " invoice again.",
            arguments=Capture,
            result=WriteResult,
            effect=Effect.ADD,
            run=capture,
        ),
        Tool(
            name="ap.invoice.post",
            title="Post an invoice",
            description="Book a captured invoice so that it is paid. Refused for everybody when"
            " the supplier is unknown or blocked, when an account of the invoice is not on file,"
            " or when its numbers do not add up.",
            arguments=Rule,
            result=WriteResult,
            effect=Effect.CHANGE,
            run=post,
        ),
        Tool(
            name="ap.invoice.block",
            title="Block an invoice",
            description="Keep a captured invoice from ever being posted.",
            arguments=Rule,
            result=WriteResult,
            effect=Effect.CHANGE,
            run=block,
        ),
    ]


def _request(tool: str, arguments: Arguments, key: str, caller: str) -> Request:
    return Request(
        tool=tool,
        idempotency_key=key,
        arguments=arguments.model_dump(mode="json"),
        by=caller,
    )


def _posting(arguments: Rule) -> Ruling:
    return Ruling(
        invoice_id=arguments.invoice_id,
        expected_etag=arguments.expected_etag,
        decided_by=arguments.decided_by,
        reason=arguments.reason,
        state="posted",
    )


def _blocking(arguments: Rule) -> Ruling:
    return Ruling(
        invoice_id=arguments.invoice_id,
        expected_etag=arguments.expected_etag,
        decided_by=arguments.decided_by,
        reason=arguments.reason,
        state="blocked",
    )
