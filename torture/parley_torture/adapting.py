"""The protocol of an adapter, for adapters written in Python; docs/torture.md describes it.

One file of the standard library alone: it may be copied beside an adapter that runs in an
environment without Parley::

    class MyProduct(Adapter):
        name, can = "my product 2.1", ("answer",)

        async def open(self, given: Given) -> None: ...
        async def start(self, run, pipeline, given): ...
        async def look(self, run): ...

    serve(MyProduct())
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

PROTOCOL = 1
MAX_LINE = 1 << 24


@dataclass(frozen=True)
class Given:
    """What the kit says when it starts the command."""

    state: Path
    """Survives restarts."""
    name: str
    database_url: str | None = field(repr=False)
    """Of the cluster's database; it may hold a password."""


class Adapter:
    """Override what the product can; what is not overridden is refused."""

    name: ClassVar[str] = "unnamed"
    can: ClassVar[tuple[str, ...]] = ()
    cannot: ClassVar[dict[str, str]] = {}
    parts: ClassVar[str] = "data"

    async def open(self, given: Given) -> None:
        """Get ready, and take up every run that a killed predecessor has left in `given.state`."""

    async def close(self) -> None:
        """Stop everything that was started."""

    async def start(self, run: str, pipeline: dict[str, Any], given: Any) -> None:
        """Return once the run is durable; do nothing if it is known."""
        raise NotImplementedError

    async def look(self, run: str) -> dict[str, Any]:
        raise NotImplementedError

    async def answer(self, run: str, ask: str, text: str) -> None:
        raise NotImplementedError

    async def cancel(self, run: str) -> None:
        raise NotImplementedError

    async def meet(self, agents: list[str]) -> None:
        """Learn of agents that another process of the cluster starts runs with."""

    async def serve(self, run: str, pipeline: dict[str, Any]) -> dict[str, Any]:
        """Return `{url, headers}` of an A2A agent whose only skill is this pipeline."""
        raise NotImplementedError


def serve(adapter: Adapter) -> None:
    """Answer the kit until stdin ends. Call it last in the program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--name", default="a")
    said = parser.parse_args()
    # Frameworks print: what is not an answer must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    given = Given(
        state=said.state, name=said.name, database_url=os.environ.get("TORTURE_DATABASE_URL")
    )
    asyncio.run(_Conversation(adapter, answers).hold(given))


class _Conversation:
    def __init__(self, adapter: Adapter, answers: BinaryIO) -> None:
        self._adapter = adapter
        self._answers = answers
        self._open: set[asyncio.Task[None]] = set()

    async def hold(self, given: Given) -> None:
        loop = asyncio.get_running_loop()
        lines = asyncio.StreamReader(limit=MAX_LINE)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        await self._adapter.open(given)
        try:
            while line := await lines.readline():
                task = asyncio.create_task(self._answer(line))
                self._open.add(task)
                task.add_done_callback(self._open.discard)
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await self._adapter.close()

    async def _answer(self, line: bytes) -> None:
        request = json.loads(line)
        try:
            told: dict[str, Any] = {"ok": await self._do(request)}
        except Exception as exc:  # noqa: BLE001 - the edge of the process: the kit is told
            told = {"error": f"{type(exc).__name__}: {exc}"}
        self._answers.write(json.dumps({"id": request["id"], **told}).encode() + b"\n")

    async def _do(self, request: dict[str, Any]) -> Any:
        adapter = self._adapter
        match request["do"]:
            case "hello":
                return {
                    "name": adapter.name,
                    "can": list(adapter.can),
                    "cannot": adapter.cannot,
                    "parts": adapter.parts,
                }
            case "start":
                await adapter.start(request["run"], request["pipeline"], request["input"])
            case "look":
                return await adapter.look(request["run"])
            case "answer":
                await adapter.answer(request["run"], request["ask"], request["text"])
            case "cancel":
                await adapter.cancel(request["run"])
            case "meet":
                await adapter.meet(request["agents"])
            case "serve":
                return await adapter.serve(request["run"], request["pipeline"])
            case unknown:
                raise ValueError(f"there is no {unknown}")
        return {}
