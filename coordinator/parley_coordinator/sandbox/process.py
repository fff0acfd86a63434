"""The parent's end of one worker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from typing import Any, Final, Self

from parley_coordinator.sandbox.frames import LENGTH
from parley_coordinator.sandbox.limits import Limits, SandboxUnavailableError

_MODULE: Final = "parley_coordinator.sandbox.worker"
_BROKEN: Final = (OSError, EOFError, ValueError, RecursionError)
"""How one notices that a worker has died, or says what is no answer."""


class DiedError(Exception):
    """The worker is gone; `status` as `Popen.returncode`, SIGKILL if it had to be ended."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Worker:
    """Answers one frame at a time. Whoever gives up on it must `end` it."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        writer: asyncio.StreamWriter,
        reader: asyncio.StreamReader,
        *,
        output_bytes: int,
    ) -> None:
        self._process = process
        self._writer = writer
        self._reader = reader
        self._output_bytes = output_bytes
        self.fresh = True
        """Has not run a program yet: all of its memory is there for the first."""

    @classmethod
    async def start(cls, limits: Limits) -> Self:
        """Start a process and wait until it is ready.

        Raises:
            SandboxUnavailableError: It does not start, or does not get ready.
        """
        told = {
            "cpu_s": limits.cpu_s,
            "memory_bytes": limits.memory_bytes,
            "output_bytes": limits.output_bytes,
        }
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-m", _MODULE, json.dumps(told)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError as exc:
            raise SandboxUnavailableError(
                f"no process for expressions can be started: {exc.strerror}"
            ) from exc
        if process.stdin is None or process.stdout is None:
            raise AssertionError("pipes were asked for")
        worker = cls(process, process.stdin, process.stdout, output_bytes=limits.output_bytes)
        try:
            async with asyncio.timeout(limits.wall_s):
                await worker._receive()
        except _BROKEN as exc:
            status = await worker.end()
            raise SandboxUnavailableError(
                f"a process for expressions does not get ready (status {status});"
                f" run `{sys.executable} -I -m {_MODULE} '{json.dumps(told)}'` to see why"
            ) from exc
        except asyncio.CancelledError:
            await worker.end()
            raise
        return worker

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, frame: bytes, *, wall_s: float) -> dict[str, Any]:
        """Send a frame and return the answer: an object with exactly one of the known members.

        Raises:
            TimeoutError: It took too long; the worker is gone.
            DiedError: The worker is gone.
        """
        try:
            async with asyncio.timeout(wall_s):
                self._writer.write(frame)
                await self._writer.drain()
                answer = await self._receive()
                self._check(answer)
        except (TimeoutError, asyncio.CancelledError):
            # Its answer would be taken for that of the next program.
            await self.end()
            raise
        except _BROKEN as exc:
            raise DiedError(await self.end()) from exc
        self.fresh = False
        return answer

    def kill(self) -> None:
        # Not `Process.kill`, which reaps a process that has just died: its status would be lost.
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    async def end(self) -> int:
        """Kill the process unless it has died; return its status when it is gone."""
        self.kill()
        # asyncio tells of the end when the pipes have closed, and one that is full never does.
        with contextlib.suppress(OSError):
            while await self._reader.read(1 << 16):
                pass
        self._writer.close()
        return await self._process.wait()

    async def _receive(self) -> dict[str, Any]:
        (length,) = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
        if length > self._output_bytes:
            raise ValueError("an answer that is too long")
        answer = json.loads(await self._reader.readexactly(length))
        if not isinstance(answer, dict):
            raise ValueError("an answer that is no object")  # noqa: TRY004 - as any other rubbish
        return answer

    @staticmethod
    def _check(answer: dict[str, Any]) -> None:
        match answer:
            case {"value": _} | {"failed": str()} | {"limit": str()} if len(answer) == 1:
                return
        raise ValueError("an answer to something else")
