"""The `parley` command as a process of its own, against the web over the in-memory ports."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.coordinator.web.serving import Served


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Shell:
    served: Served
    home: Path

    async def __call__(self, *words: str, stdin: bytes = b"", **env: str) -> Ended:
        process = await self.open(*words, stdin=b"", **env)
        async with asyncio.timeout(60):
            out, err = await process.communicate(stdin)
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), err.decode())

    async def open(self, *words: str, stdin: bytes = b"", **env: str) -> asyncio.subprocess.Process:
        """Start a command without waiting for it; what is in `stdin` is all that it reads."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PARLEY_")}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "error",
            "-m",
            "parley_coordinator.cli",
            *words,
            env=inherited
            | {"PARLEY_URL": self.served.url, "PARLEY_HOME": str(self.home), "COLUMNS": "200"}
            | env,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        if stdin:
            assert process.stdin is not None
            process.stdin.write(stdin)
            process.stdin.write_eof()
        return process
