"""A pipeline of four agent calls: through the coordinator, and with the bare SDK client.

Both call the same agent process in the same run, one after the other. The floor does nothing but
call: no workflow, no journal, no recovery. `make bench` writes benchmarks/README.md.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types import Message, Part, Role, SendMessageRequest
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Value
from parley_coordinator.governance.access import Role as Account
from parley_coordinator.governance.accounts import open_tokens
from parley_wire.http import open_http

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LEVELS = ((1, 100), (8, 300), (64, 600))
"""(pipelines at once, pipelines)."""
CALLS = 4
PAYLOAD = {"invoice": "NW-2041", "total": "2380.00", "lines": [{"id": "1", "quantity": "10"}]}
HERE = Path(__file__).parent
DOCUMENT = """\
document: {dsl: '1.0.3', namespace: bench, name: pipeline, version: '1.0.0'}
timeout: {after: {minutes: 10}}
do:
""" + "".join(
    f"""\
  - step{n}:
      metadata: {{label: Step {n}}}
      call: echo:1.0.0@agents
      with: '${{ . }}'
      timeout: {{after: {{seconds: 60}}}}
"""
    for n in range(1, CALLS + 1)
)


@dataclass(frozen=True)
class Measured:
    at_once: int
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    """Of the process that orchestrates, per pipeline."""
    per_s: float


def main() -> None:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="parley-bench-")))
        base = random.randrange(10_000, 30_000)  # noqa: S311 - not a secret
        urls = {name: f"http://127.0.0.1:{base + n}" for n, name in enumerate(("a", "r", "c"))}
        (home / "workflows" / "pipeline").mkdir(parents=True)
        (home / "workflows" / "pipeline" / "workflow.yaml").write_text(DOCUMENT)
        token = open_tokens(home)[Account.REQUESTER]

        def start(*argv: str) -> subprocess.Popen[bytes]:
            env = {k: v for k, v in os.environ.items() if not k.startswith("PARLEY_")}
            process = subprocess.Popen([sys.executable, "-m", *argv], env=env)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            return process

        where = ("--home", str(home))
        agent = start("benchmarks.agent", str(base), str(home))
        start("parley_registry", "--port", str(base + 1), *where)
        for name in ("a", "r"):
            _until_healthy(urls[name])
        httpx.post(f"{urls['r']}/v1/agents", json={"url": urls["a"]}).raise_for_status()
        flags = ("--registry", urls["r"], "--workflows", str(home / "workflows"), *where)
        coordinator = start("parley_coordinator", "--port", str(base + 2), *flags)
        _until_healthy(urls["c"])
        floor, ours = asyncio.run(_measure(urls, token, coordinator.pid))
        peak = psutil.Process(coordinator.pid).memory_info().rss / 1e6
        assert agent.poll() is None
    _report(floor, ours, peak)


async def _measure(
    urls: dict[str, str], token: str, coordinator: int
) -> tuple[list[Measured], list[Measured]]:
    async with open_http(timeout_s=120) as http, httpx.AsyncClient(timeout=120) as plain:
        card = await A2ACardResolver(plain, urls["a"]).get_agent_card()
        config = ClientConfig(httpx_client=plain, streaming=False)
        client = ClientFactory(config).create(card)

        async def bare(n: int) -> None:
            for step in range(CALLS):
                request = SendMessageRequest(message=_message(f"floor-{n}-{step}"))
                states = [e.task.status.state async for e in client.send_message(request)]
                assert states == [3], states

        async def through(n: int) -> None:
            response = await http.post(
                f"{urls['c']}/workflows/pipeline/a2a",
                json=_send(f"run-{n}"),
                headers={"authorization": f"Bearer {token}", "a2a-version": "1.0"},
            )
            assert "result" in response.json(), response.text
            task = response.json()["result"]["task"]
            assert task["status"]["state"] == "TASK_STATE_COMPLETED", task

        counter = iter(range(10_000_000))
        floor, ours = [], []
        for at_once, count in LEVELS:
            await _load(bare, counter, 5, at_once)
            floor.append(await _timed(bare, counter, at_once, count, os.getpid()))
            await _load(through, counter, 5, at_once)
            ours.append(await _timed(through, counter, at_once, count, coordinator))
        return floor, ours


async def _timed(
    pipeline: Callable[[int], Awaitable[None]], counter: Any, at_once: int, count: int, pid: int
) -> Measured:
    process = psutil.Process(pid)
    before, began = process.cpu_times(), time.perf_counter()
    took = sorted(await _load(pipeline, counter, count, at_once))
    elapsed, after = time.perf_counter() - began, process.cpu_times()
    cpu = after.user + after.system - before.user - before.system
    return Measured(
        at_once=at_once,
        p50_ms=statistics.median(took) * 1e3,
        p95_ms=took[int(len(took) * 0.95)] * 1e3,
        cpu_ms=cpu / count * 1e3,
        per_s=count / elapsed,
    )


async def _load(
    pipeline: Callable[[int], Awaitable[None]], counter: Any, count: int, at_once: int
) -> list[float]:
    gate = asyncio.Semaphore(at_once)

    async def one(n: int) -> float:
        async with gate:
            began = time.perf_counter()
            await pipeline(n)
            return time.perf_counter() - began

    return list(await asyncio.gather(*(one(next(counter)) for _ in range(count))))


def _message(message_id: str) -> Message:
    return Message(
        message_id=message_id,
        role=Role.ROLE_USER,
        parts=[Part(data=ParseDict(PAYLOAD, Value()))],
    )


def _send(message_id: str) -> dict[str, Any]:
    message = {"messageId": message_id, "role": "ROLE_USER", "parts": [{"data": PAYLOAD}]}
    return {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}


def _until_healthy(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise SystemExit(f"{url} did not come up")


def _report(floor: list[Measured], ours: list[Measured], rss_mb: float) -> None:
    rows = []
    for bare, run in zip(floor, ours, strict=True):
        rows.append(_row("bare SDK client", bare, ""))
        ratio = f"{run.cpu_ms / bare.cpu_ms:.1f} x, {run.per_s / bare.per_s:.2f} x"
        rows.append(_row("**through the coordinator**", run, ratio))
    template = (HERE / "template.md").read_text()
    text = template.format(
        rows="\n".join(rows),
        when=datetime.now(UTC).strftime("%Y-%m-%d"),
        machine=f"{os.cpu_count()} cores, {_cpu_name()}, Python {platform.python_version()}",
        rss=f"{rss_mb:.0f}",
        calls=CALLS,
    )
    (HERE / "README.md").write_text(text)
    print(
        json.dumps({"floor": [vars(m) for m in floor], "ours": [vars(m) for m in ours]}, indent=1)
    )
    print(text)


def _row(name: str, m: Measured, ratio: str) -> str:
    return (
        f"| {m.at_once} | {name} | {m.p50_ms:.0f} | {m.p95_ms:.0f} | {m.cpu_ms:.1f} |"
        f" {m.per_s:.0f} | {ratio} |"
    )


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
