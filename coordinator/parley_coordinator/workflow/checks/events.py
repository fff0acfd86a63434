"""Events have what CloudEvents asks for; schedules come due, and start what they can start."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from croniter import CroniterError, croniter

from parley_coordinator.workflow.checks.report import Report
from parley_coordinator.workflow.checks.schema_shapes import shape_of_schema
from parley_coordinator.workflow.checks.scopes import filters_of, strategy_scopes
from parley_coordinator.workflow.checks.sites import Site
from parley_coordinator.workflow.document import Schedule
from parley_coordinator.workflow.events import Strategy
from parley_coordinator.workflow.expressions import is_expression
from parley_coordinator.workflow.findings import escape
from parley_coordinator.workflow.schedules import LEAST
from parley_coordinator.workflow.tasks import EmitTask, ListenTask

_ATTRIBUTE: Final = re.compile(r"[a-z0-9]{1,20}", re.ASCII)
_TEXTS: Final = ("type", "source", "subject", "id", "dataschema", "datacontenttype", "time")
_CRON_FIELDS: Final = 5
_EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""A schedule that does not come due in the half century after is none."""


def events(report: Report, site: Site) -> None:
    match site.task:
        case EmitTask():
            _attributes(report, f"{site.path}/emit/event/with", site.task.emit.event.with_)
        case ListenTask():
            _strategy(report, f"{site.path}/listen/to", site.task.listen.to)


def _strategy(report: Report, path: str, strategy: Strategy) -> None:
    for where, each in filters_of(strategy, path):
        _attributes(report, f"{where}/with", each.with_)
        if "type" not in each.with_:
            message = "the filter does not say which type of event it takes"
            report.add(f"{where}/with", "event", message, "add type: com.example.thing.v1")
    if isinstance(strategy.until, Strategy):
        _strategy(report, f"{path}/until", strategy.until)


def _attributes(report: Report, path: str, given: dict[str, Any]) -> None:
    for name, value in given.items():
        here = f"{path}/{escape(name)}"
        if not _ATTRIBUTE.fullmatch(name):
            message = f"{name[:40]!r} is no attribute of a CloudEvent"
            report.add(here, "event", message, "use lower-case letters and digits", key=True)
        elif name in _TEXTS and (not isinstance(value, str) or not value):
            message = f"{name!r} of an event is text"
            report.add(here, "event", message, "write text, or an expression")


def schedule(report: Report) -> None:
    given = report.document.schedule
    if given is None:
        return
    for name, length in (("every", given.every), ("after", given.after)):
        _length(report, f"/schedule/{name}", length)
    if given.cron is not None:
        _cron(report, given.cron)
    if given.on is not None:
        _strategy(report, "/schedule/on", given.on)
        strategy_scopes(report, "/schedule/on", given.on, frozenset())
    _input(report, given)


def _length(report: Report, path: str, length: timedelta | str | None) -> None:
    if isinstance(length, str):
        message = "when a run starts cannot be computed by the run"
        report.add(path, "schedule", message, "write a duration such as PT1H")
    elif length is not None and length < LEAST:
        message = (
            "the schedule is shorter than a second" if length else "the schedule has no length"
        )
        report.add(path, "schedule", message, "write PT1S or more")


def _cron(report: Report, text: str) -> None:
    fix = 'write minute, hour, day, month and weekday: "0 6 * * 1-5"'
    fields = text.split()
    if is_expression(text) or len(fields) != _CRON_FIELDS:
        report.add("/schedule/cron", "schedule", "a cron has five fields", fix)
        return
    try:
        croniter(text, _EPOCH).get_next(datetime)
    except (CroniterError, ValueError, OverflowError) as exc:
        reason = " ".join(str(exc).split())[:120]
        report.add("/schedule/cron", "schedule", f"it never comes due: {reason}", fix)


def _input(report: Report, given: Schedule) -> None:
    """A scheduled run gets the array of the events that started it, or null."""
    schema = report.document.input_schema
    if schema is None:
        return
    path = "/input/schema/document"
    if given.on is None:
        problems = report.document.input_problems(None)
        if problems:
            message = f"the schedule starts runs with null, which does not fit: {problems[0]}"
            report.add(path, "schedule-input", message, "let the input be null, too")
    elif "array" not in shape_of_schema(schema).kinds:
        message = "the schedule starts runs with the array of events, which does not fit"
        report.add(path, "schedule-input", message, "let the input be an array, too")
