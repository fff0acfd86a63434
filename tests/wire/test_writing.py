"""What a run says in quick succession: fewer commits, and everything in order, once, when it is durable."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_wire.agent_errors import AgentConnectionLostError
from parley_wire.client import AgentClient, fetch_card
from parley_wire.http import open_http
from parley_wire.server import Chunk, Completed, DataArtifact, Outcome, TaskRequest
from parley_wire.server.texts import SEQUENCE, Event, Piece
from parley_wire.server.writing import MAX_EVENTS, LogWriter
from sqlalchemy import Engine, event

from benchmarks.ground import until_healthy
from tests.ports import free_port
from tests.wire.support import PATIENT, Scripted, message, running_agent, until

pytestmark = pytest.mark.anyio

CHUNKS = 500


async def _stream(request: TaskRequest) -> Outcome:
    for n in range(CHUNKS):
        if n == CHUNKS // 2:
            await request.update("half of it")
        artifact = DataArtifact({"n": n}, artifact_id="numbers")
        await request.emit(artifact, chunk=Chunk.NEXT if n else Chunk.FIRST)
    return Completed([DataArtifact("done")])


def numbers_of(artifact: Any) -> list[int]:
    return [part["data"]["n"] for part in artifact["parts"]]


async def test_what_is_said_in_quick_succession_shares_commits_and_keeps_its_order_and_numbers(
    tmp_path: Path,
) -> None:
    tester = Scripted(special={"stream": _stream})
    commits = 0

    def count(_: Any) -> None:
        nonlocal commits
        commits += 1

    async with running_agent(tmp_path, tester) as agent:
        event.listen(Engine, "commit", count)
        params = {"message": message("stream")}
        events = [each["result"] for each in await agent.events("SendStreamingMessage", params)]
        event.remove(Engine, "commit", count)

        (_, first), *rest = [next(iter(each.items())) for each in events]
        sequence = [each["metadata"][SEQUENCE] for _, each in rest]
        assert sequence == list(range(first["metadata"][SEQUENCE] + 1, sequence[-1] + 1))
        chunks = [each for name, each in rest if name == "artifactUpdate"]
        assert [numbers_of(each["artifact"]) for each in chunks[:-1]] == [
            [n] for n in range(CHUNKS)
        ]
        assert [each.get("append", False) for each in chunks[:-1]] == [
            False,
            *[True] * (CHUNKS - 1),
        ]
        said = [each["status"]["state"] for name, each in rest if name == "statusUpdate"]
        assert said == ["TASK_STATE_WORKING", "TASK_STATE_COMPLETED"]
        assert rest[CHUNKS // 2][1]["status"]["message"]["parts"] == [{"text": "half of it"}]
        assert commits < CHUNKS / 4

        task = (await agent.rpc("GetTask", {"id": first["id"]}))["result"]
        assert numbers_of(task["artifacts"][0]) == list(range(CHUNKS))
        assert task["metadata"][SEQUENCE] == sequence[-1]


async def test_what_was_said_is_kept_when_the_server_stops(tmp_path: Path) -> None:
    said = asyncio.Event()

    async def say_and_wait(request: TaskRequest) -> Outcome:
        if tester.started[request.task_id] > 1:
            return Completed()
        for n in range(10):
            await request.emit(DataArtifact({"n": n}, artifact_id="numbers"), chunk=Chunk.NEXT)
        said.set()
        await asyncio.Event().wait()
        raise AssertionError

    tester = Scripted(special={"say": say_and_wait})
    async with running_agent(tmp_path, tester) as agent:
        params = {"message": message("say"), "configuration": {"returnImmediately": True}}
        task = (await agent.rpc("SendMessage", params))["result"]["task"]["id"]
        await said.wait()

    with closing(sqlite3.connect(tmp_path / "agent.db")) as log:
        kept = log.execute(
            "SELECT body FROM events WHERE kind = 'artifact' ORDER BY seq"
        ).fetchall()
    assert [numbers_of(json.loads(body)) for (body,) in kept] == [[n] for n in range(10)]
    async with running_agent(tmp_path, tester) as agent:
        await until(lambda: tester.started[task] == 2)


async def test_nothing_is_said_after_a_cancellation(tmp_path: Path) -> None:
    async def endless(request: TaskRequest) -> Outcome:
        while True:
            await request.update("going on")

    async with running_agent(tmp_path, Scripted(special={"endless": endless})) as agent:
        params = {"message": message("endless"), "configuration": {"returnImmediately": True}}
        task = (await agent.rpc("SendMessage", params))["result"]["task"]["id"]
        cancelled = (await agent.rpc("CancelTask", {"id": task}))["result"]
        await until(lambda: agent.app.state.tasks.load == (0, 0))
        later = (await agent.rpc("GetTask", {"id": task}))["result"]

    assert cancelled["status"]["state"] == "TASK_STATE_CANCELED"
    assert later == cancelled


@pytest.mark.crash
async def test_whatever_a_client_has_seen_survives_the_death_of_the_agent(tmp_path: Path) -> None:
    seen: list[int] = []
    with _agent(tmp_path) as (process, url):
        await asyncio.to_thread(until_healthy, url, process)
        async with open_http() as http:
            client = AgentClient(await fetch_card(http, url), http)
            with suppress(AgentConnectionLostError):
                async for n in _numbers(client, {"chunks": 1_000_000, "pauseMs": 0}):
                    seen.append(n)
                    if len(seen) == 200:
                        os.kill(process.pid, signal.SIGKILL)
                        process.wait()
    with closing(sqlite3.connect(tmp_path / "echo.db")) as log:
        rows = log.execute("SELECT seq, kind, body FROM events ORDER BY seq").fetchall()

    assert [seq for seq, _, _ in rows] == list(range(1, len(rows) + 1))
    kept = [numbers_of(json.loads(body))[0] for _, kind, body in rows if kind == "artifact"]
    assert kept == list(range(len(kept)))
    assert seen == kept[: len(seen)]
    assert len(seen) >= 200


async def _numbers(client: AgentClient, data: dict[str, Any]) -> AsyncIterator[int]:
    sent = {**message(""), "parts": [{"data": data}]}
    async for each in client.stream_json("SendStreamingMessage", {"message": sent}):
        if "artifactUpdate" in each:
            for n in numbers_of(each["artifactUpdate"]["artifact"]):
                yield n


@contextmanager
def _agent(home: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = free_port()
    argv = [sys.executable, "-m", "benchmarks.agent", str(port), str(home)]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


class FullDiskError(Exception):
    pass


@PATIENT
@given(st.lists(st.integers(0, 3), max_size=40), st.sets(st.integers(0, 20)))
def test_a_commit_that_fails_neither_loses_nor_doubles_nor_turns_round_anything(
    pauses: list[int], failing: set[int]
) -> None:
    log: list[str] = []
    commits = 0

    async def append(pieces: Any) -> tuple[Event, ...]:
        nonlocal commits
        commits += 1
        assert pieces
        await asyncio.sleep(0)
        if commits in failing:
            raise FullDiskError
        log.extend(piece.body for piece in pieces)
        return ()

    async def say() -> list[str]:
        writer, taken = LogWriter(append), []
        for n, pause in enumerate(pauses):
            for _ in range(pause):
                await asyncio.sleep(0)
            try:
                await writer.put(Piece("artifact", str(n)))
            except FullDiskError:
                continue
            taken.append(str(n))
        while True:
            try:
                await writer.end([])
            except FullDiskError:
                continue
            return taken

    assert asyncio.run(say()) == log


async def test_an_outcome_is_stored_though_the_commit_before_it_fails_meanwhile() -> None:
    log: list[str] = []
    full = asyncio.Event()

    async def append(pieces: Any) -> tuple[Event, ...]:
        if not full.is_set():
            await full.wait()
            raise FullDiskError
        log.extend(piece.body for piece in pieces)
        return ()

    writer = LogWriter(append)
    await writer.put(Piece("artifact", "chunk"))
    ending = asyncio.create_task(writer.end([Piece("status", "outcome")]))
    await asyncio.sleep(0)
    full.set()
    await ending
    assert log == ["chunk", "outcome"]


async def test_who_says_too_much_waits_for_the_disk() -> None:
    gate = asyncio.Event()
    batches: list[int] = []

    async def append(pieces: Any) -> tuple[Event, ...]:
        await gate.wait()
        batches.append(len(pieces))
        return ()

    writer = LogWriter(append)

    async def say() -> None:
        for n in range(MAX_EVENTS * 3):
            await writer.put(Piece("artifact", str(n)))

    saying = asyncio.create_task(say())
    await asyncio.wait({saying}, timeout=0.05)
    assert not saying.done()
    gate.set()
    await saying
    await writer.end([])
    assert max(batches) <= MAX_EVENTS
    assert sum(batches) == MAX_EVENTS * 3
