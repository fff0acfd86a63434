"""Who advances a run, when several coordinators could (ADR-0015)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from parley_coordinator.store import coordinators, runs
from parley_coordinator.store.coordinators import Claim

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from parley_wire.database import Database
    from sqlalchemy import Connection

    from parley_coordinator.engine.lease import Lease

_LOOK_S: Final = (0.05, 0.1, 0.2, 0.5)


class Claims(Protocol):
    """What an advance needs to be the only one of its run."""

    holder: str
    """How this coordinator signs the runs that it holds; empty: there is no other."""

    async def claim(self, run_id: str, segment: int) -> bool:
        """Take a run to advance it at a segment; False: it has ended, or another one does that.

        It is given back by parking or finishing the run.
        """
        ...

    def check(self) -> None:
        """Return if this process may still act on what it holds."""
        ...

    def holds(self, connection: Connection, run_id: str) -> bool:
        """Whether this coordinator holds a run that has not ended."""
        ...


class Sole:
    """The claims of the only coordinator."""

    holder = ""

    async def claim(self, run_id: str, segment: int) -> bool:  # noqa: ARG002 - of the protocol
        return True

    def check(self) -> None:
        return

    def holds(self, connection: Connection, run_id: str) -> bool:
        return runs.is_open(connection, run_id)


class Shared:
    """The claims of one of several coordinators."""

    def __init__(self, database: Database, lease: Lease, *, now: Callable[[], datetime]) -> None:
        self.holder = lease.member.id
        self._database = database
        self._lease = lease
        self._now = now

    async def claim(self, run_id: str, segment: int) -> bool:
        tries = 0
        while True:
            at = self._now()
            found = await self._database.write(
                lambda c: coordinators.claim(c, run_id, segment, self.holder, at)  # noqa: B023
            )
            if found is not Claim.LATER:
                return found is Claim.MINE
            # Whoever parks a run puts it on the queue first. Its row follows, or the lease runs out.
            await asyncio.sleep(_LOOK_S[min(tries, len(_LOOK_S) - 1)])
            tries += 1

    def check(self) -> None:
        self._lease.check()

    def holds(self, connection: Connection, run_id: str) -> bool:
        return coordinators.holds(connection, run_id, self.holder)
