"""Opaque cursors: the last row's time and id, so that pages stay right while rows are added."""

from __future__ import annotations

import base64
import binascii
import json

from parley_coordinator.errors import InvalidRequestError


def write_cursor(at: str, row_id: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([at, row_id]).encode()).decode()


def read_cursor(cursor: str) -> tuple[str, str] | None:
    """Return what `write_cursor` wrote; None for the empty cursor.

    Raises:
        InvalidRequestError: If it is not a cursor of ours.
    """
    if not cursor:
        return None
    try:
        at, row_id = json.loads(base64.b64decode(cursor.encode("ascii"), b"-_", validate=True))
    except (ValueError, binascii.Error, UnicodeEncodeError, TypeError) as exc:
        raise InvalidRequestError("the cursor is not one that a page returned") from exc
    if not isinstance(at, str) or not isinstance(row_id, str):
        raise InvalidRequestError("the cursor is not one that a page returned")
    return at, row_id
