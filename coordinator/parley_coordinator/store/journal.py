"""The journal: rows are added, never changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from parley_wire.database import Prepared
from sqlalchemy import text

from parley_coordinator.model import Entry, Place
from parley_coordinator.store.tables import from_text, to_text

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

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


def read(connection: Connection, run_id: str, after: int = 0) -> list[Entry]:
    """Return the rows of a run with `seq > after`, oldest first."""
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
        for row in connection.execute(_READ, {"run_id": run_id, "after": after})
    ]


def last(connection: Connection, run_id: str) -> int:
    """Return the highest `seq` of a run; 0 when it has no rows."""
    return int(connection.execute(_LAST, {"run_id": run_id}).scalar_one())
