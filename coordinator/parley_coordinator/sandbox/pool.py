"""A few workers, each of which runs one program at a time and may be killed at any moment."""

from __future__ import annotations

import asyncio
import signal
from typing import Any, Final

from parley_coordinator.sandbox.frames import pack_request
from parley_coordinator.sandbox.limits import Limits, SandboxUnavailableError
from parley_coordinator.sandbox.process import DiedError, Worker
from parley_coordinator.workflow.expressions import LimitError, first_line

_OUT_OF_MEMORY: Final = frozenset((signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS))


class JqPool:
    """Implements `workflow.expressions.Jq`. Of one event loop; close it with `aclose`.

    Workers start when they are first needed. Who waits for one is served in order.
    Every call may raise `SandboxUnavailableError`: then the program has not run.
    """

    def __init__(self, *, workers: int = 2, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._workers = workers
        self._slots = asyncio.Semaphore(workers)
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._closed = False

    async def first(self, program: str, value: Any) -> Any:
        return await self._run(program, value)

    async def problem(self, program: str) -> str | None:
        try:
            await self._run(program)
        except ValueError as exc:
            return str(exc)
        return None

    async def aclose(self) -> None:
        """Kill the workers, fail who waits for one, and return when all are gone."""
        if self._closed:
            return
        self._closed = True
        for worker in self._busy:
            worker.kill()
        for _ in range(self._workers):
            await self._slots.acquire()
        for worker in self._idle:
            await worker.end()
        self._idle.clear()

    async def _run(self, program: str, *value: Any) -> Any:
        self._check_open()
        async with self._slots:
            frame = self._frame(program, *value)
            worker = await self._take()
            try:
                return await self._ask(worker, frame)
            except DiedError as died:
                self._blame(died, fresh=worker.fresh)
            # A program is pure: another worker may run it again.
            try:
                return await self._ask(await self._start(), frame)
            except DiedError as died:
                self._blame(died, fresh=True)
                raise LimitError("its worker was killed again and again") from died

    def _frame(self, program: str, *value: Any) -> bytes:
        try:
            frame = pack_request(program, *value)
        except RecursionError as exc:
            raise LimitError("its input is nested too deeply") from exc
        if len(frame) > self._limits.input_bytes:
            raise LimitError(f"its input is larger than {self._limits.input_bytes} bytes")
        return frame

    async def _take(self) -> Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
            await worker.end()
        return await self._start()

    async def _start(self) -> Worker:
        self._check_open()
        return await Worker.start(self._limits)

    async def _ask(self, worker: Worker, frame: bytes) -> Any:
        """Have a worker answer, which is idle afterwards, or gone."""
        self._busy.add(worker)
        try:
            answer = await worker.ask(frame, wall_s=self._limits.wall_s)
        except TimeoutError:
            raise LimitError(f"it took longer than {self._limits.wall_s:g} s") from None
        finally:
            self._busy.discard(worker)
        self._idle.append(worker)
        if "limit" in answer:
            raise LimitError(first_line(answer["limit"]))
        if "failed" in answer:
            raise ValueError(first_line(answer["failed"]))
        return answer["value"]

    def _blame(self, died: DiedError, *, fresh: bool) -> None:
        """Turn an end that the program itself has brought about into its error."""
        if died.status == -signal.SIGPROF:
            raise LimitError(f"it took more than {self._limits.cpu_s:g} s of CPU time") from died
        # Otherwise the programs before it have taken some of the memory: a new worker will tell.
        if -died.status in _OUT_OF_MEMORY and fresh:
            raise LimitError("it needs more memory than it may have") from died

    def _check_open(self) -> None:
        if self._closed:
            raise SandboxUnavailableError("the pool of workers for expressions is closed")
