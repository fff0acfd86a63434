"""Clients of streams that are cut at random and come back: does each see everything once, in order?

Three kinds of stream: chunks of a task at an agent of our kit (A2A `SubscribeToTask`), the journal of a
run (`/v1/runs/{id}/events`, `Last-Event-ID`), and the same run as a task of its workflow. `make
bench-reconnects` writes benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from a2a.types import Task, TaskArtifactUpdateEvent, TaskState, TaskStatusUpdateEvent
from google.protobuf.json_format import MessageToDict
from parley_coordinator.governance.access import Role
from parley_coordinator.governance.accounts import open_tokens
from parley_wire.agent_errors import AgentRefusedError
from parley_wire.client import AgentClient, fetch_card
from parley_wire.http import open_http

from benchmarks import report
from benchmarks.ground import ground

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import httpx

    from benchmarks.ground import Ground

RECONNECTS = 2_000
CLIENTS = 20
CHUNKS = 150
PAUSE_MS = 10
TICKS = 60
SEED = 4
DONE = TaskState.TASK_STATE_COMPLETED
DOCUMENT = """\
document: {dsl: '1.0.3', namespace: bench, name: ticks, version: '1.0.0'}
timeout: {after: {minutes: 10}}
do:
  - loop:
      metadata: {label: Tick}
      for: {each: n, in: '${ [range(.ticks)] }'}
      do:
        - pause: {metadata: {label: Wait}, wait: {milliseconds: 20}}
  - done: {metadata: {label: Say so}, set: {done: true}}
"""


@dataclass
class Tally:
    """What the clients of one kind of stream have seen."""

    name: str
    reconnects: int = 0
    items: int = 0
    """Chunks, rows or results that arrived first, each counted once a client."""
    lost: int = 0
    doubled: int = 0
    took_s: float = 0.0
    _began: float = field(default_factory=time.perf_counter)

    def see(self, seen: list[int], expected: list[int]) -> None:
        """Compare what one client has gathered in the end with what there was."""
        self.items += len(set(seen) & set(expected))
        self.lost += len(set(expected) - set(seen))
        self.doubled += len(seen) - len(set(seen))
        assert seen == sorted(seen), f"{self.name}: out of order: {seen}"
        self.took_s = time.perf_counter() - self._began


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--reconnects", type=int, default=RECONNECTS, help="of each kind, at least"
    )
    options.add_argument("--seed", type=int, default=SEED)
    options.add_argument("--print", action="store_true", help="leave benchmarks/README.md alone")
    given = options.parse_args()
    with ground() as found:
        tallies = asyncio.run(measure(found, given.reconnects, given.seed))
    text = _rendered(tallies, given.seed)
    print(text) if given.print else report.put("reconnects", text)
    assert not any(each.lost or each.doubled for each in tallies), tallies


async def measure(
    found: Ground, reconnects: int, seed: int, *, clients: int = CLIENTS
) -> list[Tally]:
    """Cut each kind of stream at least `reconnects` times.

    Raises:
        AssertionError: If a client saw something out of order, or not the right end.
    """
    workflows = found.workflows({"ticks": DOCUMENT})
    token = open_tokens(found.home)[Role.REQUESTER]
    url, _ = await asyncio.to_thread(found.coordinator, workflows)
    random = Random(seed)  # noqa: S311 - not a secret
    async with open_http(timeout_s=60) as http:
        agent = AgentClient(await fetch_card(http, found.agent), http)
        card = await fetch_card(http, f"{url}/workflows/ticks")
        workflow = AgentClient(card, http, token=token)
        chunks = Tally("chunks of an agent's task, A2A")
        rows = Tally("rows of a run, SSE with Last-Event-ID")
        ends = Tally("states and result of a run, A2A")
        for number in _rounds(chunks, reconnects):
            await _agent_round(agent, f"chunks-{number}", chunks, random, clients)
        for number in _rounds(rows, reconnects):
            run = await _started(workflow, f"rows-{number}", {"ticks": TICKS})
            reader = _Rows(http, f"{url}/v1/runs/{run}", token)
            await asyncio.gather(*(_follow_rows(reader, rows, random) for _ in range(clients)))
        for number in _rounds(ends, reconnects):
            run = await _started(workflow, f"ends-{number}", {"ticks": TICKS})
            await asyncio.gather(
                *(_follow_end(workflow, run, ends, random) for _ in range(clients))
            )
    return [chunks, rows, ends]


def _rounds(tally: Tally, reconnects: int) -> Iterator[int]:
    number = 0
    while tally.reconnects < reconnects:
        yield number
        number += 1


async def _started(client: AgentClient, message: str, data: dict[str, Any]) -> str:
    """Send a message; return the task that it opens."""
    body = {"messageId": message, "role": "ROLE_USER", "parts": [{"data": data}]}
    reply = await client.send(body, return_immediately=True)
    assert isinstance(reply, Task), reply
    return reply.id


async def _agent_round(
    agent: AgentClient, message: str, tally: Tally, random: Random, clients: int
) -> None:
    task = await _started(agent, message, {"chunks": CHUNKS, "pauseMs": PAUSE_MS})

    async def follow() -> None:
        seen: list[int] = []
        while not await _some_chunks(agent, task, seen, random):
            tally.reconnects += 1
        tally.see(seen, list(range(CHUNKS)))

    await asyncio.gather(*(follow() for _ in range(clients)))


async def _some_chunks(agent: AgentClient, task: str, seen: list[int], random: Random) -> bool:
    """Follow a task for a while, as anybody would: the task as it is, then its changes. True: to the end."""
    left = random.randint(1, 6)
    try:
        async with aclosing(agent.subscribe(task)) as events:  # type: ignore[type-var]
            async for event in events:
                if isinstance(event, Task):
                    seen[:] = _numbers(event)
                    if event.status.state == DONE:
                        return True
                elif isinstance(event, TaskArtifactUpdateEvent):
                    found = [_number(part) for part in event.artifact.parts]
                    seen[:] = [*seen, *found] if event.append else found
                elif isinstance(event, TaskStatusUpdateEvent) and event.status.state == DONE:
                    return True
                left -= 1
                if not left:
                    return False
    except AgentRefusedError:  # it has ended meanwhile
        seen[:] = _numbers(await agent.get_task(task))
        return True
    return False


def _numbers(task: Task) -> list[int]:
    return [_number(part) for artifact in task.artifacts for part in artifact.parts]


def _number(part: Any) -> int:
    return int(MessageToDict(part.data)["n"])


@dataclass
class _Rows:
    """The stream of one run's journal."""

    http: httpx.AsyncClient
    url: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    async def ids(self, after: int) -> AsyncIterator[int]:
        """Yield the numbers of the rows after this one; raise StopAsyncIteration at the end of the run."""
        headers = {**self.headers, **({"last-event-id": str(after)} if after else {})}
        async with self.http.stream("GET", f"{self.url}/events", headers=headers) as response:
            assert response.status_code in (200, 204), await response.aread()
            async for line in response.aiter_lines():
                if line.startswith("id: "):
                    yield int(line.removeprefix("id: "))

    async def all(self) -> list[int]:
        """Return the numbers of all rows of a run that has ended: they have no gap."""
        found = [number async for number in self.ids(0)]
        assert found == list(range(1, len(found) + 1)), found
        return found


async def _follow_rows(reader: _Rows, tally: Tally, random: Random) -> None:
    seen: list[int] = []
    while True:
        left = random.randint(1, 6)
        async with aclosing(reader.ids(seen[-1] if seen else 0)) as ids:  # type: ignore[type-var]
            async for number in ids:
                seen.append(number)
                left -= 1
                if not left:
                    break
        if left:
            break  # the stream ended before it was cut
        tally.reconnects += 1
    tally.see(seen, await reader.all())


async def _follow_end(workflow: AgentClient, run: str, tally: Tally, random: Random) -> None:
    results: list[int] = []
    while True:
        left = random.randint(1, 2)
        try:
            async with asyncio.timeout(random.uniform(0.02, 0.3)):
                async with aclosing(workflow.subscribe(run)) as events:  # type: ignore[type-var]
                    async for event in events:
                        if isinstance(event, TaskArtifactUpdateEvent):
                            results.append(0)
                        if isinstance(event, Task) and event.status.state == DONE:
                            results = [0] * len(event.artifacts)
                        left -= 1
                        if not left:
                            break
        except TimeoutError:
            pass
        except AgentRefusedError:
            results = [0] * len((await workflow.get_task(run)).artifacts)
            break
        tally.reconnects += 1
    tally.see(results, [0])


def _rendered(tallies: list[Tally], seed: int) -> str:
    rows = [
        [
            each.name,
            f"{each.reconnects:,}",
            f"{each.items:,}",
            str(each.lost),
            str(each.doubled),
            f"{each.reconnects / each.took_s:.0f}",
        ]
        for each in tallies
    ]
    head = ["stream", "reconnects", "seen by clients", "lost", "doubled", "reconnects/s"]
    return f"{report.table(head, rows)}\n\n{CLIENTS} clients at once, seed {seed}. {report.where()}"


if __name__ == "__main__":
    main()
