"""When a schedule starts its next run. Pure, and in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from croniter import croniter

if TYPE_CHECKING:
    from parley_coordinator.workflow.document import Schedule

LEAST: Final = timedelta(seconds=1)
"""Runs do not start more often than this."""


def kind_of(schedule: Schedule) -> str:
    """Return `every`, `cron`, `after` or `on`."""
    given = {
        "every": schedule.every,
        "cron": schedule.cron,
        "after": schedule.after,
        "on": schedule.on,
    }
    return next(kind for kind, value in given.items() if value is not None)


def too_often(schedule: Schedule) -> bool:
    """Whether its length is too short to be kept."""
    lengths = (schedule.every, schedule.after)
    return any(isinstance(each, timedelta) and each < LEAST for each in lengths)


def next_due(schedule: Schedule, since: datetime, after: datetime) -> datetime | None:
    """Return the first moment later than `after` at which a run is due; None if only events tell.

    Args:
        since: When the schedule began. `every` counts from it, so that what is late does not shift
            what follows; `after` begins with it, as if a run had ended then.
    """
    if schedule.cron is not None:
        due: datetime = croniter(schedule.cron, after.astimezone(UTC)).get_next(datetime)
        return due
    if isinstance(schedule.every, timedelta):
        passed = max((after - since) // schedule.every, 0)
        return since + (passed + 1) * schedule.every
    if isinstance(schedule.after, timedelta):
        return after + schedule.after
    return None
