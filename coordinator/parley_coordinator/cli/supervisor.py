"""Processes that belong together: started, watched, restarted when they die, stopped together.

Knows nothing of the mesh; `parley_coordinator.cli.mesh` says which processes those are. `parley up`,
the demo and the tests that kill processes all use it::

    async with Supervisor(mesh.children(), log_dir=home / "logs") as running:
        await running.ready()
        await running.kill("coordinator")    # SIGKILL, and it stays down
        await running.start("coordinator")
        await running.ready("coordinator")

A process is healthy once `GET /healthz` of its URL answers 200; it is not asked again after that,
its death is what counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

from parley_coordinator.cli.errors import MeshError
from parley_coordinator.cli.processes import (
    END_WITH_PARENT,
    answers,
    described,
    last_line,
    last_words,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

PROBE_EVERY_S: Final = 0.1
FIRST_DELAY_S: Final = 0.5
LAST_DELAY_S: Final = 30.0
MAX_FALSE_STARTS: Final = 3
"""So often may a process die before it was ever healthy; then `ready` gives up on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One process to run."""

    name: str
    argv: tuple[str, ...]
    url: str
    """`/healthz` below it says when the process is up."""
    env: Mapping[str, str]
    """Its whole environment."""
    after: tuple[str, ...] = ()
    """Names of children that must be healthy before this one is first started."""


class What(StrEnum):
    STARTED = "started"
    HEALTHY = "healthy"
    DIED = "died"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """Something that happened to a child."""

    name: str
    what: What
    detail: str = ""
    """For people: why it died, and when it is started again."""


@dataclass(slots=True)
class _Slot:
    child: Child
    wanted: bool = False
    process: asyncio.subprocess.Process | None = None
    keeper: asyncio.Task[None] | None = None
    healthy: asyncio.Event = field(default_factory=asyncio.Event)
    false_starts: int = 0
    starts: int = 0
    last_death: str = ""
    log_start: int = 0
    """Size of the log when the process was last started."""

    @property
    def stopping(self) -> bool:
        return not self.wanted


class Supervisor:
    """Runs children for as long as the context is open.

    Args:
        children: Each after those that it names in `after`; stopped in the reverse order, those
            that do not depend on each other at the same time.
        log_dir: Gets `NAME.log` with the output of each; made if it is not there.
        tell: Called with everything that happens; must not block.
        grace_s: So long may a process take to stop before it is killed.
    """

    def __init__(
        self,
        children: Iterable[Child],
        *,
        log_dir: Path,
        tell: Callable[[Happened], None] = lambda _: None,
        grace_s: float = 10.0,
    ) -> None:
        self._slots = {child.name: _Slot(child) for child in children}
        self._log_dir = log_dir
        self._tell = tell
        self._grace_s = grace_s
        self._changed = asyncio.Event()

    @property
    def names(self) -> Sequence[str]:
        return list(self._slots)

    def pid(self, name: str) -> int | None:
        """Return the process id of a child; None while it is down."""
        process = self._slots[name].process
        return None if process is None or process.returncode is not None else process.pid

    def starts(self, name: str) -> int:
        """Return how often a child has been started."""
        return self._slots[name].starts

    def log(self, name: str) -> Path:
        return self._log_dir / f"{name}.log"

    async def __aenter__(self) -> Self:
        self._log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in self._slots:
            await self.start(name)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for names in reversed(self._waves()):
            await asyncio.gather(*(self.stop(name) for name in names))

    async def ready(self, *names: str, timeout_s: float = 60.0) -> None:
        """Wait until these children, or all, are healthy.

        Raises:
            MeshError: If that takes too long, or one keeps dying; shows the end of its log.
        """
        slots = [self._slots[name] for name in names or self._slots]
        try:
            async with asyncio.timeout(timeout_s):
                while not all(slot.healthy.is_set() for slot in slots):
                    self._changed.clear()
                    for slot in slots:
                        if slot.false_starts >= MAX_FALSE_STARTS:
                            raise MeshError(self._obituary(slot, slot.last_death))
                    await self._changed.wait()
        except TimeoutError as exc:
            late = next(slot for slot in slots if not slot.healthy.is_set())
            why = f"is not up after {timeout_s:.0f} s"
            raise MeshError(self._obituary(late, why)) from exc

    async def start(self, name: str) -> None:
        """Start a child that is down; no-op if it is wanted already. Does not wait for health."""
        slot = self._slots[name]
        if slot.wanted:
            return
        slot.wanted, slot.false_starts = True, 0
        slot.keeper = asyncio.create_task(self._keep(slot), name=f"keep-{name}")

    async def stop(self, name: str) -> None:
        """Ask a child to stop, wait for it, kill it if it takes too long; it stays down."""
        await self._end(name, signal.SIGTERM)

    async def kill(self, name: str) -> None:
        """Kill a child with SIGKILL and wait until it is dead; it stays down."""
        await self._end(name, signal.SIGKILL)

    def _waves(self) -> list[list[str]]:
        """Group the children: each after all that it waits for at its start."""
        depth: dict[str, int] = {}
        for name, slot in self._slots.items():
            depth[name] = 1 + max((depth.get(each, 0) for each in slot.child.after), default=0)
        return [
            [name for name in depth if depth[name] == level]
            for level in range(1, max(depth.values(), default=0) + 1)
        ]

    async def _end(self, name: str, by: signal.Signals) -> None:
        slot = self._slots[name]
        if not slot.wanted or slot.keeper is None:
            return
        slot.wanted = False
        process = slot.process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(by)
            try:
                async with asyncio.timeout(self._grace_s):
                    await process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        slot.keeper.cancel()
        await asyncio.gather(slot.keeper, return_exceptions=True)
        slot.healthy.clear()
        self._say(name, What.STOPPED)

    async def _keep(self, slot: _Slot) -> None:
        """Run a child, again and again, until it is not wanted any more."""
        if slot.starts == 0:
            for name in slot.child.after:
                await self._slots[name].healthy.wait()
        while slot.wanted:
            try:
                status = await self._run(slot)
            except OSError as exc:
                slot.false_starts, slot.last_death = MAX_FALSE_STARTS, f"cannot be started: {exc}"
                self._say(slot.child.name, What.DIED, slot.last_death)
                return
            if slot.stopping:
                return
            was_healthy = slot.healthy.is_set()
            slot.healthy.clear()
            slot.false_starts = 0 if was_healthy else slot.false_starts + 1
            slot.last_death = described(status)
            said = (
                last_line(self.log(slot.child.name), after=slot.log_start) if status > 0 else ""
            )  # a process that is killed has not said why
            last = f" ({said})" if said else ""
            delay_s = min(FIRST_DELAY_S * 2**slot.false_starts, LAST_DELAY_S)
            self._say(
                slot.child.name,
                What.DIED,
                f"{slot.last_death}{last}; starting again in {delay_s:.1f} s",
            )
            await asyncio.sleep(delay_s)

    async def _run(self, slot: _Slot) -> int:
        """Run a child once; return its exit status."""
        child = slot.child
        with self.log(child.name).open("ab") as log:
            slot.log_start = log.tell()
            slot.process = await asyncio.create_subprocess_exec(
                *child.argv,
                env=dict(child.env),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A group of its own: Ctrl-C in the terminal is for us, we stop it in good order.
                process_group=0,
                # Runs one prepared system call between fork and exec, and takes no lock.
                preexec_fn=END_WITH_PARENT,
            )
        slot.starts += 1
        self._say(child.name, What.STARTED)
        probe = asyncio.create_task(self._probe(slot), name=f"probe-{child.name}")
        try:
            return await slot.process.wait()
        finally:
            probe.cancel()
            await asyncio.gather(probe, return_exceptions=True)

    async def _probe(self, slot: _Slot) -> None:
        while True:
            if await answers(slot.child.url):
                break
            await asyncio.sleep(PROBE_EVERY_S)
        slot.healthy.set()
        self._say(slot.child.name, What.HEALTHY)

    def _say(self, name: str, what: What, detail: str = "") -> None:
        self._changed.set()
        self._tell(Happened(name=name, what=what, detail=detail))

    def _obituary(self, slot: _Slot, why: str) -> str:
        log = self.log(slot.child.name)
        said = last_words(log)
        return (
            f"{slot.child.name} {why}; the end of {log}:\n{said}"
            if said
            else (f"{slot.child.name} {why}; it said nothing in {log}")
        )
