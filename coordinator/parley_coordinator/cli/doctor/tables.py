"""Checks of what is in a coordinator's database, whichever it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select, text

from parley_coordinator.cli.doctor.findings import Finding, ok, problem, warning
from parley_coordinator.store import coordinators, runs
from parley_coordinator.store.migrations import HEAD, revision
from parley_coordinator.store.tables import RUN, from_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from parley_coordinator.store.coordinators import Coordinator

SKEW: Final = timedelta(seconds=2)
SILENT: Final = timedelta(minutes=15)
"""A run that says that it runs, and has not changed for so long, is stuck."""
LATE: Final = timedelta(minutes=1)
"""The sweep of a coordinator looks twice in this time."""
_MAX_TOLD: Final = 5
_QUEUED: Final = "status IN ('ENQUEUED', 'DELAYED', 'PENDING')"
_WAITING: Final = text("SELECT id, segment FROM run WHERE state = 'waiting'")


def schema(connection: Connection) -> list[Finding]:
    found = revision(connection)
    if found is None:
        return [ok("schema", "there are no tables yet; the first start makes them")]
    if found == HEAD:
        return [ok("schema", f"schema version {int(HEAD)}, as this program needs it")]
    what = f"schema version {found.lstrip('0') or found}, this program needs {int(HEAD)}"
    if found.isdigit() and int(found) < int(HEAD):
        return [warning("schema", what, "make a backup; the next start brings it up to date")]
    return [problem("schema", what, "use the program that wrote it, or another database")]


def is_current(connection: Connection) -> bool:
    """Whether there are tables, and such as the checks below can read."""
    return revision(connection) == HEAD


def clock(machine: datetime, database: datetime) -> list[Finding]:
    """Compare the two clocks, read at about the same time."""
    skew = abs(machine - database)
    what = f"the clocks of machine and database are {skew.total_seconds():.1f} s apart"
    if skew > SKEW:
        do = "have both follow a time server: times in the journal come from the machines"
        return [problem("clock", what, do)]
    return [ok("clock", what)]


def newest(connection: Connection, now: datetime) -> list[Finding]:
    """Say whether something was written at a time that is still to come."""
    last = connection.execute(select(func.max(RUN.c.updated_at))).scalar_one()
    if last is not None and from_text(last) > now + SKEW:
        what = f"a run was changed at {last}, and that is still to come"
        return [
            warning("clock", what, "set the clock of this machine, and look at its time server")
        ]
    return [ok("clock", "nothing was written at a time that is still to come")]


def leases(known: Sequence[Coordinator], lost: int) -> list[Finding]:
    """Say which coordinators share the database.

    Args:
        lost: So many runs are held by one that is gone.
    """
    alive = [each for each in known if each.alive]
    findings = [
        ok("leases", f"{each.host}:{each.pid} is alive, seen {each.beat_age_s:.0f} s ago")
        for each in alive
        if each.beat_age_s < SILENT.total_seconds()
    ]
    findings += [
        warning(
            "leases",
            f"{each.host}:{each.pid} was seen {each.beat_age_s / 60:.0f} min ago, and nobody took over",
            "start a coordinator on this database: it takes over what is left",
        )
        for each in alive
        if each.beat_age_s >= SILENT.total_seconds()
    ]
    if lost:
        what = f"{_runs(lost)} held by a coordinator that is gone"
        do = "nothing, within a minute" if alive else "start a coordinator on this database"
        findings.append(warning("leases", what, do))
    return findings or [ok("leases", "no coordinator is running on this database")]


def held_by_nobody(connection: Connection) -> int:
    return len(list(coordinators.lost(connection)))


def stuck(connection: Connection, now: datetime) -> list[Finding]:
    """Say which runs do not get on without somebody."""
    found = runs.page(connection, limit=1000, before=None, stuck_since=now - SILENT)
    if not found:
        return [ok("stuck", "no run needs an operator")]
    what = f"{_runs(len(found))} stuck: {_some([each.run.id for each in found])}"
    return [warning("stuck", what, "see `parley runs --stuck`, and `parley why RUN`")]


def overdue(connection: Connection, now: datetime) -> list[Finding]:
    """Say which runs wait for a time that has passed."""
    late = [each.id for each in runs.stalled(connection, now - LATE) if each.overdue]
    if not late:
        return [ok("overdue", "no run waits for a time that has passed")]
    what = f"{_runs(len(late))} late: {_some(late)}"
    return [warning("overdue", what, "start a coordinator; if one runs, look at its log")]


def unqueued(waiting: Sequence[tuple[str, int]], queued: set[str]) -> list[Finding]:
    """Say which runs wait that nothing would wake.

    Args:
        waiting: Run and segment that is to go on with it.
        queued: What is on the queue, as `run#segment`.
    """
    lost = [run for run, segment in waiting if f"{run}#{segment}" not in queued]
    if not lost:
        return [ok("queue", f"{_runs(len(waiting))} waiting, all on the queue")]
    what = f"{_runs(len(lost))} waiting and not on the queue: {_some(lost)}"
    do = "start a coordinator: its sweep puts them back within a minute"
    return [warning("queue", what, do)]


def waiting(connection: Connection) -> list[tuple[str, int]]:
    return [(row.id, row.segment) for row in connection.execute(_WAITING)]


def queued(connection: Connection, table: str) -> set[str]:
    """Return what is on the queue in a table of DBOS, as `run#segment`."""
    sql = f"SELECT workflow_uuid FROM {table} WHERE {_QUEUED}"  # noqa: S608 - names of ours
    return set(connection.exec_driver_sql(sql).scalars())


def now() -> datetime:
    return datetime.now(UTC)


def _runs(count: int) -> str:
    return "1 run is" if count == 1 else f"{count} runs are"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_TOLD} more" if len(names) > _MAX_TOLD else ""
    return f"{', '.join(names[:_MAX_TOLD])}{more}"
