"""Amounts, quantities and percents: exact decimals in Python, decimal strings in JSON.

A float, an exponent, a thousands separator, a digit of another script or NaN is refused: each of
them has been read as another amount by somebody.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

AMOUNT_PATTERN: Final = r"^-?[0-9]{1,15}(\.[0-9]{1,15})?$"
"""At most 15 digits before and after the point, so that sums and products of two stay exact."""

_AMOUNT: Final = re.compile(AMOUNT_PATTERN)


def read_amount(value: object) -> Decimal:
    """Read one decimal string.

    Raises:
        ValueError: If `value` is not one, or is a Decimal that could not be written as one.
    """
    text = written(value) if isinstance(value, Decimal) and value.is_finite() else value
    if not isinstance(text, str) or not _AMOUNT.fullmatch(text):
        raise ValueError(
            "must be a decimal string such as 1200.00: ASCII digits and at most one point,"
            " no exponent, no separators, at most 15 digits before and after the point"
        )
    return Decimal(text)


def written(value: Decimal) -> str:
    """Return the value in digits, never with an exponent."""
    return format(value, "f")


Amount = Annotated[
    Decimal,
    BeforeValidator(read_amount),
    PlainSerializer(written, return_type=str),
    WithJsonSchema({"type": "string", "pattern": AMOUNT_PATTERN}),
]

SUM_PATTERN: Final = r"^-?[0-9]{1,40}(\.[0-9]{1,15})?$"
Sum = Annotated[
    Decimal,
    PlainSerializer(written, return_type=str),
    WithJsonSchema({"type": "string", "pattern": SUM_PATTERN}),
]
"""A computed amount: room for the sums and products of amounts. Only ever written."""
