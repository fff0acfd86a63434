"""The port between the language and the engine: everything that is not pure goes through here.

The engine implements it over the journal. What the journal has already observed is answered from
it at once; the rest happens now, or parks. The same journal must give the same answers, whatever
order concurrent branches ask in: every question therefore names its `Place`, and a place asks at
most once for each call, each time name, each jitter and each kind of note.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from parley_coordinator.model import Place

NOTE_CHOSE: Final = "chose"
"""A switch: `{case, when, then, operands: [{name, value}]}`; `case` is empty when none held."""
NOTE_SKIPPED: Final = "skipped"
"""A task whose `if` did not hold: `{when, operands: [{name, value}]}`."""
NOTE_CAUGHT: Final = "caught"
"""A try whose error was handled: `{error}`."""
NOTE_RETRYING: Final = "retrying"
"""A try that starts over, at the place of the attempt that failed: `{error, until, attempt}` with
`until` in ISO 8601 and `attempt` the 1-based number of the one that failed."""
NOTE_FORK_FAILED: Final = "fork-failed"
"""A fork of which a branch failed: `{error, branch, owner?}`. Whatever is still open below its
path, in attempts that begin with its attempt, no longer matters to the run: withdraw it."""
NOTE_EXPIRED: Final = "expired"
"""A task that holds others and ran out of its time: `{error}`. The same holds below its path."""


class Parked(BaseException):
    """This branch cannot go on now. Carries nothing: the engine knows what it waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a catalog function: an agent's skill, or a question to a person."""

    place: Place
    function: str
    """Skill id, or `human-task`."""
    version: str
    """Exact, `1.0.0`."""
    catalog: str
    """`agents` or `parley`."""
    arguments: dict[str, Any]
    deadline: datetime | None
    """UTC; the tightest of the task's own and of all around it."""
    title: str
    """The task's label, for people."""


class Effects(Protocol):
    """What a run may do to the world and ask of it.

    Every method that answers from a journal answers alike on each replay. `WorkflowError` of the
    standard type `timeout` out of `call` and `human_task` is reserved for: `Call.deadline` has
    passed. Any exception other than `WorkflowError` and `Parked` is a defect and ends `interpret`.
    """

    async def call(self, call: Call) -> Any:
        """Have an agent do it, once; return its output as JSON.

        Raises:
            WorkflowError: If it is known to have failed, or the deadline has passed, also when it
                had passed before anything was sent.
            Parked: If the answer is not there yet.
        """
        ...

    async def human_task(self, call: Call) -> dict[str, Any]:
        """Ask people, once.

        Returns:
            `{outcome, by, at, comment, values, digest, item}`.

        Raises:
            WorkflowError: If the deadline passed without a decision.
            Parked: If nobody has decided yet.
        """
        ...

    async def time(self, place: Place, name: str) -> datetime:
        """Return the moment in UTC at which this place first asked under this name."""
        ...

    async def wait_until(self, place: Place, when: datetime) -> None:
        """Return once `when` is reached.

        Raises:
            Parked: If it is not reached yet.
        """
        ...

    def recall(self, place: Place, kind: str) -> dict[str, Any] | None:
        """Return the body of a note that is in the journal."""
        ...

    async def note(self, place: Place, kind: str, body: dict[str, Any]) -> None:
        """Put a note into the journal; nothing happens if one of that kind is there already."""
        ...

    async def jitter(self, place: Place, low_s: float, high_s: float) -> float:
        """Return a number in [low_s, high_s], drawn once for this place."""
        ...
