"""What people have had agents do through the coordinator (ADR-0019): rows are added, and told their end."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select, text

from parley_coordinator.store.tables import RELAYED, from_text, to_text

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

_BEGIN = text(
    'INSERT INTO relayed (at, "by", agent, operation, task_id, outcome)'
    " VALUES (:at, :by, :agent, :operation, :task_id, '') RETURNING seq"
)
_END = text("UPDATE relayed SET task_id = :task_id, outcome = :outcome WHERE seq = :seq")
_MAX_ID = 512


class Act(NamedTuple):
    """One operation that somebody had an agent do."""

    seq: int
    at: datetime
    by: str
    agent: str
    operation: str
    """Named as in JSON-RPC of A2A 1.0."""
    task_id: str
    """Empty: none is known."""
    outcome: str
    """`answered`, or the code of what went wrong; empty: nobody knows."""


def begin(
    connection: Connection, *, by: str, agent: str, operation: str, task_id: str, at: datetime
) -> int:
    row = {
        "at": to_text(at),
        "by": by,
        "agent": agent,
        "operation": operation,
        "task_id": task_id[:_MAX_ID],
    }
    return int(connection.execute(_BEGIN, row).scalar_one())


def end(connection: Connection, seq: int, task_id: str, outcome: str) -> None:
    connection.execute(_END, {"seq": seq, "task_id": task_id[:_MAX_ID], "outcome": outcome})


def page(connection: Connection, *, agent: str, before: int | None, limit: int) -> list[Act]:
    """Return at most `limit` acts with `seq < before`, newest first."""
    query = (
        select(RELAYED).where(RELAYED.c.agent == agent).order_by(RELAYED.c.seq.desc()).limit(limit)
    )
    if before is not None:
        query = query.where(RELAYED.c.seq < before)
    return [
        Act(
            row.seq,
            from_text(row.at),
            row.by,
            row.agent,
            row.operation,
            row.task_id,
            row.outcome,
        )
        for row in connection.execute(query)
    ]
