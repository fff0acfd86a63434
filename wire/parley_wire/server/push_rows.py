"""The outbox of a task server: what is still to be sent to which webhook."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from a2a.utils.errors import TaskNotFoundError
from sqlalchemy import Connection, Row, bindparam, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from parley_wire.database import Prepared
from parley_wire.server.forms import invalid
from parley_wire.server.push_params import PushConfig
from parley_wire.server.rows import owned
from parley_wire.server.tables import events, push_configs, tasks
from parley_wire.server.texts import Event, Snapshot, timestamp

if TYPE_CHECKING:
    from collections.abc import Collection

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


class Due(NamedTuple):
    """A webhook for which there is something to send."""

    task_id: str
    config_id: str
    caller: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What one webhook is to be sent next."""

    config: PushConfig
    task: Snapshot
    """Without its log: for the texts of events."""
    events: list[Event]
    """After what has been sent, at most as many as are read at once."""
    attempts: int
    failing_since: str


def later(at: str, seconds: float) -> str:
    return timestamp(datetime.fromisoformat(at) + timedelta(seconds=seconds))


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


class Outbox:
    """The webhooks of a task server's callers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, task_id: str, config: PushConfig, caller: str, now: str) -> None:
        """Tell `config` what happens to a task from now on.

        Raises:
            TaskNotFoundError: If the caller has no such task.
            InvalidParamsError: If it has too many already.
        """

        def write(connection: Connection) -> None:
            row = owned(connection, task_id, caller)
            # What happened last is told at once: the caller may have missed it just before.
            put_push_config(connection, task_id, config, sent_seq=row.seq - 1)
            push_due(connection, task_id, now)

        await self._database.write(write)

    async def get(self, task_id: str, config_id: str, caller: str) -> PushConfig:
        """Raises: TaskNotFoundError."""
        found = await self.page(task_id, caller, config_id=config_id)
        if not found:
            raise TaskNotFoundError(f"the task has no push configuration {config_id[:80]!r}")
        return found[0]

    async def page(
        self, task_id: str, caller: str, *, config_id: str = "", after: str = "", limit: int = 1
    ) -> list[PushConfig]:
        """Return the configurations of a task in the order of their ids.

        Raises:
            TaskNotFoundError: If the caller has no such task.
        """

        def read(connection: Connection) -> list[PushConfig]:
            owned(connection, task_id, caller)
            query = select(push_configs).where(
                push_configs.c.task_id == task_id, push_configs.c.id > after
            )
            if config_id:
                query = query.where(push_configs.c.id == config_id)
            rows = connection.execute(query.order_by(push_configs.c.id).limit(limit)).all()
            return [_config(row) for row in rows]

        return await self._database.read(read)

    async def remove(self, task_id: str, config_id: str, caller: str) -> None:
        """Forget a webhook; one that there is not is none the less forgotten.

        Raises:
            TaskNotFoundError: If the caller has no such task.
        """

        def write(connection: Connection) -> None:
            owned(connection, task_id, caller)
            connection.execute(
                delete(push_configs).where(
                    push_configs.c.task_id == task_id, push_configs.c.id == config_id
                )
            )

        await self._database.write(write)

    async def due(self, limit: int, *, busy: Collection[str]) -> list[Due]:
        """Return what is due, the longest first, and then what will be.

        Args:
            limit: How many at most.
            busy: Callers whose webhooks are left out.
        """

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
            return [Due(*row) for row in rows]

        return await self._database.read(read)

    async def delivery(self, task_id: str, config_id: str) -> Delivery | None:
        """Return what a webhook is to be sent; None if it was removed, or everything is sent."""

        def read(connection: Connection) -> Delivery | None:
            row = connection.execute(
                select(push_configs, tasks.c.context_id, tasks.c.caller, tasks.c.skill)
                .join(tasks, tasks.c.id == push_configs.c.task_id)
                .where(push_configs.c.task_id == task_id, push_configs.c.id == config_id)
            ).one_or_none()
            if row is None:
                return None
            return Delivery(
                config=_config(row),
                task=Snapshot(
                    id=task_id, context_id=row.context_id, caller=row.caller, skill=row.skill
                ),
                events=_next_events(connection, task_id, row.sent_seq),
                attempts=row.attempts,
                failing_since=row.failing_since or "",
            )

        return await self._database.read(read)

    async def sent(self, task_id: str, config_id: str, seq: int, now: str) -> None:
        """Record that everything up to `seq` has arrived."""

        def write(connection: Connection) -> None:
            waiting = connection.execute(
                select(events.c.kind)
                .where(events.c.task_id == task_id, events.c.seq > seq)
                .distinct()
            )
            kinds = set(waiting.scalars())
            # Pieces of an artifact wait for the next ones, unless something follows them already.
            due_at = None if not kinds else later(now, COALESCED_S if kinds == {"artifact"} else 0)
            connection.execute(
                update(push_configs)
                .where(push_configs.c.task_id == task_id, push_configs.c.id == config_id)
                .values(sent_seq=seq, due_at=due_at, attempts=0, failing_since=None)
            )

        await self._database.write(write)

    async def failed(
        self, task_id: str, config_id: str, due_at: str | None, now: str, why: str
    ) -> None:
        """Record that a delivery failed; `due_at`: when to try again, None: never."""

        def write(connection: Connection) -> None:
            connection.execute(
                update(push_configs)
                .where(push_configs.c.task_id == task_id, push_configs.c.id == config_id)
                .values(
                    due_at=due_at,
                    attempts=push_configs.c.attempts + 1,
                    failing_since=func.coalesce(push_configs.c.failing_since, now),
                    given_up="" if due_at is not None else why[:200],
                )
            )

        await self._database.write(write)


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
