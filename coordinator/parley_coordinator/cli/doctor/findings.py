"""What a check says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """It works, and may not for long, or not as well as it could."""
    PROBLEM = "problem"
    """Something does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    """Stable, for scripts."""
    status: Status
    what: str
    """What was found."""
    do: str = ""
    """What to do; empty if nothing."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def ok(check: str, what: str) -> Finding:
    return Finding(check, Status.OK, what)


def warning(check: str, what: str, do: str) -> Finding:
    return Finding(check, Status.WARNING, what, do)


def problem(check: str, what: str, do: str) -> Finding:
    return Finding(check, Status.PROBLEM, what, do)
