"""A pipeline of four agent calls: with the bare SDK client, through the coordinator, and by peers.

All call the same agent process in the same run, in turn at each level. `make bench` writes
benchmarks/README.md; `--with NAME=COMMAND` adds a contestant (benchmarks/contestants.py).
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import httpx

from benchmarks import report
from benchmarks.contestants import CALLS, Contestant, Coordinator, Floor, Peer, peer
from benchmarks.ground import cpu_s, ground, memory_mb
from benchmarks.peers.environments import PEERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.ground import Ground

LEVELS = "1:50,8:100,64:128"
WARM_UP = 5


@dataclass(frozen=True)
class Measured:
    """One contestant at one level."""

    name: str
    at_once: int
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    """Of the process that orchestrates and its children, per pipeline."""
    per_s: float
    failed: int
    """Pipelines that did not come to the right end; they are in no other figure but the CPU."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--levels", default=LEVELS, help="AT_ONCE:PIPELINES, comma-separated")
    options.add_argument(
        "--with", dest="others", action="append", default=[], metavar="NAME=COMMAND"
    )
    options.add_argument(
        "--peers", action="store_true", help="beside the products of benchmarks/peers"
    )
    options.add_argument("--print", action="store_true", help="leave benchmarks/README.md alone")
    given = options.parse_args()
    levels = [tuple(map(int, each.split(":"))) for each in given.levels.split(",")]
    others = [peer(each) for each in given.others]
    if given.peers:
        for each in PEERS:
            each.install()
        others += [Peer(each.title, each.contestant) for each in PEERS]
    contestants: list[Contestant] = [Floor(), Coordinator(), *others]
    with ground() as found:
        measured, memory = asyncio.run(_measure(found, contestants, levels))
    text = _rendered(measured, memory)
    print(text) if given.print else report.put("pipeline", text)


async def _measure(
    found: Ground, contestants: Sequence[Contestant], levels: Sequence[tuple[int, ...]]
) -> tuple[list[Measured], dict[str, float]]:
    numbers = count()
    measured = []
    async with AsyncExitStack() as stack:
        pids = [await each.start(found, stack) for each in contestants]
        for at_once, pipelines in levels:
            for each, pid in zip(contestants, pids, strict=True):
                await _load(each, numbers, WARM_UP, at_once)
                measured.append(await _timed(each, numbers, at_once, pipelines, pid))
        memory = {
            each.name: memory_mb(pid)
            for each, pid in zip(contestants, pids, strict=True)
            if not isinstance(each, Floor)  # that is this process, with all of its clients
        }
    return measured, memory


async def _timed(
    contestant: Contestant, numbers: Iterator[int], at_once: int, pipelines: int, pid: int
) -> Measured:
    cpu, began = cpu_s(pid), time.perf_counter()
    ended = await _load(contestant, numbers, pipelines, at_once)
    took = sorted(each for each in ended if each is not None)
    elapsed = time.perf_counter() - began
    return Measured(
        name=contestant.name,
        at_once=at_once,
        p50_ms=statistics.median(took or [0.0]) * 1e3,
        p95_ms=(took or [0.0])[int(len(took) * 0.95)] * 1e3,
        cpu_ms=(cpu_s(pid) - cpu) / pipelines * 1e3,
        per_s=len(took) / elapsed,
        failed=pipelines - len(took),
    )


async def _load(
    contestant: Contestant, numbers: Iterator[int], pipelines: int, at_once: int
) -> list[float | None]:
    """Return how long each took, in seconds; None: it failed."""
    gate = asyncio.Semaphore(at_once)

    async def one(number: int) -> float | None:
        async with gate:
            began = time.perf_counter()
            try:
                await contestant.pipeline(number)
            except (AssertionError, httpx.TransportError) as exc:
                print(f"{contestant.name}: {str(exc)[:200]}", file=sys.stderr)
                return None
            return time.perf_counter() - began

    return list(await asyncio.gather(*(one(next(numbers)) for _ in range(pipelines))))


def _rendered(measured: Sequence[Measured], memory: dict[str, float]) -> str:
    floors = {each.at_once: each for each in measured if each.name == Floor.name}
    rows = []
    for m in measured:
        floor = floors[m.at_once]
        against = f"{m.cpu_ms / floor.cpu_ms:.1f} x, {m.per_s / floor.per_s:.2f} x"
        rows.append(
            [
                str(m.at_once),
                m.name,
                f"{m.p50_ms:.0f}",
                f"{m.p95_ms:.0f}",
                f"{m.cpu_ms:.1f}",
                f"{m.per_s:.0f}",
                "" if m is floor else against,
                str(m.failed or ""),
            ]
        )
    head = [
        "at once",
        "",
        "p50 ms",
        "p95 ms",
        "CPU ms per pipeline",
        "pipelines/s",
        "against the floor",
        "failed",
    ]
    shown = ", ".join(f"{name} {mb:.0f} MB" for name, mb in memory.items())
    return (
        f"{report.table(head, rows)}\n\n{CALLS} calls a pipeline. Memory at the end (PSS, with child"
        f" processes): {shown}.\n{report.where()}"
    )


if __name__ == "__main__":
    main()
