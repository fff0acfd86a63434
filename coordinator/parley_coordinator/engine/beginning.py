"""How a run begins: its row and the first row of its journal, whoever starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from parley_coordinator.model import Place
from parley_coordinator.store import journal, runs

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from parley_coordinator.model import Run

ROOT: Final = Place(path="")


def begin(connection: Connection, run: Run) -> None:
    """Add a run; for the transaction that makes it durable before the queue knows of it."""
    runs.insert(connection, run)
    body = {
        "workflow": run.workflow,
        "version": run.version,
        "digest": run.digest,
        "by": run.requested_by,
    }
    journal.append(connection, run.id, ROOT, "started", run.created_at, body)
