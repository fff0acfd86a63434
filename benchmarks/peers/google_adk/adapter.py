"""Google ADK: a graph of RemoteA2aAgent nodes, resumable, with the SQLite session service."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import warnings
from importlib.metadata import version
from typing import Any, ClassVar

import httpx
from a2a.client import ClientConfig, ClientFactory
from adapting import Adapter, Given, serve
from google.adk.agents.remote_a2a_agent import RemoteA2aAgent
from google.adk.apps import App
from google.adk.apps.app import ResumabilityConfig
from google.adk.runners import Runner
from google.adk.sessions.sqlite_session_service import SqliteSessionService
from google.adk.workflow import START, Workflow
from google.genai import types
from notes import Notes, last_object

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

APP = "torture"
USER = "u"


class Adk(Adapter):
    """One session for each run; one that was under way is resumed by its invocation id."""

    name: ClassVar[str] = f"Google ADK {version('google-adk')}, SQLite sessions"
    can: ClassVar[tuple[str, ...]] = ("answer",)
    cannot: ClassVar[dict[str, str]] = {
        "cancel": "the runner has no operation that stops an invocation",
        "fork": "this adapter builds chains only",
    }
    parts: ClassVar[str] = "text"

    async def open(self, given: Given) -> None:
        self._sessions = SqliteSessionService(str(given.state / "sessions.db"))
        self._notes = Notes(given.state / "runs.json")
        self._tasks: dict[str, asyncio.Task[None]] = {}
        http = httpx.AsyncClient(timeout=60)
        self._factory = ClientFactory(ClientConfig(streaming=False, httpx_client=http))
        for run, noted in self._notes.runs.items():
            if "state" not in noted:
                self._go(run, await self._resumption(run, noted))

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def start(self, run: str, pipeline: dict[str, Any], given: Any) -> None:
        if run in self._notes.runs:
            return
        await self._sessions.create_session(app_name=APP, user_id=USER, session_id=run)
        self._notes.note(run, pipeline=pipeline, input=given)
        self._go(run, {"new_message": _said(json.dumps(given))})

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
        noted = self._notes.runs[run]
        response = types.FunctionResponse(id=ask, name=noted["call"], response={"result": text})
        message = types.Content(role="user", parts=[types.Part(function_response=response)])
        self._notes.note(run, state={"state": "running"})
        self._go(run, {"new_message": message, "invocation_id": noted["invocation"]})

    def _go(self, run: str, given: dict[str, Any]) -> None:
        self._tasks[run] = asyncio.create_task(self._run(run, given))

    async def _resumption(self, run: str, noted: dict[str, Any]) -> dict[str, Any]:
        session = await self._sessions.get_session(app_name=APP, user_id=USER, session_id=run)
        if session is None or not session.events:
            return {"new_message": _said(json.dumps(noted["input"]))}
        return {"invocation_id": session.events[-1].invocation_id}

    async def _run(self, run: str, given: dict[str, Any]) -> None:
        runner = self._runner(self._notes.runs[run]["pipeline"])
        output: Any = None
        try:
            async for event in runner.run_async(user_id=USER, session_id=run, **given):
                _raise_error(event)
                for part in (event.content.parts if event.content else None) or []:
                    if part.function_call and part.function_call.id in (
                        event.long_running_tool_ids or ()
                    ):
                        self._asked(run, event, part.function_call)
                        return
                    output = last_object(part.text or "") or output
        except Exception as exc:  # noqa: BLE001 - whatever it is, the run has failed
            self._notes.note(run, state={"state": "failed", "reason": f"{exc}"[:500]})
            return
        done = {"state": "completed", "output": output, "failed": []}
        self._notes.note(run, state=done)

    def _asked(self, run: str, event: Any, call: Any) -> None:
        ask = {"id": call.id, "kind": "input", "step": event.author, "text": str(call.args)}
        self._notes.note(
            run,
            call=call.name,
            invocation=event.invocation_id,
            state={"state": "waiting", "asks": [ask]},
        )

    def _runner(self, pipeline: dict[str, Any]) -> Runner:
        nodes = []
        for stage in pipeline["stages"]:
            (step,) = stage["steps"]
            nodes.append(
                RemoteA2aAgent(
                    name=re.sub(r"\W", "_", step["name"]),
                    agent_card=f"{step['agent']}/.well-known/agent-card.json",
                    a2a_client_factory=self._factory,
                    rerun_on_resume=True,
                )
            )
        graph = Workflow(name="pipeline", edges=[(START, *nodes)])
        app = App(
            name=APP,
            root_agent=graph,
            resumability_config=ResumabilityConfig(is_resumable=True),
        )
        return Runner(app=app, session_service=self._sessions)


def _raise_error(event: Any) -> None:
    if event.error_message:
        raise RuntimeError(event.error_message)


def _said(text: str) -> types.Content:
    return types.Content(role="user", parts=[types.Part(text=text)])


ADAPTER = Adk

if __name__ == "__main__":
    serve(ADAPTER())
