"""Agents that need a person, and what becomes of the person's answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley_torture.agents.scripts import Asks, Script
from parley_torture.scenario import scenario
from parley_torture.trial import until

if TYPE_CHECKING:
    from starlette.responses import Response

    from parley_torture.agents.calls import Call
    from parley_torture.agents.tasks import Task
    from parley_torture.agents.vendor import Agent
    from parley_torture.trial import Trial

GROUP = "people"
WORDS = "cost centre 4711"


@scenario(GROUP, needs=("answer",))
async def input_required(trial: Trial) -> None:
    """An agent asks: the person's words reach exactly its task, and the run goes on."""
    _, b, _ = await trial.chain(b=Asks())
    await trial.answer(await trial.asked(), WORDS)
    await trial.over()
    trial.outcome("completed")
    trial.ran(a=1, b=1, c=1)
    _heard(trial, b, WORDS)


@scenario(GROUP, needs=("answer",))
async def input_required_twice(trial: Trial) -> None:
    """An agent asks twice: a person is asked twice, and both answers reach the one task."""
    _, b, _ = await trial.chain(b=Asks(2))
    await trial.answer(await trial.asked(text="question 1"), "first " + WORDS)
    await trial.answer(await trial.asked(text="question 2"), "second " + WORDS)
    await trial.over()
    trial.outcome("completed")
    trial.ran(a=1, b=1, c=1)
    _heard(trial, b, "first " + WORDS, "second " + WORDS)


@scenario(GROUP)
async def nobody_answers(trial: Trial) -> None:
    """An agent asks and nobody answers in time: silence is never a yes, and the next never runs."""
    _, b, _ = await trial.chain(deadline_s=6, b=Asks())
    await trial.over()
    trial.outcome("failed")
    trial.ran(a=1, b=1, c=0)
    trial.expect("nothing is answered in the person's place", not b.answers, b.answers)


class Authorizes(Script):
    """Wants an authorization out of band, and goes on by itself once it has it."""

    def __init__(self) -> None:
        self.kept: list[Task] = []

    async def work(self, agent: Agent, task: Task) -> None:  # noqa: ARG002 - part of the shape
        self.kept.append(task)
        task.become("AUTH_REQUIRED", "sign in at the bank")


@scenario(GROUP, seconds=180)
async def auth_out_of_band(trial: Trial) -> None:
    """An agent waits for an authorization, gets it out of band and goes on: so does the run."""
    bank = Authorizes()
    _, b, _ = await trial.chain(b=bank)
    await until(lambda: bank.kept)
    # Not every product shows a person what it waits for; those that do have done so by then.
    await trial.shown("auth", seconds=5)
    b.complete(bank.kept[0])
    await trial.over()
    trial.outcome("completed")
    trial.ran(a=1, b=1, c=1)
    trial.expect("no secret and no answer is sent to the agent", not b.answers, b.answers)


@scenario(GROUP, needs=("answer",))
async def task_ends_while_person_thinks(trial: Trial) -> None:
    """An agent asks and then fails by itself: the late answer does not make it a success."""
    _, b, _ = await trial.chain(b=Asks())
    ask = await trial.asked()
    b.task.become("FAILED", "nobody answered me")
    await trial.answer(ask, WORDS)
    await trial.over()
    trial.outcome("failed", "incident")
    trial.ran(a=1, b=1, c=0)


@scenario(GROUP, needs=("answer",), alone=True)
async def kill_while_person_is_asked(trial: Trial) -> None:
    """SIGKILL while a person is asked: the question is there after the restart, once."""
    _, b, _ = await trial.chain(b=Asks())
    await trial.asked()
    await trial.restart()
    await trial.answer(await trial.asked(), WORDS)
    await trial.over()
    trial.outcome("completed")
    trial.ran(a=1, b=1, c=1)
    _heard(trial, b, WORDS)


@scenario(GROUP, needs=("answer",), alone=True)
async def kill_while_person_answers(trial: Trial) -> None:
    """SIGKILL in the moment of the answer: it counts, or is asked for again; the agent hears it once."""
    _, b, _ = await trial.chain(b=Asks())
    ask = await trial.asked()
    await trial.answer_and_die(ask, WORDS)
    await trial.revive()
    # Whether the answer was taken is for the orchestrator to say: by asking again, or not.
    await trial.settled(b)
    if not b.answers and (again := trial.look.asked("input")) is not None:
        await trial.answer(again, WORDS)
    await trial.over()
    trial.outcome("completed")
    trial.ran(a=1, b=1, c=1)
    _heard(trial, b, WORDS)


@scenario(GROUP, needs=("answer",), alone=True)
async def kill_while_answer_is_relayed(trial: Trial) -> None:
    """SIGKILL when the agent has the person's answer and has not confirmed it: it hears it once."""

    class Dies(Asks):
        killed = False

        async def reply(self, agent: Agent, call: Call, task: Task) -> Response:
            if task.answers and not self.killed:
                self.killed = True
                await trial.kill()
            return await super().reply(agent, call, task)

    script = Dies()
    _, b, _ = await trial.chain(b=script)
    await trial.answer_or_die(await trial.asked(), WORDS)
    dead = await until(lambda: script.killed and not trial.orchestrator.alive)
    trial.expect("the answer reaches b", dead, "it got none")
    await trial.revive()
    await trial.over()
    trial.outcome("completed")
    trial.ran(a=1, b=1, c=1)
    _heard(trial, b, WORDS)


def _heard(trial: Trial, agent: Agent, *words: str) -> None:
    heard = agent.answers
    sentence = (
        f"{agent.step} hears the answer once"
        if len(words) == 1
        else (f"{agent.step} hears {len(words)} answers, each once and in order")
    )
    fits = len(heard) == len(words) and all(w in h for w, h in zip(words, heard, strict=True))
    trial.expect(sentence, fits, heard)
