"""The outbox of a task server: what is still to be sent to which webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from a2a.utils.errors import TaskNotFoundError
from sqlalchemy import Connection, Row, bindparam, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from parley_wire.database import Prepared
from parley_wire.server.forms import invalid
from parley_wire.server.push_outbox import Delivery, Due, Webhook, later
from parley_wire.server.push_params import PushConfig
from parley_wire.server.push_texts import next_notification
from parley_wire.server.rows import owned
from parley_wire.server.tables import events, push_configs, tasks
from parley_wire.server.texts import Event, Snapshot

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement

    from parley_wire.database import Database

MAX_CONFIGS: Final = 16
"""Of one task."""
COALESCED_S: Final = 0.5
"""So long a piece of an artifact waits for the next ones, to go out with them."""
_EVENTS_READ: Final = 256

_DUE: Final = Prepared(
    update(push_configs)
    .where(
        push_configs.c.task_id == bindparam("task"),
        push_configs.c.given_up == "",
        # One that is failing keeps to its backoff.
        (push_configs.c.due_at.is_(None))
        | ((push_configs.c.attempts == 0) & (push_configs.c.due_at > bindparam("at"))),
    )
    .values(due_at=bindparam("at"))
)


def push_due(connection: Connection, task_id: str, at: str) -> None:
    """Make the webhooks of a task due at `at`, or earlier if they are."""
    _DUE.run(connection, task=task_id, at=at)


def put_push_config(
    connection: Connection, task_id: str, config: PushConfig, *, sent_seq: int
) -> None:
    """Store a webhook, new or instead of the one with its id.

    Raises:
        InvalidParamsError: If the task has too many.
    """
    values = {
        "url": config.url,
        "token": config.token,
        "scheme": config.scheme,
        "credentials": config.credentials,
    }
    fresh = {"due_at": None, "attempts": 0, "failing_since": None, "given_up": ""}
    connection.execute(
        insert(push_configs)
        .values(task_id=task_id, id=config.id or "default", sent_seq=sent_seq, **values, **fresh)
        .on_conflict_do_update(index_elements=["task_id", "id"], set_={**values, **fresh})
    )
    count = connection.execute(
        select(func.count()).select_from(push_configs).where(push_configs.c.task_id == task_id)
    ).scalar_one()
    if count > MAX_CONFIGS:
        raise invalid("taskPushNotificationConfig", f"is one of more than {MAX_CONFIGS} of a task")


class TaskOutbox:
    """The webhooks of a task server's callers. `Outbox` and `Configs` of `push_outbox`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, task_id: str, config: PushConfig, caller: str, now: str) -> None:
        def write(connection: Connection) -> None:
            row = owned(connection, task_id, caller)
            # What happened last is told at once: the caller may have missed it just before.
            put_push_config(connection, task_id, config, sent_seq=row.seq - 1)
            push_due(connection, task_id, now)

        await self._database.write(write)

    async def get(self, task_id: str, config_id: str, caller: str) -> PushConfig:
        def read(connection: Connection) -> Row[Any] | None:
            owned(connection, task_id, caller)
            key = push_configs.c.task_id == task_id, push_configs.c.id == config_id
            return connection.execute(select(push_configs).where(*key)).one_or_none()

        found = await self._database.read(read)
        if found is None:
            raise TaskNotFoundError(f"the task has no push configuration {config_id[:80]!r}")
        return _config(found)

    async def page(
        self, task_id: str, caller: str, *, after: str = "", limit: int = 1
    ) -> list[PushConfig]:
        def read(connection: Connection) -> list[PushConfig]:
            owned(connection, task_id, caller)
            rows = connection.execute(
                select(push_configs)
                .where(push_configs.c.task_id == task_id, push_configs.c.id > after)
                .order_by(push_configs.c.id)
                .limit(limit)
            )
            return [_config(row) for row in rows]

        return await self._database.read(read)

    async def remove(self, task_id: str, config_id: str, caller: str) -> None:
        def write(connection: Connection) -> None:
            owned(connection, task_id, caller)
            connection.execute(
                delete(push_configs).where(
                    push_configs.c.task_id == task_id, push_configs.c.id == config_id
                )
            )

        await self._database.write(write)

    async def due(self, limit: int, *, busy: Collection[str]) -> list[Due]:
        def read(connection: Connection) -> list[Due]:
            rows = connection.execute(
                select(
                    push_configs.c.task_id, push_configs.c.id, tasks.c.caller, push_configs.c.due_at
                )
                .join(tasks, tasks.c.id == push_configs.c.task_id)
                .where(push_configs.c.due_at.is_not(None), tasks.c.caller.not_in(busy))
                .order_by(push_configs.c.due_at)
                .limit(limit)
            )
            return [Due(Webhook(row.task_id, row.id, row.caller), row.due_at) for row in rows]

        return await self._database.read(read)

    async def delivery(self, webhook: Webhook) -> Delivery | None:
        def read(connection: Connection) -> tuple[Row[Any], list[Event]] | None:
            row = connection.execute(
                select(push_configs, tasks.c.context_id, tasks.c.caller, tasks.c.skill)
                .join(tasks, tasks.c.id == push_configs.c.task_id)
                .where(*_is(webhook))
            ).one_or_none()
            if row is None:
                return None
            return row, _next_events(connection, webhook.task_id, row.sent_seq)

        found = await self._database.read(read)
        if found is None:
            return None
        row, waiting = found
        task = Snapshot(
            id=row.task_id, context_id=row.context_id, caller=row.caller, skill=row.skill
        )
        body, seq = next_notification(task, waiting)
        return Delivery(
            config=_config(row),
            body=body,
            seq=seq,
            attempts=row.attempts,
            failing_since=row.failing_since or "",
        )

    def check(self) -> None:
        """One process has the file for itself."""

    async def sent(self, webhook: Webhook, seq: int, now: str) -> None:
        def write(connection: Connection) -> None:
            waiting = connection.execute(
                select(events.c.kind)
                .where(events.c.task_id == webhook.task_id, events.c.seq > seq)
                .distinct()
            )
            kinds = set(waiting.scalars())
            # Pieces of an artifact wait for the next ones, unless something follows them already.
            due_at = None if not kinds else later(now, COALESCED_S if kinds == {"artifact"} else 0)
            connection.execute(
                update(push_configs)
                .where(*_is(webhook))
                .values(sent_seq=seq, due_at=due_at, attempts=0, failing_since=None)
            )

        await self._database.write(write)

    async def failed(self, webhook: Webhook, due_at: str | None, now: str, why: str) -> None:
        def write(connection: Connection) -> None:
            connection.execute(
                update(push_configs)
                .where(*_is(webhook))
                .values(
                    due_at=due_at,
                    attempts=push_configs.c.attempts + 1,
                    failing_since=func.coalesce(push_configs.c.failing_since, now),
                    given_up="" if due_at is not None else why[:200],
                )
            )

        await self._database.write(write)


def _is(webhook: Webhook) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return push_configs.c.task_id == webhook.task_id, push_configs.c.id == webhook.config_id


def _next_events(connection: Connection, task_id: str, after: int) -> list[Event]:
    rows = connection.execute(
        select(events.c.seq, events.c.kind, events.c.body, events.c.state)
        .where(events.c.task_id == task_id, events.c.seq > after)
        .order_by(events.c.seq)
        .limit(_EVENTS_READ)
    )
    return [Event(*row) for row in rows]


def _config(row: Row[Any]) -> PushConfig:
    return PushConfig(
        id=row.id,
        url=row.url,
        token=row.token,
        scheme=row.scheme,
        credentials=row.credentials,
    )
