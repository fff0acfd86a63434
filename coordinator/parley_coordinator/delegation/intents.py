"""The rows of a place that say which agent it went to.

``intended`` is written before anything leaves for an agent, and ``declined.1`` once it is certain that
this agent has begun nothing. Only then may there be an ``intended.2``: the same agent once more, or
another one. The newest intent is the one that counts; where it is declined, nothing is under way.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from parley_cards.delegation import written

from parley_coordinator.delegation import ids
from parley_coordinator.delegation.outcomes import Uncertain
from parley_coordinator.delegation.retrying import Tries
from parley_coordinator.delegation.terms import of_run

if TYPE_CHECKING:
    from parley_coordinator.delegation.outcomes import Declined
    from parley_coordinator.delegation.routing import Choice
    from parley_coordinator.model import Entry, Place
    from parley_coordinator.store.log import RunLog
    from parley_coordinator.workflow.effects import Call


@dataclass(frozen=True, slots=True)
class Intents:
    """What the journal knows of where a place went."""

    newest: Entry | None
    number: int
    declined: tuple[Entry, ...]
    """Oldest first."""

    @property
    def nothing_begun(self) -> bool:
        """Whether it is certain that no agent has begun: nothing left, or all of it was declined."""
        return len(self.declined) == self.number

    @property
    def tries(self) -> Tries:
        if not self.declined:
            return Tries()
        body = self.declined[-1].body
        return Tries(int(body["failed"]), int(body["deferred"]))

    @property
    def turned_down_by(self) -> tuple[str, ...]:
        return tuple(str(each.body["agent"]) for each in self.declined)


def of(log: RunLog, place: Place) -> Intents:
    newest, number = None, 0
    declined: list[Entry] = []
    while (entry := log.recall(place, kind(number + 1))) is not None:
        newest, number = entry, number + 1
        refusal = log.recall(place, f"declined.{number}")
        if refusal is not None:
            declined.append(refusal)
    return Intents(newest, number, tuple(declined))


def past(log: RunLog, place: Place) -> int:
    """Return how many tasks were known when a person last had the message sent again: they count no more."""
    return int(_ruled(log, place).get("past", 0))


def ruling(log: RunLog, call: Call) -> dict[str, Any]:
    """Return the row that says that a person has the message sent again: it has new time."""
    deadline, run = call.deadline, of_run(log).deadline
    if deadline is not None and run is not None and run > log.now():
        deadline = min(deadline, run)
    known = {"past": len(log.tasks_at(call.place))}
    return known if deadline is None else {**known, "deadline": written(deadline)}


def contract(log: RunLog, place: Place) -> dict[str, Any]:
    """Return the contract of a call as it is sent now, as JSON."""
    newest = of(log, place).newest
    found: dict[str, Any] = {} if newest is None else newest.body.get("contract", {})
    deadline = _ruled(log, place).get("deadline")
    return found if deadline is None else {**found, "deadline": deadline}


def _ruled(log: RunLog, place: Place) -> dict[str, Any]:
    """Return the newest row that says that the message is sent again; `{}`: there is none."""
    found = [
        (int(entry.kind.partition(".")[2]), entry.body)
        for entry in log.at(place.path)
        if entry.attempt == place.attempt and entry.kind.startswith("resent.")
    ]
    return max(found, key=lambda each: each[0], default=(0, {}))[1]


def kind(number: int) -> str:
    return "intended" if number == 1 else f"intended.{number}"


@dataclass(frozen=True, slots=True)
class Ids:
    """What the messages of a place are told by; the same whomever they go to."""

    message: str
    context: str

    @classmethod
    def new(cls, message: str) -> Ids:
        return cls(message, ids.derived(message, "context"))

    def answer(self, ordinal: int) -> str:
        """Return the id of the answer to the Nth question."""
        return ids.derived(self.message, f"answer-{ordinal}")


def ids_at(log: RunLog, place: Place) -> Ids:
    """Return the ids of a place that is intended: those of its first intent, whichever form they have."""
    first = log.recall(place, kind(1))
    if first is None:
        raise LookupError(f"nothing is intended at {place.path}")
    return Ids(str(first.body["message"]), str(first.body["context"]))


def body(
    call: Call, choice: Choice, contract: dict[str, Any], before: Intents, own: Ids
) -> dict[str, Any]:
    """Return the row of an intent.

    Args:
        contract: Of the call, as JSON.
        before: Whom it went to already, in vain.
    """
    card = choice.card
    return {
        "title": call.title,
        "skill": call.function,
        "version": call.version,
        "effect": choice.skill.effect,
        "agent": {
            "name": card.name,
            "version": card.version,
            "url": choice.address,
            "card": card.digest,
        },
        "chosen": choice.why,
        **({"compensates": call.compensates} if call.compensates else {}),
        **({"instead": before.turned_down_by[-1]} if before.declined else {}),
        "message": own.message,
        "context": own.context,
        "contract": contract,
    }


def refusal(call: Call, choice: Choice, declined: Declined) -> dict[str, Any]:
    """Return the row that says that an agent has begun nothing."""
    return {
        "title": call.title,
        "agent": choice.card.name,
        "why": declined.why,
        "code": declined.code,
        "failed": declined.tries.failed,
        "deferred": declined.tries.deferred,
    }


def uncertain(log: RunLog, place: Place, choice: Choice, why: str) -> Uncertain:
    """Gather what the journal knows of a call, for the person who has to decide about it."""
    intended = of(log, place).newest
    known: dict[str, Any] = {} if intended is None else dict(intended.body)
    known["intendedAt"] = "" if intended is None else intended.at.isoformat()
    known["task"] = log.task_at(place)
    known["why"] = why
    known["outputSchema"] = choice.skill.output_schema
    return Uncertain(choice.card.name, known)


def pause(log: RunLog, place: Place) -> timedelta:
    """Look again after a quarter of the time that it took so far: 2 s at first, 60 s at most."""
    intended = of(log, place).newest
    elapsed = log.now() - intended.at if intended is not None else timedelta(0)
    return min(max(elapsed / 4, timedelta(seconds=2)), timedelta(seconds=60))
