"""The event log, and who listens."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import literal, not_, select, text

from parley_coordinator.model import Place
from parley_coordinator.store.tables import ABOUT_WORKFLOWS, DOCUMENT, EVENT, from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

ANY: Final = ""
"""The type of a listener that may match an event of any type."""
LIFECYCLE: Final = "io.serverlessworkflow."
"""How the types of events about workflows begin."""

_INSERT = text(
    """
    INSERT INTO event (source, id, type, event, received_at, received_from, delivered)
    VALUES (:source, :id, :type, :event, :at, :by, 0) ON CONFLICT (source, id) DO NOTHING
    """
)
_SAME = text("SELECT event FROM event WHERE source = :source AND id = :id")
_UNDELIVERED = text(
    "SELECT * FROM event WHERE delivered = 0 AND seq > :after ORDER BY seq LIMIT :limit"
)
_DELIVERED = text("UPDATE event SET delivered = 1 WHERE source = :source AND id = :id")
_LISTEN = text(
    """
    INSERT INTO listener (run_id, path, attempt, type, filters, expected, after)
    SELECT :run_id, :path, :attempt, :type, :filters, :expected, coalesce(max(seq), 0) FROM event WHERE true
    ON CONFLICT (run_id, path, attempt, type) DO NOTHING
    """
)
_LISTENERS = text(
    """
    SELECT DISTINCT run_id, path, attempt, filters, expected FROM listener
    WHERE type IN (:type, :any)
      AND after < (SELECT seq FROM event WHERE source = :source AND id = :id)
    ORDER BY run_id, path, attempt
    """
)
_WANTED = select(literal(1)).select_from(DOCUMENT).where(text(ABOUT_WORKFLOWS)).limit(1)
_LISTENS = text(
    "SELECT 1 FROM listener WHERE run_id = :run_id AND path = :path AND attempt = :attempt LIMIT 1"
)
_CLOSE_AT = text(
    "DELETE FROM listener WHERE run_id = :run_id AND path = :path AND attempt = :attempt"
)
_CLOSE_BELOW = text(
    "DELETE FROM listener WHERE run_id = :run_id AND (path = :path OR path LIKE :below ESCAPE '\\')"
)


class Receipt(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    """The same event came before; nothing happens."""
    CONFLICT = "conflict"
    """Another event of this source has this id."""


class Listener(NamedTuple):
    run_id: str
    place: Place
    filters: list[dict[str, Any]]
    """Literals and patterns; empty: every event."""
    expected: list[dict[str, Any]]
    """For each filter, what expressions over the event must come to."""


class Logged(NamedTuple):
    """An event as it is in the log."""

    seq: int
    event: dict[str, Any]
    received_at: datetime
    received_from: str
    """A subject, or `run:ID`."""


def insert(connection: Connection, event: dict[str, Any], at: datetime, by: str) -> Receipt:
    """Add an event; it is delivered afterwards.

    Args:
        by: The subject that sent it, or `run:ID`.
    """
    key = {"source": event["source"], "id": event["id"]}
    body = json.dumps(event, separators=(",", ":"), sort_keys=True)
    row = {**key, "type": event["type"], "event": body, "at": to_text(at), "by": by}
    if connection.execute(_INSERT, row).rowcount == 1:
        return Receipt.ACCEPTED
    same = connection.execute(_SAME, key).scalar_one() == body
    return Receipt.DUPLICATE if same else Receipt.CONFLICT


def undelivered(connection: Connection, after: int, limit: int) -> list[Logged]:
    """Return the oldest events with `seq > after` that have not reached all who listen."""
    rows = connection.execute(_UNDELIVERED, {"after": after, "limit": limit})
    return [_logged(row) for row in rows]


def any_undelivered(connection: Connection) -> bool:
    return bool(undelivered(connection, 0, 1))


def delivered(connection: Connection, event: dict[str, Any]) -> None:
    connection.execute(_DELIVERED, {"source": event["source"], "id": event["id"]})


def page(
    connection: Connection, *, after: int, limit: int, type_: str | None = None
) -> list[Logged]:
    """Return at most `limit` events with `seq > after`, oldest first."""
    query = select(EVENT).where(EVENT.c.seq > after).order_by(EVENT.c.seq).limit(limit)
    if type_ is not None:
        query = query.where(EVENT.c.type == type_)
    return [_logged(row) for row in connection.execute(query)]


def since(
    connection: Connection, at: datetime, types: Sequence[str] | None
) -> list[dict[str, Any]]:
    """Return the events received since a moment, in their order.

    Args:
        types: Only these; None: of any type, but for events about workflows.
    """
    query = select(EVENT.c.event).where(EVENT.c.received_at >= to_text(at)).order_by(EVENT.c.seq)
    if types is not None:
        query = query.where(EVENT.c.type.in_(types))
    else:
        query = query.where(not_(EVENT.c.type.startswith(LIFECYCLE, autoescape=True)))
    return [json.loads(body) for body in connection.execute(query).scalars()]


def about_workflows_wanted(connection: Connection) -> bool:
    """Whether a document that was ever deployed speaks of events about workflows."""
    return connection.execute(_WANTED).first() is not None


def listen(connection: Connection, new: Listener, types: Sequence[str] | None) -> None:
    """Have the events that come from now on delivered to a place of a run's journal.

    Args:
        types: The types that the filters can match; None: any.
    """
    row = {
        "run_id": new.run_id,
        "path": new.place.path,
        "attempt": new.place.attempt,
        "filters": json.dumps(new.filters, separators=(",", ":")),
        "expected": json.dumps(new.expected, separators=(",", ":")),
    }
    for each in [ANY] if types is None else types:
        connection.execute(_LISTEN, {**row, "type": each})


def listeners(connection: Connection, event: dict[str, Any]) -> list[Listener]:
    """Return who may want an event of the log that came after they began to listen.

    Events about workflows go only to who names their type.
    """
    kind = event["type"]
    key = {
        "type": kind,
        "any": kind if kind.startswith(LIFECYCLE) else ANY,
        "source": event["source"],
        "id": event["id"],
    }
    return [
        Listener(
            row.run_id,
            Place(path=row.path, attempt=row.attempt),
            json.loads(row.filters),
            json.loads(row.expected),
        )
        for row in connection.execute(_LISTENERS, key)
    ]


def listens(connection: Connection, run_id: str, place: Place) -> bool:
    key = {"run_id": run_id, "path": place.path, "attempt": place.attempt}
    return connection.execute(_LISTENS, key).first() is not None


def close_at(connection: Connection, run_id: str, place: Place) -> None:
    key = {"run_id": run_id, "path": place.path, "attempt": place.attempt}
    connection.execute(_CLOSE_AT, key)


def close_below(connection: Connection, run_id: str, path: str) -> None:
    """Stop every listen at a path and under it."""
    escaped = path.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    key = {"run_id": run_id, "path": path, "below": f"{escaped}/%"}
    connection.execute(_CLOSE_BELOW, key)


def _logged(row: Row[Any]) -> Logged:
    return Logged(row.seq, json.loads(row.event), from_text(row.received_at), row.received_from)
