"""One scenario under way: its agents, its run, the orchestrator, and what was expected."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

from parley_torture.agents.scripts import Script, Waits
from parley_torture.agents.vendor import Agent
from parley_torture.errors import AdapterError
from parley_torture.orchestrator import GoneError
from parley_torture.protocol import Ask, Hello, Look, Stage, Step, read_look
from parley_torture.verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parley_torture.clock import Clock
    from parley_torture.database import Database
    from parley_torture.orchestrator import Orchestrator

POLL_S: Final = 0.1
ANSWER_TO_KILL_S: Final = 0.01
"""In the middle of what an orchestrator does with an answer, whatever that is."""
OBJECT: Final = {
    "type": "object",
    "properties": {"case": {"type": "string"}, "trail": {"type": "array"}},
    "required": ["case", "trail"],
}
"""What every agent of the kit answers, as JSON Schema."""


class Trial:
    """What a scenario talks to.

    Args:
        run: The run's name and idempotency key; the names of the agents begin with it.
        others: More orchestrators on the same database.
    """

    def __init__(
        self,
        run: str,
        *,
        orchestrator: Orchestrator,
        hello: Hello,
        others: Sequence[Orchestrator] = (),
        clock: Clock | None = None,
        database: Database | None = None,
    ) -> None:
        self.run = run
        self.orchestrator = orchestrator
        self.others = others
        self._clock = clock
        self._database = database
        self.hello = hello
        self.agents: dict[str, Agent] = {}
        self.findings: list[Finding] = []
        self.look = Look("unknown")
        self.note = ""
        self._pipeline: dict[str, Any] = {}

    # ------------------------------------------------------------------ agents and pipelines

    async def agent(self, step: str, script: Script | None = None) -> Agent:
        """Open an agent for a step."""
        name = f"{self.run}-{step}"
        agent = Agent(name, step=step, script=script or Script(), parts=self.hello.parts)
        self.agents[step] = agent
        await agent.open()
        return agent

    async def chain(self, deadline_s: float = 100.0, **scripts: Script) -> list[Agent]:
        """Open agents a, b and c and start a pipeline of them; `scripts` says what some of them do."""
        agents = [await self.agent(step, scripts.get(step)) for step in ("a", "b", "c")]
        await self.start(*(self.stage(agent, deadline_s=deadline_s) for agent in agents))
        return agents

    async def fan(self, branches: int, script: Script, *, collects: bool = False) -> Agent:
        """Start a pipeline a, then so many branches of b side by side, then c; return b."""
        a, b, c = [
            await self.agent("a"),
            await self.agent("b", script),
            await self.agent("c"),
        ]
        steps = tuple(self.step(b, branch=number) for number in range(branches))
        await self.start(self.stage(a), Stage(steps=steps, collects=collects), self.stage(c))
        return b

    async def serve(self, *stages: Stage) -> tuple[str, dict[str, str]]:
        """Have the orchestrator be an agent whose skill is this pipeline.

        Returns:
            Its base URL, and the headers that it wants.
        """
        self._pipeline = self.pipeline(*stages)
        said = await self.orchestrator.ask("serve", run=self.run, pipeline=self._pipeline)
        return str(said["url"]), dict(said.get("headers") or {})

    def stage(self, agent: Agent, *, deadline_s: float = 100.0) -> Stage:
        return Stage(steps=(self.step(agent, deadline_s=deadline_s),))

    def step(self, agent: Agent, *, branch: int | None = None, deadline_s: float = 100.0) -> Step:
        return Step(
            name=agent.step if branch is None else f"{agent.step}-{branch}",
            agent=agent.url,
            skill=agent.name,
            deadline_s=deadline_s,
            more={} if branch is None else {"branch": branch},
            output_schema=OBJECT,
        )

    def pipeline(self, *stages: Stage) -> dict[str, Any]:
        return {"name": self.run, "stages": [stage.body() for stage in stages]}

    # ------------------------------------------------------------------ the run

    async def start(self, *stages: Stage) -> None:
        """Start the run; the adapter has it when this returns."""
        self._pipeline = self.pipeline(*stages)
        await self.begin()

    async def start_without_b(self) -> Agent:
        """Start a chain whose second agent refuses connections once the first has done its work."""
        agents = [await self.agent(step) for step in ("a", "b", "c")]
        waits = Waits()
        agents[0].script = waits
        await self.start(*(self.stage(agent) for agent in agents))
        await waits.begun.wait()
        await agents[1].door.slam()
        waits.released.set()
        return agents[1]

    async def begin(self) -> None:
        """Send the start, also a second time."""
        given = {"case": self.run, "trail": []}
        await self.orchestrator.ask("start", run=self.run, pipeline=self._pipeline, input=given)

    async def peek(self) -> Look:
        """Look once; a process that is down is waited for."""
        with contextlib.suppress(GoneError):
            self.look = read_look(await self.orchestrator.ask("look", run=self.run))
        return self.look

    async def over(self) -> Look:
        """Wait until the run has ended, or asks a person what nobody knows."""
        return await self._looked(lambda look: look.final or look.asked("incident") is not None)

    async def asked(self, kind: str = "input", *, text: str = "") -> Ask:
        """Wait until the run asks a person for this.

        Raises:
            UnmetError: If it ends first.
        """
        look = await self._looked(
            lambda look: (
                look.final
                or look.asked("incident") is not None
                or any(ask.kind == kind and text in ask.text for ask in look.asks)
            )
        )
        for ask in look.asks:
            if ask.kind == kind and text in ask.text:
                return ask
        self.missed(f"a person is asked ({kind})", look.outcome)
        raise UnmetError

    async def shown(self, kind: str, *, seconds: float) -> None:
        """Give the orchestrator time to show a person that it waits for this."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._looked(lambda look: look.final or look.asked(kind) is not None)

    async def answer(self, ask: Ask, text: str) -> None:
        await self.orchestrator.ask("answer", run=self.run, ask=ask.id, text=text)

    async def answer_and_die(self, ask: Ask, text: str) -> None:
        """Answer, and kill the orchestrator while it takes the answer."""
        answering = asyncio.create_task(self.answer(ask, text))
        await asyncio.sleep(ANSWER_TO_KILL_S)
        await self.kill()
        await asyncio.gather(answering, return_exceptions=True)

    async def answer_or_die(self, ask: Ask, text: str) -> None:
        """Answer; an agent may kill the orchestrator on the way."""
        with contextlib.suppress(GoneError):
            await self.answer(ask, text)

    async def settled(self, agent: Agent, *, seconds: float = 8.0) -> None:
        """Give the orchestrator time to go on with an answer, or to ask for it again."""
        deadline = time.monotonic() + seconds
        while not agent.answers and time.monotonic() < deadline:
            await self.peek()
            await asyncio.sleep(POLL_S)

    def sibling(self, name: str) -> Trial:
        """Return another run of the same orchestrator."""
        return Trial(f"{self.run}-{name}", orchestrator=self.orchestrator, hello=self.hello)

    async def cancel(self) -> None:
        await self.orchestrator.ask("cancel", run=self.run)

    async def kill(self) -> None:
        """SIGKILL the orchestrator; it stays down."""
        await self.orchestrator.kill()

    async def revive(self) -> None:
        """Start the orchestrator again on what it left."""
        await self.orchestrator.start()

    async def restart(self) -> None:
        await self.kill()
        await self.revive()

    def jump(self, seconds: int) -> None:
        """Set the wall clock of the orchestrator so far from the true one."""
        if self._clock is not None:
            self._clock.jump(seconds)

    async def database_down(self) -> None:
        if self._database is not None:
            await self._database.down()

    async def database_up(self) -> None:
        if self._database is not None:
            await self._database.up()

    async def _looked(self, enough: Callable[[Look], bool]) -> Look:
        while True:
            if enough(await self.peek()):
                return self.look
            await asyncio.sleep(POLL_S)

    # ------------------------------------------------------------------ what is expected

    def expect(self, sentence: str, holds: object, seen: object = "") -> None:
        """Note an expectation that does not hold."""
        if not holds:
            self.missed(sentence, seen)

    def missed(self, sentence: str, seen: object) -> None:
        """Note that this was expected and is not so."""
        self.findings.append(Finding(expected=sentence, seen=str(seen)[:300]))

    def ran(self, **times: int) -> None:
        """Expect that these agents did their work so often, and that nobody did the same twice."""
        for step, wanted in times.items():
            agent = self.agents[step]
            sentence = f"{step} never ran" if wanted == 0 else f"{step} ran {_often(wanted)}"
            self.expect(sentence, agent.runs == wanted, f"it ran {_often(agent.runs)}")

    def at_most_once(self, *steps: str) -> None:
        for step in steps:
            agent = self.agents[step]
            twice = {branch: n for branch, n in agent.ran.items() if n > 1}
            self.expect(f"{step} ran at most once", not twice, f"it ran {_often(agent.runs)}")

    def outcome(self, *allowed: str) -> None:
        """Expect one of these: completed, failed, cancelled, incident."""
        told = self.look.outcome
        self.expect(
            f"the outcome is {' or '.join(allowed)}", told in allowed, f"{told} {self.look.reason}"
        )

    def trail(self, *steps: str) -> None:
        """Expect that the output is that of these steps."""
        output = self.look.output
        found = output.get("trail") if isinstance(output, dict) else output
        self.expect(f"the output went through {' '.join(steps)}", found == list(steps), found)

    async def close(self) -> None:
        await asyncio.gather(*(agent.close() for agent in self.agents.values()))


class UnmetError(AdapterError):
    """The scenario cannot go on; the finding says why."""

    def __init__(self) -> None:
        super().__init__("an expectation was not met, and the rest depends on it")


async def until(condition: Callable[[], object], *, seconds: float = 20.0) -> bool:
    """Wait until something is so; say whether it came to that."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def _often(times: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(times, f"{times} times")
