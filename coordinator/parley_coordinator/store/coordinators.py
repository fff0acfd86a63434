"""The coordinators that share one database, and which of them advances which run (ADR-0015).

Who is alive is measured by the clock of the database alone. A coordinator whose beat is overdue is
*reaped*: from then on it may write nothing, and what it held is anybody's. Reaping and claiming are
writes, and writers take turns: what a transaction finds here holds until it commits.

With SQLite there is one coordinator: no rows here, and no holders.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import text

from parley_coordinator.store.tables import to_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

_NOW_MS: Final = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
_ALIVE: Final = "SELECT id FROM coordinator WHERE reaped_by IS NULL"
# Nothing but constants of this module is put into SQL.
_JOIN = text(
    f"""
    INSERT INTO coordinator (id, host, pid, version, started_ms, beat_ms)
    VALUES (:id, :host, :pid, :version, {_NOW_MS}, {_NOW_MS})
    """  # noqa: S608
)
_BEAT = text(
    f"UPDATE coordinator SET beat_ms = {_NOW_MS} WHERE id = :id AND reaped_by IS NULL"  # noqa: S608
)
_IS_ALIVE = text("SELECT 1 FROM coordinator WHERE id = :id AND reaped_by IS NULL")
_OVERDUE = text(
    f"""
    SELECT 1 FROM coordinator WHERE reaped_by IS NULL AND beat_ms < {_NOW_MS} - :ttl_ms LIMIT 1
    """  # noqa: S608
)
_REAP = text(
    f"""
    UPDATE coordinator SET reaped_by = :by, reaped_ms = {_NOW_MS}
    WHERE reaped_by IS NULL AND beat_ms < {_NOW_MS} - :ttl_ms RETURNING id
    """  # noqa: S608
)
_LEAVE = text(
    f"""
    UPDATE coordinator SET reaped_by = id, reaped_ms = {_NOW_MS}
    WHERE id = :id AND reaped_by IS NULL
    """  # noqa: S608
)
_GONE = text("SELECT id FROM coordinator WHERE reaped_by IS NOT NULL ORDER BY reaped_ms")
_FORGET = text(
    f"""
    DELETE FROM coordinator WHERE reaped_ms < {_NOW_MS} - :keep_ms
      AND NOT EXISTS (SELECT 1 FROM run WHERE run.holder = coordinator.id)
    """  # noqa: S608
)
_LISTED = text(
    f"""
    SELECT id, host, pid, version, started_ms, {_NOW_MS} - beat_ms AS age_ms, reaped_by
    FROM coordinator ORDER BY started_ms, id
    """  # noqa: S608
)
_CLAIM = text(
    f"""
    UPDATE run SET holder = :me, state = 'running', waiting_for = '[]', wake_at = NULL,
                   updated_at = CASE WHEN state = 'waiting' THEN :at ELSE updated_at END,
                   to_tell = to_tell * 0 + 1
    WHERE id = :run_id AND state IN ('running', 'waiting') AND segment <= :segment
      AND (holder IS NULL OR holder = :me OR holder NOT IN ({_ALIVE}))
    """  # noqa: S608
)
_SEGMENT = text("SELECT segment FROM run WHERE id = :run_id AND state IN ('running', 'waiting')")
_HOLDS = text(
    "SELECT 1 FROM run WHERE id = :run_id AND holder = :me AND state IN ('running', 'waiting')"
)
_LOST = text(
    f"""
    SELECT id, segment FROM run
    WHERE holder IS NOT NULL AND state IN ('running', 'waiting') AND holder NOT IN ({_ALIVE})
    """  # noqa: S608
)


class Member(NamedTuple):
    """One run of a coordinator's process; its id is never used again."""

    id: str
    host: str
    pid: int
    version: str


class Coordinator(NamedTuple):
    """A coordinator as the others see it."""

    id: str
    host: str
    pid: int
    version: str
    started_at: datetime
    beat_age_s: float
    alive: bool
    """False: it has stopped, or was found dead."""


class Claim(StrEnum):
    """What came of asking for a run."""

    MINE = "mine"
    """Nobody else advances it until it parks, ends, or this coordinator is reaped."""
    LATER = "later"
    """Another one is about to park it at the segment that was asked for, or an earlier one."""
    NOT_NEEDED = "not needed"
    """It has ended, is farther already, or another one does what was asked for."""


def join(connection: Connection, member: Member) -> None:
    connection.execute(_JOIN, member._asdict())


def beat(connection: Connection, id_: str) -> bool:
    """Say that a coordinator is alive; False if it has been reaped."""
    return connection.execute(_BEAT, {"id": id_}).rowcount == 1


def is_alive(connection: Connection, id_: str) -> bool:
    return connection.execute(_IS_ALIVE, {"id": id_}).first() is not None


def overdue(connection: Connection, ttl_ms: int) -> bool:
    """Whether there is anybody to reap."""
    return connection.execute(_OVERDUE, {"ttl_ms": ttl_ms}).first() is not None


def reap(connection: Connection, ttl_ms: int, by: str) -> list[str]:
    """Take every lease whose last beat is older than `ttl_ms`; return whose they were."""
    return list(connection.execute(_REAP, {"ttl_ms": ttl_ms, "by": by}).scalars())


def leave(connection: Connection, id_: str) -> None:
    """Give up one's own lease: the others need not wait for it to run out."""
    connection.execute(_LEAVE, {"id": id_})


def gone(connection: Connection) -> list[str]:
    """Return those that were reaped or have left, the first ones first."""
    return list(connection.execute(_GONE).scalars())


def forget(connection: Connection, keep_ms: int) -> None:
    """Delete the rows of those that are gone for longer than `keep_ms` and hold nothing."""
    connection.execute(_FORGET, {"keep_ms": keep_ms})


def listed(connection: Connection) -> list[Coordinator]:
    """Return all that are known, the oldest first; none with SQLite."""
    if connection.dialect.name == "sqlite":
        return []
    return [
        Coordinator(
            id=row.id,
            host=row.host,
            pid=row.pid,
            version=row.version,
            started_at=datetime.fromtimestamp(row.started_ms / 1000, UTC),
            beat_age_s=row.age_ms / 1000,
            alive=row.reaped_by is None,
        )
        for row in connection.execute(_LISTED)
    ]


def claim(connection: Connection, run_id: str, segment: int, me: str, at: datetime) -> Claim:
    """Take a run that nobody alive holds, to advance it at `segment`; it is `running` then.

    Claiming what one holds is harmless. Parking and finishing it give it back.
    """
    key = {"run_id": run_id, "segment": segment, "me": me, "at": to_text(at)}
    if connection.execute(_CLAIM, key).rowcount == 1:
        return Claim.MINE
    stored = connection.execute(_SEGMENT, {"run_id": run_id}).scalar_one_or_none()
    return Claim.LATER if stored is not None and stored < segment else Claim.NOT_NEEDED


def holds(connection: Connection, run_id: str, me: str) -> bool:
    """Whether a run has not ended, and `me` is who advances it."""
    return connection.execute(_HOLDS, {"run_id": run_id, "me": me}).first() is not None


def lost(connection: Connection) -> Iterable[tuple[str, int]]:
    """Return the runs, with their segments, that were held by somebody who is gone."""
    return [(row.id, row.segment) for row in connection.execute(_LOST)]
