"""The journal: rows are added, never changed."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from parley_wire.database import Prepared
from sqlalchemy import text

from parley_coordinator.model import Entry, Place
from parley_coordinator.store.tables import from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection, Row

_APPEND = Prepared(
    text(
        """
    INSERT INTO journal (run_id, path, attempt, kind, seq, at, body)
    SELECT :run_id, :path, :attempt, :kind,
           (SELECT coalesce(max(seq), 0) + 1 FROM journal WHERE run_id = :run_id), :at, :body
    WHERE true
    ON CONFLICT (run_id, path, attempt, kind) DO NOTHING
    """
    )
)
_READ = text(
    "SELECT run_id, seq, path, attempt, kind, at, body FROM journal"
    " WHERE run_id = :run_id AND seq > :after ORDER BY seq"
)
_AT = text(
    "SELECT run_id, seq, path, attempt, kind, at, body FROM journal"
    " WHERE run_id = :run_id AND path = :path AND attempt = :attempt ORDER BY seq"
)
_OF_KIND = text(
    "SELECT run_id, seq, path, attempt, kind, at, body FROM journal"
    " WHERE run_id = :run_id AND (kind = :kind OR kind LIKE :numbered) ORDER BY seq"
)
_CHANGED = text("SELECT updated_at FROM run WHERE id = :run_id")
_LAST = text("SELECT coalesce(max(seq), 0) FROM journal WHERE run_id = :run_id")


def append(
    connection: Connection, run_id: str, place: Place, kind: str, at: datetime, body: dict[str, Any]
) -> bool:
    """Add a row; False if one of this place and kind is there already: that one stands."""
    done = _APPEND.run(
        connection,
        run_id=run_id,
        path=place.path,
        attempt=place.attempt,
        kind=kind,
        at=to_text(at),
        body=json.dumps(body, separators=(",", ":")),
    )
    return done.rowcount == 1


def tell(
    connection: Connection, run_id: str, place: Place, kind: str, at: datetime, body: dict[str, Any]
) -> bool:
    """Add a row from outside of the run's own advance, as `append` does.

    It is never older than the park that it comes after, however slow it was, or the clock of whoever
    writes it: by that the sweep tells that nobody has woken the run.
    """
    changed = connection.execute(_CHANGED, {"run_id": run_id}).scalar_one_or_none()
    if changed is not None:
        at = max(at, from_text(changed) + timedelta(microseconds=1))
    return append(connection, run_id, place, kind, at, body)


def read(connection: Connection, run_id: str, after: int = 0) -> list[Entry]:
    """Return the rows of a run with `seq > after`, oldest first."""
    return _entries(connection.execute(_READ, {"run_id": run_id, "after": after}))


def at(connection: Connection, run_id: str, place: Place) -> list[Entry]:
    """Return the rows of one place, oldest first."""
    given = {"run_id": run_id, "path": place.path, "attempt": place.attempt}
    return _entries(connection.execute(_AT, given))


def of_kind(connection: Connection, run_id: str, kind: str) -> list[Entry]:
    """Return the rows of a run of one kind, `kind.N` included, oldest first."""
    given = {"run_id": run_id, "kind": kind, "numbered": f"{kind}.%"}
    return _entries(connection.execute(_OF_KIND, given))


def last(connection: Connection, run_id: str) -> int:
    """Return the highest `seq` of a run; 0 when it has no rows."""
    return int(connection.execute(_LAST, {"run_id": run_id}).scalar_one())


def _entries(rows: Iterable[Row[Any]]) -> list[Entry]:
    return [
        Entry(
            run_id=row.run_id,
            seq=row.seq,
            path=row.path,
            attempt=row.attempt,
            kind=row.kind,
            at=from_text(row.at),
            body=json.loads(row.body),
        )
        for row in rows
    ]
