"""Runs, the documents they are pinned to, and the requests that started them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from parley_wire.database import Prepared
from sqlalchemy import and_, or_, select, text, tuple_

from parley_coordinator.model import Parent, Run, RunState
from parley_coordinator.store.tables import CANDIDATE, ITEM, RUN, from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Row

_INSERT = text(
    """
    INSERT INTO run (id, workflow, version, digest, context_id, state, segment, input, output, error,
                     waiting_for, parent, awaited_by, depth, requested_by, created_at, updated_at)
    VALUES (:id, :workflow, :version, :digest, :context_id, 'running', 0, :input, NULL, NULL,
            '[]', :parent, :awaited_by, :depth, :requested_by, :at, :at)
    """
)
_GET = text("SELECT * FROM run WHERE id = :id")
_IS_OPEN = Prepared(text("SELECT 1 FROM run WHERE id = :id AND state IN ('running', 'waiting')"))
# What changes a run says that its webhooks have something to tell, and NULL, no webhook, stays NULL.
_FINISH = text(
    """
    UPDATE run SET state = :state, output = :output, error = :error, waiting_for = '[]',
                   wake_at = NULL, updated_at = :at, holder = NULL, to_tell = to_tell * 0 + 1
    WHERE id = :id AND state IN ('running', 'waiting')
    """
)
_PARK = text(
    """
    UPDATE run SET state = 'waiting', segment = :segment, waiting_for = :waiting_for,
                   wake_at = :wake_at, updated_at = :at, holder = NULL, to_tell = to_tell * 0 + 1
    WHERE id = :id AND state IN ('running', 'waiting') AND segment < :segment
      AND coalesce(holder, :by) = :by
    """
)
_RESUME = text(
    "UPDATE run SET state = 'running', waiting_for = '[]', wake_at = NULL, updated_at = :at,"
    " to_tell = to_tell * 0 + 1 WHERE id = :id AND state = 'waiting'"
)
_GET_DOCUMENT = text("SELECT json FROM document WHERE digest = :digest")
_GET_REQUEST = text("SELECT digest, run_id FROM request WHERE caller = :caller AND key = :key")
_KEEP_REQUEST = text(
    "INSERT INTO request (caller, key, digest, run_id, at) VALUES (:caller, :key, :digest, :run_id, :at)"
)
_ASKED = text("SELECT 1 FROM candidate WHERE run_id = :run_id AND title = :title LIMIT 1")
_STALLED = text(
    """
    SELECT * FROM (
        SELECT id, segment, state = 'running' AS interrupted,
               CASE WHEN (SELECT at FROM journal WHERE run_id = run.id
                          ORDER BY seq DESC LIMIT 1) > run.updated_at
                    THEN EXISTS (SELECT 1 FROM journal WHERE run_id = run.id
                                 AND at > run.updated_at AND kind NOT LIKE 'cancelled%')
                    ELSE false END AS has_news,
               coalesce(wake_at < :before, false) AS overdue
        FROM run WHERE state IN ('running', 'waiting')
          AND NOT EXISTS (SELECT 1 FROM coordinator
                          WHERE id = run.holder AND id <> :by AND reaped_by IS NULL)
    ) AS open WHERE interrupted OR has_news OR overdue
    """
)
_WAITING = text(
    """
    SELECT id, segment, created_at, false AS interrupted,
           EXISTS (SELECT 1 FROM journal WHERE run_id = run.id AND at > run.updated_at
                   AND kind NOT LIKE 'cancelled%') AS has_news,
           coalesce(wake_at < :before, false) AS overdue
    FROM run WHERE state = 'waiting' AND (created_at, id) > (:created_at, :id)
    ORDER BY created_at, id LIMIT :limit
    """
)
_ORPHANS = text(
    """
    SELECT run.id FROM run JOIN run AS parent ON parent.id = run.awaited_by
    WHERE run.state IN ('running', 'waiting')
      AND parent.state IN ('completed', 'faulted', 'cancelled')
    """
)


FIRST: Final = ("", "")
"""Where the first page of waiting runs begins."""


class Request(NamedTuple):
    """What an idempotency key was first used for."""

    digest: str
    run_id: str


class Unfinished(NamedTuple):
    """A run that is not in a final state, with what tells that it should have gone on."""

    id: str
    segment: int
    interrupted: bool
    """It was being advanced, or was about to be; by now it is not, unless in this process."""
    has_news: bool
    """A row came to its journal after it had parked: a decision."""
    overdue: bool
    """A time for which it waits has passed."""


class Stored(NamedTuple):
    """A run with what only the engine needs of it."""

    run: Run
    segment: int


def insert(connection: Connection, run: Run) -> None:
    connection.execute(
        _INSERT,
        {
            "id": run.id,
            "workflow": run.workflow,
            "version": run.version,
            "digest": run.digest,
            "context_id": run.context_id,
            "input": json.dumps(run.input, separators=(",", ":")),
            "parent": None if run.parent is None else json.dumps(run.parent.as_json()),
            "awaited_by": run.parent.run if run.parent is not None and run.parent.waits else None,
            "depth": run.depth,
            "requested_by": run.requested_by,
            "at": to_text(run.created_at),
        },
    )


def get(connection: Connection, run_id: str) -> Stored | None:
    row = connection.execute(_GET, {"id": run_id}).first()
    return None if row is None else _stored(row)


def is_open(connection: Connection, run_id: str) -> bool:
    """Whether a run has not ended."""
    return _IS_OPEN.run(connection, id=run_id).first() is not None


def finish(
    connection: Connection,
    run_id: str,
    state: RunState,
    *,
    at: datetime,
    output: Any = None,
    error: dict[str, Any] | None = None,
) -> bool:
    """Move a run to a final state; False if it is in one already."""
    done = connection.execute(
        _FINISH,
        {
            "id": run_id,
            "state": str(state),
            "output": None if output is None else json.dumps(output, separators=(",", ":")),
            "error": None if error is None else json.dumps(error, separators=(",", ":")),
            "at": to_text(at),
        },
    )
    return done.rowcount == 1


def park(
    connection: Connection,
    run_id: str,
    segment: int,
    waiting_for: list[dict[str, Any]],
    at: datetime,
    by: str = "",
) -> None:
    """Record that a run waits, and which segment goes on with it; a later segment stands.

    Args:
        by: Who parks it; a run that another one holds stays as it is.
    """
    connection.execute(
        _PARK,
        {
            "id": run_id,
            "segment": segment,
            "waiting_for": json.dumps(waiting_for, separators=(",", ":")),
            "wake_at": _wake_at(waiting_for),
            "at": to_text(at),
            "by": by,
        },
    )


def resume(connection: Connection, run_id: str, at: datetime) -> None:
    connection.execute(_RESUME, {"id": run_id, "at": to_text(at)})


def stalled(connection: Connection, before: datetime, by: str = "") -> list[Unfinished]:
    """Return the runs that should be going on, but for those that others than `by` advance.

    What waits for a time before `before` is overdue. A journal whose last row is from before its run
    parked is not read any further.
    """
    key = {"before": to_text(before), "by": by}
    return [_unfinished(row) for row in connection.execute(_STALLED, key)]


def waiting(
    connection: Connection, before: datetime, *, after: tuple[str, str], limit: int
) -> tuple[list[Unfinished], tuple[str, str]]:
    """Return at most `limit` runs that wait, oldest first, and where the next page begins.

    Args:
        after: Where this one begins; `FIRST` for the first.
    """
    key = {"before": to_text(before), "created_at": after[0], "id": after[1], "limit": limit}
    rows = list(connection.execute(_WAITING, key))
    end = (str(rows[-1].created_at), str(rows[-1].id)) if len(rows) == limit else FIRST
    return [_unfinished(row) for row in rows], end


def orphans(connection: Connection) -> list[str]:
    """Return the runs under way that a run waited for which has ended."""
    return list(connection.execute(_ORPHANS).scalars())


def asked(connection: Connection, run_id: str, titles: frozenset[str]) -> bool:
    """Whether an item of this run, open or closed, names one of these titles as a candidate."""
    return any(
        connection.execute(_ASKED, {"run_id": run_id, "title": title}).first() is not None
        for title in sorted(titles)
    )


def page(
    connection: Connection,
    *,
    limit: int,
    before: tuple[str, str] | None,
    workflow: str | None = None,
    states: Iterable[RunState] | None = None,
    context_id: str | None = None,
    visible_to: tuple[str, frozenset[str]] | None = None,
    stuck_since: datetime | None = None,
) -> list[Stored]:
    """Return at most `limit` runs, newest first.

    Args:
        before: `(created_at text, id)` of the last run of the previous page.
        stuck_since: Only runs that have an open incident, could not be advanced, or are said to
            run and have not changed since this time.
        visible_to: Only runs that this subject requested, or with an item for one of these titles.
    """
    query = select(RUN).order_by(RUN.c.created_at.desc(), RUN.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(tuple_(RUN.c.created_at, RUN.c.id) < tuple_(*before))
    if workflow is not None:
        query = query.where(RUN.c.workflow == workflow)
    if states is not None:
        query = query.where(RUN.c.state.in_([str(state) for state in states]))
    if context_id is not None:
        query = query.where(RUN.c.context_id == context_id)
    if visible_to is not None:
        subject, titles = visible_to
        asked = select(CANDIDATE.c.run_id).where(CANDIDATE.c.title.in_(sorted(titles)))
        query = query.where(or_(RUN.c.requested_by == subject, RUN.c.id.in_(asked)))
    if stuck_since is not None:
        incidents = select(ITEM.c.run_id).where(ITEM.c.state == "ready", ITEM.c.kind == "incident")
        silent = and_(RUN.c.state == "running", RUN.c.updated_at < to_text(stuck_since))
        troubled = and_(RUN.c.state == "waiting", RUN.c.waiting_for.like('%"kind":"engine"%'))
        query = query.where(or_(troubled, silent, RUN.c.id.in_(incidents)))
    return [_stored(row) for row in connection.execute(query)]


def get_document(connection: Connection, digest: str) -> Any | None:
    body = connection.execute(_GET_DOCUMENT, {"digest": digest}).scalar_one_or_none()
    return None if body is None else json.loads(body)


def get_request(connection: Connection, caller: str, key: str) -> Request | None:
    row = connection.execute(_GET_REQUEST, {"caller": caller, "key": key}).first()
    return None if row is None else Request(row.digest, row.run_id)


def keep_request(
    connection: Connection, *, caller: str, key: str, digest: str, run_id: str, at: datetime
) -> None:
    connection.execute(
        _KEEP_REQUEST,
        {"caller": caller, "key": key, "digest": digest, "run_id": run_id, "at": to_text(at)},
    )


def _wake_at(waiting_for: list[dict[str, Any]]) -> str | None:
    times = [datetime.fromisoformat(each["until"]) for each in waiting_for if each["until"]]
    return to_text(min(times)) if times else None


def _unfinished(row: Row[Any]) -> Unfinished:
    return Unfinished(
        row.id, row.segment, bool(row.interrupted), bool(row.has_news), bool(row.overdue)
    )


def _stored(row: Row[Any]) -> Stored:
    run = Run(
        id=row.id,
        workflow=row.workflow,
        version=row.version,
        digest=row.digest,
        state=RunState(row.state),
        input=json.loads(row.input),
        output=None if row.output is None else json.loads(row.output),
        error=None if row.error is None else json.loads(row.error),
        waiting_for=json.loads(row.waiting_for),
        requested_by=row.requested_by,
        created_at=from_text(row.created_at),
        updated_at=from_text(row.updated_at),
        context_id=row.context_id,
        parent=None if row.parent is None else Parent(**json.loads(row.parent)),
        depth=row.depth,
    )
    return Stored(run, row.segment)
