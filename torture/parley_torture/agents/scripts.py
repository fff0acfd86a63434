"""What a scripted agent does: a well-behaved one, and what a scenario overrides of it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, ClassVar, Final

from starlette.responses import JSONResponse, Response, StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from parley_torture.agents.calls import Call
    from parley_torture.agents.tasks import Task
    from parley_torture.agents.vendor import Agent

LONGEST_BLOCK_S: Final = 90.0


class Script:
    """A conforming agent that completes at once.

    It does not de-duplicate messages, says nothing about idempotency, and lists its tasks.
    """

    streaming: ClassVar[bool] = False
    push: ClassVar[bool] = False
    lists: ClassVar[bool] = True
    dialect: ClassVar[str] = "1.0"

    def card(self, agent: Agent, card: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - overridden
        return card

    async def refuse(self, agent: Agent, call: Call) -> Response | None:  # noqa: ARG002 - overridden
        """Return an answer that is given instead of doing anything."""
        return None

    async def work(self, agent: Agent, task: Task) -> None:
        """Do what the message asks for; goes on when the connection is cut."""
        agent.complete(task)

    async def answered(self, agent: Agent, task: Task, words: str) -> None:  # noqa: ARG002 - overridden
        """Go on after a message to a task that waits."""
        agent.complete(task)

    async def cancel(self, agent: Agent, task: Task) -> Response | None:  # noqa: ARG002 - overridden
        """Stop; an answer that is returned is sent instead of the task."""
        task.become("CANCELED")
        return None

    async def reply(self, agent: Agent, call: Call, task: Task) -> Response:
        """Answer a message: stream, return at once, or block until the task rests."""
        if call.streams:
            return stream(self.events(agent, call, task))
        if not call.immediately:
            async with asyncio.timeout(LONGEST_BLOCK_S):
                await task.rested()
        return call.result({"task": task.body()})

    async def events(self, agent: Agent, call: Call, task: Task) -> AsyncIterator[bytes]:  # noqa: ARG002
        """Yield the events of a stream, as they go over the wire."""
        told = task.state
        yield call.event({"task": task.body()})
        while not task.rests:
            await task.moves()
            if not task.over and task.state != told:
                told = task.state
                update = {"taskId": task.id, "contextId": task.context, "status": task.status()}
                yield call.event({"statusUpdate": update})
        if told != task.state:
            for artifact in task.artifacts:
                update = {"taskId": task.id, "contextId": task.context, "artifact": artifact}
                yield call.event({"artifactUpdate": {**update, "lastChunk": True}})
            update = {"taskId": task.id, "contextId": task.context, "status": task.status()}
            yield call.event({"statusUpdate": update})

    async def look(self, agent: Agent, call: Call, task: Task) -> Response:  # noqa: ARG002 - overridden
        """Answer GetTask."""
        return call.result(task.body())


class Ends(Script):
    """Ends, or comes to rest, in a state, with a text and perhaps an artifact."""

    def __init__(self, state: str, text: str = "", *, output: Any = None) -> None:
        self._state, self._text, self._output = state, text, output

    async def work(self, agent: Agent, task: Task) -> None:
        if self._output is not None:
            task.artifacts = [agent.artifact(self._output)]
        task.become(self._state, self._text)


class Asks(Script):
    """Asks a person so many times, then completes with what was answered."""

    def __init__(self, times: int = 1) -> None:
        self.times = times

    async def work(self, agent: Agent, task: Task) -> None:  # noqa: ARG002 - part of the shape
        task.become("INPUT_REQUIRED", "question 1: which cost centre?")

    async def answered(self, agent: Agent, task: Task, words: str) -> None:  # noqa: ARG002
        asked = len(task.answers)
        if asked < self.times:
            task.become("INPUT_REQUIRED", f"question {asked + 1}: and which project?")
        else:
            agent.complete(task)


class Waits(Script):
    """Works until it is released."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.released = asyncio.Event()

    async def work(self, agent: Agent, task: Task) -> None:
        task.become("WORKING")
        self.begun.set()
        await self.released.wait()
        if not task.over:
            agent.complete(task)


def stream(events: AsyncIterator[bytes]) -> StreamingResponse:
    return StreamingResponse(events, media_type="text/event-stream")


def status(code: int, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return JSONResponse({"error": "not now"}, status_code=code, headers=named)


async def cut(*first: bytes) -> AsyncIterator[bytes]:
    """Yield this much, and break the connection."""
    for each in first:
        yield each
    raise ConnectionError("cut on purpose")


def half(body: Any) -> StreamingResponse:
    """Send the first half of a JSON answer, and break the connection."""
    written = json.dumps(body).encode()
    headers = {"content-length": str(len(written))}
    return StreamingResponse(
        cut(written[: len(written) // 2]), media_type="application/json", headers=headers
    )
