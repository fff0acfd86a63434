"""Several coordinators on one Postgres: who is alive, who holds a run, and what the dead may still do."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

import pytest
from parley_coordinator.engine.beginning import begin
from parley_coordinator.engine.claims import Shared
from parley_coordinator.engine.durable import Durable
from parley_coordinator.engine.lease import Lease
from parley_coordinator.engine.queues import QueueServer
from parley_coordinator.model import Run, RunState, Wait
from parley_coordinator.store import coordinators, runs
from parley_coordinator.store.coordinators import Member
from parley_coordinator.store.opening import open_database

from tests.coordinator.world import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from parley_wire.database import Database

pytestmark = pytest.mark.anyio

LONG_S = 60.0
TTL_MS = 500
ZOMBIE = "zombie"


def _now() -> datetime:
    return datetime.now(UTC)


def _end() -> NoReturn:
    raise SystemExit(75)


class Process:
    """What makes a coordinator one of several."""

    def __init__(self, url: str, name: str, *, ttl_s: float = LONG_S) -> None:
        self.database: Database = open_database(url)
        self.lease = Lease(url, Member(name, "host", 1, "1.0.0"), ttl_s=ttl_s, end=_end)
        self.claims = Shared(self.database, self.lease, now=_now)

    async def join(self) -> None:
        await asyncio.to_thread(self.lease.begin)
        self.database.guard(self.lease.guard)

    async def join_and_freeze(self) -> None:
        """Give one sign of life and no other, as a process that is stopped after that."""
        await self.database.write(lambda c: coordinators.join(c, self.lease.member))
        self.database.guard(self.lease.guard)

    async def close(self) -> None:
        await asyncio.to_thread(self.lease.stop)
        await self.database.aclose()

    async def reap(self) -> list[str]:
        """Take the leases of all that were silent for half a second."""
        me = self.lease.member.id
        await self.database.write(lambda c: coordinators.beat(c, me))
        return await self.database.write(lambda c: coordinators.reap(c, TTL_MS, me))


@contextlib.asynccontextmanager
async def processes(url: str, *names: str) -> AsyncIterator[list[Process]]:
    found = [Process(url, name) for name in names]
    try:
        for each in found:
            await (each.join_and_freeze() if each.lease.member.id == ZOMBIE else each.join())
        yield found
    finally:
        for each in found:
            await each.close()


async def _run(database: Database, run_id: str) -> None:
    at = _now()
    run = Run(
        id=run_id,
        workflow="w",
        version="1.0.0",
        digest="d",
        state=RunState.RUNNING,
        input={},
        output=None,
        error=None,
        waiting_for=[],
        requested_by="requester",
        created_at=at,
        updated_at=at,
        context_id=run_id,
    )
    await database.write(lambda c: begin(c, run))


async def _park(process: Process, run_id: str, segment: int) -> None:
    wait = Wait(kind="item", path="/do/0", since=_now(), until=None).as_json()
    by = process.claims.holder
    await process.database.write(lambda c: runs.park(c, run_id, segment, [wait], _now(), by))


async def test_a_run_is_held_by_one_coordinator_until_it_is_parked(postgres_url: str) -> None:
    async with processes(postgres_url, "a", "b") as (a, b):
        await _run(a.database, "r")

        assert await a.claims.claim("r", 0)
        assert await a.claims.claim("r", 0)
        assert not await b.claims.claim("r", 0)
        assert await a.database.write(lambda c: a.claims.holds(c, "r"))
        assert not await b.database.write(lambda c: b.claims.holds(c, "r"))

        later = asyncio.create_task(b.claims.claim("r", 1))
        await _park(b, "r", 1)
        assert not later.done(), "only who holds it may park it"
        await _park(a, "r", 1)
        assert await later
        assert not await a.claims.claim("r", 1)


async def test_of_many_that_ask_at_once_one_gets_a_run(postgres_url: str) -> None:
    async with processes(postgres_url, "a", "b", "c") as found:
        await _run(found[0].database, "r")
        claims = [each.claims.claim("r", 0) for each in found]
        assert sorted(await asyncio.gather(*claims)) == [False, False, True]


async def test_who_is_dead_is_reaped_by_one_and_then_can_write_nothing(postgres_url: str) -> None:
    async with processes(postgres_url, ZOMBIE, "b", "c") as (zombie, b, c):
        await _run(zombie.database, "r")
        await _run(zombie.database, "other")
        assert await zombie.claims.claim("r", 0)
        reaped: list[str] = []

        async def dead() -> bool:
            for each in await asyncio.gather(b.reap(), c.reap()):
                reaped.extend(each)
            return ZOMBIE in reaped

        await until(dead)
        assert reaped.count(ZOMBIE) == 1
        lost = await b.database.read(coordinators.lost)
        assert lost == [("r", 0)]
        assert await b.claims.claim("r", 0)

        for act in (zombie.claims.claim("other", 0), _park(zombie, "r", 1)):
            with pytest.raises(SystemExit) as caught:
                await act
            assert caught.value.code == 75
        listed = {each.id: each.alive for each in await b.database.read(coordinators.listed)}
        assert listed == {ZOMBIE: False, "b": True, "c": True}
        held = await b.database.write(lambda c: b.claims.holds(c, "r"))
        assert held


async def test_who_could_not_renew_its_lease_ends_before_its_next_effect(postgres_url: str) -> None:
    lease = Lease(postgres_url, Member("a", "host", 1, "1.0.0"), ttl_s=1, end=_end)
    lease.check()

    async def ended() -> bool:
        lease.check()
        return False

    with pytest.raises(SystemExit):
        await until(ended)


# What the dead one had under way is destroyed in the middle of it; DBOS complains of that.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_row_that_a_dead_coordinator_had_taken_from_the_queue_runs_again(
    postgres_url: str,
) -> None:
    """The queue's part of a take-over, which goes through a private call of DBOS."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def hang(_run_id: str, _segment: int) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def finish(_run_id: str, _segment: int) -> None:
        ended.set()

    dead = Durable(QueueServer(postgres_url, "dead"))
    await dead.launch(hang)
    await dead.park("r", 0, 0)
    async with asyncio.timeout(60):
        await begun.wait()
    await dead.close()
    alive = Durable(QueueServer(postgres_url, "alive"))
    await alive.launch(finish)
    try:
        await alive.recover(["somebody else"])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await ended.wait()
        await alive.recover(["dead"])
        await alive.recover(["dead"])
        async with asyncio.timeout(60):
            await ended.wait()
    finally:
        await alive.close()
        gc.collect()  # here, and not in the middle of another test
