"""What agents post to webhooks: a hint that a run should look at a task.

The first push since a run has parked is a row of its journal, so that it is seen by another coordinator,
and after a crash; the others change nothing. While it advances each is one: the run may just have looked.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final, NamedTuple

from parley_coordinator.delegation.pushing import PUSH, hash_of, row_of, run_of
from parley_coordinator.errors import PushTokenError, UnknownPushError
from parley_coordinator.model import RunState
from parley_coordinator.store import journal, runs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from parley_wire.database import Database
    from sqlalchemy import Connection

    from parley_coordinator.model import Entry

MAX_WAKES: Final = 200
"""So often may an agent wake a run about one task; after that the run looks by itself only."""
PUSHED: Final = "pushed"
ENDS: Final = frozenset({"observed", "failed", "cancelled"})
NO_TOKEN: Final = "0" * 64


class Webhook(NamedTuple):
    """One that was made, and is known to whoever has called it."""

    row: Entry
    spent: bool
    """The step has ended: nobody waits for its task any more."""


class Pushes:
    """Takes what agents post.

    Args:
        signal: Lets a run go on.
    """

    def __init__(
        self,
        database: Database,
        *,
        signal: Callable[[str], Awaitable[None]],
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._signal = signal
        self._now = now

    async def known(self, webhook: str, token: str) -> Webhook:
        """Return the webhook with this id, to who holds its token.

        Raises:
            UnknownPushError: If there is none.
            PushTokenError: If the token is another one.
        """
        run_id = run_of(webhook)

        def read(connection: Connection) -> Webhook | None:
            rows = [] if run_id is None else journal.of_kind(connection, run_id, PUSH)
            row = row_of(webhook, rows)
            if row is None:
                return None
            stored = runs.get(connection, row.run_id)
            over = stored is None or stored.run.state.final
            ended = any(each.kind in ENDS for each in journal.at(connection, row.run_id, row.place))
            return Webhook(row, over or ended)

        found = await self._database.read(read)
        expected = NO_TOKEN if found is None else str(found.row.body["hash"])
        fits = hmac.compare_digest(hash_of(token), expected)
        if found is None:
            raise UnknownPushError
        if not fits:
            raise PushTokenError
        return found

    async def wake(self, webhook: Webhook) -> None:
        """Let the run look at the task; harmless if it has, or if it comes twice."""
        row, at = webhook.row, self._now()

        def write(connection: Connection) -> bool:
            stored = runs.get(connection, row.run_id)
            if stored is None or stored.run.state.final:
                return False
            wakes = [e for e in journal.at(connection, row.run_id, row.place) if _is_push(e)]
            kind = f"{PUSHED}.{stored.segment}"
            if stored.run.state is RunState.RUNNING:
                # It may have looked already, so this one is news whatever came before.
                kind = f"{kind}.{len(wakes) + 1}"
            if len(wakes) < MAX_WAKES:
                journal.tell(connection, row.run_id, row.place, kind, at, {})
            return len(wakes) < MAX_WAKES

        if await self._database.write(write):
            await self._signal(row.run_id)


def _is_push(entry: Entry) -> bool:
    return entry.kind.startswith(f"{PUSHED}.")
