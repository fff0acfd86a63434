"""The port between the language and the engine: everything that is not pure goes through here.

The engine implements it over the journal. What the journal has already observed is answered from
it at once; the rest happens now, or parks. The same journal must give the same answers, whatever
order concurrent branches ask in: every question therefore names its `Place`, and a place asks at
most once for each call, each time name, each jitter and each kind of note.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, Protocol

from parley_cards.delegation import UNLIMITED, DelegationContract

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
NOTE_WON: Final = "won"
"""A race of branches: `{branch, losers}`, with the JSON pointers of the losers. Whatever is still
open below these no longer matters to the run: withdraw it."""
NOTE_CHECKPOINT: Final = "checkpoint"
"""A loop, at the place of the iteration that is done: `{data, context}`; it goes on from there."""
NOTE_LIMITED: Final = "limited"
"""A task of which an expression was stopped at a limit: `{error, context}`. It stays failed."""
NOTE_EVENTS: Final = "heard"
"""A listen that has what it waited for: `{events}`, each as `source id`."""
NOTE_CLOSED: Final = "closed"
"""A listen that an error has ended: `{}`. Its events are offered again."""
NOTE_GIVEN: Final = "given"
"""What a person put in the place of a step when they repaired a run: `{output}`, the raw output of a
task that is not run; `{passed: true}`, the same with the task's input; `{arguments}` of a call."""
NOTE_UNHEARD: Final = "unheard"
"""A listen whose time ran out: `{count}`, how many of the received events it had looked at."""


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
    compensates: str = ""
    """JSON pointer of the task whose effect this call undoes; empty: none. Its failure is a
    question to an operator, never an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call of a protocol, to whoever serves it."""

    place: Place
    protocol: Literal["a2a", "http", "mcp", "openapi"]
    arguments: dict[str, Any]
    """`with`, evaluated, in the language's own keys; endpoints are URIs."""
    authentication: dict[str, Any] | None = field(repr=False)
    """`{scheme: basic|bearer|oauth2, ...}` with the secrets themselves: not to be written down."""
    idempotent: bool
    """The author's word that sending it twice does no harm."""
    deadline: datetime | None
    title: str
    compensates: str = ""
    contract: DelegationContract = UNLIMITED
    """Of a message to an agent; the engine's to fill in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One run of another workflow."""

    place: Place
    namespace: str
    name: str
    version: str
    """Exact, or `latest`: the current one when the child starts."""
    input: Any
    awaited: bool
    deadline: datetime | None
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What a listen is to be told about, from the start of the run on."""

    place: Place
    filters: list[dict[str, Any]]
    """Attributes with literals and patterns; an event that fits one of them is delivered. Empty:
    every event. Expressions are left out: the listen itself decides on them."""
    title: str
    expected: list[dict[str, Any]] = field(default_factory=list)
    """For each filter, what expressions over the event must come to, as far as that is known now. An
    event for which one comes to something else need not be delivered."""


class Effects(Protocol):
    """What a run may do to the world and ask of it.

    Every method that answers from a journal answers alike on each replay. `WorkflowError` of the
    standard type `timeout` out of `call`, `human_task`, `request` and `run_workflow` is reserved
    for: the deadline has passed. Any exception other than `WorkflowError` and `Parked` is a defect and ends `interpret`.
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

    async def request(self, request: Request) -> Any:
        """Call a protocol, once; return what `output` of its arguments asks for.

        Raises:
            WorkflowError: As `call`.
            Parked: If the outcome is not known yet.
        """
        ...

    async def run_workflow(self, child: Child) -> Any:
        """Start a run of another workflow, once; return its output, or None if not awaited.

        Raises:
            WorkflowError: The error that the child faulted with, or `timeout`.
            Parked: If it has not ended yet.
        """
        ...

    async def emit(self, place: Place, event: dict[str, Any], title: str) -> dict[str, Any]:
        """Publish a CloudEvent, once; return it with its `id` and `time`."""
        ...

    async def subscribe(self, subscription: Subscription) -> None:
        """Have events delivered to a place; nothing happens if they already are.

        An event that an earlier listen of this run has used is not delivered again.
        """
        ...

    def received(self, place: Place) -> list[dict[str, Any]]:
        """Return the events delivered to a place so far, in the order they came."""
        ...

    async def wait_for_event(self, place: Place, until: datetime | None) -> None:
        """Return once `until` is reached.

        Raises:
            Parked: If it is not reached yet; the run goes on with the next event, too.
        """
        ...

    def secret(self, name: str) -> Any:
        """Return a secret of this installation.

        Raises:
            WorkflowError: `authorization`, if there is none of that name.
        """
        ...

    def happened(self, place: Place) -> bool:
        """Tell whether a call has had its effect, or may have.

        Args:
            place: Its path, and the attempt of the `try` around it: what was done in another
                iteration or attempt is none of its business.
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
