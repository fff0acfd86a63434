"""The ERP's tables. Amounts are decimal text: SQLite has no exact decimals."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

metadata: Final = MetaData(info={"schema_version": 1})

suppliers: Final = Table(
    "suppliers",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("status", String, nullable=False),
    Column("vat_id", String, unique=True),
)

supplier_ids: Final = Table(
    "supplier_ids",
    metadata,
    # What a seller may call itself in a document: a GLN, a customer's number for it, its own id.
    Column("identifier", String, primary_key=True),
    Column("supplier_id", ForeignKey(suppliers.c.id), nullable=False),
)

supplier_accounts: Final = Table(
    "supplier_accounts",
    metadata,
    Column("supplier_id", ForeignKey(suppliers.c.id), nullable=False),
    Column("position", Integer, nullable=False),
    Column("account", String, nullable=False),
    PrimaryKeyConstraint("supplier_id", "account"),
)

orders: Final = Table(
    "orders",
    metadata,
    Column("number", String, primary_key=True),
    Column("supplier_id", ForeignKey(suppliers.c.id), nullable=False),
    Column("state", String, nullable=False),
    Column("content", Text, nullable=False),  # ubl.model.Order as JSON
    Column("digest", String, nullable=False),  # of the document that it came from
)

order_lines: Final = Table(
    "order_lines",
    metadata,
    Column("order_number", ForeignKey(orders.c.number), nullable=False),
    Column("line_id", String, nullable=False),
    Column("invoiced_quantity", String, nullable=False),
    Column("invoiced_amount", String, nullable=False),
    PrimaryKeyConstraint("order_number", "line_id"),
)

receipts: Final = Table(
    "receipts",
    metadata,
    Column("id", String, primary_key=True),
    Column("order_number", ForeignKey(orders.c.number), nullable=False, index=True),
    Column("order_line_id", String, nullable=False),
    Column("quantity", String, nullable=False),
    Column("received_on", String, nullable=False),
)

invoices: Final = Table(
    "invoices",
    metadata,
    Column("id", String, primary_key=True),
    Column("document", Text, nullable=False),  # as it arrived: the evidence
    Column("content", Text, nullable=False),  # ubl.model.Invoice as JSON
    Column("kind", String, nullable=False),
    Column("number", String, nullable=False),
    Column("number_key", String, nullable=False),  # rules.number_key
    Column("seller", String, nullable=False),  # supplier id, or what stands for an unknown one
    Column("supplier_id", ForeignKey(suppliers.c.id)),
    Column("currency", String, nullable=False),
    Column("gross", String, nullable=False),  # as stated
    Column("gross_key", String, nullable=False),  # without trailing zeros
    Column("issue_date", String, nullable=False),
    Column("state", String, nullable=False),
    Column("captured_at", String, nullable=False),
    Column("decided_by", String),
    Column("reason", String),
    Index("invoices_by_number", "seller", "number_key"),
    Index("invoices_by_amount", "seller", "gross_key"),
)

effects: Final = Table(
    "effects",
    metadata,
    # The ERP's own account of what was done to it, oldest first; rows are never changed.
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("effect_id", String, nullable=False, unique=True),
    Column("idempotency_key", String, nullable=False, unique=True),
    Column("tool", String, nullable=False),
    Column("arguments", String, nullable=False),  # their digest
    Column("invoice_id", ForeignKey(invoices.c.id), nullable=False, index=True),
    Column("status", String, nullable=False),
    Column("by", String, nullable=False),
    Column("decided_by", String),
    Column("reason", String),
    Column("at", String, nullable=False),
    Column("result", Text, nullable=False),  # what the caller was told, and is told again
    sqlite_autoincrement=True,
)
