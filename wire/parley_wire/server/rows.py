"""The statements that a task server sends, each inside somebody's transaction."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any, Final

from a2a.utils.errors import TaskNotFoundError
from sqlalchemy import Connection, Row, bindparam, func, select, update
from sqlalchemy.dialects.sqlite import insert

from parley_wire.database import Prepared
from parley_wire.server.forms import invalid
from parley_wire.server.params import SendParams
from parley_wire.server.tables import events, messages, tasks
from parley_wire.server.texts import TERMINAL, Event, Snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

_INSERT_MESSAGE: Final = Prepared(insert(messages).on_conflict_do_nothing())
_INSERT_TASK: Final = Prepared(insert(tasks))
_INSERT_EVENT: Final = Prepared(insert(events))
_SELECT_MESSAGE: Final = Prepared(
    select(messages.c.digest, messages.c.task_id).where(
        messages.c.caller == bindparam("caller"), messages.c.message_id == bindparam("message_id")
    )
)
_SELECT_TASK: Final = Prepared(select(tasks).where(tasks.c.id == bindparam("id")))
_SELECT_EVENTS: Final = Prepared(
    select(events.c.seq, events.c.kind, events.c.body, events.c.state)
    .where(events.c.task_id == bindparam("id"), events.c.seq > bindparam("after"))
    .order_by(events.c.seq)
)
_ADVANCE: Final = Prepared(
    update(tasks)
    .where(
        tasks.c.id == bindparam("task"),
        *(tasks.c.state != state.value for state in sorted(TERMINAL)),
    )
    .values(
        state=func.coalesce(bindparam("new_state"), tasks.c.state),
        seq=tasks.c.seq + bindparam("count"),
        updated_at=func.coalesce(bindparam("at"), tasks.c.updated_at),
    )
    .returning(tasks.c.seq)
)


def record(
    connection: Connection,
    send: SendParams,
    caller: str,
    task_id: str,
    *,
    seq: int,
    suffix: str = "",
) -> str | None:
    """Remember a message, its id with `suffix`; return its task if it had arrived before."""
    message_id = send.message["messageId"] + suffix
    inserted = _INSERT_MESSAGE.run(
        connection,
        caller=caller,
        message_id=message_id,
        digest=send.digest,
        task_id=task_id,
        seq=seq,
        runs=1,
    )
    if inserted.rowcount:
        return None
    row = _SELECT_MESSAGE.run(connection, caller=caller, message_id=message_id).one()
    if row.digest != send.digest:
        raise invalid("message.messageId", "was used before, for another message; make a new id")
    return str(row.task_id)


def add_task(connection: Connection, task: Snapshot, *, state: str, seq: int, at: str) -> None:
    _INSERT_TASK.run(
        connection,
        id=task.id,
        context_id=task.context_id,
        caller=task.caller,
        skill=task.skill,
        state=state,
        seq=seq,
        updated_at=at,
    )


def owned(connection: Connection, task_id: str, caller: str) -> Row[Any]:
    """Read a task's index row; another caller's task does not exist."""
    row = _SELECT_TASK.run(connection, id=task_id).one_or_none()
    if row is None or row.caller != caller:
        raise TaskNotFoundError(f"there is no task {task_id[:80]!r}")
    return row


def advance(connection: Connection, task_id: str, state: str, count: int, at: str) -> int | None:
    """Take `count` numbers of a task's log; return the last of them, None if the task has ended.

    Args:
        connection: In a transaction.
        task_id: Whose log.
        state: The new one; empty: it stays, and so does the time of the last status.
        count: How many.
        at: Of the new status.
    """
    advanced = _ADVANCE.run(
        connection,
        task=task_id,
        new_state=state or None,
        count=count,
        at=at if state else None,
    )
    return advanced.scalar_one_or_none()


def add_events(connection: Connection, task_id: str, added: Sequence[Event]) -> None:
    _INSERT_EVENT.run_many(
        connection,
        [
            {
                "task_id": task_id,
                "seq": event.seq,
                "kind": event.kind,
                "state": event.state,
                "body": event.body,
            }
            for event in added
        ],
    )


def read_events(connection: Connection, task_id: str, after: int) -> list[Event]:
    return [
        Event(row.seq, row.kind, row.body, row.state)
        for row in _SELECT_EVENTS.run(connection, id=task_id, after=after)
    ]


def snapshot(connection: Connection, row: Row[Any]) -> Snapshot:
    task = Snapshot(id=row.id, context_id=row.context_id, caller=row.caller, skill=row.skill)
    for event in read_events(connection, row.id, 0):
        task.apply(event)
    return task


def page_token(row: Row[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps([row.updated_at, row.id]).encode()).decode()


def page_place(token: str) -> tuple[str, str]:
    try:
        at, task_id = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError) as exc:
        raise invalid("pageToken", "is not one that this agent gave out") from exc
    if not (isinstance(at, str) and isinstance(task_id, str)):
        raise invalid("pageToken", "is not one that this agent gave out")
    return at, task_id
