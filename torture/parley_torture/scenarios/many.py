"""Many steps at a time, stopping them, and steps that lead back to where they came from."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
from starlette.responses import JSONResponse

from parley_torture.agents.calls import NOT_CANCELABLE
from parley_torture.agents.scripts import Script, Waits
from parley_torture.agents.tasks import words_in
from parley_torture.scenario import scenario
from parley_torture.trial import until

if TYPE_CHECKING:
    from starlette.responses import Response

    from parley_torture.agents.calls import Call
    from parley_torture.agents.tasks import Task
    from parley_torture.agents.vendor import Agent
    from parley_torture.trial import Trial

GROUP = "many"
BRANCHES = 200
HANDED_ON = ("urn:parley:a2a:delegation:v1",)
"""Extensions that say where a delegation comes from; one that is published is added here."""


@scenario(GROUP, needs=("fork",), seconds=180)
async def fan_out_200(trial: Trial) -> None:
    """200 branches of which every tenth fails: each ran once, and exactly the failed are told."""

    class EveryTenth(Script):
        async def work(self, agent: Agent, task: Task) -> None:
            if task.given["branch"] % 10 == 0:
                task.become("FAILED", "every tenth does")
            else:
                agent.complete(task)

    await trial.fan(BRANCHES, EveryTenth(), collects=True)
    await trial.over()
    trial.outcome("completed")
    trial.ran(a=1, b=BRANCHES, c=1)
    trial.at_most_once("b")
    wanted = {f"b-{branch}" for branch in range(0, BRANCHES, 10)}
    told = set(trial.look.failed)
    trial.expect("exactly the 20 that failed are told", told == wanted, sorted(told ^ wanted)[:5])


@scenario(GROUP, needs=("fork",))
async def fan_out_stops(trial: Trial) -> None:
    """One of ten branches fails, and failures stop the run: it is failed, the next never runs."""

    class One(Script):
        async def work(self, agent: Agent, task: Task) -> None:
            if task.given["branch"] == 3:
                task.become("FAILED", "the third does")
            else:
                agent.complete(task)

    await trial.fan(10, One())
    await trial.over()
    trial.outcome("failed")
    trial.at_most_once("b")
    trial.ran(a=1, c=0)


@scenario(GROUP, needs=("cancel", "fork"))
async def cancel_in_fan_out(trial: Trial) -> None:
    """A run with 40 branches at work is cancelled: each open task is stopped at its agent, none begins."""
    waits = Waits()
    fan = await trial.fan(40, waits)
    trial.expect("40 branches begin", await until(lambda: fan.runs == 40), fan.runs)
    begun = fan.runs
    await trial.cancel()
    await trial.over()
    trial.outcome("cancelled")
    trial.at_most_once("b")
    trial.ran(c=0)
    stopped = await until(lambda: all(task.over for task in fan.tasks.values()), seconds=15)
    still = [task.id for task in fan.tasks.values() if not task.over]
    trial.expect("every open task is cancelled at its agent", stopped, f"{len(still)} work on")
    await asyncio.sleep(1)
    trial.expect("no branch begins after that", fan.runs == begun, f"{fan.runs - begun} began")


@scenario(GROUP, needs=("cancel",))
async def cancel_refused(trial: Trial) -> None:
    """An agent cannot be stopped: the run is cancelled all the same, and the next never runs."""

    class Stubborn(Waits):
        async def cancel(self, agent: Agent, task: Task) -> Response | None:
            del agent, task
            body = {"code": NOT_CANCELABLE[0], "message": NOT_CANCELABLE[1]}
            return JSONResponse({"jsonrpc": "2.0", "id": 1, "error": body})

    waits = Stubborn()
    await trial.chain(b=waits)
    await waits.begun.wait()
    await trial.cancel()
    await trial.over()
    waits.released.set()
    await asyncio.sleep(1)
    await trial.peek()
    trial.outcome("cancelled")
    trial.ran(a=1, b=1, c=0)


class Back(Script):
    """Hands its message to the pipeline that it is a step of, as a delegating agent does.

    What it was told about the delegation (metadata, extensions) it hands on.
    """

    def __init__(self) -> None:
        self.target = ""
        self.headers: dict[str, str] = {}
        """What the target wants of its callers."""
        self.calls: dict[str, Call] = {}
        self.refusals = 0

    def card(self, agent: Agent, card: dict[str, Any]) -> dict[str, Any]:
        del agent
        extensions = [{"uri": uri, "required": False} for uri in HANDED_ON]
        return {**card, "capabilities": {**card["capabilities"], "extensions": extensions}}

    async def reply(self, agent: Agent, call: Call, task: Task) -> Response:
        self.calls[task.id] = call
        task.move()
        return await super().reply(agent, call, task)

    async def work(self, agent: Agent, task: Task) -> None:
        task.become("WORKING")
        await until(lambda: task.id in self.calls)
        said = await self._delegate(agent, task, self.calls[task.id])
        state = said.get("task", {}).get("status", {}).get("state")
        if state == "TASK_STATE_COMPLETED":
            agent.complete(task)
        else:
            self.refusals += 1
            task.become("FAILED", f"the next one: {state or said}"[:300])

    async def _delegate(self, agent: Agent, task: Task, call: Call) -> dict[str, Any]:
        handed = ("a2a-version", "a2a-extensions", "traceparent")
        headers = {name: call.headers[name] for name in handed if name in call.headers}
        headers |= self.headers
        message: dict[str, Any] = {
            **{key: call.message[key] for key in ("metadata", "extensions") if key in call.message},
            "messageId": f"{task.id}-on",
            "role": "ROLE_USER",
            "parts": [agent.part(task.given)],
        }
        params: dict[str, Any] = {"message": message}
        if "metadata" in call.params:
            params["metadata"] = call.params["metadata"]
        body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params}
        async with httpx.AsyncClient(trust_env=False, timeout=60, headers=headers) as http:
            try:
                card = (await http.get(f"{self.target}/.well-known/agent-card.json")).json()
                url = card["supportedInterfaces"][0]["url"]
                answer = (await http.post(url, json=body)).json()
            except (httpx.HTTPError, ValueError, KeyError, IndexError) as exc:
                return {"error": str(exc)}
        return answer.get("result") or {"error": answer.get("error")}


@scenario(GROUP, needs=("serve",))
async def cycle(trial: Trial) -> None:
    """A step delegates to the pipeline that it is a step of: that is refused, not followed for ever."""
    back = Back()
    agents = [await trial.agent("a"), await trial.agent("b", back), await trial.agent("c")]
    back.target, back.headers = await trial.serve(
        *(trial.stage(agent, deadline_s=20) for agent in agents)
    )
    await trial.begin()
    await trial.over()
    trial.outcome("failed", "incident")
    trial.ran(c=0)
    rounds = agents[1].runs
    trial.expect("it goes round at most 20 times", rounds <= 20, f"{rounds} times")
    said = [words_in(task.said) for task in agents[1].tasks.values() if task.said]
    trial.note = f"rounds: {rounds}; {' '.join(said)}"
