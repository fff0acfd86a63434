"""Starts and cancels the runs that runs start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parley_coordinator.engine.ending import end
from parley_coordinator.model import RunState
from parley_coordinator.store import runs

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from parley_wire.database import Database
    from sqlalchemy import Connection

    from parley_coordinator.engine.engine import Engine
    from parley_coordinator.engine.workflows import Workflows
    from parley_coordinator.workflow.document import Document


class RunNursery:
    """Implements `engine.children.Nursery`."""

    def __init__(
        self,
        database: Database,
        workflows: Workflows,
        engine: Callable[[], Engine],
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._workflows = workflows
        self._engine = engine
        self._now = now

    async def startable(self, name: str, version: str | None) -> Document:
        document, active = await self._workflows.opening(name, version)
        await self._workflows.prove(document, active)
        return document

    async def start(self, run_id: str) -> None:
        await self._engine().start(run_id)

    async def cancel(self, run_id: str, reason: str, *, tell: dict[str, Any] | None = None) -> None:
        at = self._now()

        def write(connection: Connection) -> bool:
            stored = runs.get(connection, run_id)
            body = {"by": "parley", "reason": reason}
            return stored is not None and end(
                connection, stored.run, RunState.CANCELLED, body, at, tell=tell
            )

        if await self._database.write(write):
            await self._engine().cancel(run_id)
