"""Microsoft Agent Framework: a workflow of A2AAgent executors with a checkpoint after each superstep."""

from __future__ import annotations

import asyncio
import json
import logging
import warnings
from importlib.metadata import version
from typing import Any, ClassVar

import httpx
from a2a.client import A2ACardResolver
from adapting import Adapter, Given, serve
from agent_framework import AgentExecutor, Content, FileCheckpointStorage, WorkflowBuilder
from agent_framework.a2a import A2AAgent
from notes import Notes, last_object

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

CHECKPOINTED = ["a2a.types.a2a_pb2:TaskState"]


class AgentFramework(Adapter):
    """One workflow for each run, restored from its latest checkpoint after a restart."""

    name: ClassVar[str] = f"MS Agent Framework {version('agent-framework-core')}, file checkpoints"
    can: ClassVar[tuple[str, ...]] = ("answer",)
    cannot: ClassVar[dict[str, str]] = {
        "cancel": "a workflow has no operation that stops it",
        "fork": "this adapter builds chains only",
    }
    parts: ClassVar[str] = "text"

    async def open(self, given: Given) -> None:
        self._state = given.state
        self._notes = Notes(given.state / "runs.json")
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._live: dict[str, Any] = {}
        self._cards: dict[str, Any] = {}
        self._http = httpx.AsyncClient(timeout=60)
        for run, noted in self._notes.runs.items():
            if noted.get("state", {}).get("state") not in ("completed", "failed"):
                self._go(run, self._restored(run))

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def start(self, run: str, pipeline: dict[str, Any], given: Any) -> None:
        if run in self._notes.runs:
            return
        self._notes.note(run, pipeline=pipeline, input=given)
        self._go(run, self._begun(run))

    async def look(self, run: str) -> dict[str, Any]:
        noted = self._notes.runs.get(run)
        if noted is None:
            return {"state": "unknown"}
        return noted.get("state", {"state": "running"})

    async def over(self, run: str) -> dict[str, Any]:
        """Return the last look, once the run has ended or waits for a person."""
        await asyncio.wait({self._tasks[run]})
        return await self.look(run)

    async def answer(self, run: str, ask: str, text: str) -> None:
        restoring = self._tasks.get(run)
        if restoring is not None:
            await restoring
        self._notes.note(run, state={"state": "running"})
        responses = {ask: Content.from_text(text)}
        self._go(run, self._told(run, self._live[run].run(responses=responses, stream=True)))

    def _go(self, run: str, work: Any) -> None:
        self._tasks[run] = asyncio.create_task(self._guarded(run, work))

    async def _guarded(self, run: str, work: Any) -> None:
        try:
            await work
        except Exception as exc:  # noqa: BLE001 - whatever it is, the run has failed
            self._notes.note(run, state={"state": "failed", "reason": f"{exc}"[:500]})

    async def _begun(self, run: str) -> None:
        noted = self._notes.runs[run]
        workflow, _ = await self._workflow(run)
        await self._told(run, workflow.run(json.dumps(noted["input"]), stream=True))

    async def _restored(self, run: str) -> None:
        workflow, storage = await self._workflow(run)
        latest = await storage.get_latest(workflow_name=run)
        if latest is None:
            await self._begun(run)
        else:
            stream = workflow.run(checkpoint_id=latest.checkpoint_id, stream=True)
            await self._told(run, stream)

    async def _told(self, run: str, stream: Any) -> None:
        output: Any = None
        asks = []
        async for event in stream:
            if event.type == "request_info":
                text = getattr(event.data, "text", str(event.data))
                step = str(getattr(event, "source_executor_id", ""))
                asks.append({"id": event.request_id, "kind": "input", "step": step, "text": text})
            elif event.type == "output":
                text = getattr(event.data, "text", None) or str(event.data)
                output = last_object(text) or output
        if asks:
            self._notes.note(run, state={"state": "waiting", "asks": asks})
        else:
            done = {"state": "completed", "output": output, "failed": []}
            self._notes.note(run, state=done)
            del self._live[run]

    async def _card(self, url: str) -> Any:
        if url not in self._cards:
            self._cards[url] = await A2ACardResolver(self._http, url).get_agent_card()
        return self._cards[url]

    async def _workflow(self, run: str) -> tuple[Any, Any]:
        storage = FileCheckpointStorage(
            str(self._state / f"checkpoints-{run}"), allowed_checkpoint_types=CHECKPOINTED
        )
        executors = []
        for stage in self._notes.runs[run]["pipeline"]["stages"]:
            (step,) = stage["steps"]
            url, name = step["agent"], step["name"]
            agent = A2AAgent(
                name=name,
                id=name,
                agent_card=await self._card(url),
                url=url,
                http_client=self._http,
                timeout=step["deadline_s"],
            )
            executors.append(AgentExecutor(agent, id=name, context_mode="last_agent"))
        workflow = (
            WorkflowBuilder(
                name=run,
                start_executor=executors[0],
                output_from=[executors[-1]],
                checkpoint_storage=storage,
            )
            .add_chain(executors)
            .build()
        )
        self._live[run] = workflow
        return workflow, storage


ADAPTER = AgentFramework

if __name__ == "__main__":
    serve(ADAPTER())
