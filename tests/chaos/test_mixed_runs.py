"""200 runs of every kind while coordinators die: none lost, none stuck, no step done twice.

Agents and the shop de-duplicate nothing and count on disk, so a second execution shows. An operator
answers incidents by looking there, as a person would.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from tests import postgres
from tests.chaos.fleet import Fleet, fleet
from tests.chaos.workers import Ledger, Shop, Worker
from tests.coordinator.world import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.crash, pytest.mark.chaos]

RUNS = int(os.environ.get("PARLEY_CHAOS_RUNS", "200"))
KILLS = int(os.environ.get("PARLEY_CHAOS_KILLS", "8"))
LEASE_S = 4
STUCK_S = 120
IN_FLIGHT_S = 0.2
"""What the killed process had handed to the kernel may still arrive."""
MORE_S = 8
"""A step that takes longer is no measure of a restart."""
STARTING_S = 80
"""So long it takes about to start all runs: kills must find some under way."""
FINAL = ("completed", "faulted", "cancelled")

CALL = """\
{pad}- {step}:
{pad}    metadata: {{label: Work}}
{pad}    call: {skill}:1.0.0@agents
{pad}    with: {{do: {do}, run: '${{ $workflow.input.run }}', step: {step}, seconds: {seconds}}}
{pad}    timeout: {{after: {{minutes: 8}}}}
"""


def call(step: str, skill: str, *, do: str = "work", seconds: float = 0.5, indent: int = 2) -> str:
    pad = " " * indent
    return CALL.format(pad=pad, step=step, skill=skill, do=do, seconds=seconds)


DOCUMENTS = {
    "streamed": call("one", "stream") + call("two", "stream") + call("three", "stream"),
    "polled": call("one", "poll") + call("two", "poll", seconds=1),
    "slow": call("one", "poll", seconds=6) + call("two", "stream"),
    "asked": call("one", "stream", do="ask", seconds=0) + call("two", "poll"),
    "forked": "  - split:\n      metadata: {label: Split}\n      fork:\n        branches:\n"
    + "".join(
        call(step, skill, seconds=seconds, indent=10)
        for step, skill, seconds in (
            ("one", "stream", 0.3),
            ("two", "poll", 1),
            ("three", "poll", 2),
        )
    )
    + call("four", "stream"),
    "ordered": """\
  - one:
      metadata: {label: Order}
      call: http
      with:
        method: POST
        endpoint: '${ $workflow.input.shop + "/orders" }'
        body: {run: '${ $workflow.input.run }', step: one}
      timeout: {after: {minutes: 8}}
"""
    + call("two", "poll"),
    "failing": "  - outer:\n      metadata: {label: Outer}\n      try:\n"
    + call("one", "poll", do="fail", seconds=0, indent=8)
    + "      catch:\n        do:\n"
    + call("two", "stream", indent=10),
    "faulted": call("one", "stream") + call("two", "poll", do="fail", seconds=0),
}
STEPS = {
    "streamed": 3,
    "polled": 2,
    "slow": 2,
    "asked": 2,
    "forked": 4,
    "ordered": 2,
    "failing": 2,
    "faulted": 2,
}


@dataclass
class Scene:
    """One test: a fleet, what is done in it, and what was measured."""

    mesh: Fleet
    ledger: Ledger
    shop: Shop
    dice: random.Random
    kinds: dict[str, str] = field(default_factory=dict)
    """Of runs, by our name."""
    ids: dict[str, str] = field(default_factory=dict)
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)
    incidents: Counter[str] = field(default_factory=Counter)
    first_steps: list[str] = field(default_factory=list)
    """Seconds from a kill to the next step of a run that had begun before; until it was healthy again."""

    async def play(self, kill: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start all runs, answer for people, and kill meanwhile, until all runs have ended."""
        tasks = [asyncio.create_task(self._start_all()), asyncio.create_task(kill())]
        people = asyncio.create_task(self._answer())
        try:
            await asyncio.gather(*tasks)
            await self._watch()
        finally:
            for task in (*tasks, people):
                task.cancel()
            await asyncio.wait({*tasks, people})

    async def next_step(self, killed: float, up: float) -> None:
        """Measure how long nothing began after a kill, if a run was under way that had more to do."""
        done = Counter(each.run for each in self.ledger.begun if each.at < killed)
        older = {run for run, count in done.items() if count < STEPS[self.kinds[run]]}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MORE_S if older else 0):
                while True:
                    for each in self.ledger.begun:
                        if each.run in older and each.at > killed + IN_FLIGHT_S:
                            self.first_steps.append(f"{each.at - killed:.1f} ({up - killed:.1f})")
                            return
                    await asyncio.sleep(0.02)

    async def _start_all(self) -> None:
        names = sorted(DOCUMENTS)
        for number in range(RUNS):
            kind = names[number % len(names)]
            name = f"{kind}-{number}"
            self.kinds[name] = kind
            given = {"run": name, "shop": self.shop.url}
            self.ids[name] = await self.mesh.start_run(kind, given, key=name)
            await asyncio.sleep(self.dice.uniform(0, 2 * STARTING_S / RUNS))

    async def _watch(self) -> None:
        deadline = time.monotonic() + STUCK_S
        while len(self.ended) < RUNS:
            left = {n: self.ids[n] for n in self.kinds if n not in self.ended}
            assert time.monotonic() < deadline, f"stuck: {left}"
            for name, run in left.items():
                found = await self.mesh.get(f"/v1/runs/{run}")
                if found["state"] in FINAL:
                    self.ended[name] = found
            await asyncio.sleep(0.2)

    async def _answer(self) -> None:
        """Play the people: answer agents, and find out about what nobody can tell."""
        names = {}
        while True:
            names = {run: name for name, run in self.ids.items()}
            with contextlib.suppress(httpx.TransportError, AssertionError):
                world = self.mesh.any()
                items = (await world.get("/v1/items?limit=200"))["items"]
                for item in items:
                    name = names.get(item["runId"])
                    if name is not None:
                        await self._decide(world, item, name)
            await asyncio.sleep(0.2)

    async def _decide(self, world: Any, item: dict[str, Any], name: str) -> None:
        if item["kind"] != "incident":
            await world.decide(item, "answer", role="operator", values={"text": "yes"})
            return
        step = item["path"].rpartition("/")[2]
        if self.ledger.counts[name, step]:
            result = json.dumps({"step": step})
            response = await world.decide(item, "ran", role="operator", values={"result": result})
        else:
            response = await world.decide(item, "resend", role="operator")
        if response.status_code == 200:
            self.incidents[self.kinds[name]] += 1

    def check(self, seed: int) -> None:
        """Nothing lost, nothing stuck, nothing twice."""
        twice = {key: count for key, count in self.ledger.counts.items() if count != 1}
        assert twice == {}, seed
        for name, run in self.ended.items():
            expected = "faulted" if self.kinds[name] == "faulted" else "completed"
            assert run["state"] == expected, (seed, name, run["error"])
            done = {step for run_, step in self.ledger.counts if run_ == name}
            assert len(done) == STEPS[self.kinds[name]], (seed, name, done)
        assert len({*self.ids.values()}) == RUNS
        assert len(self.ledger.counts) == sum(STEPS[kind] for kind in self.kinds.values())

    def told(self, seed: int, what: str, took: float) -> str:
        return (
            f"\n{what}, seed {seed}: {RUNS} runs, {len(self.ledger.counts)} steps, 0 lost, 0 twice,"
            f" 0 stuck, {sum(self.incidents.values())} incidents {dict(self.incidents)}, {took:.0f} s"
        )


def new_seed() -> int:
    return int(os.environ.get("PARLEY_CHAOS_SEED", str(time.time_ns() % 1_000_000)))


@contextlib.asynccontextmanager
async def scene(
    home: Path, seed: int, *, names: tuple[str, ...], env: dict[str, str]
) -> AsyncIterator[Scene]:
    ledger = Ledger(home / "ledger")
    shop = Shop(ledger)
    workers = [
        Worker(name="streamer", skill="stream", streaming=True, ledger=ledger),
        Worker(name="poller", skill="poll", ledger=ledger),
    ]
    async with fleet(home, DOCUMENTS, workers, shop, names=names, env=env) as mesh:
        yield Scene(mesh, ledger, shop, random.Random(seed))
    ledger.close()


@pytest.mark.timeout(420)
async def test_one_coordinator_that_is_killed_again_and_again_loses_and_repeats_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = new_seed()
    async with scene(tmp_path, seed, names=("a",), env={}) as play:

        async def kill() -> None:
            for _ in range(KILLS):
                await asyncio.sleep(play.dice.uniform(1, 3))
                await play.mesh.kill("a")
                since = time.time()
                await play.mesh.start("a")
                await play.next_step(since, time.time())

        began = time.monotonic()
        await play.play(kill)
        took = time.monotonic() - began
    play.check(seed)
    with capsys.disabled():
        print(play.told(seed, f"SQLite, {KILLS} SIGKILLs", took))
        print(f"next step of an older run (healthy again) after a SIGKILL: {play.first_steps} s")


@pytest.mark.timeout(420)
async def test_of_two_coordinators_one_dies_and_one_is_a_zombie_and_nothing_is_lost_or_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = new_seed()
    handed_over: list[float] = []
    taken: list[float] = []
    with postgres.server() as server:
        url = server.create("chaos")
        env = {"PARLEY_DATABASE_URL": url, "PARLEY_LEASE_S": str(LEASE_S)}
        async with scene(tmp_path, seed, names=("a", "b"), env=env) as play:
            mesh = play.mesh

            async def kill() -> None:
                for _ in range(KILLS - 1):
                    name = play.dice.choice(("a", "b"))
                    await asyncio.sleep(play.dice.uniform(0.5, 2))
                    await mesh.kill(name)
                    await asyncio.sleep(play.dice.uniform(0, 2))
                    await mesh.start(name)
                async with _at_work(url, mesh.pid("b")) as goes_on:
                    await mesh.supervisor.stop("b")
                    handed_over.append(await goes_on())
                await mesh.start("b")
                starts = mesh.supervisor.starts("b")
                async with _at_work(url, mesh.pid("b")) as goes_on:
                    mesh.freeze("b")
                    taken.append(await goes_on())
                mesh.thaw("b")
                await mesh.restarted("b", starts=starts)
                assert "it ends now" in mesh.log("b")
                async with _at_work(url, mesh.pid("a")) as goes_on:
                    await mesh.kill("a")
                    taken.append(await goes_on())

            began = time.monotonic()
            await play.play(kill)
            took = time.monotonic() - began
    play.check(seed)
    with capsys.disabled():
        print(play.told(seed, f"Postgres, two coordinators, {KILLS} SIGKILLs, a SIGSTOP", took))
        print(f"taken over after {taken} s, lease {LEASE_S} s; after a SIGTERM {handed_over} s")


@contextlib.asynccontextmanager
async def _at_work(url: str, pid: int) -> AsyncIterator[Callable[[], Awaitable[float]]]:
    """Begin once a coordinator holds runs; what it yields tells after how long one of them goes on."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:

        async def holds() -> list[str]:
            rows = await connection.execute(
                "SELECT run.id FROM run JOIN coordinator ON coordinator.id = run.holder"
                " WHERE coordinator.pid = %s",
                (pid,),
            )
            return [row[0] for row in await rows.fetchall()]

        held = await until(holds, seconds=40)
        since = time.monotonic()

        async def rows_of_held() -> dict[str, int]:
            rows = await connection.execute(
                "SELECT run_id, max(seq) FROM journal WHERE run_id = ANY(%s) GROUP BY run_id",
                (held,),
            )
            return {row[0]: row[1] for row in await rows.fetchall()}

        async def gone() -> bool:
            rows = await connection.execute(
                "SELECT 1 FROM coordinator WHERE pid = %s AND reaped_by IS NULL", (pid,)
            )
            return await rows.fetchone() is None

        async def goes_on() -> float:
            # What it had handed to the server before may still be committed, and is no sign of the others.
            await until(gone, seconds=60)
            before = await rows_of_held()

            async def more() -> bool:
                now = await rows_of_held()
                return any(seq > before[run] for run, seq in now.items())

            await until(more, seconds=60)
            return round(time.monotonic() - since, 1)

        yield goes_on
