"""Runs as tasks: in the order in which they changed, counted, and by what they wait for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import exists, func, or_, select, text, tuple_

from parley_coordinator.model import ItemKind, ItemState, Phase, RunState
from parley_coordinator.store import items, journal, runs
from parley_coordinator.store.tables import CANDIDATE, ITEM, RUN, to_text

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from parley_coordinator.model import Run, WorkItem

MAX_ITEMS: Final = 5000
"""Of one run."""
_FIRST = text("SELECT body FROM journal WHERE run_id = :run_id AND seq = 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which runs. None: whatever it is."""

    workflow: str
    phase: Phase | None
    context_id: str | None
    changed_since: datetime | None
    visible_to: tuple[str, frozenset[str]] | None
    """Only runs that this subject requested, or with an item for one of these titles."""


@dataclass(frozen=True, slots=True)
class Told:
    """What is stored of a conversation."""

    run: Run
    seq: int
    message_id: str
    items: list[WorkItem]
    """Newest first."""


def told(connection: Connection, run: Run) -> Told:
    """Return what there is to tell of a run."""
    first = connection.execute(_FIRST, {"run_id": run.id}).scalar_one_or_none()
    return Told(
        run=run,
        seq=journal.last(connection, run.id),
        message_id="" if first is None else str(json.loads(first).get("message", "")),
        items=items.page(connection, limit=MAX_ITEMS, before=None, run_id=run.id),
    )


def page(
    connection: Connection, wanted: Wanted, *, limit: int, before: tuple[str, str] | None
) -> tuple[list[Told], int]:
    """Return at most `limit` runs, last changed first, and how many there are in all.

    Args:
        before: `(updated_at text, id)` of the last run of the previous page.
    """
    conditions = _conditions(wanted)
    total = connection.execute(select(func.count()).select_from(RUN).where(*conditions))
    query = (
        select(RUN.c.id)
        .where(*conditions)
        .order_by(RUN.c.updated_at.desc(), RUN.c.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(tuple_(RUN.c.updated_at, RUN.c.id) < tuple_(*before))
    found = [runs.get(connection, each) for each in connection.execute(query).scalars().all()]
    return [told(connection, each.run) for each in found if each is not None], int(
        total.scalar_one()
    )


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [RUN.c.workflow == wanted.workflow]
    if wanted.phase is not None:
        conditions.append(_in_phase(wanted.phase))
    if wanted.context_id is not None:
        conditions.append(RUN.c.context_id == wanted.context_id)
    if wanted.changed_since is not None:
        conditions.append(RUN.c.updated_at >= to_text(wanted.changed_since))
    if wanted.visible_to is not None:
        subject, titles = wanted.visible_to
        asked = select(CANDIDATE.c.run_id).where(CANDIDATE.c.title.in_(sorted(titles)))
        conditions.append(or_(RUN.c.requested_by == subject, RUN.c.id.in_(asked)))
    return conditions


def _in_phase(phase: Phase) -> ColumnElement[bool]:
    """The same as `model.phase`, in SQL."""
    waiting = RUN.c.state == str(RunState.WAITING)
    match phase:
        case Phase.WORKING:
            return or_(RUN.c.state == str(RunState.RUNNING), waiting & ~_open_items())
        case Phase.ASKING:
            return waiting & _open_items(ITEM.c.kind != str(ItemKind.AUTH))
        case Phase.AUTHORIZING:
            return waiting & _open_items() & ~_open_items(ITEM.c.kind != str(ItemKind.AUTH))
        case Phase.COMPLETED | Phase.FAULTED | Phase.CANCELLED:
            return RUN.c.state == str(phase)


def _open_items(*of: ColumnElement[Any]) -> ColumnElement[bool]:
    return exists().where(ITEM.c.run_id == RUN.c.id, ITEM.c.state == str(ItemState.READY), *of)
