"""Master data to begin with: suppliers, orders, receipts, and invoices that were booked before.

A folder holds `suppliers.json`, `receipts.json`, `orders/*.xml` (UBL Order) and, if it likes,
`posted/*.xml` (UBL Invoice). Loading adds what is not there; what is there stays as it is, so the
same folder may be loaded at every start.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from parley_cards import strict_json
from parley_cards.canonical import digest_bytes
from parley_cards.errors import ParleyError
from parley_wire.database import Database
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects.sqlite import insert

from parley_systems.amounts import AmountText
from parley_systems.erp import store, tables
from parley_systems.erp.ledger import Ledger, Request, Ruling
from parley_systems.errors import InvalidMasterDataError, SystemOfRecordError, WrongStateError
from parley_systems.iban import has_valid_check_digits, looks_like_iban
from parley_systems.ubl.model import Order
from parley_systems.ubl.parse import parse_order
from parley_systems.ubl.parts import compact

T = TypeVar("T")

SEEDER: Final = "seed"
"""Who booked the invoices that came with the master data."""
_log = logging.getLogger(__name__)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SupplierEntry(_Entry):
    id: str = Field(min_length=1, max_length=200)
    name: str = Field(min_length=1, max_length=500)
    status: Literal["active", "blocked"]
    vat_id: str | None = None
    identifiers: list[str] = []
    """What else it calls itself in documents, beside its id: a GLN, a customer's number for it."""
    bank_accounts: list[str]

    @field_validator("bank_accounts")
    @classmethod
    def _check_digits(cls, accounts: list[str]) -> list[str]:
        found = [compact(account) for account in accounts]
        for account in found:
            if looks_like_iban(account) and not has_valid_check_digits(account):
                raise ValueError(f"the check digits of the IBAN {account} are wrong")
        return found

    @field_validator("vat_id")
    @classmethod
    def _compact(cls, vat_id: str | None) -> str | None:
        return None if vat_id is None else compact(vat_id)


class ReceiptEntry(_Entry):
    id: str = Field(min_length=1, max_length=200)
    order_number: str
    order_line_id: str
    quantity: AmountText
    received_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    suppliers: list[SupplierEntry]
    orders: list[tuple[Order, str]]
    """With the digest of the document."""
    receipts: list[ReceiptEntry]
    posted: list[str]
    """Documents of invoices that were booked before, in order of their file names."""


def load_seed(folder: Path) -> Seed:
    """Read and check a folder; nothing is stored.

    Raises:
        InvalidMasterDataError: If a file is missing, malformed, or a document cannot be read.
    """
    orders = []
    for path in sorted((folder / "orders").glob("*.xml")):
        raw = _read(path)
        try:
            orders.append((parse_order(raw), digest_bytes(raw)))
        except ParleyError as exc:
            raise InvalidMasterDataError(f"{path}: {exc.message}") from exc
    return Seed(
        suppliers=_entries(folder / "suppliers.json", TypeAdapter(list[SupplierEntry])),
        orders=orders,
        receipts=_entries(folder / "receipts.json", TypeAdapter(list[ReceiptEntry])),
        posted=[_text(path) for path in sorted((folder / "posted").glob("*.xml"))],
    )


async def sow(seed: Seed, database: Database, ledger: Ledger) -> None:
    """Store what is not there yet.

    Raises:
        InvalidMasterDataError: If an order names no known supplier, or a receipt no order line.
        ParleyError: If an invoice that was booked before cannot be posted.
    """
    await database.write(lambda connection: _sow_master_data(connection, seed))
    for document in seed.posted:
        await _book(ledger, document)


def _sow_master_data(connection: Connection, seed: Seed) -> None:
    for entry in seed.suppliers:
        if _add(connection, tables.suppliers, entry.model_dump(include=_SUPPLIER_COLUMNS)):
            _add_names(connection, entry)
    for order, digest in seed.orders:
        _add_order(connection, order, digest)
    for receipt in seed.receipts:
        if receipt.order_line_id not in _lines_of(connection, receipt):
            raise InvalidMasterDataError(
                f"receipt {receipt.id}: order {receipt.order_number} has no line"
                f" {receipt.order_line_id}"
            )
        values = receipt.model_dump()
        values["received_on"] = receipt.received_on.isoformat()
        _add(connection, tables.receipts, values)


_SUPPLIER_COLUMNS: Final = {"id", "name", "status", "vat_id"}


def _add(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless there is one with its keys; say whether it was inserted."""
    done = connection.execute(insert(table).values(values).on_conflict_do_nothing())
    return done.rowcount == 1


def _add_names(connection: Connection, entry: SupplierEntry) -> None:
    for identifier in dict.fromkeys([entry.id, *entry.identifiers]):
        values = {"identifier": identifier, "supplier_id": entry.id}
        if not _add(connection, tables.supplier_ids, values):
            raise InvalidMasterDataError(
                f"the identifier {identifier!r} of supplier {entry.id} belongs to another supplier"
            )
    for position, account in enumerate(dict.fromkeys(entry.bank_accounts)):
        row = {"supplier_id": entry.id, "position": position, "account": account}
        _add(connection, tables.supplier_accounts, row)


def _add_order(connection: Connection, order: Order, digest: str) -> None:
    table = tables.orders
    known = connection.execute(
        select(table.c.digest).where(table.c.number == order.number)
    ).scalar_one_or_none()
    if known is not None:
        if known != digest:
            _log.warning("order %s is there with another document; it stays", order.number)
        return
    supplier_id = store.supplier_of(connection, order.supplier)
    if supplier_id is None:
        raise InvalidMasterDataError(
            f"order {order.number}: no supplier of the master data is {order.supplier.name!r}"
            f" with VAT id {order.supplier.vat_id}"
        )
    content = store.ORDERS.dump_json(order).decode()
    _add(
        connection,
        table,
        {
            "number": order.number,
            "supplier_id": supplier_id,
            "state": "open",
            "content": content,
            "digest": digest,
        },
    )
    for line in order.lines:
        values = {
            "order_number": order.number,
            "line_id": line.id,
            "invoiced_quantity": "0",
            "invoiced_amount": "0",
        }
        _add(connection, tables.order_lines, values)


def _lines_of(connection: Connection, receipt: ReceiptEntry) -> set[str]:
    lines = tables.order_lines
    found = connection.execute(
        select(lines.c.line_id).where(lines.c.order_number == receipt.order_number)
    )
    return set(found.scalars())


async def _book(ledger: Ledger, document: str) -> None:
    key = hashlib.sha256(document.encode()).hexdigest()
    captured = await ledger.capture(
        Request(
            tool="ap.invoice.capture",
            idempotency_key=f"{SEEDER}:capture:{key}",
            arguments={"document": document},
            by=SEEDER,
        ),
        document,
    )
    ruling = Ruling(
        invoice_id=captured.invoice.data.id,
        expected_etag=captured.invoice.etag,
        decided_by=SEEDER,
        reason="booked before",
        state="posted",
    )
    request = Request(
        tool="ap.invoice.post",
        idempotency_key=f"{SEEDER}:post:{key}",
        arguments={"invoice_id": ruling.invoice_id},
        by=SEEDER,
    )
    try:
        await ledger.rule(request, ruling)
    except WrongStateError as exc:
        # Somebody captured and decided on the same document before it came with the master data.
        _log.warning("%s; it stays", exc.message)


def _entries(path: Path, adapter: TypeAdapter[list[T]]) -> list[T]:
    try:
        value = strict_json.loads(_read(path))
        # As JSON, so that a date may be a string and a decimal may not be a number.
        return adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidMasterDataError(f"{path}: {where}: {first['msg']}") from exc
    except ParleyError as exc:
        if isinstance(exc, SystemOfRecordError):
            raise
        raise InvalidMasterDataError(f"{path}: {exc.message}") from exc


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise InvalidMasterDataError(f"{path}: {exc.strerror or exc}") from exc


def _text(path: Path) -> str:
    try:
        return _read(path).decode("utf-8")
    except UnicodeDecodeError as exc:
        raise InvalidMasterDataError(f"{path}: not UTF-8 at byte {exc.start}") from exc
