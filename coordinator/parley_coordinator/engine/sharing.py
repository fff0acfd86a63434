"""One coordinator alone with its files, or one of several on a Postgres (ADR-0015)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from parley_coordinator.engine.claims import Shared, Sole
from parley_coordinator.engine.durable import Durable
from parley_coordinator.engine.following import Following
from parley_coordinator.engine.queues import QueueFile, QueueServer
from parley_coordinator.engine.takeover import Takeover
from parley_coordinator.store import coordinators

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from datetime import datetime
    from pathlib import Path

    from parley_wire.database import Database

    from parley_coordinator.engine.claims import Claims
    from parley_coordinator.engine.engine import Engine
    from parley_coordinator.engine.lease import Lease


class Company(Protocol):
    """Whoever else there may be."""

    durable: Durable
    claims: Claims

    async def join(self) -> None:
        """Begin; before anything is advanced."""
        ...

    def edges(self, engine: Engine) -> Sequence[Coroutine[None, None, None]]:
        """Return what runs for ever beside the engine."""
        ...

    async def leave(self) -> None:
        """End; after everything is stopped that advances."""
        ...


class Alone:
    """Nobody else."""

    def __init__(self, queue_file: Path) -> None:
        self.durable = Durable(QueueFile(queue_file))
        self.claims: Claims = Sole()

    async def join(self) -> None:
        return

    def edges(self, engine: Engine) -> Sequence[Coroutine[None, None, None]]:  # noqa: ARG002 - of the protocol
        return ()

    async def leave(self) -> None:
        return


class Together:
    """Others on the same Postgres."""

    def __init__(
        self, database: Database, url: str, lease: Lease, *, now: Callable[[], datetime]
    ) -> None:
        self.durable = Durable(QueueServer(url, lease.member.id))
        self.claims: Claims = Shared(database, lease, now=now)
        self._database = database
        self._lease = lease

    async def join(self) -> None:
        await asyncio.to_thread(self._lease.begin)
        self._database.guard(self._lease.guard)

    def edges(self, engine: Engine) -> Sequence[Coroutine[None, None, None]]:
        return (
            Takeover(self._database, self._lease, self.durable, engine).run(),
            Following(self._database, engine).run(),
        )

    async def leave(self) -> None:
        """Give the lease back, so that the others take over at once what is left."""
        await asyncio.to_thread(self._lease.stop)
        me = self._lease.member.id
        await self._database.write(lambda c: coordinators.leave(c, me))
