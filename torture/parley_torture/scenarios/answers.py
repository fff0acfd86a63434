"""What an agent answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response

from parley_torture.agents.scripts import Ends, Script
from parley_torture.scenario import scenario

if TYPE_CHECKING:
    from parley_torture.agents.calls import Call
    from parley_torture.agents.tasks import Task
    from parley_torture.agents.vendor import Agent
    from parley_torture.trial import Trial

GROUP = "answers"


@scenario(GROUP)
async def all_well(trial: Trial) -> None:
    """Nothing goes wrong: the run is completed, and each agent ran once."""
    await trial.chain()
    await trial.over()
    trial.outcome("completed")
    trial.ran(a=1, b=1, c=1)
    trial.trail("a", "b", "c")


async def _fails(trial: Trial, script: Script, *allowed: str) -> None:
    """Expect that the run stops at b."""
    await trial.chain(b=script)
    await trial.over()
    trial.outcome("failed", *allowed)
    trial.ran(a=1, b=1, c=0)


@scenario(GROUP)
async def failed(trial: Trial) -> None:
    """An agent answers FAILED: the next never runs, and the run is told as failed."""
    await _fails(trial, Ends("FAILED", "the disk is full"))


@scenario(GROUP)
async def rejected(trial: Trial) -> None:
    """An agent answers REJECTED: the next never runs, and the run is told as failed."""
    await _fails(trial, Ends("REJECTED", "not my job"))


@scenario(GROUP)
async def canceled(trial: Trial) -> None:
    """An agent's task becomes CANCELED by itself: the next never runs, and the run is told as failed."""
    await _fails(trial, Ends("CANCELED", "somebody stopped me"), "cancelled")


@scenario(GROUP)
async def failed_with_output(trial: Trial) -> None:
    """An agent answers FAILED with an artifact of the right form: it is not taken for a result."""

    class Half(Ends):
        async def work(self, agent: Agent, task: Task) -> None:
            task.artifacts = [agent.artifact(agent.output(task))]
            task.become("FAILED", "only half of it was done")

    await _fails(trial, Half("FAILED"))


@scenario(GROUP)
async def completed_empty(trial: Trial) -> None:
    """An agent answers COMPLETED without a result, where one is promised: the next never runs."""
    await _fails(trial, Ends("COMPLETED", "all good, trust me"), "incident")


@scenario(GROUP)
async def output_breaks_schema(trial: Trial) -> None:
    """An agent's result breaks the schema of the step: it is not passed on."""
    output = {"case": trial.run, "trail": "not a list"}
    await _fails(trial, Ends("COMPLETED", output=output), "incident")


@scenario(GROUP)
async def bare_message(trial: Trial) -> None:
    """An agent answers with a Message instead of a task: it is the result."""

    class Says(Script):
        async def reply(self, agent: Agent, call: Call, task: Task) -> Response:
            message = {
                "messageId": f"{task.id}-said",
                "role": "ROLE_AGENT",
                "contextId": task.context,
                "parts": [agent.part(agent.output(task))],
            }
            agent.tasks.clear()
            return call.result({"message": message})

    await trial.chain(b=Says())
    await trial.over()
    trial.outcome("completed")
    trial.ran(a=1, b=1, c=1)
    trial.trail("a", "b", "c")


@scenario(GROUP)
async def unknown_state(trial: Trial) -> None:
    """An agent's task is in a state that A2A does not have: it is not taken for success."""

    class Odd(Script):
        async def work(self, agent: Agent, task: Task) -> None:
            task.artifacts = [agent.artifact(agent.output(task))]
            task.become("ALMOST_DONE")

        async def reply(self, agent: Agent, call: Call, task: Task) -> Response:
            await self.work(agent, task)
            return call.result({"task": task.body()})

    await _fails(trial, Odd(), "incident")


@scenario(GROUP)
async def task_of_another(trial: Trial) -> None:
    """An agent answers with a task of another conversation: it is not taken for the step's."""

    class Foreign(Script):
        async def reply(self, agent: Agent, call: Call, task: Task) -> Response:
            agent.complete(task)
            body = {**task.body(), "contextId": "somebody-elses"}
            return call.result({"task": body})

        async def look(self, agent: Agent, call: Call, task: Task) -> Response:
            return await self.reply(agent, call, task)

    await _fails(trial, Foreign(), "incident")


@scenario(GROUP)
async def not_a2a(trial: Trial) -> None:
    """An agent answers with a web page and 200, having done the work or not: it is no success."""

    class Page(Script):
        async def reply(self, agent: Agent, call: Call, task: Task) -> Response:
            del call, task
            agent.tasks.clear()
            return HTMLResponse("<h1>Welcome</h1>")

    await _fails(trial, Page(), "incident")
