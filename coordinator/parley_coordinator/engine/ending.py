"""How a run ends: one transaction, whoever ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parley_coordinator.engine import planning
from parley_coordinator.engine.beginning import ROOT
from parley_coordinator.engine.calling_back import TAKEN
from parley_coordinator.engine.children import report
from parley_coordinator.engine.lifecycle import outcome
from parley_coordinator.store import calls_back, events, items, journal, runs

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from parley_coordinator.model import Run, RunState


def end(
    connection: Connection,
    run: Run,
    state: RunState,
    body: dict[str, Any],
    at: datetime,
    *,
    tell: dict[str, Any] | None = None,
    owing: bool = True,
) -> bool:
    """Move a run to a final state, with everything that hangs on it; False if it has ended before.

    Args:
        body: Of the journal's last row: `{output}`, `{error}`, or `{by, reason}`.
        tell: The error that the parent of a cancelled run gets; None: that it was cancelled.
        owing: Agents may have begun something for it that is to be called back.
    """
    output, error = body.get("output"), body.get("error")
    if not runs.finish(connection, run.id, state, at=at, output=output, error=error):
        return False
    journal.append(connection, run.id, ROOT, str(state), at, body)
    if owing:
        # Whoever ends it sees to that now; if it dies, somebody else does.
        calls_back.owe_open(connection, run.id, at=at, due=at + TAKEN)
    items.withdraw_below(connection, run.id, "")
    events.close_below(connection, run.id, "")
    report(connection, run, state, body, at, tell=tell)
    planning.ended(connection, run, at)
    if events.about_workflows_wanted(connection):
        document = runs.get_document(connection, run.digest) or {}
        namespace = document.get("document", {}).get("namespace", "")
        event = outcome(run, namespace, str(state), at, body)
        events.insert(connection, event, at, f"run:{run.id}")
    return True
