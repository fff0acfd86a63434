"""What can become of a request: an answer, a known failure, something to wait for, or nobody knows.

A known failure is a `WorkflowError`; it means that the request was not done, or that whoever serves it
has said how it ended. `LostError` is the third value: it left, and nothing that was heard tells.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import NAMESPACE_URL, uuid5

from parley_coordinator.protocols.redaction import CUT, Redaction
from parley_coordinator.workflow.errors import Standard, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from parley_coordinator.model import Place
    from parley_coordinator.store.log import RunLog

NAMESPACE: Final = uuid5(NAMESPACE_URL, "urn:parley:request")
MAX_TOLD: Final = 300
"""Characters of somebody else's words that are passed on in an error."""


class LostError(Exception):
    """The request left, and its answer was lost: it may have been done or not."""


@dataclass(frozen=True, slots=True)
class Following:
    """It is under way, and can be asked about again after `pause`."""

    pause: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """What the journal knows of a request."""

    log: RunLog
    place: Place
    begun: bool
    """It has left before, or may have; False: certainly not, or a person has ruled so."""
    since: datetime
    """When it left, or was sent again because a person had ruled that it did not run: a task that was
    named before is not the one."""
    confidential: Callable[[], Iterable[str]]
    """What must not be written down."""

    def task(self) -> str | None:
        """Return the task that an agent has named for it."""
        found = [
            entry
            for entry in self.log.at(self.place.path)
            if entry.attempt == self.place.attempt
            and (entry.kind == "sent" or entry.kind.startswith("sent."))
            and entry.at >= self.since
        ]
        return str(found[-1].body["task"]) if found else None

    def note(self, task: str, context: str) -> None:
        """Write down the task; durable with whatever is observed next."""
        hidden = self.redaction()
        shown = hidden.text(task)
        if self.task() != shown:
            self.log.note_task(self.place, shown, hidden.text(context))

    def redaction(self) -> Redaction:
        """What hides all that is confidential by now: tokens come and go while a request is under way."""
        return Redaction(self.confidential())

    def pause(self) -> timedelta:
        """Look again after a quarter of the time that it took so far: 2 s at first, 60 s at most."""
        elapsed = self.log.now() - self.since
        return min(max(elapsed / 4, timedelta(seconds=2)), timedelta(seconds=60))


class Prepared(Protocol):
    """A request that is checked and complete; nothing of it has left yet."""

    who: str
    """Host and port, for people."""
    facts: dict[str, Any]
    """What is journaled before it leaves; no secrets, and of headers the names only."""
    idempotent: bool
    """Sending it twice does no harm."""
    traceable: bool
    """After a crash, `send` can find out what has become of it."""

    async def send(self, trail: Trail) -> Any:
        """Have it done, or go on with it; return its output as JSON, or `Following`.

        Raises:
            WorkflowError: It is known to have failed, or never to have begun.
            LostError: Nobody knows.
        """
        ...

    async def cancel(self, trail: Trail) -> str:
        """Call it back as far as that goes; return what came of it, in words."""
        ...


def identity(run_id: str, place: Place, purpose: str = "") -> str:
    """Return the same id for the same place of the same run, always: what duplicates are told by."""
    return str(uuid5(NAMESPACE, f"{run_id}|{place.path}|{place.attempt}|{purpose}"))


def told(text: str, most: int = MAX_TOLD) -> str:
    """Somebody else's words, made harmless: one line of at most so many printable characters."""
    first = next((line for line in text[:20_000].splitlines() if line.strip()), "")
    clean = (" " if unicodedata.category(char)[0] in "CZ" else char for char in first)
    line = " ".join("".join(clean).split())
    return line if len(line) <= most else line[: most - 1] + CUT


def unreachable(who: str, detail: str) -> WorkflowError:
    """Return the error of a request that never left."""
    title = f"{who} could not be reached"
    return WorkflowError(Standard.COMMUNICATION, title, told(detail), status=503)


def unusable(who: str, detail: str) -> WorkflowError:
    """Return the error of an answer that says that it was done, and cannot be read."""
    title = f"{who} gave an unusable answer"
    return WorkflowError(Standard.RUNTIME, title, told(detail), status=502)


def misconfigured(detail: str) -> WorkflowError:
    return WorkflowError(Standard.CONFIGURATION, "The call is not well described", told(detail))


def unfit(detail: str) -> WorkflowError:
    return WorkflowError(Standard.VALIDATION, "The arguments do not fit the call", told(detail))
