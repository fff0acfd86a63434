"""What other coordinators do to runs that this one watches or advances (ADR-0015).

Runs change in whichever process has them. Who waits for a run in another process learns of it by
looking, twice a second, at the runs that somebody waits for: one query, and none while nobody does.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from parley_coordinator.model import RunState
from parley_coordinator.store.marks import marks

if TYPE_CHECKING:
    from parley_wire.database import Database

    from parley_coordinator.engine.engine import Engine
    from parley_coordinator.store.marks import Mark

logger = logging.getLogger(__name__)

LOOK_S: Final = 0.5


class Following:
    """Tells an engine of what it has not done itself."""

    def __init__(self, database: Database, engine: Engine) -> None:
        self._database = database
        self._engine = engine
        self._seen: dict[str, Mark] = {}

    async def run(self) -> None:
        """Look, for ever. A process edge: nothing that fails ends it."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except Exception:
                logger.exception("could not look at what other coordinators do, trying again")

    async def look(self) -> None:
        """Tell what has changed since the last look."""
        active = self._engine.active()
        wanted = sorted({*self._engine.watched(), *active})
        if not wanted:
            self._seen.clear()
            return
        before = self._seen
        self._seen = await self._database.read(lambda c: marks(c, wanted))
        for run_id, mark in self._seen.items():
            if before.get(run_id) != mark:
                known = before.get(run_id)
                self._engine.changed(
                    run_id, state=known is None or known.updated_at != mark.updated_at
                )
            if mark.state is RunState.CANCELLED and run_id in active:
                await self._engine.cancel(run_id)
