"""What happens between the orchestrator and an agent that means well."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

from starlette.responses import Response

from parley_torture.agents.scripts import Script, cut, half, status, stream
from parley_torture.scenario import scenario

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from parley_torture.agents.calls import Call
    from parley_torture.agents.tasks import Task
    from parley_torture.agents.vendor import Agent
    from parley_torture.trial import Trial

GROUP = "transport"
UNLUCKY = ("failed", "incident")


async def _well(trial: Trial, *others: str) -> None:
    """Expect completion with each agent once; or, if allowed, another outcome and c not run."""
    await trial.over()
    trial.outcome("completed", *others)
    done = trial.look.outcome == "completed"
    trial.ran(a=1, b=1, c=1 if done else 0)
    if done:
        trial.trail("a", "b", "c")


class Busy(Script):
    """Refuses so many messages with a status before it does anything."""

    def __init__(self, times: int, code: int, **headers: str) -> None:
        self.left, self._code, self._headers = times, code, headers
        self.refused_at = 0.0

    async def refuse(self, agent: Agent, call: Call) -> Response | None:
        del agent
        if call.sends and self.left > 0:
            self.left -= 1
            self.refused_at = time.monotonic()
            return status(self._code, **self._headers)
        return None


@scenario(GROUP)
async def unavailable_then_well(trial: Trial) -> None:
    """503 twice before anything is done, then success: the run is completed, b ran once."""
    await trial.chain(b=Busy(2, 503))
    await _well(trial)


@scenario(GROUP)
async def too_many_requests(trial: Trial) -> None:
    """429 with Retry-After: the agent is left alone for so long, then asked again."""
    busy = Busy(1, 429, retry_after="3")
    _, b, _ = await trial.chain(b=busy)
    await _well(trial)
    sends = [each.at for each in b.receipts if each.method.startswith("Send")]
    early = [at - busy.refused_at for at in sends if 0.001 < at - busy.refused_at < 2.9]
    trial.expect("nothing is sent within the Retry-After", not early, early)


@scenario(GROUP)
async def down_for_a_while(trial: Trial) -> None:
    """An agent refuses connections for two seconds: nothing is lost, it is asked again."""
    b = await trial.start_without_b()
    await asyncio.sleep(2)
    await b.open()
    await _well(trial)


class Loses(Script):
    """Does the work, then breaks the connection in the middle of the answer, once."""

    lost = False

    async def reply(self, agent: Agent, call: Call, task: Task) -> Response:
        if self.lost:
            return await super().reply(agent, call, task)
        self.lost = True
        await task.rested()
        return half(call.envelope({"task": task.body()}))


@scenario(GROUP)
async def answer_lost(trial: Trial) -> None:
    """The answer is cut in half after the work: the task is found, or a person asked; b ran once."""
    await trial.chain(b=Loses())
    await _well(trial, *UNLUCKY)


@scenario(GROUP)
async def answer_lost_and_no_list(trial: Trial) -> None:
    """The same, and the agent cannot list its tasks: it is not sent again in silence."""

    class Mute(Loses):
        lists = False

    await trial.chain(b=Mute())
    await _well(trial, *UNLUCKY)


@scenario(GROUP)
async def error_after_the_work(trial: Trial) -> None:
    """An agent does the work and answers 500: it is not run again in silence."""

    class Clumsy(Script):
        lost = False

        async def reply(self, agent: Agent, call: Call, task: Task) -> Response:
            if self.lost:
                return await super().reply(agent, call, task)
            self.lost = True
            return status(500)

    await trial.chain(b=Clumsy())
    await _well(trial, *UNLUCKY)


@scenario(GROUP)
async def accepts_and_says_nothing(trial: Trial) -> None:
    """An agent takes the message, works, and never answers it: the run is over by its deadline."""

    class Silent(Script):
        async def work(self, agent: Agent, task: Task) -> None:
            del agent
            task.become("WORKING")

        async def reply(self, agent: Agent, call: Call, task: Task) -> Response:
            del agent, call, task
            await asyncio.sleep(120)
            return status(500)

    await trial.chain(deadline_s=8, b=Silent())
    await trial.over()
    trial.outcome("failed", "incident")
    trial.ran(a=1, b=1, c=0)


class Streams(Script):
    """Streams its work in pieces, over about two seconds."""

    streaming = True

    async def work(self, agent: Agent, task: Task) -> None:
        for _ in range(4):
            task.become("WORKING", "still at it")
            await asyncio.sleep(0.5)
        agent.complete(task)


@scenario(GROUP)
async def stream_cut(trial: Trial) -> None:
    """A stream is cut in the middle of the work: the task is followed by other means."""

    class Cut(Streams):
        async def events(self, agent: Agent, call: Call, task: Task) -> AsyncIterator[bytes]:
            if call.sends:
                async for each in cut(call.event({"task": task.body()})):
                    yield each
            async for event in super().events(agent, call, task):
                yield event

    await trial.chain(b=Cut())
    await _well(trial)


@scenario(GROUP)
async def stream_ends_early(trial: Trial) -> None:
    """A stream ends in good order while the task still works: that is no end of the task."""

    class Stops(Streams):
        async def events(self, agent: Agent, call: Call, task: Task) -> AsyncIterator[bytes]:
            del agent
            yield call.event({"task": task.body()})

    await trial.chain(b=Stops())
    await _well(trial)


@scenario(GROUP)
async def slow_stream(trial: Trial) -> None:
    """A stream drips, a few bytes at a time: it is read to its end."""

    class Drips(Streams):
        async def reply(self, agent: Agent, call: Call, task: Task) -> Response:
            async def drops() -> AsyncIterator[bytes]:
                async for event in self.events(agent, call, task):
                    for at in range(0, len(event), 40):
                        yield event[at : at + 40]
                        await asyncio.sleep(0.05)

            return stream(drops()) if call.streams else await super().reply(agent, call, task)

    await trial.chain(b=Drips())
    await _well(trial)


@scenario(GROUP)
async def stream_repeats_itself(trial: Trial) -> None:
    """A stream sends events twice and an old one last: the task's end counts, the next runs once."""

    class Stutters(Streams):
        async def events(self, agent: Agent, call: Call, task: Task) -> AsyncIterator[bytes]:
            old = call.event({"task": task.body()})
            async for event in super().events(agent, call, task):
                yield event
                yield event
            yield old

    await trial.chain(b=Stutters())
    await _well(trial)


class Huge(Script):
    def __init__(self, size: int) -> None:
        self._size = size

    async def work(self, agent: Agent, task: Task) -> None:
        output = {**agent.output(task), "padding": "x" * self._size}
        task.artifacts = [agent.artifact(output)]
        task.become("COMPLETED")


@scenario(GROUP, alone=True)
async def huge_artifact(trial: Trial) -> None:
    """A result of 32 MB: passed on whole or refused, and the orchestrator lives to do the next run."""
    await trial.chain(deadline_s=12, b=Huge(32_000_000))
    await _well(trial, *UNLUCKY)
    await _lives(trial)


@scenario(GROUP, alone=True)
async def deep_json(trial: Trial) -> None:
    """A result 50,000 levels deep: refused or passed on, and the orchestrator lives."""

    class Deep(Script):
        async def reply(self, agent: Agent, call: Call, task: Task) -> Response:
            agent.complete(task)
            written = json.dumps(call.envelope({"task": task.body()}))
            pit = "[" * 50_000 + "]" * 50_000
            body = written.replace('"trail"', f'"pit": {pit}, "trail"', 1)
            return Response(body, media_type="application/json")

        async def look(self, agent: Agent, call: Call, task: Task) -> Response:
            return await self.reply(agent, call, task)

    await trial.chain(deadline_s=12, b=Deep())
    await trial.over()
    trial.outcome("completed", *UNLUCKY)
    trial.at_most_once("a", "b", "c")
    await _lives(trial)


async def _lives(trial: Trial) -> None:
    """Expect that the same process does another run."""
    first = trial.look
    next_run = trial.sibling("next")
    try:
        await next_run.chain()
        await next_run.over()
    finally:
        await next_run.close()
    trial.look = first
    told = next_run.look
    trial.expect("the next run is completed", told.outcome == "completed", told)
