"""Tasks in SQLite: an append-only log per task, and who sent which message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from a2a.utils.errors import UnsupportedOperationError
from sqlalchemy import Connection, and_, func, or_, select, update

from parley_wire.server.forms import invalid
from parley_wire.server.params import ListParams, SendParams
from parley_wire.server.push_outbox import later
from parley_wire.server.push_rows import COALESCED_S, push_due, put_push_config
from parley_wire.server.rows import (
    add_events,
    add_task,
    advance,
    owned,
    page_place,
    page_token,
    read_events,
    record,
    snapshot,
)
from parley_wire.server.tables import messages, tasks
from parley_wire.server.texts import INTERRUPTED, TERMINAL, Event, Piece, Snapshot, State, dumps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley_wire.database import Database


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a message."""

    task_id: str
    fresh: bool
    """False: it had arrived before; nothing was stored and nothing is to be run."""
    events: tuple[Event, ...] = ()
    """That it added."""


@dataclass(frozen=True, slots=True)
class Execution:
    """How often the executor was started for one message."""

    task_id: str
    context_id: str
    message_id: str
    skill: str | None
    runs: int
    state: str

    def as_json(self) -> dict[str, Any]:
        return {
            "taskId": self.task_id,
            "contextId": self.context_id,
            "messageId": self.message_id,
            "skill": self.skill,
            "runs": self.runs,
            "state": self.state,
        }


@dataclass(frozen=True, slots=True)
class ListedTasks:
    snapshots: list[Snapshot]
    next_page_token: str
    total: int


class TaskStore:
    """All writes are atomic, and durable once they return.

    Args:
        dedupe: Take a message that arrives twice once.
        push: Keep an outbox for the webhooks of the callers.
    """

    def __init__(self, database: Database, *, dedupe: bool = True, push: bool = False) -> None:
        self._database = database
        self._dedupe = dedupe
        self._push = push

    def _outbox(
        self, connection: Connection, task_id: str, send: SendParams, at: str, *, seq: int
    ) -> None:
        if not self._push:
            return
        if send.push is not None:
            put_push_config(connection, task_id, send.push, sent_seq=seq)
        push_due(connection, task_id, at)

    def _known(
        self, connection: Connection, send: SendParams, caller: str, task_id: str, seq: int
    ) -> str | None:
        # Without de-duplication each arrival is a message of its own, whatever its id.
        suffix = "" if self._dedupe else f" {task_id}:{seq}"
        return record(connection, send, caller, task_id, seq=seq, suffix=suffix)

    async def open(self, send: SendParams, task: Snapshot, working: Piece, at: str) -> Accepted:
        """Store a message that begins `task`, together with its first status.

        Raises:
            InvalidParamsError: If the caller used the message id for another message.
        """
        message = Event(1, "message", dumps(send.message))
        first = Event(2, "status", working.body, working.state)

        def write(connection: Connection) -> Accepted:
            known = self._known(connection, send, task.caller, task.id, 1)
            if known is not None:
                return Accepted(known, fresh=False)
            add_task(connection, task, state=working.state, seq=2, at=at)
            add_events(connection, task.id, (message, first))
            self._outbox(connection, task.id, send, at, seq=1)
            return Accepted(task.id, fresh=True, events=(message, first))

        return await self._database.write(write)

    async def answer(self, send: SendParams, caller: str, working: Piece, at: str) -> Accepted:
        """Store a message to a task that waits for one, and set it to work.

        Raises:
            TaskNotFoundError: If the caller has no such task.
            InvalidParamsError: If the context is not the task's, or the message id was used before.
            UnsupportedOperationError: If the task is not waiting for a message.
        """
        task_id = send.message["taskId"]

        def write(connection: Connection) -> Accepted:
            row = owned(connection, task_id, caller)
            if send.message.get("contextId", row.context_id) != row.context_id:
                raise invalid("message.contextId", "is not the context of the task")
            seq = row.seq + 1
            known = self._known(connection, send, caller, task_id, seq)
            if known is not None:
                return Accepted(known, fresh=False)
            if row.state not in INTERRUPTED:
                what = "has ended" if row.state in TERMINAL else "is working and waits for nothing"
                raise UnsupportedOperationError(f"task {task_id} {what}; it takes no message")
            added = (
                Event(seq, "message", dumps(send.message)),
                Event(seq + 1, "status", working.body, working.state),
            )
            advance(connection, task_id, working.state, len(added), at)
            add_events(connection, task_id, added)
            self._outbox(connection, task_id, send, at, seq=seq)
            return Accepted(task_id, fresh=True, events=added)

        return await self._database.write(write)

    async def append(
        self, task_id: str, pieces: Sequence[Piece], at: str, *, run_again: bool = False
    ) -> tuple[Event, ...]:
        """Add events. Empty: the task has ended, nothing was added.

        Args:
            task_id: Whose log.
            pieces: In order; a status that ends or interrupts the task only as the last.
            at: When.
            run_again: Count one more run of the executor for the newest message.
        """
        state = next((each.state for each in reversed(pieces) if each.kind == "status"), "")
        due_at = at if state else later(at, COALESCED_S)

        def write(connection: Connection) -> tuple[Event, ...]:
            last = advance(connection, task_id, state, len(pieces), at)
            if last is None:
                return ()
            first = last - len(pieces) + 1
            added = tuple(
                Event(seq, piece.kind, piece.body, piece.state)
                for seq, piece in enumerate(pieces, start=first)
            )
            add_events(connection, task_id, added)
            if self._push:
                push_due(connection, task_id, due_at)
            if run_again:
                newest = (
                    select(func.max(messages.c.seq))
                    .where(messages.c.task_id == task_id)
                    .scalar_subquery()
                )
                connection.execute(
                    update(messages)
                    .where(messages.c.task_id == task_id, messages.c.seq == newest)
                    .values(runs=messages.c.runs + 1)
                )
            return added

        return await self._database.write(write)

    async def load(self, task_id: str, caller: str) -> Snapshot:
        """Read a task as it is now.

        Raises:
            TaskNotFoundError: If there is none, or it is another caller's.
        """

        def read(connection: Connection) -> Snapshot:
            return snapshot(connection, owned(connection, task_id, caller))

        return await self._database.read(read)

    async def events_after(self, task_id: str, seq: int) -> list[Event]:
        def read(connection: Connection) -> list[Event]:
            return read_events(connection, task_id, seq)

        return await self._database.read(read)

    async def unfinished(self) -> list[Snapshot]:
        """Return the tasks that were being worked on, least recently changed first."""

        def read(connection: Connection) -> list[Snapshot]:
            rows = connection.execute(
                select(tasks)
                .where(tasks.c.state.in_([State.SUBMITTED, State.WORKING]))
                .order_by(tasks.c.updated_at, tasks.c.id)
            ).all()
            return [snapshot(connection, row) for row in rows]

        return await self._database.read(read)

    async def page(self, params: ListParams, caller: str) -> ListedTasks:
        """Return one page, newest status first.

        Raises:
            InvalidParamsError: If the page token is not one of ours.
        """
        where = [tasks.c.caller == caller]
        if params.context_id:
            where.append(tasks.c.context_id == params.context_id)
        if params.state:
            where.append(tasks.c.state == params.state)
        if params.changed_since:
            where.append(tasks.c.updated_at >= params.changed_since)
        page = [*where]
        if params.page_token:
            at, task_id = page_place(params.page_token)
            page.append(
                or_(
                    tasks.c.updated_at < at,
                    and_(tasks.c.updated_at == at, tasks.c.id < task_id),
                )
            )

        def read(connection: Connection) -> ListedTasks:
            total = connection.execute(select(func.count()).select_from(tasks).where(*where))
            rows = connection.execute(
                select(tasks)
                .where(*page)
                .order_by(tasks.c.updated_at.desc(), tasks.c.id.desc())
                .limit(params.page_size + 1)
            ).all()
            shown = rows[: params.page_size]
            more = len(rows) > len(shown)
            return ListedTasks(
                [snapshot(connection, row) for row in shown],
                page_token(shown[-1]) if more else "",
                int(total.scalar_one()),
            )

        return await self._database.read(read)

    async def executions(self, caller: str, context_id: str, limit: int) -> list[Execution]:
        """Return the newest executions first; empty `context_id`: of every context."""
        query = (
            select(
                messages.c.task_id,
                tasks.c.context_id,
                messages.c.message_id,
                tasks.c.skill,
                messages.c.runs,
                tasks.c.state,
            )
            .join(tasks, tasks.c.id == messages.c.task_id)
            .where(messages.c.caller == caller)
            .order_by(tasks.c.updated_at.desc(), tasks.c.id, messages.c.seq)
            .limit(limit)
        )
        if context_id:
            query = query.where(tasks.c.context_id == context_id)

        def read(connection: Connection) -> list[Execution]:
            return [Execution(*row) for row in connection.execute(query)]

        return await self._database.read(read)
