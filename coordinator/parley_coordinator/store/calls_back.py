"""What runs have left at agents and do not need any more, until its end is known or it is given up.

A row is written in the transaction that makes something unneeded, and deleted in the one that writes its
end into the journal: whoever dies in between leaves it to the next look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from parley_coordinator.model import Place
from parley_coordinator.store.tables import from_text, to_text

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Row

_OWE = text(
    """
    INSERT INTO call_back (run_id, path, attempt, since, due_at, tries)
    VALUES (:run_id, :path, :attempt, :at, :due, 0)
    ON CONFLICT (run_id, path, attempt) DO UPDATE SET due_at = excluded.due_at
    """
)
_OWE_OPEN = text(
    """
    INSERT INTO call_back (run_id, path, attempt, since, due_at, tries)
    SELECT begun.run_id, begun.path, begun.attempt, :at, :due, 0 FROM journal AS begun
    WHERE begun.run_id = :run_id AND begun.kind = 'intended'
      AND NOT EXISTS (
        SELECT 1 FROM journal AS ended
        WHERE ended.run_id = begun.run_id AND ended.path = begun.path
          AND ended.attempt = begun.attempt
          AND ended.kind IN ('observed', 'failed', 'cancelled'))
    ON CONFLICT (run_id, path, attempt) DO NOTHING
    """
)
_DUE = text(
    "SELECT run_id, path, attempt, since, due_at, tries FROM call_back WHERE due_at <= :before"
    " ORDER BY due_at LIMIT :limit"
)
_NEXT = text("SELECT min(due_at) FROM call_back")
_PUT_OFF = text(
    "UPDATE call_back SET due_at = :due, tries = :tries"
    " WHERE run_id = :run_id AND path = :path AND attempt = :attempt"
)
_SETTLE = text(
    "DELETE FROM call_back WHERE run_id = :run_id AND path = :path AND attempt = :attempt"
)


@dataclass(frozen=True, slots=True)
class Owed:
    """Something that an agent is to be asked to stop."""

    run_id: str
    place: Place
    since: datetime
    tries: int
    """So often was it asked in vain, but for the first time."""


def owe(connection: Connection, run_id: str, place: Place, *, at: datetime, due: datetime) -> None:
    """Have a place called back at `due`; what is owed already is due then, and as old as it was."""
    times = {"at": to_text(at), "due": to_text(due)}
    connection.execute(_OWE, {**_key(run_id, place), **times})


def owe_open(connection: Connection, run_id: str, *, at: datetime, due: datetime) -> None:
    """Have everything called back that a run has begun, and of which no end is known."""
    connection.execute(_OWE_OPEN, {"run_id": run_id, "at": to_text(at), "due": to_text(due)})


def take(connection: Connection, *, before: datetime, until: datetime, limit: int) -> list[Owed]:
    """Return what is due before a time; nobody else gets it until another one."""
    rows = connection.execute(_DUE, {"before": to_text(before), "limit": limit}).all()
    found = [_owed(row) for row in rows]
    for each in found:
        put_off(connection, each, due=until, tries=each.tries)
    return found


def next_due(connection: Connection) -> datetime | None:
    found = connection.execute(_NEXT).scalar_one_or_none()
    return None if found is None else from_text(found)


def put_off(connection: Connection, owed: Owed, *, due: datetime, tries: int) -> None:
    given = {**_key(owed.run_id, owed.place), "due": to_text(due), "tries": tries}
    connection.execute(_PUT_OFF, given)


def settle(connection: Connection, run_id: str, place: Place) -> None:
    connection.execute(_SETTLE, _key(run_id, place))


def _key(run_id: str, place: Place) -> dict[str, str]:
    return {"run_id": run_id, "path": place.path, "attempt": place.attempt}


def _owed(row: Row[tuple[str, str, str, str, str, int]]) -> Owed:
    place = Place(path=row.path, attempt=row.attempt)
    return Owed(row.run_id, place, from_text(row.since), row.tries)
