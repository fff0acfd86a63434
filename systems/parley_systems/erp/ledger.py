"""What can be done in the ERP: the use cases behind the tools.

A write happens once per idempotency key, in one transaction with its row in `effects`. The same key
with the same arguments gets the stored answer again; with others it is refused.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from parley_cards.canonical import digest
from parley_wire.database import Database
from sqlalchemy import Connection, insert, select

from parley_systems.erp import posting, store, tables, views
from parley_systems.erp.records import (
    DuplicateData,
    InvoiceData,
    InvoiceState,
    OrderData,
    PreviewData,
    ProblemData,
    ReceiptData,
    Record,
    SupplierData,
    WriteResult,
    instant,
)
from parley_systems.erp.store import StoredInvoice
from parley_systems.errors import (
    IdempotencyConflictError,
    PostingRefusedError,
    SystemOfRecordError,
    UnknownOrderError,
)
from parley_systems.ubl.parse import parse_invoice


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Who asks for a write, under which key, with which arguments."""

    tool: str
    idempotency_key: str
    arguments: dict[str, Any]
    """All of them, as JSON."""
    by: str
    """The authenticated caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """That an invoice is to be posted or blocked, by whom and why."""

    invoice_id: str
    expected_etag: str
    decided_by: str
    reason: str
    state: Literal["posted", "blocked"]


class Ledger:
    """The ERP over one database."""

    def __init__(self, database: Database, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def invoice(self, invoice_id: str) -> Record[InvoiceData]:
        """Raises: UnknownInvoiceError."""
        at = self._now()
        return await self._database.read(
            lambda connection: _record_of(store.invoice(connection, invoice_id), at)
        )

    async def duplicates(self, invoice_id: str) -> Record[list[DuplicateData]]:
        """Return what may be the same invoice again; like numbers first.

        Raises:
            UnknownInvoiceError: If there is no such invoice.
        """
        at = self._now()
        found = await self._database.read(
            lambda connection: posting.duplicates(connection, invoice_id)
        )
        return views.record(found, at=at, source=f"ap.invoice.find_duplicates/{invoice_id}")

    async def order(self, number: str) -> Record[OrderData]:
        """Raises: UnknownOrderError."""
        at = self._now()
        stored = await self._database.read(lambda connection: store.order(connection, number))
        return views.record(views.order_data(stored), at=at, source=f"ap.order.get/{number}")

    async def receipts(self, number: str) -> Record[list[ReceiptData]]:
        """Return an order's receipts, oldest first.

        Raises:
            UnknownOrderError: If there is no such order: none received is another answer.
        """
        at = self._now()

        def read(connection: Connection) -> list[ReceiptData]:
            if not store.order_exists(connection, number):
                raise UnknownOrderError(number)
            return [views.receipt_data(row) for row in store.receipts(connection, number)]

        found = await self._database.read(read)
        return views.record(found, at=at, source=f"ap.receipt.list/{number}")

    async def supplier(self, supplier_id: str) -> Record[SupplierData]:
        """Raises: UnknownSupplierError."""
        at = self._now()
        found = await self._database.read(
            lambda connection: store.supplier(connection, supplier_id)
        )
        return views.record(found, at=at, source=f"ap.supplier.get/{supplier_id}")

    async def capture(self, request: Request, document: str) -> WriteResult:
        """Store the invoice that `document` is; the same bytes are the same invoice.

        Raises:
            ParleyError: What `parse_invoice` raises; nothing is stored then.
            IdempotencyConflictError: If the key was used for another call.
        """
        content = await asyncio.to_thread(parse_invoice, document)
        invoice_id = f"inv-{hashlib.sha256(document.encode()).hexdigest()[:16]}"
        at = self._now()

        def write(connection: Connection) -> WriteResult:
            known = store.invoice_exists(connection, invoice_id)
            if not known:
                store.add_invoice(connection, invoice_id, document, content, at)
            return _result(
                request,
                store.invoice(connection, invoice_id),
                status="unchanged" if known else "applied",
                at=at,
            )

        return await self._once(request, write, at)

    async def rule(self, request: Request, ruling: Ruling) -> WriteResult:
        """Post or block a captured invoice.

        Raises:
            IdempotencyConflictError: If the key was used for another call.
            UnknownInvoiceError: If there is no such invoice.
            WrongStateError: If it is posted or blocked already.
            StaleEtagError: If it is not what the caller read.
            PostingRefusedError: If the ledger takes it from nobody.
        """
        at = self._now()

        def write(connection: Connection) -> WriteResult:
            stored = store.invoice(connection, ruling.invoice_id)
            posting.require_current(stored, ruling.expected_etag)
            problems = posting.problems(stored, ruling.state)
            if problems:
                raise PostingRefusedError(
                    f"invoice {stored.id} cannot be posted: {problems[0].message}",
                    problems=[{"code": each.code, "message": each.message} for each in problems],
                )
            store.decide(
                connection,
                stored.id,
                state=ruling.state,
                decided_by=ruling.decided_by,
                reason=ruling.reason,
            )
            if ruling.state == "posted":
                posting.book_on_order(connection, stored)
            return _result(request, store.invoice(connection, stored.id), status="applied", at=at)

        return await self._once(request, write, at, ruling)

    async def preview(self, ruling: Ruling, *, tool: str) -> Record[PreviewData]:
        """Say what `rule` would do now, and do nothing.

        Raises:
            UnknownInvoiceError: If there is no such invoice.
        """
        at = self._now()

        def read(connection: Connection) -> tuple[InvoiceState, list[ProblemData]]:
            stored = store.invoice(connection, ruling.invoice_id)
            found = [
                ProblemData(code=each.code, message=each.message)
                for each in posting.problems(stored, ruling.state)
            ]
            try:
                posting.require_current(stored, ruling.expected_etag)
            except SystemOfRecordError as exc:
                found.insert(0, ProblemData(code=exc.code, message=exc.message))
            return stored.state, found

        state, problems = await self._database.read(read)
        data = PreviewData(
            allowed=not problems,
            state_after=state if problems else ruling.state,
            problems=problems,
        )
        return views.record(data, at=at, source=f"{tool}/{ruling.invoice_id}")

    async def effects(
        self, *, invoice_id: str | None, after: int, limit: int
    ) -> list[dict[str, Any]]:
        """Return the ERP's own account of its writes, oldest first, beginning behind `after`."""
        table = tables.effects
        wanted = select(table).where(table.c.seq > after).order_by(table.c.seq).limit(limit)
        if invoice_id is not None:
            wanted = wanted.where(table.c.invoice_id == invoice_id)
        hidden = ("arguments", "result")
        return await self._database.read(
            lambda connection: [
                {key: value for key, value in row.items() if key not in hidden}
                for row in connection.execute(wanted).mappings()
            ]
        )

    async def _once(
        self,
        request: Request,
        write: Callable[[Connection], WriteResult],
        at: datetime,
        ruling: Ruling | None = None,
    ) -> WriteResult:
        arguments = digest(request.arguments)

        def guarded(connection: Connection) -> WriteResult:
            table = tables.effects
            done = connection.execute(
                select(table).where(table.c.idempotency_key == request.idempotency_key)
            ).one_or_none()
            if done is not None:
                if (done.tool, done.arguments) != (request.tool, arguments):
                    raise IdempotencyConflictError(request.idempotency_key)
                return WriteResult.model_validate_json(done.result)
            result = write(connection)
            connection.execute(
                insert(table).values(
                    effect_id=result.effect_id,
                    idempotency_key=request.idempotency_key,
                    tool=request.tool,
                    arguments=arguments,
                    invoice_id=result.invoice.data.id,
                    status=result.status,
                    by=request.by,
                    decided_by=None if ruling is None else ruling.decided_by,
                    reason=None if ruling is None else ruling.reason,
                    at=instant(at),
                    result=result.model_dump_json(),
                )
            )
            return result

        return await self._database.write(guarded)


def _record_of(stored: StoredInvoice, at: datetime) -> Record[InvoiceData]:
    return views.record(
        views.invoice_data(stored),
        at=at,
        source=f"ap.invoice.get/{stored.id}",
        etag=views.invoice_etag(stored),
    )


def _result(
    request: Request,
    stored: StoredInvoice,
    *,
    status: Literal["applied", "unchanged"],
    at: datetime,
) -> WriteResult:
    # The key is unique, so what is derived from it is too, and needs no source of randomness.
    name = hashlib.sha256(request.idempotency_key.encode()).hexdigest()[:16]
    return WriteResult(
        effect_id=f"eff-{name}",
        status=status,
        reversible_until=None,
        invoice=_record_of(stored, at),
    )
