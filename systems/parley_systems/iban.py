"""IBAN check digits (ISO 13616, ISO 7064 MOD 97-10)."""

from __future__ import annotations

import re
from typing import Final

_SHAPE: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}\Z", re.ASCII)


def looks_like_iban(account: str) -> bool:
    """Say whether a compact account id has the shape of an IBAN; other ids are accounts too."""
    return _SHAPE.match(account) is not None


def has_valid_check_digits(iban: str) -> bool:
    """Say whether a compact IBAN (upper case, no spaces) is free of typing errors."""
    if not looks_like_iban(iban):
        return False
    turned = iban[4:] + iban[:4]
    return int("".join(str(int(char, 36)) for char in turned)) % 97 == 1
