"""A vendor's agent that speaks A2A 0.3 only, written from its specification: JSON-RPC and HTTP+JSON.

The text of a message, or `do` of its data, says what it does: `ask`, `fail`, `wait`, `hello`; else it
echoes the data.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

NOW = "2026-01-01T00:00:00Z"
UNFINISHED = {"submitted", "working"}


@dataclass
class OlderAgent:
    """Its tasks as JSON-RPC shows them; `rest` shows the same in the JSON of 0.3's protobuf."""

    name: str = "older"
    url: str = ""
    transport: str = "JSONRPC"
    streaming: bool = True
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    configurations: list[dict[str, Any]] = field(default_factory=list)
    configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    state: str = ""
    """Of every task that is shown, if it is not empty."""
    lost: int = 0
    """So many times: do the work, then cut the connection instead of answering."""
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/agent-card.json", self._card),
                Route("/", self._rpc, methods=["POST"]),
                Route("/rest/v1/{path:path}", self._rest, methods=["GET", "POST"]),
            ]
        )

    def card(self) -> dict[str, Any]:
        path = "/" if self.transport == "JSONRPC" else "/rest"
        return {
            "protocolVersion": "0.3.0",
            "name": self.name,
            "description": "Echoes.",
            "url": f"{self.url}{path}",
            "preferredTransport": self.transport,
            "version": "1.0.0",
            "capabilities": {"streaming": self.streaming, "pushNotifications": True},
            "defaultInputModes": ["application/json"],
            "defaultOutputModes": ["application/json"],
            "skills": [{"id": "act", "name": "Act", "description": "Echoes.", "tags": ["test"]}],
        }

    async def _card(self, _: Request) -> Response:
        return JSONResponse(self.card())

    async def _rpc(self, request: Request) -> Response:
        call = await request.json()
        self.headers.append(dict(request.headers))
        number, params = call["id"], call["params"]
        match call["method"]:
            case "message/send":
                return self._sent(number, self._accept(params))
            case "message/stream":
                return _stream(self._events(self._accept(params)), lambda e: _envelope(number, e))
            case "tasks/resubscribe":
                events = self._events(self.tasks[params["id"]], first=False)
                return _stream(events, lambda e: _envelope(number, e))
            case "tasks/get" if params["id"] in self.tasks:
                return JSONResponse(_envelope(number, self._shown(self.tasks[params["id"]])))
            case "tasks/get":
                error = {"code": -32001, "message": "Task not found"}
                return JSONResponse({"jsonrpc": "2.0", "id": number, "error": error})
            case "tasks/cancel":
                self.tasks[params["id"]]["status"] = {"state": "canceled", "timestamp": NOW}
                return JSONResponse(_envelope(number, self.tasks[params["id"]]))
        if call["method"].startswith("tasks/pushNotificationConfig/"):
            return self._push(number, call["method"].rpartition("/")[2], params)
        error = {"code": -32601, "message": "Method not found"}
        return JSONResponse({"jsonrpc": "2.0", "id": number, "error": error})

    def _push(self, number: int, verb: str, params: dict[str, Any]) -> Response:
        result: Any = None
        match verb:
            case "set":
                result = self.configs[params["pushNotificationConfig"]["id"]] = params
            case "get":
                result = self.configs[params["pushNotificationConfigId"]]
            case "list":
                result = list(self.configs.values())
            case "delete":
                del self.configs[params["pushNotificationConfigId"]]
        return JSONResponse(_envelope(number, result))

    def _sent(self, number: int, result: dict[str, Any]) -> Response:
        if self.lost > 0:
            self.lost -= 1
            return StreamingResponse(_cut())
        return JSONResponse(_envelope(number, self._shown(result)))

    async def _rest(self, request: Request) -> Response:
        self.headers.append(dict(request.headers))
        path = request.path_params["path"]
        if path in ("message:send", "message:stream"):
            body = await request.json()
            result = self._accept(
                {
                    "message": _from_proto_message(body["message"]),
                    "configuration": body.get("configuration", {}),
                }
            )
            if path == "message:stream":
                return _stream(self._events(result), _proto_event)
            return JSONResponse(_proto_event(self._shown(result)))
        task_id, _, verb = path.removeprefix("tasks/").partition(":")
        if task_id not in self.tasks:
            return JSONResponse({"message": "no such task", "type": "TaskNotFoundError"}, 404)
        task = self.tasks[task_id]
        if verb == "cancel":
            task["status"] = {"state": "canceled", "timestamp": NOW}
        if verb == "subscribe":
            return _stream(self._events(task, first=False), _proto_event)
        return JSONResponse(_proto_task(self._shown(task)))

    def _accept(self, params: dict[str, Any]) -> dict[str, Any]:
        message = params["message"]
        self.messages.append(message)
        self.configurations.append(params.get("configuration", {}))
        known = self.tasks.get(message.get("taskId", ""))
        if known is not None:
            self._complete(known, message)
            return known
        text = _wanted(message)
        if text == "hello":
            parts = [{"kind": "text", "text": "hello to you"}]
            return {
                "kind": "message",
                "messageId": "r-1",
                "role": "agent",
                "contextId": message["contextId"],
                "parts": parts,
            }
        task: dict[str, Any] = {
            "kind": "task",
            "id": f"t-{len(self.tasks) + 1}",
            "contextId": message["contextId"],
            "history": [message],
            "status": {"state": "working", "timestamp": NOW},
        }
        self.tasks[task["id"]] = task
        match text:
            case "ask":
                task["status"] = _status(task, "input-required", "which one?")
            case "fail":
                task["status"] = _status(task, "failed", "the disk is full")
            case "wait":
                pass
            case _:
                self._complete(task, message)
        return task

    def _complete(self, task: dict[str, Any], message: dict[str, Any]) -> None:
        data: Any = next((part["data"] for part in message["parts"] if "data" in part), {})
        task["artifacts"] = [
            {
                "artifactId": "a-1",
                "name": "echo",
                "parts": [
                    {"kind": "data", "data": data},
                    {"kind": "file", "file": {"uri": "https://x.example/f", "mimeType": "x/y"}},
                ],
            }
        ]
        task["status"] = {"state": "completed", "timestamp": NOW}

    def _shown(self, result: dict[str, Any]) -> dict[str, Any]:
        if not self.state or "status" not in result:
            return result
        return {**result, "status": {**result["status"], "state": self.state}}

    async def _events(
        self, result: dict[str, Any], *, first: bool = True
    ) -> AsyncIterator[dict[str, Any]]:
        if first:
            yield json.loads(json.dumps(result))
        if result["kind"] == "message" or result["status"]["state"] not in UNFINISHED:
            return
        await self.released.wait()
        self._complete(result, result["history"][0])
        place = {"taskId": result["id"], "contextId": result["contextId"]}
        yield {
            "kind": "artifact-update",
            **place,
            "artifact": result["artifacts"][0],
            "lastChunk": True,
        }
        yield {"kind": "status-update", **place, "status": result["status"], "final": True}


def _wanted(message: dict[str, Any]) -> str:
    for part in message["parts"]:
        if "text" in part:
            return str(part["text"])
        if isinstance(part.get("data"), dict) and "do" in part["data"]:
            return str(part["data"]["do"])
    return ""


def _status(task: dict[str, Any], state: str, text: str) -> dict[str, Any]:
    message = {
        "kind": "message",
        "messageId": f"{task['id']}-said",
        "role": "agent",
        "taskId": task["id"],
        "contextId": task["contextId"],
        "parts": [{"kind": "text", "text": text}],
    }
    return {"state": state, "timestamp": NOW, "message": message}


def _envelope(number: int, result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "result": result}


def _stream(events: AsyncIterator[dict[str, Any]], frame: Any) -> Response:
    async def lines() -> AsyncIterator[bytes]:
        async for event in events:
            yield f"data: {json.dumps(frame(event))}\n\n".encode()

    return StreamingResponse(lines(), media_type="text/event-stream")


async def _cut() -> AsyncIterator[bytes]:
    yield b'{"jsonrpc": "2.0", '
    raise ConnectionError("cut on purpose")


def _from_proto_message(message: dict[str, Any]) -> dict[str, Any]:
    parts = [
        {"kind": "data", "data": part["data"]["data"]} if "data" in part else part
        for part in message["content"]
    ]
    return {**{k: v for k, v in message.items() if k != "content"}, "parts": parts}


def _proto_message(message: dict[str, Any]) -> dict[str, Any]:
    role = {"user": "ROLE_USER", "agent": "ROLE_AGENT"}.get(message["role"], message["role"])
    shown = {k: v for k, v in message.items() if k not in ("parts", "kind", "role")}
    return {**shown, "role": role, "content": [_proto_part(part) for part in message["parts"]]}


def _proto_part(part: dict[str, Any]) -> dict[str, Any]:
    if "data" in part:
        return {"data": {"data": part["data"]}}
    if "file" in part:
        return {"file": {"fileWithUri": part["file"]["uri"], "mimeType": part["file"]["mimeType"]}}
    return {"text": part["text"]}


def _proto_status(status: dict[str, Any]) -> dict[str, Any]:
    state = "TASK_STATE_" + status["state"].upper().replace("-", "_")
    shown: dict[str, Any] = {
        "state": state.replace("CANCELED", "CANCELLED"),
        "timestamp": status["timestamp"],
    }
    if "message" in status:
        shown["message"] = _proto_message(status["message"])
    return shown


def _proto_artifact(artifact: dict[str, Any]) -> dict[str, Any]:
    return {**artifact, "parts": [_proto_part(part) for part in artifact["parts"]]}


def _proto_task(task: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": task["id"],
        "contextId": task["contextId"],
        "status": _proto_status(task["status"]),
        "artifacts": [_proto_artifact(each) for each in task.get("artifacts", [])],
        "history": [_proto_message(each) for each in task["history"]],
    }


def _proto_event(event: dict[str, Any]) -> dict[str, Any]:
    place = {key: event.get(key) for key in ("taskId", "contextId")}
    match event["kind"]:
        case "message":
            return {"message": _proto_message(event)}
        case "status-update":
            status = _proto_status(event["status"])
            return {"statusUpdate": {**place, "status": status, "final": True}}
        case "artifact-update":
            artifact = _proto_artifact(event["artifact"])
            return {"artifactUpdate": {**place, "artifact": artifact, "lastChunk": True}}
    return {"task": _proto_task(event)}
