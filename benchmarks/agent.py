"""The agent that everyone calls: answers with what it got, with the server kit's full durability.

Asked for `{"chunks": N, "pauseMs": P}` it streams the numbers below N as chunks of one artifact; asked for
`{"commits": true}` it says how many commits it has made.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from a2a.types import Artifact, Part
from parley_cards.card import load_card
from parley_cards.extensions import DEDUPE, SKILL_CONTRACT
from parley_wire.server import create_agent_app
from parley_wire.server.outcomes import Chunk, Completed, DataArtifact, TaskRequest
from parley_wire.serving import serve
from sqlalchemy import Connection, Engine, event

from benchmarks.peers.notes import last_object


def card(url: str) -> dict[str, Any]:
    contract = {
        "version": "1.0.0",
        "effect": "read",
        "idempotent": True,
        "input": {"type": "object"},
        "output": {"type": "object"},
    }
    return {
        "name": "echo",
        "description": "Answers with what it got.",
        "version": "1.0.0",
        "supportedInterfaces": [
            {"url": f"{url}/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
        ],
        "capabilities": {
            "streaming": True,
            "extensions": [
                {"uri": SKILL_CONTRACT, "params": {"skills": {"echo": contract}}},
                {"uri": DEDUPE},
            ],
        },
        "defaultInputModes": ["application/json"],
        "defaultOutputModes": ["application/json"],
        "skills": [{"id": "echo", "name": "Echo", "description": "Echoes.", "tags": ["bench"]}],
    }


class Echo:
    def __init__(self) -> None:
        self._commits = 0
        event.listen(Engine, "commit", self._count)

    def _count(self, _: Connection) -> None:
        self._commits += 1

    async def execute(self, request: TaskRequest) -> Completed:
        match request.data:
            case {"chunks": int(chunks), "pauseMs": pause_ms}:
                await _stream(request, chunks, pause_ms / 1e3)
                return Completed([])
            case {"commits": True}:
                return Completed([DataArtifact({"commits": self._commits})])
        if request.data is not None:
            return Completed([DataArtifact(request.data)])
        text = json.dumps(last_object(request.text))  # what came before may be with it
        return Completed([Artifact(artifact_id="result", parts=[Part(text=text)])])


async def _stream(request: TaskRequest, chunks: int, pause_s: float) -> None:
    for number in range(chunks):
        chunk = Chunk.NEXT if number else Chunk.FIRST
        if number == chunks - 1:
            chunk = Chunk.LAST
        await request.emit(DataArtifact({"n": number}, artifact_id="numbers"), chunk=chunk)
        if pause_s:
            await asyncio.sleep(pause_s)


def main() -> None:
    port, home = int(sys.argv[1]), Path(sys.argv[2])
    app = create_agent_app(
        load_card(card(f"http://127.0.0.1:{port}")),
        Echo(),
        database_url=f"sqlite:///{home / 'echo.db'}",
    )
    serve(app, host="127.0.0.1", port=port, name="echo")


if __name__ == "__main__":
    main()
