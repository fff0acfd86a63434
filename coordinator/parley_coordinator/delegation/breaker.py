"""A circuit breaker as a state machine: pure, its time comes in with each call.

closed: calls go through; so many failures in a row open it. open: no call goes through until its pause
is over. half-open: one call goes through as a probe; its success closes the breaker, its failure opens it
for twice as long. What calls bring that began before it opened does not count against the agent again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

FAILURES: Final = 5
FIRST_PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 60.0


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a call may go through."""

    wait_s: float
    """Seconds until it is worth asking again; 0: go."""
    probe: bool = False
    """What it brings decides about the breaker."""


class Breaker:
    """Of one agent."""

    def __init__(self) -> None:
        self._failures = 0
        self._pause_s = 0.0
        self._opened_at: datetime | None = None
        self._probing = False

    def state(self, now: datetime) -> State:
        if self._opened_at is None:
            return State.CLOSED
        return State.HALF_OPEN if self._left_s(now) <= 0 else State.OPEN

    def wait_s(self, now: datetime) -> float:
        """Seconds until a call may go through; 0: now."""
        if self._opened_at is None:
            return 0.0
        left = self._left_s(now)
        return max(left, 1.0) if self._probing else max(left, 0.0)

    def admit(self, now: datetime) -> Admission:
        """Ask for a call; whoever gets a probe must tell what came of it."""
        wait_s = self.wait_s(now)
        if wait_s > 0:
            return Admission(wait_s)
        self._probing = self._opened_at is not None
        return Admission(0.0, probe=self._probing)

    def succeeded(self) -> None:
        self._failures = 0
        self._pause_s = 0.0
        self._opened_at = None
        self._probing = False

    def failed(self, now: datetime, *, probe: bool) -> None:
        if self._opened_at is None:
            self._failures += 1
            if self._failures >= FAILURES:
                self._open(now)
        elif probe:
            self._open(now)

    def left_open(self, *, probe: bool) -> None:
        """Say that nothing is known of what came of a call; somebody else may probe."""
        self._probing = self._probing and not probe

    def _open(self, now: datetime) -> None:
        self._opened_at = now
        self._pause_s = min(self._pause_s * 2 or FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._probing = False

    def _left_s(self, now: datetime) -> float:
        if self._opened_at is None:
            return 0.0
        # A clock that went back must not keep it open for longer than it was to be.
        return min(self._pause_s - (now - self._opened_at).total_seconds(), self._pause_s)
