"""What came of a scenario."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Result(StrEnum):
    PASSED = "pass"
    FAILED = "FAIL"
    SKIPPED = "skip"
    BROKEN = "error"
    """The adapter, or the kit itself, did not hold."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """An expectation that was not met."""

    expected: str
    seen: str


@dataclass(kw_only=True)
class Verdict:
    """One row of the table."""

    scenario: str
    group: str
    result: Result
    outcome: str = ""
    """As the orchestrator told it at the end."""
    ran: dict[str, int] = field(default_factory=dict)
    """How often each agent did its work, by step."""
    findings: list[Finding] = field(default_factory=list)
    note: str = ""
    """Why it was skipped or broke, or what else a reader should know."""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        return self.result in (Result.PASSED, Result.SKIPPED)
