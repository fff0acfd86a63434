"""A vendor's agent, written from the A2A text alone, that counts what reaches it."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from parley_torture.agents import legacy
from parley_torture.agents.calls import (
    NO_METHOD,
    NOT_CANCELABLE,
    TASK_NOT_FOUND,
    UNSUPPORTED,
    Call,
    read_call,
)
from parley_torture.agents.door import Door
from parley_torture.agents.scripts import Script, stream
from parley_torture.agents.tasks import Task, object_in, words_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request


@dataclass(frozen=True)
class Receipt:
    """A request that reached the agent."""

    at: float
    """Of the monotonic clock."""
    method: str
    message_id: str
    task_id: str


class Agent:
    """One agent with one skill, on a port of its own.

    Args:
        name: Of the agent and of its skill; nobody else has it.
        step: Of the pipeline.
        parts: Whether JSON goes out as `data` or as `text`.
    """

    def __init__(self, name: str, *, step: str, script: Script, parts: str) -> None:
        self.name, self.step, self.script, self._parts = name, step, script, parts
        self.ran: Counter[str] = Counter()
        """How often it did the work, by `branch`."""
        self.receipts: list[Receipt] = []
        self.answers: list[str] = []
        self.cancelled: list[str] = []
        """Tasks that it was asked to stop."""
        self.given: list[dict[str, Any]] = []
        self.tasks: dict[str, Task] = {}
        self.card_reads = 0
        self._work: set[asyncio.Task[None]] = set()
        self._opened = 0
        routes = [
            Route("/.well-known/agent-card.json", self._card),
            # Where 0.3 had it at first.
            Route("/.well-known/agent.json", self._card),
            Route("/a2a", self._rpc, methods=["POST"]),
        ]
        self.door = Door(Starlette(routes=routes))

    @property
    def url(self) -> str:
        return self.door.url

    @property
    def runs(self) -> int:
        return self.ran.total()

    @property
    def messages(self) -> int:
        """How many messages came that open a task, also if they were refused."""
        return sum(each.method.startswith("Send") and not each.task_id for each in self.receipts)

    @property
    def task(self) -> Task:
        """The one that was opened last."""
        return list(self.tasks.values())[-1]

    async def open(self) -> None:
        await self.door.open()

    async def close(self) -> None:
        await self.door.slam()
        for each in list(self._work):
            each.cancel()

    async def restart(self, *, forget: bool = False) -> None:
        """Die as a process does, and come back; what it worked on is begun anew, or forgotten."""
        await self.close()
        if forget:
            self.tasks.clear()
        await self.open()
        for task in self.tasks.values():
            if not task.rests:
                self._begin(self.script.work(self, task))

    def card(self) -> dict[str, Any]:
        modes = ["application/json", "text/plain"]
        card = {
            "name": self.name,
            "description": "Does its step of a pipeline.",
            "version": "1.0.0",
            "supportedInterfaces": [
                {"url": f"{self.url}/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
            ],
            "capabilities": {
                "streaming": self.script.streaming,
                "pushNotifications": self.script.push,
            },
            "defaultInputModes": modes,
            "defaultOutputModes": modes,
            "skills": [
                {
                    "id": self.name,
                    "name": f"Step {self.step}",
                    "description": "Adds its name to the trail.",
                    "tags": ["torture"],
                }
            ],
        }
        card = self.script.card(self, card)
        return legacy.card(card) if self.script.dialect == "0.3" else card

    def part(self, value: Any) -> dict[str, Any]:
        if self._parts == "text":
            return {"text": json.dumps(value), "mediaType": "application/json"}
        return {"data": value}

    def artifact(self, value: Any) -> dict[str, Any]:
        return {"artifactId": "result", "name": "result", "parts": [self.part(value)]}

    def output(self, task: Task) -> dict[str, Any]:
        trail = task.given.get("trail")
        return {**task.given, "trail": [*(trail if isinstance(trail, list) else []), self.step]}

    def complete(self, task: Task) -> None:
        task.artifacts = [self.artifact(self.output(task))]
        task.become("COMPLETED")

    async def _card(self, _: Request) -> Response:
        self.card_reads += 1
        return JSONResponse(self.card())

    async def _rpc(self, request: Request) -> Response:
        headers = {name: request.headers[name] for name in request.headers}
        call = read_call(await request.body(), headers, dialect=self.script.dialect)
        if call is None:
            return Response("this is no call", status_code=400)
        self._note(call)
        refused = await self.script.refuse(self, call)
        if refused is not None:
            return refused
        return await self._methods().get(call.method, self._unknown)(call)

    def _methods(self) -> dict[str, Callable[[Call], Awaitable[Response]]]:
        return {
            "SendMessage": self._send,
            "SendStreamingMessage": self._send,
            "GetTask": self._get,
            "ListTasks": self._list,
            "CancelTask": self._cancel,
            "SubscribeToTask": self._subscribe,
            "CreateTaskPushNotificationConfig": self._push,
        }

    def _note(self, call: Call) -> None:
        message = call.params.get("message") or {}
        task = message.get("taskId") or call.params.get("id") or call.params.get("taskId") or ""
        self.receipts.append(
            Receipt(time.monotonic(), call.method, message.get("messageId", ""), task)
        )

    async def _unknown(self, call: Call) -> Response:
        return call.error(NO_METHOD)

    async def _send(self, call: Call) -> Response:
        if call.streams and not self.script.streaming:
            return call.error(UNSUPPORTED)
        if call.message.get("taskId"):
            return await self._follow_up(call)
        given = object_in(call.message)
        self.given.append(given)
        self.ran[str(given.get("branch", ""))] += 1
        self._opened += 1
        task = Task(
            id=f"{self.name}-t{self._opened}",
            context=call.message.get("contextId") or f"{self.name}-c{self._opened}",
            message=call.message,
            given=given,
        )
        task.history.append({**call.message, "contextId": task.context, "taskId": task.id})
        task.push = call.params.get("configuration", {}).get("taskPushNotificationConfig")
        self.tasks[task.id] = task
        self._begin(self.script.work(self, task))
        return await self.script.reply(self, call, task)

    async def _follow_up(self, call: Call) -> Response:
        task = self.tasks.get(call.message["taskId"])
        if task is None:
            return call.error(TASK_NOT_FOUND)
        if task.over:
            return call.error(UNSUPPORTED)
        words = words_in(call.message)
        self.answers.append(words)
        task.answers.append(words)
        task.history.append(call.message)
        task.become("WORKING")
        self._begin(self.script.answered(self, task, words))
        return await self.script.reply(self, call, task)

    def _begin(self, work: Any) -> None:
        begun = asyncio.create_task(work)
        self._work.add(begun)
        begun.add_done_callback(self._work.discard)

    async def _get(self, call: Call) -> Response:
        task = self.tasks.get(call.params.get("id", ""))
        if task is None:
            return call.error(TASK_NOT_FOUND)
        return await self.script.look(self, call, task)

    async def _list(self, call: Call) -> Response:
        if not self.script.lists:
            return call.error(UNSUPPORTED)
        context = call.params.get("contextId")
        found = [t.body() for t in self.tasks.values() if context in (None, "", t.context)]
        page = {"tasks": found, "nextPageToken": "", "pageSize": 100, "totalSize": len(found)}
        return call.result(page)

    async def _cancel(self, call: Call) -> Response:
        task = self.tasks.get(call.params.get("id", ""))
        if task is None:
            return call.error(TASK_NOT_FOUND)
        self.cancelled.append(task.id)
        if task.over:
            return call.error(NOT_CANCELABLE)
        return await self.script.cancel(self, task) or call.result(task.body())

    async def _subscribe(self, call: Call) -> Response:
        task = self.tasks.get(call.params.get("id", ""))
        if task is None:
            return call.error(TASK_NOT_FOUND)
        if task.over or not self.script.streaming:
            return call.error(UNSUPPORTED)
        return stream(self.script.events(self, call, task))

    async def _push(self, call: Call) -> Response:
        task = self.tasks.get(call.params.get("taskId", ""))
        if task is None:
            return call.error(TASK_NOT_FOUND)
        task.push = dict(call.params)
        return call.result(call.params)
