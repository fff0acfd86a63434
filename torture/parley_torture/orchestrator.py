"""The adapter's process: started, asked, killed, stopped in its tracks, and started again."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import resource
import signal
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from parley_torture.errors import AdapterError
from parley_torture.protocol import PROTOCOL, Hello, read_hello
from parley_torture.settings import adapter_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MAX_LINE: Final = 1 << 26
READY_S: Final = 90.0
ANSWER_S: Final = 30.0
STOP_S: Final = 10.0
_KEPT_LINES: Final = 40


class GoneError(AdapterError):
    """The process ended before it answered."""


class Orchestrator:
    """One process group of the adapter, and whatever it starts.

    Args:
        words: The command; `--state` and `--name` are added.
        state: Its directory, which outlives it.
        prefix: Put before the command, to change its environment.
        database_url: Told in the environment.
    """

    def __init__(
        self,
        words: Sequence[str],
        *,
        state: Path,
        name: str = "a",
        prefix: Sequence[str] = (),
        database_url: str | None = None,
    ) -> None:
        state.mkdir(parents=True, exist_ok=True)
        self.state = state
        self.log = state.with_name(f"{state.name}.log")
        """Everything that it wrote to stderr."""
        self._argv = (*prefix, *words, "--state", str(state), "--name", name)
        self._environment = adapter_environment(database_url)
        self._process: asyncio.subprocess.Process | None = None
        self._open: dict[int, asyncio.Future[Any]] = {}
        self._ids = itertools.count(1)
        self._readers: list[asyncio.Task[None]] = []
        self.said: deque[str] = deque(maxlen=_KEPT_LINES)
        """The end of what it wrote to stderr."""

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> Hello:
        """Start the command, and wait until it is ready.

        Raises:
            AdapterError: If it does not come up.
        """
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                env=self._environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=MAX_LINE,
                process_group=0,
            )
        except OSError as exc:
            raise AdapterError(f"{self._argv[0]} cannot be started: {exc.strerror}") from exc
        self._readers = [
            asyncio.create_task(self._read(self._process)),
            asyncio.create_task(self._listen(self._process)),
        ]
        try:
            return read_hello(await self.ask("hello", within_s=READY_S, protocol=PROTOCOL))
        except AdapterError as exc:
            said = "\n".join(self.said)
            await self.kill()
            told = f"it said:\n{said}" if said else "it said nothing"
            raise AdapterError(f"{exc.message}; {told}") from exc

    async def ask(self, what: str, *, within_s: float = ANSWER_S, **more: Any) -> Any:
        """Return what the adapter answers.

        Raises:
            GoneError: If it dies first.
            AdapterError: If it answers with an error, or not in time.
        """
        process = self._process
        if process is None or process.stdin is None or process.returncode is not None:
            raise GoneError("the orchestrator is not running")
        number = next(self._ids)
        self._open[number] = answer = asyncio.get_running_loop().create_future()
        line = json.dumps({"id": number, "do": what, **more}) + "\n"
        try:
            process.stdin.write(line.encode())
            with contextlib.suppress(ConnectionError):
                await process.stdin.drain()
            async with asyncio.timeout(within_s):
                said = await answer
        except TimeoutError as exc:
            raise AdapterError(f"`{what}` was not answered within {within_s:g} s") from exc
        finally:
            self._open.pop(number, None)
        if "error" in said:
            raise AdapterError(f"`{what}`: {str(said['error'])[:500]}")
        return said.get("ok")

    async def kill(self) -> None:
        """SIGKILL to the whole group."""
        self.signal(signal.SIGKILL)
        await self._ended()

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def limit_files(self, size: int | None) -> None:
        """Let no process of the group write a file beyond `size` bytes; None lifts it."""
        for pid in self._members():
            with contextlib.suppress(ProcessLookupError):
                _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                soft = hard if size is None else size
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))

    def _members(self) -> Iterator[int]:
        group = self._process.pid if self._process is not None else 0
        for name in os.listdir("/proc"):  # noqa: PTH208 - numbers, not paths
            if name.isdigit():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    if os.getpgid(int(name)) == group:
                        yield int(name)

    async def _ended(self) -> None:
        # Somebody may start the next one as soon as this one is dead.
        process, readers = self._process, self._readers
        if process is None:
            return
        await process.wait()
        # Grandchildren hold the pipes open until they are dead too, which the kill has seen to.
        await asyncio.wait(readers, timeout=STOP_S)
        for reader in readers:
            reader.cancel()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        try:
            while line := await process.stdout.readline():
                self._take(line)
        except ValueError:
            self.said.append(f"a line on stdout has more than {MAX_LINE} bytes")
        for answer in list(self._open.values()):
            if not answer.done():
                answer.set_exception(GoneError("the orchestrator ended before it answered"))

    def _take(self, line: bytes) -> None:
        try:
            said = json.loads(line)
            answer = self._open.get(said["id"])
        except (ValueError, KeyError, TypeError, RecursionError):
            self.said.append(line[:300].decode(errors="replace").rstrip())
            return
        if answer is not None and not answer.done():
            answer.set_result(said)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        if process.stderr is None:
            return
        with contextlib.suppress(ValueError), self.log.open("ab") as log:
            while line := await process.stderr.readline():
                self.said.append(line[:500].decode(errors="replace").rstrip())
                log.write(line)
                log.flush()
