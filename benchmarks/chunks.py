"""Agents that stream in small chunks: how many arrive in a second, and how many share a commit.

Streams of our kit's server, which keeps each chunk before anybody sees it, are read by a client in
another process. `make bench-chunks` writes benchmarks/README.md.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from parley_wire.client import AgentClient, fetch_card
from parley_wire.http import open_http

from benchmarks import report
from benchmarks.ground import ground

if TYPE_CHECKING:
    from collections.abc import Sequence

CHUNKS = 2_000
STREAMS = (1, 8)


def main() -> None:
    with ground() as found:
        rows = asyncio.run(_measure(found.agent))
    head = ["streams at once", "chunks/s", "first chunk after, ms", "chunks per commit"]
    said = f"{CHUNKS:,} chunks a stream, one after the other without a pause."
    report.put("chunks", f"{report.table(head, rows)}\n\n{said} {report.where()}")


async def _measure(url: str) -> list[list[str]]:
    rows = []
    async with open_http(timeout_s=60) as http:
        client = AgentClient(await fetch_card(http, url), http)
        await _stream(client, "warm-up", 100)
        for at_once in STREAMS:
            began, commits = time.perf_counter(), await _commits(client, f"before-{at_once}")
            numbers = [f"{at_once}-{n}" for n in range(at_once)]
            first = await asyncio.gather(*(_stream(client, n, CHUNKS) for n in numbers))
            took = time.perf_counter() - began
            commits = await _commits(client, f"after-{at_once}") - commits
            rows.append(_row(at_once, took, first, commits))
    return rows


def _row(at_once: int, took_s: float, first_s: Sequence[float], commits: int) -> list[str]:
    chunks = at_once * CHUNKS
    return [
        str(at_once),
        f"{chunks / took_s:,.0f}",
        f"{max(first_s) * 1e3:.0f}",
        f"{chunks / commits:.0f}",
    ]


async def _stream(client: AgentClient, message: str, chunks: int) -> float:
    """Read a stream to its end; return how long the first chunk took."""
    began, first, seen = time.perf_counter(), 0.0, 0
    params = {"message": _message(message, {"chunks": chunks, "pauseMs": 0})}
    async for event in client.stream_json("SendStreamingMessage", params):
        if "artifactUpdate" in event:
            first = first or time.perf_counter() - began
            (part,) = event["artifactUpdate"]["artifact"]["parts"]
            assert part["data"]["n"] == seen, event
            seen += 1
    assert seen == chunks, seen
    return first


async def _commits(client: AgentClient, message: str) -> int:
    """Ask the agent how many it has made so far."""
    params = {"message": _message(message, {"commits": True})}
    answer = await client.call("SendMessage", params)
    return int(answer["task"]["artifacts"][0]["parts"][0]["data"]["commits"])


def _message(message: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"messageId": message, "role": "ROLE_USER", "parts": [{"data": data}]}


if __name__ == "__main__":
    main()
