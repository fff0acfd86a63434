"""The schedules of the current versions, and the events that are gathered to start runs."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import text

from parley_coordinator.store.tables import from_text, to_text

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Row

_PUT = text(
    """
    INSERT INTO schedule (workflow, version, digest, json, kind, types, since, due, problem, problem_at)
    VALUES (:workflow, :version, :digest, :json, :kind, :types, :since, :due, :problem, :problem_at)
    ON CONFLICT (workflow) DO UPDATE SET
        version = excluded.version, digest = excluded.digest, json = excluded.json,
        kind = excluded.kind, types = excluded.types, since = excluded.since, due = excluded.due,
        last_at = NULL, last_run = NULL,
        problem = excluded.problem, problem_at = excluded.problem_at
    """
)
_EVERY = text("SELECT * FROM schedule ORDER BY workflow")
_SET_VERSION = text("UPDATE schedule SET version = :version WHERE workflow = :workflow")
_DELETE = text("DELETE FROM schedule WHERE workflow = :workflow")
_STARTED = text(
    """
    UPDATE schedule SET last_at = :at, last_run = :run, due = :due, problem = NULL, problem_at = NULL
    WHERE workflow = :workflow AND digest = :digest AND coalesce(due, '') = :was
    """
)
_REPORT = text(
    "UPDATE schedule SET problem = :problem, problem_at = :at"
    " WHERE workflow = :workflow AND digest = :digest"
)
_SET_DUE = text(
    "UPDATE schedule SET due = :due"
    " WHERE workflow = :workflow AND digest = :digest AND coalesce(due, '') = :was"
)
_AFTER_RUN = text("SELECT * FROM schedule WHERE kind = 'after' AND last_run = :run")

_GATHER = text(
    """
    INSERT INTO gathered (workflow, source, id, digest, set_id, state, heard)
    VALUES (:workflow, :source, :id, :digest, :set_id, :state, :heard)
    ON CONFLICT (workflow, source, id) DO NOTHING
    """
)
_KNOWN = text("SELECT 1 FROM gathered WHERE workflow = :workflow AND source = :source AND id = :id")
_SETS = text(
    """
    SELECT gathered.workflow, gathered.set_id, gathered.heard, event.event
    FROM gathered JOIN event ON event.source = gathered.source AND event.id = gathered.id
    WHERE gathered.state = :state
      AND (:workflow = '' OR gathered.workflow = :workflow AND gathered.digest = :digest)
    ORDER BY gathered.number
    """
)
_OPEN = text(
    """
    SELECT (SELECT digest FROM schedule WHERE workflow = :workflow) AS digest,
           coalesce(max(number), 0) AS last, count(*) AS size
    FROM gathered WHERE state = 'open' AND workflow = :workflow
    """
)
_SETTLE = text(
    "UPDATE gathered SET state = :state"
    " WHERE workflow = :workflow AND set_id = :set_id AND state = :was"
)
_DROP = text("UPDATE gathered SET state = 'dropped' WHERE workflow = :workflow AND state = 'open'")


class SetState(StrEnum):
    """How far a set of events is."""

    OPEN = "open"
    COMPLETE = "complete"
    """It will start a run."""
    STARTED = "started"
    REFUSED = "refused"
    """The workflow did not take it."""
    DROPPED = "dropped"
    """The schedule changed before it was complete."""


class Scheduled(NamedTuple):
    """A schedule and where it stands."""

    workflow: str
    version: str
    digest: str
    """Of the schedule alone."""
    json: dict[str, Any]
    kind: str
    types: list[str]
    """That it listens for; empty: any, or it does not listen."""
    since: datetime
    due: datetime | None
    last_at: datetime | None = None
    last_run: str | None = None
    problem: str | None = None
    """Why the last start failed; None if it did not."""
    problem_at: datetime | None = None


class Gathered(NamedTuple):
    """Events that start one run together."""

    workflow: str
    set_id: str
    events: list[tuple[dict[str, Any], bool]]
    """In the order they came; whether each is part of the input."""


class OpenSets(NamedTuple):
    """A schedule and its open sets: another one tells that they are not what they were."""

    digest: str | None
    last: int
    size: int


def put(connection: Connection, new: Scheduled) -> None:
    """Begin a schedule, in the place of what the workflow had before."""
    connection.execute(
        _PUT,
        {
            "workflow": new.workflow,
            "version": new.version,
            "digest": new.digest,
            "json": json.dumps(new.json),
            "kind": new.kind,
            "types": json.dumps(new.types),
            "since": to_text(new.since),
            "due": _text(new.due),
            "problem": new.problem,
            "problem_at": _text(new.problem_at),
        },
    )


def every(connection: Connection) -> list[Scheduled]:
    """Return all schedules, by workflow."""
    return [_scheduled(row) for row in connection.execute(_EVERY)]


def set_version(connection: Connection, workflow: str, version: str) -> None:
    connection.execute(_SET_VERSION, {"workflow": workflow, "version": version})


def delete(connection: Connection, workflow: str) -> None:
    connection.execute(_DELETE, {"workflow": workflow})


def started(
    connection: Connection, of: Scheduled, run_id: str, at: datetime, due: datetime | None
) -> None:
    """Note the start of a run, and when the next one is due; not if another was due meanwhile."""
    connection.execute(
        _STARTED, {**_as_read(of), "run": run_id, "at": to_text(at), "due": _text(due)}
    )


def report(connection: Connection, of: Scheduled, problem: str, at: datetime) -> None:
    key = {"workflow": of.workflow, "digest": of.digest}
    connection.execute(_REPORT, {**key, "problem": problem, "at": to_text(at)})


def set_due(connection: Connection, of: Scheduled, due: datetime | None) -> None:
    """Note when the next run is due; not if another was due meanwhile."""
    connection.execute(_SET_DUE, {**_as_read(of), "due": _text(due)})


def waiting_for_end(connection: Connection, run_id: str) -> list[Scheduled]:
    """Return the schedules whose next run is due some time after this one has ended."""
    return [_scheduled(row) for row in connection.execute(_AFTER_RUN, {"run": run_id})]


def gather(
    connection: Connection,
    of: Scheduled,
    event: dict[str, Any],
    set_id: str,
    *,
    heard: bool,
    complete: bool,
) -> None:
    """Add an event of the log to a set, once for each workflow.

    Args:
        heard: It is part of the input.
        complete: With it, the set starts a run.
    """
    key = {"workflow": of.workflow, "set_id": set_id}
    connection.execute(
        _GATHER,
        {
            **key,
            "source": event["source"],
            "id": event["id"],
            "digest": of.digest,
            "state": str(SetState.OPEN),
            "heard": int(heard),
        },
    )
    if complete:
        settle(connection, Gathered(of.workflow, set_id, []), SetState.OPEN, SetState.COMPLETE)


def gathered(connection: Connection, workflow: str, event: dict[str, Any]) -> bool:
    """Whether an event belongs to a set of this workflow already."""
    key = {"workflow": workflow, "source": event["source"], "id": event["id"]}
    return connection.execute(_KNOWN, key).first() is not None


def sets(connection: Connection, state: SetState, of: Scheduled | None = None) -> list[Gathered]:
    """Return the sets in a state, of one schedule or of all, the oldest first."""
    workflow, digest = ("", "") if of is None else (of.workflow, of.digest)
    found: dict[tuple[str, str], Gathered] = {}
    key = {"state": str(state), "workflow": workflow, "digest": digest}
    for row in connection.execute(_SETS, key):
        one = found.setdefault((row.workflow, row.set_id), Gathered(row.workflow, row.set_id, []))
        one.events.append((json.loads(row.event), bool(row.heard)))
    return list(found.values())


def open_sets(connection: Connection, workflow: str) -> OpenSets:
    row = connection.execute(_OPEN, {"workflow": workflow}).one()
    return OpenSets(row.digest, row.last, row.size)


def settle(connection: Connection, of: Gathered, was: SetState, state: SetState) -> bool:
    """Move a set from one state to another; False if it is no longer in the first."""
    key = {"workflow": of.workflow, "set_id": of.set_id, "was": str(was)}
    return connection.execute(_SETTLE, {**key, "state": str(state)}).rowcount > 0


def drop_open(connection: Connection, workflow: str) -> None:
    """Give up the sets that are not complete."""
    connection.execute(_DROP, {"workflow": workflow})


def _scheduled(row: Row[Any]) -> Scheduled:
    return Scheduled(
        workflow=row.workflow,
        version=row.version,
        digest=row.digest,
        json=json.loads(row.json),
        kind=row.kind,
        types=json.loads(row.types),
        since=from_text(row.since),
        due=_time(row.due),
        last_at=_time(row.last_at),
        last_run=row.last_run,
        problem=row.problem,
        problem_at=_time(row.problem_at),
    )


def _as_read(of: Scheduled) -> dict[str, str]:
    return {"workflow": of.workflow, "digest": of.digest, "was": _text(of.due) or ""}


def _text(at: datetime | None) -> str | None:
    return None if at is None else to_text(at)


def _time(text_: str | None) -> datetime | None:
    return None if text_ is None else from_text(text_)
