"""`parley run --deadline --budget`: the limits of a run, as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from parley_coordinator.cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SPAN: Final = re.compile(r"([1-9][0-9]{0,5})(s|min|h|d)", re.ASCII)
_SECONDS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_CALLS: Final = re.compile(r"calls=([0-9]{1,10})", re.ASCII)
_COST: Final = re.compile(r"cost=([0-9.]{1,30}) ?([A-Za-z][A-Za-z0-9_.-]{0,31})", re.ASCII)


def limits(deadline: str | None, budget: Sequence[str], *, now: datetime) -> dict[str, Any]:
    """Return the members `deadline` and `budget` of a request for a run, each if it is given.

    Args:
        deadline: A moment, or how long from now: `2h`.
        budget: `calls=12` and `cost=2.50 EUR`, each at most once.

    Raises:
        UsageError: If one of them is neither.
    """
    given: dict[str, Any] = {}
    if deadline is not None:
        given["deadline"] = _moment(deadline, now)
    if budget:
        given["budget"] = _budget(budget)
    return given


def _moment(text: str, now: datetime) -> str:
    span = _SPAN.fullmatch(text)
    try:
        if span is not None:
            at = now + timedelta(seconds=int(span[1]) * _SECONDS[span[2]])
        else:
            at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError):
        pass
    raise UsageError(
        f"--deadline takes 90s, 30min, 2h or 3d from now, or a moment with its zone such as"
        f" 2026-05-04T09:30:00Z, not {text[:40]!r}"
    )


def _budget(written: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    name: str
    limit: int | dict[str, str] | None
    for each in written:
        calls, cost = _CALLS.fullmatch(each), _COST.fullmatch(each)
        name, limit = "", None
        if calls is not None:
            name, limit = "calls", int(calls[1])
        elif cost is not None:
            name, limit = "cost", {"amount": cost[1], "unit": cost[2]}
        if limit is None or name in found:
            raise UsageError(
                f"--budget takes calls=12 or 'cost=2.50 EUR', each once, not {each[:40]!r}"
            )
        found[name] = limit
    return found
