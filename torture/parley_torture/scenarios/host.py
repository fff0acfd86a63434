"""The machine under the orchestrator, and another orchestrator beside it."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from parley_torture.agents.scripts import Asks, Waits
from parley_torture.scenario import scenario
from parley_torture.trial import until

if TYPE_CHECKING:
    from parley_torture.trial import Trial

GROUP = "host"
FROZEN_S = 3.0
LEASE_S = 30.0
"""An orchestrator that is frozen for so long has lost what it held."""
DAY = 86_400


@scenario(GROUP, alone=True, seconds=180)
async def disk_full(trial: Trial) -> None:
    """No file can grow while an agent works: nothing is sent that cannot be written down, then all ends well."""
    waits = Waits()
    _, b, c = await trial.chain(b=waits)
    await waits.begun.wait()
    await asyncio.sleep(0.5)
    trial.orchestrator.limit_files(1)
    waits.released.set()
    await until(lambda: b.task.over)
    await asyncio.sleep(FROZEN_S)
    sent = c.messages
    trial.orchestrator.limit_files(None)
    if not trial.orchestrator.alive:
        await trial.revive()
    trial.expect("nothing is sent that was not written down", sent == 0, f"c got {sent} messages")
    await trial.over()
    trial.outcome("completed")
    trial.ran(a=1, b=1, c=1)


@scenario(GROUP, alone=True)
async def frozen(trial: Trial) -> None:
    """The process is stopped for seconds while an agent works, and goes on: b ran once."""
    waits = Waits()
    await trial.chain(b=waits)
    await waits.begun.wait()
    trial.orchestrator.signal(signal.SIGSTOP)
    waits.released.set()
    await asyncio.sleep(FROZEN_S)
    trial.orchestrator.signal(signal.SIGCONT)
    await trial.over()
    trial.outcome("completed")
    trial.ran(a=1, b=1, c=1)


@scenario(GROUP, alone=True, clock=True)
async def clock_jumps_ahead(trial: Trial) -> None:
    """The wall clock jumps a day ahead while an agent works: the run ends, and b is not run again."""
    waits = Waits()
    await trial.chain(b=waits)
    await waits.begun.wait()
    await asyncio.sleep(0.5)
    trial.jump(DAY)
    await asyncio.sleep(1)
    waits.released.set()
    await trial.over()
    # By a deadline in wall time the step is late; by a stopwatch it is not. Both can be defended.
    trial.outcome("completed", "failed", "incident")
    trial.ran(a=1, b=1)
    trial.at_most_once("c")


@scenario(GROUP, alone=True, clock=True, needs=("answer",))
async def clock_jumps_back(trial: Trial) -> None:
    """The wall clock jumps an hour back while a person is asked: the answer is taken, the run goes on."""
    _, b, _ = await trial.chain(b=Asks())
    ask = await trial.asked()
    trial.jump(-3600)
    await asyncio.sleep(1)
    await trial.answer(ask, "cost centre 4711")
    await trial.over()
    trial.outcome("completed")
    trial.ran(a=1, b=1, c=1)
    trial.expect("b hears the answer once", len(b.answers) == 1, b.answers)


@scenario(GROUP, alone=True, needs=("cluster",), seconds=180)
async def two_orchestrators(trial: Trial) -> None:
    """One of two is killed for good while an agent works: the other sees the run through, b ran once."""
    waits = Waits()
    (other,) = trial.others
    agents = [await trial.agent("a"), await trial.agent("b", waits), await trial.agent("c")]
    await other.ask("meet", agents=[agent.url for agent in agents])
    await trial.start(*(trial.stage(agent) for agent in agents))
    await waits.begun.wait()
    await trial.kill()
    trial.orchestrator = other
    waits.released.set()
    await trial.over()
    trial.outcome("completed")
    trial.ran(a=1, b=1, c=1)


@scenario(GROUP, alone=True, needs=("cluster",), seconds=180)
async def zombie(trial: Trial) -> None:
    """One of two is frozen until the other has taken over, then goes on: nothing runs twice."""
    waits = Waits()
    (other,) = trial.others
    agents = [await trial.agent("a"), await trial.agent("b", waits), await trial.agent("c")]
    first = trial.orchestrator
    await other.ask("meet", agents=[agent.url for agent in agents])
    await trial.start(*(trial.stage(agent) for agent in agents))
    await waits.begun.wait()
    first.signal(signal.SIGSTOP)
    try:
        trial.orchestrator = other
        waits.released.set()
        taken = await until(lambda: agents[2].runs > 0, seconds=LEASE_S)
        trial.expect("the other takes over while the first is frozen", taken, "it did not")
    finally:
        first.signal(signal.SIGCONT)
    await trial.over()
    await asyncio.sleep(FROZEN_S)
    await trial.peek()
    trial.outcome("completed")
    trial.ran(a=1, b=1, c=1)


@scenario(GROUP, alone=True, needs=("database",), seconds=180)
async def database_restarts(trial: Trial) -> None:
    """The database goes away for seconds while an agent works, and comes back: all ends well."""
    waits = Waits()
    await trial.chain(b=waits)
    await waits.begun.wait()
    await trial.database_down()
    waits.released.set()
    await asyncio.sleep(FROZEN_S)
    await trial.database_up()
    await trial.over()
    trial.outcome("completed")
    trial.ran(a=1, b=1, c=1)
