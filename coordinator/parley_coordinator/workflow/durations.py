"""Durations of the language: `{minutes: 5}` or ISO 8601 `PT5M`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

UNITS: Final = ("days", "hours", "minutes", "seconds", "milliseconds")
MAX: Final = timedelta(days=3660)

_ISO: Final = re.compile(
    r"P(?:(?P<weeks>\d{1,9})W)?(?:(?P<days>\d{1,9})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,9})H)?(?:(?P<minutes>\d{1,9})M)?"
    r"(?:(?P<seconds>\d{1,9}(?:\.\d{1,6})?)S)?)?",
    re.ASCII,
)


def duration(value: Any) -> timedelta:
    """Read a duration.

    Years and months are refused: they have no fixed length.

    Raises:
        ValueError: If it is neither form, has no part, is negative, or is above ten years.
    """
    if isinstance(value, str):
        parts = _iso(value)
    elif isinstance(value, Mapping) and value and set(value) <= set(UNITS):
        parts = {unit: _amount(unit, value[unit]) for unit in value}
    else:
        raise ValueError(f"a duration is an object of {', '.join(UNITS)}, or ISO 8601 as PT5M")
    try:
        found = timedelta(**parts)
    except OverflowError as exc:
        raise ValueError("the duration is too long") from exc
    if found > MAX:
        raise ValueError(f"the duration is longer than {MAX.days} days")
    return found


def _iso(text: str) -> dict[str, float]:
    match = _ISO.fullmatch(text)
    parts = {k: float(v) for k, v in match.groupdict().items() if v} if match else {}
    if not parts:
        # Without the text: a computed one may be secret.
        raise ValueError("the text is not an ISO 8601 duration such as PT5M or P2D")
    return parts


def _amount(unit: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError(f"{unit} must be a number of at least 0")
    return value


def words(value: timedelta) -> str:
    """Say it to people: `2 days 3 hours`."""
    left = int(value.total_seconds() * 1000)
    said = []
    for unit, size in zip(UNITS, (86_400_000, 3_600_000, 60_000, 1000, 1), strict=True):
        amount, left = divmod(left, size)
        if amount:
            said.append(f"{amount} {unit if amount != 1 else unit[:-1]}")
    return " ".join(said) or "0 seconds"
