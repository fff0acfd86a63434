"""The `parley` command as a process of its own, against the web over the in-memory ports."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.coordinator.cli import prepared
from tests.coordinator.cli.prepared import Ended
from tests.coordinator.web.serving import Served


@dataclass(frozen=True)
class Shell:
    served: Served
    home: Path

    async def __call__(self, *words: str, stdin: bytes = b"", **env: str) -> Ended:
        return await asyncio.to_thread(
            prepared.parley, words, env=self._environment(env), stdin=stdin
        )

    async def open(self, *words: str, stdin: bytes = b"", **env: str) -> asyncio.subprocess.Process:
        """Start a command without waiting for it; what is in `stdin` is all that it reads."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "error",
            "-m",
            "parley_coordinator.cli",
            *words,
            env=self._environment(env),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        if stdin:
            assert process.stdin is not None
            process.stdin.write(stdin)
            process.stdin.write_eof()
        return process

    def _environment(self, env: dict[str, str]) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PARLEY_")}
        given = {"PARLEY_URL": self.served.url, "PARLEY_HOME": str(self.home), "COLUMNS": "200"}
        return inherited | given | env
