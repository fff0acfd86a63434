"""Who owns which task of an agent that is reached through the coordinator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select, text

from parley_coordinator.store.tables import PASSED_ON, to_text

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import Connection

_CLAIM = text(
    "INSERT INTO passed_on (agent, task_id, caller, context_id, at)"
    " VALUES (:agent, :task_id, :caller, :context_id, :at)"
    " ON CONFLICT (agent, task_id) DO NOTHING"
)


def claim(
    connection: Connection,
    *,
    agent: str,
    task_id: str,
    caller: str,
    context_id: str,
    at: datetime,
) -> bool:
    """Let a task belong to a caller; False if it is somebody else's."""
    connection.execute(
        _CLAIM,
        {
            "agent": agent,
            "task_id": task_id,
            "caller": caller,
            "context_id": context_id,
            "at": to_text(at),
        },
    )
    return owner(connection, agent, task_id) == caller


def owner(connection: Connection, agent: str, task_id: str) -> str | None:
    query = select(PASSED_ON.c.caller).where(
        PASSED_ON.c.agent == agent, PASSED_ON.c.task_id == task_id
    )
    found: str | None = connection.execute(query).scalar_one_or_none()
    return found


def others_context(connection: Connection, agent: str, context_id: str, caller: str) -> bool:
    """Whether a context is used by somebody, and not by this caller."""
    query = select(PASSED_ON.c.caller).where(
        PASSED_ON.c.agent == agent, PASSED_ON.c.context_id == context_id
    )
    callers = set(connection.execute(query).scalars())
    return bool(callers) and caller not in callers


def count(connection: Connection, agent: str, caller: str) -> int:
    """Return how many tasks of an agent are a caller's."""
    query = select(func.count()).where(PASSED_ON.c.agent == agent, PASSED_ON.c.caller == caller)
    return int(connection.execute(query).scalar_one())


def owned(
    connection: Connection, agent: str, caller: str, task_ids: Collection[str]
) -> frozenset[str]:
    """Return those of the tasks that are the caller's."""
    query = select(PASSED_ON.c.task_id).where(
        PASSED_ON.c.agent == agent,
        PASSED_ON.c.caller == caller,
        PASSED_ON.c.task_id.in_(list(task_ids)),
    )
    return frozenset(connection.execute(query).scalars())
