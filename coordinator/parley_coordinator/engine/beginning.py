"""How a run begins: its row and the first row of its journal, whoever starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from parley_cards.delegation import UNLIMITED

from parley_coordinator.model import Place
from parley_coordinator.store import journal, runs

if TYPE_CHECKING:
    from parley_cards.delegation import DelegationContract
    from sqlalchemy import Connection

    from parley_coordinator.model import Run

ROOT: Final = Place(path="")


def begin(
    connection: Connection,
    run: Run,
    *,
    contract: DelegationContract = UNLIMITED,
    continues: dict[str, Any] | None = None,
    message_id: str = "",
) -> None:
    """Add a run; for the transaction that makes it durable before the queue knows of it.

    Args:
        contract: Under which it works.
        continues: For which run it goes on, since when, and who wants that: `{run, since, by, reason, act,
            step}`.
        message_id: Of the A2A message that asked for it.
    """
    runs.insert(connection, run)
    body: dict[str, Any] = {
        "workflow": run.workflow,
        "version": run.version,
        "digest": run.digest,
        "by": run.requested_by,
    }
    if contract != UNLIMITED:
        body["contract"] = contract.as_json()
    if continues is not None:
        body["continues"] = continues
    if message_id:
        body["message"] = message_id
    journal.append(connection, run.id, ROOT, "started", run.created_at, body)
