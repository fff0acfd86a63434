"""Agents that die, forget, change, and tell late."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx

from parley_torture.agents.scripts import Asks, Script, Waits
from parley_torture.scenario import scenario

if TYPE_CHECKING:
    from parley_torture.agents.tasks import Task
    from parley_torture.agents.vendor import Agent
    from parley_torture.trial import Trial

GROUP = "life of agents"
HAPPENS_S = 1.0
"""So long is watched whether something happens that must not."""


@scenario(GROUP)
async def agent_restarts(trial: Trial) -> None:
    """An agent dies in the middle of its work and comes back with the task: it is followed to its end."""
    waits = Waits()
    _, b, _ = await trial.chain(b=waits)
    await waits.begun.wait()
    waits.released.set()
    await b.close()
    await asyncio.sleep(HAPPENS_S)
    await b.restart()
    await trial.over()
    trial.outcome("completed")
    trial.ran(a=1, b=1, c=1)


@scenario(GROUP)
async def agent_forgets(trial: Trial) -> None:
    """An agent restarts and knows nothing of its task: it is not run again in silence."""
    waits = Waits()
    _, b, _ = await trial.chain(deadline_s=20, b=waits)
    await waits.begun.wait()
    await asyncio.sleep(HAPPENS_S)
    await b.restart(forget=True)
    await trial.over()
    trial.outcome("failed", "incident")
    trial.ran(a=1, b=1, c=0)


@scenario(GROUP, needs=("answer",))
async def agent_forgets_while_asking(trial: Trial) -> None:
    """An agent asks, restarts and forgets: the answer does not make a second task in silence."""
    _, b, _ = await trial.chain(deadline_s=20, b=Asks())
    ask = await trial.asked()
    await b.restart(forget=True)
    await trial.answer(ask, "cost centre 4711")
    await trial.over()
    trial.outcome("failed", "incident")
    trial.ran(a=1, b=1, c=0)


class Late(Script):
    """Completes five seconds later, and tells those who wanted to be told, or does not."""

    push = True

    def __init__(self, *, times: int, lies: bool = False) -> None:
        self._times, self._lies = times, lies
        self.told: list[int] = []
        """Statuses of the answers."""

    async def work(self, agent: Agent, task: Task) -> None:
        task.become("WORKING")
        await asyncio.sleep(4)
        if self._lies and task.push is not None:
            await self._tell(task.push, _lie(agent, task))
        await asyncio.sleep(1)
        agent.complete(task)
        for _ in range(self._times):
            if task.push is not None:
                await self._tell(task.push, {"task": task.body()})

    async def _tell(self, where: dict[str, Any], body: dict[str, Any]) -> None:
        headers = {"content-type": "application/a2a+json"}
        if where.get("token"):
            headers["x-a2a-notification-token"] = where["token"]
        async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
            try:
                response = await http.post(where["url"], json=body, headers=headers)
                self.told.append(response.status_code)
            except httpx.HTTPError:
                self.told.append(0)


def _lie(agent: Agent, task: Task) -> dict[str, Any]:
    output = {"case": task.given.get("case"), "trail": ["forged"]}
    status = {**task.status(), "state": "TASK_STATE_COMPLETED"}
    return {"task": {**task.body(), "status": status, "artifacts": [agent.artifact(output)]}}


async def _pushed(trial: Trial, late: Late) -> None:
    _, b, _ = await trial.chain(b=late)
    await trial.over()
    trial.outcome("completed")
    trial.ran(a=1, b=1, c=1)
    trial.trail("a", "b", "c")
    if not any(task.push for task in b.tasks.values()):
        trial.note = "asked for no push: it polls, or waits"
    else:
        trial.note = f"push was asked for, and answered {late.told}"


@scenario(GROUP)
async def push_twice(trial: Trial) -> None:
    """An agent tells twice that it is done: the next runs once."""
    await _pushed(trial, Late(times=2))


@scenario(GROUP)
async def push_lost(trial: Trial) -> None:
    """An agent never tells that it is done, although asked to: the run goes on all the same."""
    await _pushed(trial, Late(times=0))


@scenario(GROUP)
async def push_lies(trial: Trial) -> None:
    """A push says that the task is completed while it works on: only what the agent itself says counts."""
    await _pushed(trial, Late(times=1, lies=True))


@scenario(GROUP)
async def terminal_regresses(trial: Trial) -> None:
    """A completed task says later that it works, and that it failed: what was done stays done."""
    waits = Waits()
    _, b, _ = await trial.chain(c=waits)
    await waits.begun.wait()
    b.task.become("WORKING")
    await asyncio.sleep(HAPPENS_S)
    b.task.become("FAILED", "on second thoughts")
    waits.released.set()
    await trial.over()
    trial.outcome("completed")
    trial.ran(a=1, b=1, c=1)
