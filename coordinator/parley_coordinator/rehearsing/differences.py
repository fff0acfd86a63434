"""Where a JSON value is not as expected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

MAX_DIFFERENCES: Final = 20


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


ABSENT: Final = _Absent()
"""There is no such value."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that is not as expected; either side may be `ABSENT`."""

    where: str
    """As people write it: `output.posting.state`, `calls[2].with.reason`."""
    expected: Any
    found: Any


def differences(
    expected: Any, found: Any, where: str, *, exactly: bool = False
) -> Iterator[Difference]:
    """Yield every difference, deepest first named.

    Objects may have more members than expected, at any depth, unless `exactly`; arrays may not
    have more elements.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        for name, value in expected.items():
            yield from differences(
                value, found.get(name, ABSENT), f"{where}.{name}", exactly=exactly
            )
        for name in found if exactly else ():
            if name not in expected:
                yield Difference(f"{where}.{name}", ABSENT, found[name])
    elif isinstance(expected, list) and isinstance(found, list):
        for index in range(max(len(expected), len(found))):
            wanted = expected[index] if index < len(expected) else ABSENT
            value = found[index] if index < len(found) else ABSENT
            yield from differences(wanted, value, f"{where}[{index}]", exactly=exactly)
    elif not _equal(expected, found):
        yield Difference(where, expected, found)


def _equal(expected: Any, found: Any) -> bool:
    """Compare scalars as JSON does: `true` is no number, `1` is `1.0`."""
    if isinstance(expected, bool) or isinstance(found, bool):
        return expected is found
    return bool(expected == found)
