"""Plays scenarios against an orchestrator, several at a time, and gives a verdict on each."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final

from parley_torture.clock import Clock
from parley_torture.database import Database
from parley_torture.errors import AdapterError, TortureError
from parley_torture.orchestrator import GoneError, Orchestrator
from parley_torture.report import Report
from parley_torture.trial import Trial, UnmetError
from parley_torture.verdict import Finding, Result, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from parley_torture.protocol import Hello
    from parley_torture.scenario import Scenario

TOGETHER: Final = 6
"""So many scenarios share one process at a time."""
ALONE: Final = 2
"""So many scenarios with a process of their own run at a time."""
CLUSTER: Final = frozenset({"cluster", "database"})


async def torture(
    argv: Sequence[str],
    scenarios: Iterable[Scenario],
    *,
    folder: Path,
    database_url: str | None = None,
    tell: Callable[[Verdict], None] = lambda _: None,
) -> Report:
    """Play the scenarios.

    Args:
        argv: Starts an adapter; the kit adds `--state` and the like.
        scenarios: In the order of the report; several are played at a time.
        folder: Gets the state and the log of each process.
        database_url: Of a PostgreSQL server in which databases may be made.
        tell: Called with each verdict as it is given.

    Raises:
        AdapterError: If the adapter does not come up at all.
    """
    began = time.monotonic()
    together = Orchestrator(argv, state=folder / "together")
    hello = await together.start()
    runner = _Runner(argv, hello, together, folder, database_url, tell)
    chosen = list(scenarios)
    try:
        async with asyncio.TaskGroup() as group:
            playing = [group.create_task(runner.play(each)) for each in chosen]
    finally:
        await together.kill()
    verdicts = [task.result() for task in playing]
    return Report(hello.name, verdicts, time.monotonic() - began)


class _Runner:
    def __init__(
        self,
        argv: Sequence[str],
        hello: Hello,
        together: Orchestrator,
        folder: Path,
        database_url: str | None,
        tell: Callable[[Verdict], None],
    ) -> None:
        self._argv = argv
        self._hello = hello
        self._together = together
        self._folder = folder
        self._database_url = database_url
        self._tell = tell
        self._shared = asyncio.Semaphore(TOGETHER)
        self._own = asyncio.Semaphore(ALONE)

    async def play(self, scenario: Scenario) -> Verdict:
        why = self._skipped(scenario)
        if why is not None:
            verdict = self._verdict(scenario, Result.SKIPPED, note=why)
        elif scenario.alone:
            async with self._own:
                verdict = await self._played_alone(scenario)
        else:
            async with self._shared:
                verdict = await self._judged(scenario, self._together)
        self._tell(verdict)
        return verdict

    def _skipped(self, scenario: Scenario) -> str | None:
        if scenario.clock and (why := Clock.missing()):
            return why
        for need in sorted(scenario.needs):
            if need not in self._hello.can:
                return self._hello.cannot.get(need, f"the adapter cannot: {need}")
            if need in CLUSTER and self._database_url is None:
                return "no database was given (--database-url)"
        return None

    async def _played_alone(self, scenario: Scenario) -> Verdict:
        place = self._folder / scenario.name
        place.mkdir(parents=True, exist_ok=True)
        prefix: tuple[str, ...] = ()
        clock = None
        if scenario.clock:
            clock = await Clock.make(place)
            prefix = clock.prefix
        processes: list[Orchestrator] = []
        try:
            async with contextlib.AsyncExitStack() as stack:
                database = None
                if scenario.needs & CLUSTER and self._database_url is not None:
                    database = Database(self._database_url, scenario.name)
                    await stack.enter_async_context(database)
                for name in ("a", "b") if "cluster" in scenario.needs else ("a",):
                    url = None if database is None else database.url
                    each = Orchestrator(
                        self._argv,
                        state=place / name,
                        name=name,
                        prefix=prefix,
                        database_url=url,
                    )
                    processes.append(each)
                    stack.push_async_callback(each.kill)
                    await each.start()
                return await self._judged(scenario, *processes, clock=clock, database=database)
        except TortureError as exc:
            return self._verdict(scenario, Result.BROKEN, note=exc.message)

    async def _judged(
        self,
        scenario: Scenario,
        orchestrator: Orchestrator,
        *others: Orchestrator,
        clock: Clock | None = None,
        database: Database | None = None,
    ) -> Verdict:
        trial = Trial(
            f"{scenario.name}-{time.time_ns() % 1_000_000:06}",
            orchestrator=orchestrator,
            hello=self._hello,
            others=others,
            clock=clock,
            database=database,
        )
        began = time.monotonic()
        broken = ""
        try:
            async with asyncio.timeout(scenario.seconds):
                await scenario.play(trial)
        except TimeoutError:
            sentence = f"it is over within {scenario.seconds:g} s"
            trial.missed(sentence, f"{trial.look.outcome} {trial.look.reason}")
        except UnmetError:
            pass  # the finding has been noted
        except GoneError as exc:
            trial.missed("the orchestrator lives", exc.message)
        except AdapterError as exc:
            broken = exc.message
        except Exception as exc:  # noqa: BLE001 - a defect of one scenario must not end the others
            broken = f"the kit: {type(exc).__name__}: {exc}"
        finally:
            with contextlib.suppress(OSError):
                await trial.close()
        result = Result.FAILED if trial.findings else Result.PASSED
        return self._verdict(
            scenario,
            Result.BROKEN if broken else result,
            outcome=trial.look.outcome,
            ran={step: agent.runs for step, agent in trial.agents.items()},
            findings=trial.findings,
            note=broken or trial.note,
            seconds=time.monotonic() - began,
        )

    @staticmethod
    def _verdict(
        scenario: Scenario,
        result: Result,
        *,
        outcome: str = "",
        ran: dict[str, int] | None = None,
        findings: list[Finding] | None = None,
        note: str = "",
        seconds: float = 0.0,
    ) -> Verdict:
        return Verdict(
            scenario=scenario.name,
            group=scenario.group,
            result=result,
            outcome=outcome,
            ran=ran or {},
            findings=findings or [],
            note=note,
            seconds=seconds,
        )
