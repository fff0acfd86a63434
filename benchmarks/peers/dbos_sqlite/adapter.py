"""DBOS Transact on SQLite: a workflow of one step for each call, `recv` for what a person answers."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import Any, ClassVar

from a2a_step import Agents
from adapting import Adapter, Given, serve
from dbos import DBOS, SetWorkflowID

STATES = {"SUCCESS": "completed", "ERROR": "failed", "CANCELLED": "cancelled"}
AGENTS: list[Agents] = []


@DBOS.step()
async def call(step: dict[str, Any], data: Any, key: str, task: dict[str, Any] | None) -> Any:
    if not AGENTS:
        AGENTS.append(Agents())
    return await AGENTS[0].perform(step, data, key=key, task=task)


async def perform(run: str, step: dict[str, Any], data: Any) -> Any:
    """Have one step done, through as many questions as there are."""
    told = await call(step, data, f"{run}-{step['name']}", None)
    ordinal = 0
    while "question" in told:
        ordinal += 1
        asked = {"id": f"{step['name']}-{ordinal}", "step": step["name"], **told["question"]}
        await DBOS.set_event_async("ask", asked)
        text = await DBOS.recv_async(asked["id"], timeout_seconds=step["deadline_s"])
        if text is None:
            raise TimeoutError(f"nobody answered {step['name']} in time")
        await DBOS.set_event_async("ask", None)
        told = await call(step, text, f"{run}-{asked['id']}", asked)
    return told["output"]


@DBOS.workflow()
async def pipeline(run: str, stages: list[dict[str, Any]], given: Any) -> dict[str, Any]:
    data, failed = given, []
    for stage in stages:
        steps = stage["steps"]
        ends = await asyncio.gather(
            *(perform(run, step, data | step.get("with", {})) for step in steps),
            return_exceptions=stage.get("failures") == "collect",
        )
        failed += [
            step["name"]
            for step, end in zip(steps, ends, strict=True)
            if isinstance(end, BaseException)
        ]
        data = ends[0] if len(steps) == 1 else given
    return {"output": data, "failed": failed}


class Dbos(Adapter):
    """Recovery is the library's own: what was pending when the process died runs again."""

    name: ClassVar[str] = f"DBOS {version('dbos')}, SQLite"
    can: ClassVar[tuple[str, ...]] = ("answer", "cancel", "fork")
    cannot: ClassVar[dict[str, str]] = {
        "cluster": "who recovers the work of a dead process is a service of its vendor",
    }

    async def open(self, given: Given) -> None:
        self._handles: dict[str, Any] = {}
        DBOS(
            config={
                "name": "torture",
                "system_database_url": f"sqlite:///{given.state / 'dbos.db'}",
                "log_level": "ERROR",
                "application_version": "1",
            }
        )
        DBOS.launch()

    async def close(self) -> None:
        await asyncio.to_thread(DBOS.destroy, workflow_completion_timeout_sec=0)

    async def start(self, run: str, pipeline_: dict[str, Any], given: Any) -> None:
        with SetWorkflowID(run):
            self._handles[run] = await DBOS.start_workflow_async(
                pipeline, run, pipeline_["stages"], given
            )

    async def look(self, run: str) -> dict[str, Any]:
        status = await DBOS.get_workflow_status_async(run)
        if status is None:
            return {"state": "unknown"}
        state = STATES.get(status.status, "running")
        if state == "completed":
            return {"state": state, **status.output}
        if state == "failed":
            return {"state": state, "reason": str(status.error)}
        ask = await DBOS.get_event_async(run, "ask", timeout_seconds=0)
        if state == "running" and ask:
            asked = {name: ask[name] for name in ("id", "step", "text")}
            return {"state": "waiting", "asks": [{**asked, "kind": "input"}]}
        return {"state": state}

    async def over(self, run: str) -> dict[str, Any]:
        """Return the last look, once the run has ended or waits for a person."""
        return {"state": "completed", **await self._handles[run].get_result()}

    async def answer(self, run: str, ask: str, text: str) -> None:
        await DBOS.send_async(run, text, topic=ask, idempotency_key=f"{run}-{ask}")

    async def cancel(self, run: str) -> None:
        await DBOS.cancel_workflow_async(run)


ADAPTER = Dbos

if __name__ == "__main__":
    serve(ADAPTER())
