"""Takes over the runs of coordinators that are gone: killed, cut off, or stopped (ADR-0015).

Every coordinator does this, all the time. When several do it at once, each run still goes to one of
them, because it must be claimed. It is repeated until nothing is left, so that one that dies while it
takes over leaves no more behind than it found.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from parley_coordinator.store import coordinators

if TYPE_CHECKING:
    from parley_wire.database import Database

    from parley_coordinator.engine.durable import Durable
    from parley_coordinator.engine.engine import Engine
    from parley_coordinator.engine.lease import Lease

logger = logging.getLogger(__name__)

_KEPT: Final = 4
"""So many leases long is one remembered that is gone: it may have left something in the queue late."""


class Takeover:
    """Reaps and takes over, for one coordinator."""

    def __init__(self, database: Database, lease: Lease, durable: Durable, engine: Engine) -> None:
        self._database = database
        self._lease = lease
        self._durable = durable
        self._engine = engine
        self._ttl_ms = int(lease.ttl_s * 1000)
        self._seen: set[str] = set()

    async def run(self) -> None:
        """Look for the dead, for ever. A process edge: nothing that fails ends it."""
        while True:
            self._lease.check()
            try:
                await self.round()
            except Exception:
                logger.exception("could not look for coordinators that are gone, trying again")
            await asyncio.sleep(self._lease.beat_s)

    async def round(self) -> None:
        """Take over what there is now."""
        if await self._database.read(lambda c: coordinators.overdue(c, self._ttl_ms)):
            me = self._lease.member.id
            for dead in await self._database.write(
                lambda c: coordinators.reap(c, self._ttl_ms, me)
            ):
                logger.warning("coordinator %s is gone, its runs are taken over", dead)
        gone = await self._database.read(coordinators.gone)
        if not gone:
            return
        await self._durable.recover(gone)
        for run_id, segment in await self._database.read(coordinators.lost):
            self._engine.take_up(run_id, segment)
        if not self._seen.issuperset(gone):
            await self._engine.sweep()  # what it had not begun yet is signed by nobody
        self._seen = set(gone)
        keep_ms = _KEPT * self._ttl_ms
        await self._database.write(lambda c: coordinators.forget(c, keep_ms))
