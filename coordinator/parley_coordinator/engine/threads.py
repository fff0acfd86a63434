"""Runs as the conversations that A2A makes of them, as one person sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley_coordinator.errors import UnknownRunError
from parley_coordinator.governance.access import Permission, Principal, require
from parley_coordinator.inbox.rules import as_seen_by
from parley_coordinator.model import Page, Thread
from parley_coordinator.store import run_tasks, runs
from parley_coordinator.store.cursor import read_cursor, write_cursor
from parley_coordinator.store.tables import to_text

if TYPE_CHECKING:
    from datetime import datetime

    from parley_wire.database import Database
    from sqlalchemy import Connection

    from parley_coordinator.model import Phase
    from parley_coordinator.store.run_tasks import Told


async def thread(database: Database, principal: Principal, run_id: str) -> Thread:
    """Return a run with what was said in it, all of one moment.

    Raises:
        UnknownRunError: If there is none, or the caller may not see it.
    """

    def read(connection: Connection) -> Told | None:
        stored = runs.get(connection, run_id)
        if stored is None:
            return None
        sees = principal.may(Permission.RUN_READ_ALL) or (
            principal.may(Permission.RUN_READ_OWN)
            and (
                stored.run.requested_by == principal.subject
                or runs.asked(connection, run_id, principal.titles)
            )
        )
        return run_tasks.told(connection, stored.run) if sees else None

    found = await database.read(read)
    if found is None:
        raise UnknownRunError(run_id)
    return _seen(found, principal)


async def tasks(
    database: Database,
    principal: Principal,
    *,
    workflow: str,
    phase: Phase | None,
    context_id: str | None,
    changed_since: datetime | None,
    limit: int,
    cursor: str,
) -> tuple[Page[Thread], int]:
    """Return the runs of a workflow that the caller may see, last changed first, and how many there are.

    Raises:
        InvalidRequestError: If the cursor is not one of ours.
    """
    sees_all = principal.may(Permission.RUN_READ_ALL)
    require(principal, Permission.RUN_READ_ALL if sees_all else Permission.RUN_READ_OWN)
    wanted = run_tasks.Wanted(
        workflow=workflow,
        phase=phase,
        context_id=context_id,
        changed_since=changed_since,
        visible_to=None if sees_all else (principal.subject, principal.titles),
    )
    before = read_cursor(cursor)
    found, total = await database.read(
        lambda c: run_tasks.page(c, wanted, limit=limit + 1, before=before)
    )
    last = found[limit - 1].run if len(found) > limit else None
    next_cursor = "" if last is None else write_cursor(to_text(last.updated_at), last.id)
    entries = [_seen(each, principal) for each in found[:limit]]
    return Page(entries=entries, next_cursor=next_cursor), total


def _seen(told: Told, principal: Principal) -> Thread:
    return Thread(
        run=told.run,
        seq=told.seq,
        items=as_seen_by(principal, told.items),
        message_id=told.message_id,
    )
