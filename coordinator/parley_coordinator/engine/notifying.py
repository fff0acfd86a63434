"""The outbox of the webhooks of runs, for the worker that empties it (ADR-0024)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from a2a.utils.errors import InvalidParamsError, TaskNotFoundError
from parley_wire.server.forms import invalid
from parley_wire.server.push_outbox import Webhook
from parley_wire.server.texts import timestamp

from parley_coordinator.engine import threads
from parley_coordinator.errors import UnknownRunError
from parley_coordinator.store import run_webhooks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime
    from typing import Final

    from parley_wire.database import Database
    from parley_wire.server.push_outbox import Delivery, Due
    from parley_wire.server.push_params import PushConfig
    from sqlalchemy import Connection

    from parley_coordinator.engine.claims import Claims
    from parley_coordinator.governance.access import Principal
    from parley_coordinator.model import Thread
    from parley_coordinator.store.run_webhooks import Notice

logger = logging.getLogger(__name__)

MAX_CONFIGS: Final = 16
"""Of one person at one run."""


class RunWebhooks:
    """`Outbox` and `Configs` of `parley_wire.server.push_outbox`; a task is a run, a caller a subject.

    Args:
        claims: Of this coordinator: whoever is taken for dead sends nothing any more.
        people: Who has this subject; None: nobody any more.
        next_notice: What somebody is to be told of a run, after what they have been told; None: nothing.
    """

    def __init__(
        self,
        database: Database,
        claims: Claims,
        *,
        people: Callable[[str], Principal | None],
        next_notice: Callable[[Thread, str], Notice | None],
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._claims = claims
        self._people = people
        self._next_notice = next_notice
        self._now = now

    async def create(self, task_id: str, config: PushConfig, caller: str, now: str) -> None:
        await self._seen(task_id, caller)
        await self._put(task_id, config, caller, now, replace=True)

    async def check_room(self, task_id: str, config: PushConfig, caller: str) -> None:
        """Raises: InvalidParamsError: If the caller has too many at this run for one more."""
        known = await self._database.read(
            lambda c: run_webhooks.page(c, task_id, caller, after="", limit=MAX_CONFIGS)
        )
        if len(known) >= MAX_CONFIGS and (config.id or "default") not in {
            each.id for each in known
        }:
            raise _too_many()

    async def attach(self, task_id: str, config: PushConfig, caller: str, now: str) -> None:
        """Store a webhook that came with a message; when the message comes again nothing changes.

        Raises:
            InvalidParamsError: If the caller has too many at this run already.
        """
        await self._put(task_id, config, caller, now, replace=False)

    async def _put(
        self, task_id: str, config: PushConfig, caller: str, now: str, *, replace: bool
    ) -> None:
        webhook = Webhook(task_id, config.id or "default", caller)

        def write(connection: Connection) -> None:
            count = run_webhooks.put(connection, webhook, config, now, replace=replace)
            if count > MAX_CONFIGS:
                raise _too_many()

        await self._database.write(write)

    async def get(self, task_id: str, config_id: str, caller: str) -> PushConfig:
        await self._seen(task_id, caller)
        webhook = Webhook(task_id, config_id, caller)
        found = await self._database.read(lambda c: run_webhooks.get(c, webhook))
        if found is None:
            raise TaskNotFoundError(f"the task has no push configuration {config_id[:80]!r}")
        return found

    async def page(
        self, task_id: str, caller: str, *, after: str = "", limit: int = 1
    ) -> list[PushConfig]:
        await self._seen(task_id, caller)
        return await self._database.read(
            lambda c: run_webhooks.page(c, task_id, caller, after=after, limit=limit)
        )

    async def remove(self, task_id: str, config_id: str, caller: str) -> None:
        await self._seen(task_id, caller)
        webhook = Webhook(task_id, config_id, caller)
        await self._database.write(lambda c: run_webhooks.remove(c, webhook))

    async def due(self, limit: int, *, busy: Collection[str]) -> list[Due]:
        me = self._claims.holder

        def read(connection: Connection) -> tuple[bool, list[Due]]:
            found = run_webhooks.due(connection, me, limit=limit, busy=busy)
            return run_webhooks.marked(connection), found

        marked, found = await self._database.read(read)
        if marked:
            now = timestamp(self._now())
            await self._database.write(lambda c: run_webhooks.spread(c, now))
            _, found = await self._database.read(read)
        return found

    async def delivery(self, webhook: Webhook) -> Delivery | None:
        # Read first and written later: a change in between is news, or finds something prepared.
        seen = await self._database.read(lambda c: run_webhooks.waiting(c, webhook))
        if seen is None:
            return None
        notice = None
        if not seen.pending:
            try:
                thread = await self._seen(webhook.task_id, webhook.caller)
            except UnknownRunError:
                await self._give_up(webhook, "who asked for it may not see the run any more")
                return None
            notice = self._next_notice(thread, seen.told)
            if notice is None:
                await self._database.write(lambda c: run_webhooks.rest(c, webhook, seen))
                return None
        me, now = self._claims.holder, timestamp(self._now())

        def write(connection: Connection) -> Delivery | None:
            if notice is not None:
                run_webhooks.prepare(connection, webhook, seen, notice)
            return run_webhooks.hold(connection, webhook, me, now)

        return await self._database.write(write)

    def check(self) -> None:
        self._claims.check()

    async def sent(self, webhook: Webhook, seq: int, now: str) -> None:
        me = self._claims.holder
        await self._database.write(lambda c: run_webhooks.sent(c, webhook, me, seq, now))

    async def failed(self, webhook: Webhook, due_at: str | None, now: str, why: str) -> None:
        me = self._claims.holder
        if due_at is None:
            await self._database.write(lambda c: run_webhooks.refused(c, webhook, me, why))
        else:
            await self._database.write(lambda c: run_webhooks.failed(c, webhook, me, due_at, now))

    async def _give_up(self, webhook: Webhook, why: str) -> None:
        me = self._claims.holder
        await self._database.write(lambda c: run_webhooks.give_up(c, webhook, me, why))
        logger.warning(
            "webhook %s of run %s is given up: %s", webhook.config_id, webhook.task_id, why
        )

    async def _seen(self, run_id: str, subject: str) -> Thread:
        """Raises UnknownRunError also for a run that the person may not see."""
        principal = self._people(subject)
        if principal is None:
            raise UnknownRunError(run_id)
        return await threads.thread(self._database, principal, run_id)


def _too_many() -> InvalidParamsError:
    return invalid("taskPushNotificationConfig", f"is one of more than {MAX_CONFIGS} of a task")
