"""How far runs are, for who only wants to know whether they have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select

from parley_coordinator.model import RunState
from parley_coordinator.store.tables import JOURNAL, RUN

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

_LAST = (
    select(func.coalesce(func.max(JOURNAL.c.seq), 0))
    .where(JOURNAL.c.run_id == RUN.c.id)
    .scalar_subquery()
)
_MARKS = select(RUN.c.id, RUN.c.state, RUN.c.updated_at, _LAST.label("last"))


class Mark(NamedTuple):
    """Another one tells that something has changed."""

    state: RunState
    updated_at: str
    last: int
    """The highest `seq` of the journal."""


def marks(connection: Connection, run_ids: Collection[str]) -> dict[str, Mark]:
    """Return the marks of those of the runs that there are."""
    found = connection.execute(_MARKS.where(RUN.c.id.in_(run_ids)))
    return {row.id: Mark(RunState(row.state), row.updated_at, row.last) for row in found}
