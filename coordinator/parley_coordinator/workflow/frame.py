"""Where interpretation stands: the place, the variables and the time limit of one task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from parley_coordinator.model import Place
from parley_coordinator.workflow.errors import Standard, WorkflowError


class Ended(Exception):  # noqa: N818 - control flow, not an error
    """`then: end`: the workflow finishes with this output."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output


class Skipped(Exception):  # noqa: N818 - control flow, not an error
    """The task does nothing: its raw input is its output, and nothing is exported."""


class Expired(Exception):  # noqa: N818 - control flow: no `catch` inside of the owner may take it
    """The time limit of an enclosing task has passed; it becomes a timeout error at that task."""

    def __init__(self, owner: str) -> None:
        super().__init__(owner)
        self.owner = owner


@dataclass(frozen=True, slots=True)
class Limit:
    """The tightest deadline in force, and whose it is."""

    at: datetime
    owner: str
    """As `owner_of` returns it; empty for the workflow."""


def owner_of(place: Place) -> str:
    return f"{place.path}@{place.attempt}"


def tightest(limit: Limit | None, at: datetime, owner: str) -> Limit:
    """Return the earlier of two limits; the outer one if they are equal."""
    return limit if limit is not None and limit.at <= at else Limit(at, owner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One task that is being run."""

    place: Place
    title: str
    limit: Limit | None
    variables: Mapping[str, Any] = field(default_factory=dict)
    """What enclosing tasks have made known by name: caught errors, items and indexes of loops."""
    scope: Mapping[str, Any] = field(default_factory=dict)
    """Every variable that the task's body sees."""

    @property
    def deadline(self) -> datetime | None:
        return self.limit.at if self.limit else None


def timeout_error(instance: str) -> WorkflowError:
    return WorkflowError(
        Standard.TIMEOUT, "The deadline has passed", "nothing came back in time", instance=instance
    )


def configuration_error(detail: str, instance: str) -> WorkflowError:
    return WorkflowError(
        Standard.CONFIGURATION, "The document asks for what is not there", detail, instance=instance
    )


def validation_error(what: str, problems: list[str], instance: str) -> WorkflowError:
    title = f"The {what} does not fit its schema"
    return WorkflowError(Standard.VALIDATION, title, "; ".join(problems), instance=instance)
