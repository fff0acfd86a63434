"""An orchestrator as many write it: it sends again after a restart, and takes any answer for done.

Started by the kit as an adapter. `--careful` makes it look at the state of the task.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

import httpx
from parley_torture.adapting import Adapter, Given, serve

if TYPE_CHECKING:
    from pathlib import Path


class Naive(Adapter):
    name: ClassVar[str] = "naive"
    can: ClassVar[tuple[str, ...]] = ()
    cannot: ClassVar[dict[str, str]] = {"answer": "it asks nobody"}

    def __init__(self, *, careful: bool) -> None:
        self._careful = careful
        self._runs: dict[str, dict[str, Any]] = {}
        self._working: set[asyncio.Task[None]] = set()

    async def open(self, given: Given) -> None:
        self._file: Path = given.state / "runs.json"
        if self._file.exists():
            self._runs = json.loads(self._file.read_text())
        for run in self._runs:
            self._go(run)

    async def start(self, run: str, pipeline: dict[str, Any], given: Any) -> None:
        if run not in self._runs:
            self._runs[run] = {"pipeline": pipeline, "done": 0, "value": given, "state": "running"}
            self._save()
            self._go(run)

    async def look(self, run: str) -> dict[str, Any]:
        known = self._runs.get(run)
        if known is None:
            return {"state": "unknown"}
        return {"state": known["state"], "output": known["value"], "reason": known.get("reason")}

    def _go(self, run: str) -> None:
        task = asyncio.create_task(self._work(self._runs[run]))
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _work(self, known: dict[str, Any]) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            for stage in known["pipeline"]["stages"][known["done"] :]:
                (step,) = stage["steps"]
                task = await self._send(http, step["agent"], known["value"])
                if self._careful and task["status"]["state"] != "TASK_STATE_COMPLETED":
                    known.update(state="failed", reason=task["status"]["state"])
                    break
                for artifact in task.get("artifacts", []):
                    known["value"] = artifact["parts"][0]["data"]
                known["done"] += 1
                self._save()
        if known["state"] == "running":
            known["state"] = "completed"
        self._save()

    async def _send(self, http: httpx.AsyncClient, agent: str, value: Any) -> dict[str, Any]:
        card = (await http.get(f"{agent}/.well-known/agent-card.json")).json()
        message = {"messageId": str(uuid4()), "role": "ROLE_USER", "parts": [{"data": value}]}
        call = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}
        answer = await http.post(card["supportedInterfaces"][0]["url"], json=call)
        task: dict[str, Any] = answer.json()["result"]["task"]
        return task

    def _save(self) -> None:
        self._file.write_text(json.dumps(self._runs))


if __name__ == "__main__":
    careful = "--careful" in sys.argv
    sys.argv = [word for word in sys.argv if word != "--careful"]
    serve(Naive(careful=careful))
