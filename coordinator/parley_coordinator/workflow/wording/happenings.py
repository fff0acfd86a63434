"""Events and schedules in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from parley_coordinator.workflow.expressions import is_expression
from parley_coordinator.workflow.wording.conditions import condition, value
from parley_coordinator.workflow.wording.plain import line, listed
from parley_coordinator.workflow.wording.policies import span

if TYPE_CHECKING:
    from parley_coordinator.workflow.document import Schedule
    from parley_coordinator.workflow.events import EventFilter, Strategy

_DAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_CODES: Final = {name[:3].lower(): index for index, name in enumerate(_DAYS)}
_NUMBER: Final = re.compile(r"\d{1,2}", re.ASCII)
_STEP: Final = re.compile(r"\*/(\d{1,2})", re.ASCII)


def announced(attributes: dict[str, Any]) -> str:
    """Say what an emit tells the world."""
    return f"announces {_event(attributes)}"


def awaited(strategy: Strategy) -> str:
    """Say what a listen waits for."""
    filters = [_filter(each) for each in strategy.filters]
    if strategy.one is not None:
        return f"waits for {filters[0]}"
    if strategy.all is not None:
        return f"waits for {listed(filters)}" + (", in any order" if len(filters) > 1 else "")
    either = listed(filters, "or") or "any event"
    if strategy.until is None:
        return f"waits for {either}" + (", whichever comes first" if len(filters) > 1 else "")
    if isinstance(strategy.until, str):
        return f"collects {either}, until {condition(strategy.until)}"
    end = awaited(strategy.until).removeprefix("waits for ")
    return f"collects {either}, until {end} comes"


def started(schedule: Schedule | None) -> str:
    """Say when runs start."""
    if schedule is None:
        return "Starts when somebody asks for it"
    if schedule.every is not None:
        return f"Starts every {re.sub('^1 ', '', span(schedule.every))}"
    if schedule.after is not None:
        return f"Starts again {span(schedule.after)} after a run has completed"
    if schedule.cron is not None:
        return f"Starts {_cron(schedule.cron)}"
    if schedule.on is None:
        return "Starts by itself"
    what = re.sub("^(waits for|collects) ", "", awaited(schedule.on))
    return f"Starts when this comes: {what}"


def _filter(wanted: EventFilter) -> str:
    said = _event(wanted.with_)
    for name, correlation in wanted.correlate.items():
        said += f", whose {line(name)} ({value(correlation.from_)}) is "
        expected = correlation.expect
        said += "that of the first" if expected is None else _shown(expected)
    return said


def _event(attributes: dict[str, Any]) -> str:
    kind = attributes.get("type")
    said = "an event" if kind is None else f"the event {_shown(kind, quoted=False)}"
    others = [
        f"{line(name)} {_shown(each)}"
        for name, each in attributes.items()
        if name in ("source", "subject")
    ]
    return f"{said} with {listed(others)}" if others else said


def _shown(given: Any, *, quoted: bool = True) -> str:
    if isinstance(given, str) and is_expression(given):
        return value(given)
    return f"“{line(str(given))}”" if quoted and isinstance(given, str) else line(str(given))


def _cron(text: str) -> str:
    fields = text.split()
    if len(fields) == 5:
        minute, hour, day, month, weekday = fields
        days = _weekdays(weekday)
        if month == "*" and days is not None and (day == "*" or weekday == "*"):
            when = _on(day, days)
            time = _time(minute, hour)
            if when is not None and time is not None:
                return f"{when} {time} (UTC)" if when != "every day" else _daily(time)
    return f"at the times of the cron schedule “{line(text)}” (UTC)"


def _daily(time: str) -> str:
    return f"every day {time} (UTC)" if time.startswith("at ") else f"{time} (UTC)"


def _on(day: str, days: str) -> str | None:
    if day == "*":
        return f"on {days}" if days else "every day"
    return f"on day {int(day)} of every month" if _NUMBER.fullmatch(day) else None


def _time(minute: str, hour: str) -> str | None:
    step = _STEP.fullmatch(minute)
    if hour == "*" and (minute == "*" or step):
        count = int(step[1]) if step else 1
        return "every minute" if count == 1 else f"every {count} minutes"
    if not _NUMBER.fullmatch(minute):
        return None
    if hour == "*":
        return f"every hour at minute {int(minute)}"
    hours = hour.split(",")
    if not all(_NUMBER.fullmatch(each) for each in hours):
        return None
    return "at " + listed([f"{int(each):02}:{int(minute):02}" for each in hours])


def _weekdays(text: str) -> str | None:
    """Return days in words, empty for every day; None if it is not that simple."""
    if text == "*":
        return ""
    first, dash, last = text.partition("-")
    if dash:
        ends = [_weekday(first), _weekday(last)]
        return None if None in ends else f"{ends[0]} to {ends[1]}"
    named = [_weekday(each) for each in text.split(",")]
    return None if None in named else listed([each or "" for each in named])


def _weekday(text: str) -> str | None:
    if text.lower() in _CODES:
        return _DAYS[_CODES[text.lower()]]
    return _DAYS[int(text) % 7] if text in tuple("01234567") else None
