"""The webhooks of runs: who wants to be told, and what is still to be sent (ADR-0024).

What changes a run marks it (`run.to_tell`) in its own transaction. Marks become due webhooks here; what
each is sent next is made from the run as it is then, and kept until it has arrived. A coordinator that
sends holds the webhook; it is given back with the result, or lost with the lease of who holds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from parley_wire.database import Prepared
from parley_wire.server.push_outbox import Delivery, Due, Webhook
from parley_wire.server.push_params import PushConfig
from sqlalchemy import func, select, text

from parley_coordinator.store.tables import RUN_WEBHOOK

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Row

MAX_GIVEN_UP: Final = 200
_IS: Final = "run_id = :run_id AND owner = :owner AND id = :id"
_FREE: Final = """(holder IS NULL OR holder = :me
       OR holder NOT IN (SELECT id FROM coordinator WHERE reaped_by IS NULL))"""
# Nothing but constants of this module is put into SQL.
_PUT: Final = """
    INSERT INTO run_webhook (run_id, owner, id, url, token, scheme, credentials, told, seq, body, news,
                             due_at, holder, attempts, failing_since, given_up)
    VALUES (:run_id, :owner, :id, :url, :token, :scheme, :credentials, '', 0, NULL, 0,
            :now, NULL, 0, NULL, '')
    ON CONFLICT (run_id, owner, id) DO """
_KEEP = text(f"{_PUT} NOTHING")
_REPLACE = text(
    f"""{_PUT} UPDATE
    SET url = excluded.url, token = excluded.token, scheme = excluded.scheme,
        credentials = excluded.credentials, told = '', body = NULL,
        news = run_webhook.news + 1, due_at = excluded.due_at, holder = NULL, attempts = 0,
        failing_since = NULL, given_up = ''
    """  # noqa: S608
)
_WATCH = text("UPDATE run SET to_tell = coalesce(to_tell, 0) WHERE id = :run_id")
_REMOVE = text(f"DELETE FROM run_webhook WHERE {_IS}")  # noqa: S608
_MARKED = Prepared(text("SELECT 1 FROM run WHERE to_tell = 1 LIMIT 1"))
_SPREAD = text(
    """
    UPDATE run_webhook SET news = news + 1, due_at = coalesce(due_at, :now)
    WHERE given_up = '' AND run_id IN (SELECT id FROM run WHERE to_tell = 1)
    """
)
_UNMARK = text("UPDATE run SET to_tell = 0 WHERE to_tell = 1")
_PREPARE = text(
    f"""
    UPDATE run_webhook SET body = :body, seq = :seq, told = :told
    WHERE {_IS} AND body IS NULL AND told = :before AND due_at IS NOT NULL
    """  # noqa: S608
)
_HOLD = text(
    f"""
    UPDATE run_webhook SET holder = :me
    WHERE {_IS} AND body IS NOT NULL AND due_at <= :now AND {_FREE} RETURNING *
    """  # noqa: S608
)
_REST = text(
    f"UPDATE run_webhook SET due_at = NULL WHERE {_IS} AND body IS NULL AND news = :news"  # noqa: S608
)
_SENT = text(
    f"""
    UPDATE run_webhook SET body = NULL, due_at = :now, holder = NULL, attempts = 0,
                           failing_since = NULL
    WHERE {_IS} AND seq = :seq AND holder = :me
    """  # noqa: S608
)
_FAILED = text(
    f"""
    UPDATE run_webhook SET due_at = :due_at, holder = NULL, attempts = attempts + 1,
                           failing_since = coalesce(failing_since, :now)
    WHERE {_IS} AND {_FREE}
    """  # noqa: S608
)
_END: Final = f"""
    UPDATE run_webhook SET due_at = NULL, body = NULL, holder = NULL, given_up = :why WHERE {_IS}
    """  # noqa: S608
_GIVE_UP = text(f"{_END} AND {_FREE}")
_REFUSED = text(f"{_END} AND holder = :me")
_GIVEN_UP = text(
    "SELECT run_id, owner, id, given_up FROM run_webhook WHERE given_up <> ''"
    " ORDER BY failing_since DESC, run_id, owner, id LIMIT :limit"
)


class Notice(NamedTuple):
    """A notification."""

    body: str
    """The JSON of an A2A StreamResponse."""
    seq: int
    told: str
    """What the webhook has been told with it."""


class Waiting(NamedTuple):
    """A webhook that may have something to tell."""

    told: str
    news: int
    pending: bool
    """Whether a notification is made already."""


class GivenUp(NamedTuple):
    """A webhook that is told nothing any more."""

    run_id: str
    owner: str
    id: str
    why: str


def put(
    connection: Connection, webhook: Webhook, config: PushConfig, now: str, *, replace: bool
) -> int:
    """Store a webhook, which is told at once how it stands; return how many of the run the owner has.

    Args:
        replace: Instead of one with its id; otherwise that one stays.
    """
    connection.execute(
        _REPLACE if replace else _KEEP,
        {
            **_key(webhook),
            "url": config.url,
            "token": config.token,
            "scheme": config.scheme,
            "credentials": config.credentials,
            "now": now,
        },
    )
    connection.execute(_WATCH, {"run_id": webhook.task_id})
    count = select(func.count()).where(
        RUN_WEBHOOK.c.run_id == webhook.task_id, RUN_WEBHOOK.c.owner == webhook.caller
    )
    return int(connection.execute(count).scalar_one())


def page(
    connection: Connection, run_id: str, owner: str, *, after: str, limit: int
) -> list[PushConfig]:
    """Return the webhooks that somebody has at a run, in the order of their ids, behind `after`."""
    query = (
        select(RUN_WEBHOOK)
        .where(
            RUN_WEBHOOK.c.run_id == run_id,
            RUN_WEBHOOK.c.owner == owner,
            RUN_WEBHOOK.c.id > after,
        )
        .order_by(RUN_WEBHOOK.c.id)
        .limit(limit)
    )
    return [_config(row) for row in connection.execute(query)]


def get(connection: Connection, webhook: Webhook) -> PushConfig | None:
    row = _row(connection, webhook)
    return None if row is None else _config(row)


def remove(connection: Connection, webhook: Webhook) -> None:
    connection.execute(_REMOVE, _key(webhook))


def marked(connection: Connection) -> bool:
    """Whether a run has changed whose webhooks are not due yet."""
    return _MARKED.run(connection).first() is not None


def spread(connection: Connection, now: str) -> None:
    """Make the webhooks of the runs that have changed due; one that fails keeps to its backoff."""
    connection.execute(_SPREAD, {"now": now})
    connection.execute(_UNMARK)


def due(connection: Connection, me: str, *, limit: int, busy: Collection[str]) -> list[Due]:
    """Return the webhooks that nobody else sends to, those due longest first."""
    query = (
        select(RUN_WEBHOOK.c.run_id, RUN_WEBHOOK.c.id, RUN_WEBHOOK.c.owner, RUN_WEBHOOK.c.due_at)
        .where(
            RUN_WEBHOOK.c.due_at.is_not(None),
            RUN_WEBHOOK.c.owner.not_in(sorted(busy)),
            text(_FREE).bindparams(me=me),
        )
        .order_by(RUN_WEBHOOK.c.due_at)
        .limit(limit)
    )
    return [
        Due(Webhook(row.run_id, row.id, row.owner), row.due_at) for row in connection.execute(query)
    ]


def waiting(connection: Connection, webhook: Webhook) -> Waiting | None:
    """Return what a webhook has been told; None: there is none, or nothing is due."""
    row = _row(connection, webhook)
    if row is None or row.due_at is None:
        return None
    return Waiting(row.told, row.news, pending=row.body is not None)


def prepare(connection: Connection, webhook: Webhook, seen: Waiting, notice: Notice) -> None:
    """Keep a notification that was made for what was seen, unless another one is kept meanwhile."""
    connection.execute(
        _PREPARE,
        {**_key(webhook), **notice._asdict(), "before": seen.told},
    )


def hold(connection: Connection, webhook: Webhook, me: str, now: str) -> Delivery | None:
    """Take a webhook to send what is kept for it; None: there is nothing, or somebody else has it."""
    row = connection.execute(_HOLD, {**_key(webhook), "me": me, "now": now}).one_or_none()
    if row is None:
        return None
    return Delivery(
        config=_config(row),
        body=row.body.encode(),
        seq=row.seq,
        attempts=row.attempts,
        failing_since=row.failing_since or "",
    )


def rest(connection: Connection, webhook: Webhook, seen: Waiting) -> None:
    """Let a webhook wait for the next change, unless there was one since it was seen."""
    connection.execute(_REST, {**_key(webhook), "news": seen.news})


def sent(connection: Connection, webhook: Webhook, me: str, seq: int, now: str) -> None:
    """Forget what has arrived; what follows it is due."""
    connection.execute(_SENT, {**_key(webhook), "me": me, "seq": seq, "now": now})


def failed(connection: Connection, webhook: Webhook, me: str, due_at: str, now: str) -> None:
    connection.execute(_FAILED, {**_key(webhook), "me": me, "due_at": due_at, "now": now})


def give_up(connection: Connection, webhook: Webhook, me: str, why: str) -> None:
    connection.execute(_GIVE_UP, {**_key(webhook), "me": me, "why": why[:MAX_GIVEN_UP] or "?"})


def refused(connection: Connection, webhook: Webhook, me: str, why: str) -> None:
    """Give up what this coordinator holds: one that was replaced meanwhile goes on."""
    connection.execute(_REFUSED, {**_key(webhook), "me": me, "why": why[:MAX_GIVEN_UP] or "?"})


def given_up(connection: Connection, limit: int) -> list[GivenUp]:
    return [GivenUp(*row) for row in connection.execute(_GIVEN_UP, {"limit": limit})]


def _row(connection: Connection, webhook: Webhook) -> Row[Any] | None:
    query = select(RUN_WEBHOOK).where(
        RUN_WEBHOOK.c.run_id == webhook.task_id,
        RUN_WEBHOOK.c.owner == webhook.caller,
        RUN_WEBHOOK.c.id == webhook.config_id,
    )
    return connection.execute(query).one_or_none()


def _key(webhook: Webhook) -> dict[str, Any]:
    return {"run_id": webhook.task_id, "owner": webhook.caller, "id": webhook.config_id}


def _config(row: Row[Any]) -> PushConfig:
    return PushConfig(
        id=row.id, url=row.url, token=row.token, scheme=row.scheme, credentials=row.credentials
    )
