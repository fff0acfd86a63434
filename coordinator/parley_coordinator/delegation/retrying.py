"""When a call that did not work is made again: capped exponential pauses with full jitter. Pure.

Full jitter spreads those that failed together over the whole pause. What an agent asks for with
Retry-After is kept to, with a tenth on top at most, so that not all come back in the same moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from parley_wire.agent_errors import AgentBusyError, AgentError

from parley_coordinator.delegation.gates import AgentRestingError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

FIRST_S: Final = 0.5
LONGEST_S: Final = 5.0
MAX_TRIES: Final = 5
"""Calls that fail in a row before a step that has not begun is given up."""
AT_LEAST: Final = timedelta(seconds=7)
"""It is not given up sooner, if nobody else can do it: an agent that restarts is back by then."""
TRIES_WITH_OTHERS: Final = 2
"""The same, while another agent could do it."""
MAX_DEFERRALS: Final = 20
"""How often an agent may put a step off with Retry-After."""
IN_MEMORY_S: Final = 5.0
"""Longer pauses are waited for in the journal, not in memory."""
SAME_RUBBISH: Final = 3
"""So often is the same answer that is no A2A taken for a passing trouble."""


@dataclass(frozen=True, slots=True)
class Tries:
    """What has been tried to have a step begun, or an answer read."""

    failed: int = 0
    deferred: int = 0
    """Put off: by the agent's Retry-After, or by the circuit breaker before it."""

    def after(self, exc: AgentError) -> Tries:
        if _put_off(exc) is not None:
            return Tries(self.failed, self.deferred + 1)
        return Tries(self.failed + 1, self.deferred)

    def spent(self, allowed: int = MAX_TRIES) -> bool:
        return self.failed >= allowed or self.deferred >= MAX_DEFERRALS


@dataclass(frozen=True, slots=True, kw_only=True)
class Leeway:
    """How long a step that has not begun is tried at one agent."""

    tries: Tries = Tries()
    """What was tried before, to no effect."""
    since: datetime | None = None
    """When that began; None: nothing was."""
    allowed: int = MAX_TRIES
    at_least: timedelta = AT_LEAST

    def spent(self, tries: Tries, now: datetime) -> bool:
        long = self.since is not None and now - self.since >= self.at_least
        return tries.spent(self.allowed) and long


def pause_s(tries: Tries, exc: AgentError, draw: Callable[[], float]) -> float:
    """Return the seconds until the next try.

    Args:
        tries: With the one that has just failed.
        draw: A number from 0 to 1, evenly distributed.
    """
    asked = _put_off(exc)
    if asked is not None:
        return asked * (1 + draw() / 10)
    return draw() * min(LONGEST_S, FIRST_S * 2.0 ** min(tries.failed - 1, 16))


def _put_off(exc: AgentError) -> float | None:
    return exc.retry_after_s if isinstance(exc, AgentBusyError | AgentRestingError) else None
