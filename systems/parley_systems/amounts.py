"""Amounts as people and systems write them: plain decimals, exact, in one form."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Final

from pydantic import StringConstraints

from parley_systems.errors import InvalidAmountError

PATTERN: Final = r"^-?[0-9]{1,15}(\.[0-9]{1,15})?$"
_PLAIN: Final = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?\Z", re.ASCII)

AmountText = Annotated[str, StringConstraints(pattern=PATTERN, max_length=32)]
"""A decimal in JSON. Never a float."""


def parse_amount(text: str, *, what: str) -> Decimal:
    """Read a decimal: ASCII digits, `.` as the only separator, an optional sign.

    Args:
        what: How the error names it, e.g. `PriceAmount in line 40`.

    Raises:
        InvalidAmountError: For exponents, thousands separators, other digits, NaN, Infinity,
            more than 15 digits before or after the point, and empty text.
    """
    if not _PLAIN.match(text):
        raise InvalidAmountError(
            f"{what} is {text[:40]!r}; write a plain decimal such as 1200.00", value=text[:40]
        )
    return Decimal(text)


def amount_text(value: Decimal) -> str:
    """Return the digits without an exponent, with the decimal places that it has."""
    return format(value, "f")
