"""What one look at a step can end in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parley_coordinator.delegation.results import Question
    from parley_coordinator.delegation.retrying import Tries


@dataclass(frozen=True, slots=True)
class Output:
    """The agent did it."""

    value: Any


@dataclass(frozen=True, slots=True)
class Asked:
    """The agent needs an answer before it goes on."""

    agent: str
    task: str
    context: str
    question: Question


@dataclass(frozen=True, slots=True)
class Working:
    """Not finished; look again after `pause`."""

    agent: str
    pause: timedelta


@dataclass(frozen=True, slots=True)
class Uncertain:
    """It may have run or not, and nothing that may be done can tell."""

    agent: str
    known: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """It is certain that the agent has not begun."""

    why: str
    code: str
    """Of the error that said so."""
    pause_s: float
    """Until it is worth trying the same agent again."""
    tries: Tries
    spent: bool
    """Whether it was tried often enough."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person said to the Nth question of a task."""

    ordinal: int
    to: str
    """`Question.key` of the question that it answers."""
    values: Any


Result = Output | Asked | Working | Uncertain
