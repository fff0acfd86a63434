"""SIGKILL of the orchestrator at chosen points of one step, by the agent that sees the point."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from starlette.responses import Response, StreamingResponse

from parley_torture.agents.scripts import Script, Waits, cut
from parley_torture.scenario import scenario
from parley_torture.trial import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from parley_torture.agents.calls import Call
    from parley_torture.agents.tasks import Task
    from parley_torture.agents.vendor import Agent
    from parley_torture.trial import Trial

GROUP = "kills"


async def _survives(trial: Trial, *others: str, **times: int) -> None:
    await trial.over()
    trial.outcome("completed", *others)
    done = trial.look.outcome == "completed"
    trial.ran(**{"a": 1, "b": 1, "c": 1 if done else 0, **times})
    if done:
        trial.trail("a", "b", "c")


class Strikes(Script):
    """Kills the orchestrator once, when a message comes, at a point of its answer."""

    def __init__(self, kill: Callable[[], Awaitable[None]]) -> None:
        self._kill = kill
        self.struck = False

    async def strike(self) -> None:
        self.struck = True
        await self._kill()


async def _struck(trial: Trial, script: Strikes) -> None:
    """Run until the agent has struck, start the orchestrator again, and see it through."""
    await trial.chain(b=script)
    dead = await until(lambda: script.struck and not trial.orchestrator.alive)
    trial.expect("b gets the message", dead, "it got none")
    await trial.revive()
    await _survives(trial)


@scenario(GROUP, alone=True)
async def kill_while_starting(trial: Trial) -> None:
    """SIGKILL while the run is started, and started again with the same key: it is one run."""
    agents = [await trial.agent(step) for step in ("a", "b", "c")]
    starting = asyncio.create_task(trial.start(*(trial.stage(agent) for agent in agents)))
    await until(lambda: agents[0].card_reads > 0 or starting.done(), seconds=5)
    await trial.kill()
    await asyncio.gather(starting, return_exceptions=True)
    await trial.revive()
    await trial.begin()
    await trial.begin()
    await _survives(trial)


@scenario(GROUP, alone=True)
async def kill_before_send(trial: Trial) -> None:
    """SIGKILL while an agent cannot be reached yet: it gets the message once, or a person is asked."""
    b = await trial.start_without_b()
    await asyncio.sleep(0.5)
    await trial.kill()
    await b.open()
    await trial.revive()
    await trial.over()
    # Not all can know that nothing had left: to ask is right then, to send twice never.
    trial.outcome("completed", "incident")
    done = trial.look.outcome == "completed"
    trial.ran(a=1, b=1 if done else 0, c=1 if done else 0)


@scenario(GROUP, alone=True)
async def kill_after_send(trial: Trial) -> None:
    """SIGKILL when an agent has the message and works: the task is found again, b ran once."""
    waits = Waits()
    await trial.chain(b=waits)
    await waits.begun.wait()
    await trial.kill()
    waits.released.set()
    await trial.revive()
    await _survives(trial)


@scenario(GROUP, alone=True)
async def kill_after_send_unlisted(trial: Trial) -> None:
    """The same, and the agent cannot list its tasks: a person is asked rather than b run again."""

    class Mute(Waits):
        lists = False

    waits = Mute()
    await trial.chain(b=waits)
    await waits.begun.wait()
    await trial.kill()
    waits.released.set()
    await trial.revive()
    await _survives(trial, "incident", "failed")


class _InAnAnswer(Strikes):
    """Strikes where `written` says, while the finished task is being sent; answers well after that."""

    async def reply(self, agent: Agent, call: Call, task: Task) -> Response:
        if self.struck:
            return await super().reply(agent, call, task)
        await task.rested()
        answer = json.dumps(call.envelope({"task": task.body()})).encode()
        return StreamingResponse(
            self.written(answer),
            media_type="application/json",
            headers={"content-length": str(len(answer))},
        )

    def written(self, answer: bytes) -> AsyncIterator[bytes]:
        raise NotImplementedError


@scenario(GROUP, alone=True)
async def kill_in_the_answer(trial: Trial) -> None:
    """SIGKILL when half of the answer is there, with the task's id in it: b ran once."""

    class InTheAnswer(_InAnAnswer):
        async def written(self, answer: bytes) -> AsyncIterator[bytes]:
            yield answer[: len(answer) // 2]
            await self.strike()
            async for each in cut():
                yield each

    await _struck(trial, InTheAnswer(trial.kill))


@scenario(GROUP, alone=True)
async def kill_before_id_is_saved(trial: Trial) -> None:
    """SIGKILL in the moment in which the whole answer has arrived: b ran once."""

    class AfterTheAnswer(_InAnAnswer):
        async def written(self, answer: bytes) -> AsyncIterator[bytes]:
            yield answer
            await self.strike()

    await _struck(trial, AfterTheAnswer(trial.kill))


@scenario(GROUP, alone=True)
async def kill_in_a_stream(trial: Trial) -> None:
    """SIGKILL while an agent streams its work: the task is followed after the restart, b ran once."""

    class Streaming(Waits):
        streaming = True

    waits = Streaming()
    await trial.chain(b=waits)
    await waits.begun.wait()
    await asyncio.sleep(0.3)
    await trial.kill()
    waits.released.set()
    await trial.revive()
    await _survives(trial)


@scenario(GROUP, alone=True)
async def kill_while_agent_works(trial: Trial) -> None:
    """SIGKILL twice while an agent works for long: the task is followed, b ran once."""
    waits = Waits()
    await trial.chain(b=waits)
    await waits.begun.wait()
    for _ in range(2):
        await trial.restart()
        await asyncio.sleep(0.5)
    waits.released.set()
    await _survives(trial)


@scenario(GROUP, alone=True)
async def kill_after_the_end(trial: Trial) -> None:
    """SIGKILL when the run has ended: it is told as completed after the restart, and nothing runs."""
    await trial.chain()
    await trial.over()
    await trial.restart()
    await asyncio.sleep(1)
    await _survives(trial)


@scenario(GROUP, alone=True, needs=("fork",))
async def kill_in_fan_out(trial: Trial) -> None:
    """SIGKILL when half of 40 branches are done: each branch ran once."""
    fan = await trial.fan(40, Slow())
    trial.expect("20 branches begin", await until(lambda: fan.runs >= 20), fan.runs)
    await trial.restart()
    await trial.over()
    trial.outcome("completed")
    trial.ran(a=1, b=40, c=1)
    trial.at_most_once("b")


class Slow(Script):
    async def work(self, agent: Agent, task: Task) -> None:
        task.become("WORKING")
        branch: Any = task.given.get("branch")
        await asyncio.sleep(0.5 if not isinstance(branch, int) else branch / 20)
        agent.complete(task)
