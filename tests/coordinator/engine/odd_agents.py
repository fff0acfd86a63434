"""Vendors' agents that misbehave in one way each, told by a test."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from tests.scripted_agent import NOW, ScriptedAgent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request


@dataclass
class OddAgent(ScriptedAgent):
    """A scripted agent with a skill of its own, of which single calls can be answered otherwise."""

    skill: str = "act"
    concurrency: int | None = None
    instead: dict[str, list[Response]] = field(default_factory=dict)
    """By method: what is answered, in this order, before it behaves; the last of `always` stays."""
    always: dict[str, Any] = field(default_factory=dict)
    """By method: a function of the request's body that answers every call."""
    stream: list[dict[str, Any]] = field(default_factory=list)
    """StreamResponses that the next stream consists of; {} in the place of one: silence."""
    calls: Counter[str] = field(default_factory=Counter)
    path: str = "/a2a"
    """Of the address in its card; what it serves stays where it is."""
    at_once: int = 0
    most_at_once: int = 0

    def card(self) -> dict[str, Any]:
        card: dict[str, Any] = json.loads(
            json.dumps(super().card()).replace('"act"', f'"{self.skill}"')
        )
        card["supportedInterfaces"][0]["url"] = self.url + self.path
        if self.concurrency is not None:
            params = card["capabilities"]["extensions"][0]["params"]
            params["concurrency"] = self.concurrency
        return card

    async def _rpc(self, request: Request) -> Response:
        call = await request.json()
        method = call["method"]
        self.calls[method] += 1
        if self.instead.get(method):
            return self.instead[method].pop(0)
        if method in self.always:
            answer: Response = self.always[method](call)
            return answer
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await super()._rpc(request)
        finally:
            self.at_once -= 1

    async def _follow(self, call: Any, task: dict[str, Any]) -> AsyncIterator[bytes]:
        if not self.stream:
            async for event in super()._follow(call, task):
                yield event
            return
        events, self.stream = self.stream, []
        for given in events:
            if not given:
                await asyncio.Event().wait()
            shown = told(given, task["contextId"], task["id"])
            body = {"jsonrpc": "2.0", "id": call, "result": shown}
            yield f"data: {json.dumps(body)}\n\n".encode()


def task(state: str, *outputs: Any) -> dict[str, Any]:
    """Return a StreamResponse with a whole task."""
    found: dict[str, Any] = {"id": "TASK", "contextId": "CONTEXT", "status": status(state)}
    if outputs:
        found["artifacts"] = [{"artifactId": "a", "parts": [{"data": each} for each in outputs]}]
    return {"task": found}


def told(event: dict[str, Any], context: str, task_id: str = "t-1") -> dict[str, Any]:
    """Return a StreamResponse about a certain task."""
    shown = json.dumps(event).replace('"TASK"', f'"{task_id}"')
    found: dict[str, Any] = json.loads(shown.replace('"CONTEXT"', f'"{context}"'))
    return found


def update(state: str, at: str = NOW) -> dict[str, Any]:
    return {"statusUpdate": {"taskId": "TASK", "contextId": "CONTEXT", "status": status(state, at)}}


def piece(data: Any, *, append: bool) -> dict[str, Any]:
    return {
        "artifactUpdate": {
            "taskId": "TASK",
            "contextId": "CONTEXT",
            "artifact": {"artifactId": "a", "parts": [{"data": data}]},
            "append": append,
        }
    }


def said(data: Any) -> dict[str, Any]:
    """Return a StreamResponse with a message."""
    message = {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"data": data}]}
    return {"message": message}


def status(state: str, at: str = NOW) -> dict[str, Any]:
    return {"state": f"TASK_STATE_{state}", "timestamp": at}


def answered(code: int, **headers: str) -> Response:
    return Response(status_code=code, headers={k.replace("_", "-"): v for k, v in headers.items()})


def result(call: Any, value: Any) -> Response:
    return JSONResponse({"jsonrpc": "2.0", "id": call["id"], "result": value})


__all__ = ["OddAgent", "answered", "piece", "result", "said", "task", "told", "update"]
