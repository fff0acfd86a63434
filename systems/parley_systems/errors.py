"""The branch of the error tree that systems of record raise.

::

    SystemOfRecordError
    ├── MalformedXmlError           400 malformed_xml
    ├── InvalidDocumentError        400 invalid_document
    ├── InvalidAmountError          400 invalid_amount
    ├── InvalidArgumentsError       400 invalid_arguments
    ├── InvalidMasterDataError      400 invalid_master_data
    ├── InvalidSettingsError        400 invalid_settings
    ├── PostingRefusedError         403 posting_refused
    ├── UnknownToolError            404 unknown_tool
    ├── UnknownInvoiceError         404 unknown_invoice
    ├── UnknownOrderError           404 unknown_order
    ├── UnknownSupplierError        404 unknown_supplier
    ├── StaleEtagError              409 stale_etag
    ├── WrongStateError             409 wrong_state
    ├── IdempotencyConflictError    409 idempotency_conflict
    ├── DocumentTooLargeError       413 document_too_large
    └── UnsupportedDocumentError    422 unsupported_document
"""

from __future__ import annotations

from typing import ClassVar

from parley_cards.errors import Kind, ParleyError


class SystemOfRecordError(ParleyError):
    """A failure that a system of record foresaw; nothing was changed."""

    code: ClassVar[str] = "system_of_record"


class MalformedXmlError(SystemOfRecordError):
    """The bytes are not XML that is read here: not well-formed, a DOCTYPE, too deep, ..."""

    code: ClassVar[str] = "malformed_xml"
    kind: ClassVar[Kind] = Kind.INVALID


class InvalidDocumentError(SystemOfRecordError):
    """The XML lacks something that an invoice or order must have, or has it twice."""

    code: ClassVar[str] = "invalid_document"
    kind: ClassVar[Kind] = Kind.INVALID


class InvalidAmountError(SystemOfRecordError):
    """An amount, quantity or percentage is not written as a plain decimal."""

    code: ClassVar[str] = "invalid_amount"
    kind: ClassVar[Kind] = Kind.INVALID


class InvalidArgumentsError(SystemOfRecordError):
    """A tool was called with arguments that its schema refuses."""

    code: ClassVar[str] = "invalid_arguments"
    kind: ClassVar[Kind] = Kind.INVALID


class InvalidMasterDataError(SystemOfRecordError):
    """A file of suppliers, orders or receipts to start with is wrong."""

    code: ClassVar[str] = "invalid_master_data"
    kind: ClassVar[Kind] = Kind.INVALID


class InvalidSettingsError(SystemOfRecordError):
    """The process must not start with these settings."""

    code: ClassVar[str] = "invalid_settings"
    kind: ClassVar[Kind] = Kind.INVALID


class PostingRefusedError(SystemOfRecordError):
    """The ledger takes this invoice from nobody; `facts["problems"]` says why."""

    code: ClassVar[str] = "posting_refused"
    kind: ClassVar[Kind] = Kind.FORBIDDEN


class UnknownToolError(SystemOfRecordError):
    """The server has no tool of that name."""

    code: ClassVar[str] = "unknown_tool"
    kind: ClassVar[Kind] = Kind.NOT_FOUND


class UnknownInvoiceError(SystemOfRecordError):
    """There is no invoice of that id."""

    code: ClassVar[str] = "unknown_invoice"
    kind: ClassVar[Kind] = Kind.NOT_FOUND

    def __init__(self, invoice_id: str) -> None:
        super().__init__(f"there is no invoice {invoice_id[:80]!r}; capture it first")


class UnknownOrderError(SystemOfRecordError):
    """There is no purchase order of that number."""

    code: ClassVar[str] = "unknown_order"
    kind: ClassVar[Kind] = Kind.NOT_FOUND

    def __init__(self, number: str) -> None:
        super().__init__(f"there is no purchase order {number[:80]!r}; check the reference")


class UnknownSupplierError(SystemOfRecordError):
    """There is no supplier of that id."""

    code: ClassVar[str] = "unknown_supplier"
    kind: ClassVar[Kind] = Kind.NOT_FOUND

    def __init__(self, supplier_id: str) -> None:
        super().__init__(f"there is no supplier {supplier_id[:80]!r} in the master data")


class StaleEtagError(SystemOfRecordError):
    """The object is not what the caller read."""

    code: ClassVar[str] = "stale_etag"
    kind: ClassVar[Kind] = Kind.CONFLICT

    def __init__(self, invoice_id: str, *, current: str) -> None:
        super().__init__(
            f"invoice {invoice_id} has changed since you read it; read it again", etag=current
        )


class WrongStateError(SystemOfRecordError):
    """The invoice has been posted or blocked before."""

    code: ClassVar[str] = "wrong_state"
    kind: ClassVar[Kind] = Kind.CONFLICT

    def __init__(self, invoice_id: str, *, state: str) -> None:
        super().__init__(
            f"invoice {invoice_id} is {state} already; only a captured one can be decided on",
            state=state,
        )


class IdempotencyConflictError(SystemOfRecordError):
    """The idempotency key was used before, for something else."""

    code: ClassVar[str] = "idempotency_conflict"
    kind: ClassVar[Kind] = Kind.CONFLICT

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the idempotency key {key[:80]!r} was used for another call; take a new one"
        )


class DocumentTooLargeError(SystemOfRecordError):
    """The document has more bytes, elements or lines than are read."""

    code: ClassVar[str] = "document_too_large"
    kind: ClassVar[Kind] = Kind.TOO_LARGE


class UnsupportedDocumentError(SystemOfRecordError):
    """Well-formed XML, but not a document of a kind that is read here."""

    code: ClassVar[str] = "unsupported_document"
    kind: ClassVar[Kind] = Kind.UNSUPPORTED
