"""Keeps the table of schedules as the current versions of the workflows say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from croniter import CroniterError
from parley_cards.canonical import digest

from parley_coordinator.store import runs, schedules
from parley_coordinator.store.schedules import Scheduled
from parley_coordinator.workflow.document import Schedule
from parley_coordinator.workflow.events import types_of
from parley_coordinator.workflow.hearing import wanted_of
from parley_coordinator.workflow.schedules import kind_of, next_due, too_often

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from parley_coordinator.model import Run


class Current(NamedTuple):
    """The current version of a workflow that has a schedule."""

    workflow: str
    version: str
    json: dict[str, Any]
    """The schedule as it is written."""


def plan(connection: Connection, current: list[Current], now: datetime) -> None:
    """Make the schedules those of `current`; one that stays the same keeps its due time."""
    known = {each.workflow: each for each in schedules.every(connection)}
    for each in current:
        before = known.pop(each.workflow, None)
        if before is None or before.digest != digest(each.json):
            schedules.drop_open(connection, each.workflow)
            schedules.put(connection, _begun(each, now))
        elif before.version != each.version:
            schedules.set_version(connection, each.workflow, each.version)
    for gone in known:
        schedules.drop_open(connection, gone)
        schedules.delete(connection, gone)


def due_after(scheduled: Scheduled, after: datetime) -> datetime | None:
    """Return when the next run is due; None if never, or only events tell."""
    schedule = Schedule.model_validate(scheduled.json)
    return next_due(schedule, scheduled.since, after)


def started(connection: Connection, scheduled: Scheduled, run_id: str, at: datetime) -> None:
    """Note that a run has started, and when the next one is due: `after`, once this has ended."""
    if scheduled.kind != "after":
        due = due_after(scheduled, at)
    else:
        stored = runs.get(connection, run_id)
        over = stored is not None and stored.run.state.final
        due = due_after(scheduled, stored.run.updated_at) if stored is not None and over else None
    schedules.started(connection, scheduled, run_id, at, due)


def ended(connection: Connection, run: Run, at: datetime) -> None:
    """Note that a run has ended; for the transaction that ends it."""
    for each in schedules.waiting_for_end(connection, run.id):
        schedules.set_due(connection, each, due_after(each, at))


def _begun(current: Current, now: datetime) -> Scheduled:
    schedule = Schedule.model_validate(current.json)
    problem = "it would start runs more often than once a second" if too_often(schedule) else None
    due = None
    try:
        due = None if problem else next_due(schedule, now, now)
    except (CroniterError, ValueError, OverflowError) as exc:
        problem = f"it never comes due: {exc}"
    types = types_of(wanted_of(schedule.on)) if schedule.on is not None else None
    return Scheduled(
        workflow=current.workflow,
        version=current.version,
        digest=digest(current.json),
        json=current.json,
        kind=kind_of(schedule),
        types=types or [],
        since=now,
        due=due,
        problem=problem,
        problem_at=now if problem else None,
    )
