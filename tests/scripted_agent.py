"""A vendor's agent, written from the A2A 1.0 text alone, that does what a test tells it.

No Parley code: it speaks JSON-RPC by hand, de-duplicates nothing, and counts how often it ran each
message. The data part of a message says how to behave: `{"do": "fail", ...}`.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOW = "2026-01-01T00:00:00.000Z"


@dataclass
class ScriptedAgent:
    """Its behaviour, and what it remembers."""

    name: str = "vendor"
    description: str = "Does what it is told."
    streaming: bool = False
    lists: bool = True
    idempotent: bool = False
    output_schema: dict[str, Any] | None = None
    url: str = ""
    ran: Counter[str] = field(default_factory=Counter)
    """How often each message id opened a task."""
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: list[Any] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    down: bool = False
    """Refuse everything with 503."""
    lose_answers: int = 0
    """So many times: do the work, then cut the connection instead of answering."""
    subscribes: bool = True
    """Whether SubscribeToTask works; if not, it is refused as for a task that has ended."""
    healed: bool = False
    """Whether `fail-until-healed` succeeds."""
    binding: str = "JSONRPC"
    cancels: str = "yes"
    """What it does when asked to cancel: `yes`, `refuses`, `hangs`, `too-late`: it has just finished."""
    pushes: bool = False
    """Whether it offers to push."""
    webhooks: list[dict[str, Any]] = field(default_factory=list)
    """The push configurations that it was given, oldest first."""
    looks: int = 0
    """How often somebody has asked for a task."""
    extensions: tuple[str, ...] = ()
    """URIs that its card declares beside the contract of its skill."""
    messages: list[dict[str, Any]] = field(default_factory=list)
    """What opened its tasks, oldest first."""
    released: asyncio.Event = field(default_factory=asyncio.Event)
    answering: asyncio.Event | None = None
    """If there is one: what a message began goes on, and is answered once this is set."""

    @property
    def runs(self) -> int:
        return sum(self.ran.values())

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/agent-card.json", self._card),
                Route("/a2a", self._rpc, methods=["POST"]),
            ]
        )

    def card(self) -> dict[str, Any]:
        contract: dict[str, Any] = {
            "version": "1.0.0",
            "effect": "write",
            "idempotent": self.idempotent,
            "input": {"type": "object"},
        }
        if self.output_schema is not None:
            contract["output"] = self.output_schema
        else:
            contract["output"] = {}
        return {
            "name": self.name,
            "description": self.description,
            "version": "1.0.0",
            "supportedInterfaces": [
                {
                    "url": f"{self.url}/a2a",
                    "protocolBinding": self.binding,
                    "protocolVersion": "1.0",
                }
            ],
            "capabilities": {
                "streaming": self.streaming,
                "pushNotifications": self.pushes,
                "extensions": [
                    {
                        "uri": "urn:parley:a2a:skill-contract:v1",
                        "params": {"skills": {"act": contract}},
                    },
                    *({"uri": uri} for uri in self.extensions),
                ],
            },
            "defaultInputModes": ["application/json"],
            "defaultOutputModes": ["application/json"],
            "skills": [{"id": "act", "name": "Act", "description": "Acts.", "tags": ["test"]}],
        }

    async def _card(self, _: Request) -> Response:
        return JSONResponse(self.card())

    async def _rpc(self, request: Request) -> Response:
        if self.down:
            return Response(status_code=503)
        call = await request.json()
        params, method = call["params"], call["method"]
        if method in ("SendMessage", "SendStreamingMessage"):
            return await self._send(call["id"], params["message"], stream="Stream" in method)
        return await self._operate(call, method, params)

    async def _operate(self, call: Any, method: str, params: dict[str, Any]) -> Response:
        if method == "GetTask":
            self.looks += 1
            return self._task(call["id"], params["id"])
        if method == "CancelTask":
            return await self._cancel(call["id"], params["id"])
        if method == "CreateTaskPushNotificationConfig" and self.pushes:
            self.webhooks.append(params)
            return _result(call["id"], params)
        if method == "ListTasks" and self.lists:
            found = [t for t in self.tasks.values() if t["contextId"] == params.get("contextId")]
            page = {"tasks": found, "nextPageToken": "", "pageSize": 50, "totalSize": len(found)}
            return _result(call["id"], page)
        if method == "SubscribeToTask" and self.streaming and self.subscribes:
            task = self.tasks[params["id"]]
            return StreamingResponse(self._follow(call["id"], task), media_type="text/event-stream")
        return _error(call["id"], -32004, "This operation is not supported")

    async def _cancel(self, call: Any, task_id: str) -> Response:
        self.cancelled.append(task_id)
        task = self.tasks.get(task_id)
        if self.cancels == "hangs":
            await asyncio.Event().wait()
        if self.cancels == "too-late" and task is not None:
            self._finish(task)
        if self.cancels != "yes":
            return _error(call, -32002, "Task cannot be canceled")
        if task is not None:
            task["status"] = {"state": "TASK_STATE_CANCELED", "timestamp": NOW}
        return self._task(call, task_id)

    def _task(self, call: Any, task_id: str) -> Response:
        if task_id not in self.tasks:
            return _error(call, -32001, "Task not found")
        return _result(call, self.tasks[task_id])

    async def _send(self, call: Any, message: dict[str, Any], *, stream: bool) -> Response:
        if message.get("taskId"):
            task = self.tasks[message["taskId"]]
            self.answers.append(message["parts"][0].get("data"))
            self._answered(task)
        else:
            self.ran[message["messageId"]] += 1
            self.messages.append(message)
            wanted = message["parts"][0]["data"]
            odd = _odd_reply(call, wanted, message)
            if odd is not None:
                return odd
            task = self._open(message, wanted)
        if self.lose_answers > 0:
            self.lose_answers -= 1
            return StreamingResponse(_cut())
        if self.answering is not None:
            await self.answering.wait()
        if stream:
            return StreamingResponse(self._follow(call, task), media_type="text/event-stream")
        return _result(call, {"task": task})

    async def _follow(self, call: Any, task: dict[str, Any]) -> AsyncIterator[bytes]:
        yield _sse(call, {"task": task})
        while task["status"]["state"] in ("TASK_STATE_WORKING", "TASK_STATE_SUBMITTED"):
            await self.released.wait()
            self._finish(task)
            yield _sse(call, {"task": task})

    def _open(self, message: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
        task: dict[str, Any] = {
            "id": f"t-{len(self.tasks) + 1}",
            "contextId": message["contextId"],
            "history": [message],
            "status": {"state": "TASK_STATE_WORKING", "timestamp": NOW},
        }
        if wanted.get("do") == "foreign":
            task["contextId"] = "somebody-elses"
        task["metadata"] = {"wanted": wanted, "asked": 0, **wanted.get("report", {})}
        self.tasks[task["id"]] = task
        self._act(task)
        return task

    def _act(self, task: dict[str, Any]) -> None:
        wanted = task["metadata"]["wanted"]
        match wanted.get("do", "complete"):
            case "complete" | "foreign":
                self._complete(task, wanted.get("output", {"done": True}))
            case "fail-until-healed" if self.healed:
                self._complete(task, wanted.get("output", {"done": True}))
            case "fail" | "fail-until-healed":
                _say(task, "TASK_STATE_FAILED", "the disk is full")
                task["status"]["message"]["metadata"] = {"code": wanted.get("code", "")}
            case "reject":
                _say(task, "TASK_STATE_REJECTED", "not my job")
            case "cancel":
                _say(task, "TASK_STATE_CANCELED", "somebody stopped me")
            case "empty":
                _say(task, "TASK_STATE_COMPLETED", "all good, trust me")
            case "ask" | "ask-twice":
                _say(task, "TASK_STATE_INPUT_REQUIRED", "which cost centre?")
            case "ask-form":
                _say(task, "TASK_STATE_INPUT_REQUIRED", "which cost centre?", wanted["form"])
            case "auth" | "auth-then-ask":
                _say(task, "TASK_STATE_AUTH_REQUIRED", "sign in at the bank")
            case "unknown-state":
                task["status"]["state"] = "TASK_STATE_UNSPECIFIED"
            case "work":
                pass

    def _answered(self, task: dict[str, Any]) -> None:
        task["metadata"]["asked"] += 1
        if task["metadata"]["wanted"]["do"] == "ask-twice" and task["metadata"]["asked"] < 2:
            _say(task, "TASK_STATE_INPUT_REQUIRED", "and which project?")
        else:
            self._complete(task, {"answers": self.answers})

    def _finish(self, task: dict[str, Any]) -> None:
        self._complete(task, {"done": True})

    def ask_all(self) -> None:
        """Every task that waits for an authorization asks for an answer instead."""
        for task in self.tasks.values():
            if task["status"]["state"] == "TASK_STATE_AUTH_REQUIRED":
                task["metadata"]["asked"] += 1
                _say(task, "TASK_STATE_INPUT_REQUIRED", "thanks, and which cost centre?")

    def finish_all(self) -> None:
        """Complete every task that works or waits."""
        self.released.set()
        for task in self.tasks.values():
            if task["status"]["state"] in ("TASK_STATE_WORKING", "TASK_STATE_AUTH_REQUIRED"):
                self._finish(task)

    def _complete(self, task: dict[str, Any], output: Any) -> None:
        task["artifacts"] = [{"artifactId": "a", "parts": [{"data": output}]}]
        task["status"] = {"state": "TASK_STATE_COMPLETED", "timestamp": NOW}


def _say(task: dict[str, Any], state: str, text: str, form: dict[str, Any] | None = None) -> None:
    parts: list[dict[str, Any]] = [{"text": text}]
    if form is not None:
        parts.append({"data": {"message": text, "requestedSchema": form}})
    task["status"] = {
        "state": state,
        "timestamp": NOW,
        "message": {
            "messageId": f"{task['id']}-{task['metadata']['asked']}",
            "role": "ROLE_AGENT",
            "taskId": task["id"],
            "contextId": task["contextId"],
            "parts": parts,
        },
    }


def _odd_reply(call: Any, wanted: dict[str, Any], message: dict[str, Any]) -> Response | None:
    match wanted.get("do"):
        case "html":
            return HTMLResponse("<h1>Welcome</h1>")
        case "rubbish":
            return _result(call, {"task": {"id": 7, "status": "fine"}})
        case "refuse":
            return _error(call, -32602, "Invalid params")
        case "not-json":
            return Response(b'{"jsonrpc": NaN', media_type="application/json")
        case "huge":
            return Response(b'"' + b"x" * 9_000_000 + b'"', media_type="application/json")
        case "message":
            reply = {
                "messageId": "m-1",
                "role": "ROLE_AGENT",
                "contextId": message["contextId"],
                "parts": [{"data": {"said": "hello"}}],
            }
            return _result(call, {"message": reply})
    return None


def _result(call: Any, result: Any) -> Response:
    return JSONResponse({"jsonrpc": "2.0", "id": call, "result": result})


def _error(call: Any, code: int, message: str) -> Response:
    return JSONResponse({"jsonrpc": "2.0", "id": call, "error": {"code": code, "message": message}})


def _sse(call: Any, result: Any) -> bytes:
    body = json.dumps({"jsonrpc": "2.0", "id": call, "result": result})
    return f"data: {body}\n\n".encode()


async def _cut() -> AsyncIterator[bytes]:
    yield b'{"jsonrpc": "2.0", '
    raise ConnectionError("cut on purpose")
