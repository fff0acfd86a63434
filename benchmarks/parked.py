"""Thousands of runs that wait: what they cost, and how long one of them takes to wake.

Every other run waits for an event with its number, the others for a person. `make bench-parked` writes
benchmarks/README.md; the coordinator is killed once in between.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parley_coordinator.governance.access import Role
from parley_coordinator.governance.accounts import open_tokens
from parley_wire.http import open_http

from benchmarks import report
from benchmarks.ground import cpu_s, ground, memory_mb

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Awaitable, Callable

    import httpx

    from benchmarks.ground import Ground

RUNS = 10_000
AT_ONCE = 16
WOKEN = 20
IDLE_S = 30.0
PATIENCE_S = 120.0
HEARS = """\
document: {dsl: '1.0.3', namespace: bench, name: hears, version: '1.0.0'}
timeout: {after: {days: 30}}
do:
  - hear:
      metadata: {label: Wait for the payment}
      listen:
        to:
          one:
            with: {type: com.example.paid}
            correlate: {order: {from: '${ .data.order }', expect: '${ .order }'}}
      timeout: {after: {days: 20}}
"""
ASKS = """\
document: {dsl: '1.0.3', namespace: bench, name: asks, version: '1.0.0'}
timeout: {after: {days: 30}}
do:
  - approve:
      metadata: {label: Approve the payment}
      call: human-task:1.0.0@parley
      with:
        title: '${ "Pay order \\(.order)?" }'
        candidates: ['role:approver']
        outcomes: [approved, rejected]
        proposal: {action: pay, order: '${ .order }'}
      timeout: {after: {days: 20}}
"""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What so many parked runs came to."""

    runs: int
    started_per_s: float
    empty_mb: float
    """Of memory, before the first run."""
    full_mb: float
    idle_cpu: float
    """Of one core, while nothing happens."""
    event_ms: list[float]
    decision_ms: list[float]
    restart_empty_s: float
    restart_s: float
    """From the start of the process, after kill -9, until one more run has woken and ended."""
    restarted_mb: float


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=RUNS)
    options.add_argument("--idle", type=float, default=IDLE_S, help="seconds")
    options.add_argument("--print", action="store_true", help="leave benchmarks/README.md alone")
    given = options.parse_args()
    with ground() as found:
        result = asyncio.run(measure(found, given.runs, given.idle))
    text = _rendered(result)
    print(text) if given.print else report.put("parked", text)


async def measure(found: Ground, runs: int, idle_s: float) -> Result:
    """Park `runs` runs in a coordinator, wake some of them, kill it and start it again.

    Raises:
        AssertionError: If a run did not park, wake or end as it should.
    """
    workflows = found.workflows({"hears": HEARS, "asks": ASKS})
    tokens = open_tokens(found.home)
    async with open_http(timeout_s=60) as http:
        began = time.perf_counter()
        url, process = await asyncio.to_thread(found.coordinator, workflows)
        restart_empty_s = time.perf_counter() - began
        mesh = _Mesh(http, url, tokens)
        empty_mb = memory_mb(process.pid)
        began = time.perf_counter()
        ids = await mesh.park(runs)
        started_per_s = runs / (time.perf_counter() - began)
        await asyncio.sleep(min(idle_s, 3))
        full_mb = memory_mb(process.pid)
        idle_cpu = await _idle(process, idle_s)
        woken = min(WOKEN, runs // 4)
        event_ms = [await mesh.timed(mesh.tell, ids, n * 2) for n in range(woken)]
        decision_ms = [await mesh.timed(mesh.decide, ids, n * 2 + 1) for n in range(woken)]
        process.kill()
        process.wait()
        port = int(url.rpartition(":")[2])
        began = time.perf_counter()
        _, process = await asyncio.to_thread(found.coordinator, workflows, port)
        await mesh.timed(mesh.tell, ids, woken * 2)
        restart_s = time.perf_counter() - began
        await mesh.all_wait(runs - 2 * woken - 1)
        restarted_mb = memory_mb(process.pid)
    return Result(
        runs=runs,
        started_per_s=started_per_s,
        empty_mb=empty_mb,
        full_mb=full_mb,
        idle_cpu=idle_cpu,
        event_ms=event_ms,
        decision_ms=decision_ms,
        restart_empty_s=restart_empty_s,
        restart_s=restart_s,
        restarted_mb=restarted_mb,
    )


class _Mesh:
    """The coordinator, as callers see it."""

    def __init__(self, http: httpx.AsyncClient, url: str, tokens: dict[Role, str]) -> None:
        self._http = http
        self._url = url
        self._tokens = tokens

    async def park(self, runs: int) -> list[str]:
        """Start so many runs, alternately of both kinds, and return their ids once all wait."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def start(order: int) -> str:
            body = {"workflow": ("hears", "asks")[order % 2], "input": {"order": order}}
            async with gate:
                return str((await self._post("/v1/runs", body, Role.REQUESTER))["id"])

        ids = list(await asyncio.gather(*(start(n) for n in range(runs))))
        await self.all_wait(runs)
        return ids

    async def all_wait(self, runs: int) -> None:
        """Return once nothing runs; as many runs as this wait."""

        async def counted() -> bool:
            return not (await self._get("/v1/runs?state=running&limit=1", Role.OPERATOR))["runs"]

        await _until(counted)
        found, cursor = 0, ""
        while True:
            path = f"/v1/runs?state=waiting&limit=200{cursor}"
            page = await self._get(path, Role.OPERATOR)
            found += len(page["runs"])
            if not page["nextCursor"]:
                break
            cursor = f"&cursor={page['nextCursor']}"
        assert found == runs, f"{found} runs wait, not {runs}"

    async def timed(
        self, wake: Callable[[str, int], Awaitable[None]], ids: list[str], order: int
    ) -> float:
        """Wake a run; return after how many ms it is seen to have ended."""
        run = ids[order]
        began = time.perf_counter()
        await wake(run, order)

        async def ended() -> bool:
            state = (await self._get(f"/v1/runs/{run}", Role.OPERATOR))["state"]
            assert state in ("waiting", "running", "completed"), state
            return bool(state == "completed")

        await _until(ended)
        return (time.perf_counter() - began) * 1e3

    async def tell(self, _run: str, order: int) -> None:
        event = {
            "specversion": "1.0",
            "id": f"paid-{order}",
            "source": "https://shop.example.com",
            "type": "com.example.paid",
            "data": {"order": order},
        }
        await self._post("/v1/events", event, Role.REQUESTER, "application/cloudevents+json")

    async def decide(self, run: str, _order: int) -> None:
        item = (await self._get(f"/v1/items?run={run}", Role.APPROVER))["items"][0]
        body = {"outcome": "approved", "digest": item["digest"]}
        await self._post(f"/v1/items/{item['id']}/decision", body, Role.APPROVER)

    async def _get(self, path: str, role: Role) -> Any:
        response = await self._http.get(self._url + path, headers=self._as(role))
        assert response.status_code == 200, response.text
        return response.json()

    async def _post(self, path: str, body: Any, role: Role, kind: str = "application/json") -> Any:
        headers = {**self._as(role), "content-type": kind}
        response = await self._http.post(self._url + path, json=body, headers=headers)
        assert response.status_code in (200, 201, 202), response.text
        return response.json()

    def _as(self, role: Role) -> dict[str, str]:
        return {"authorization": f"Bearer {self._tokens[role]}"}


async def _idle(process: subprocess.Popen[bytes], seconds: float) -> float:
    cpu, began = cpu_s(process.pid), time.perf_counter()
    await asyncio.sleep(seconds)
    return (cpu_s(process.pid) - cpu) / (time.perf_counter() - began)


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not await condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s"
        await asyncio.sleep(0.002)


def _rendered(result: Result) -> str:
    grown = result.full_mb - result.empty_mb
    rows = [
        ["started and parked per second", f"{result.started_per_s:.0f}"],
        ["memory, no run", f"{result.empty_mb:.0f} MB"],
        ["memory, all parked", f"{result.full_mb:.0f} MB (+{grown:.0f} MB)"],
        ["idle CPU, of one core", f"{result.idle_cpu:.1%}"],
        ["an event for one of them, until it has ended", _spread(result.event_ms)],
        ["a decision for one of them, until it has ended", _spread(result.decision_ms)],
        ["from start of an empty coordinator to healthy", f"{result.restart_empty_s:.1f} s"],
        ["after kill -9, from start until one more has woken", f"{result.restart_s:.1f} s"],
        ["memory after the restart", f"{result.restarted_mb:.0f} MB"],
    ]
    return f"{report.table([f'{result.runs:,} runs', ''], rows)}\n\n{report.where()}"


def _spread(took: list[float]) -> str:
    return f"p50 {statistics.median(took):.0f} ms, worst of {len(took)}: {max(took):.0f} ms"


if __name__ == "__main__":
    main()
