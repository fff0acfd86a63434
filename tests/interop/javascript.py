"""The A2A SDK for JavaScript: installed once into a cache of this machine, outside the repository."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

SDK = "@a2a-js/sdk@1.3.0"
HERE = Path(__file__).parent
SOURCES = ("agent.mjs", "client.mjs")
INSTALL_S = 90


def installed() -> Path:
    """Return a folder with the SDK and the sources; skips the test where it cannot be had."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "parley-tests"
    folder = cache / SDK.replace("/", "-")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            command = [npm, "install", "--prefix", str(folder), "--no-package-lock", "--no-audit"]
            quiet = ["--no-fund", "--ignore-scripts", "--fetch-retries=0"]
            try:
                subprocess.run(
                    [*command, *quiet, SDK], capture_output=True, check=True, timeout=INSTALL_S
                )
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
                pytest.skip("npm cannot install the SDK here")
            (folder / "installed").touch()
        for source in SOURCES:
            shutil.copyfile(HERE / source, folder / source)
    return folder


@contextlib.asynccontextmanager
async def javascript_agent() -> AsyncIterator[str]:
    """Run the agent; yield its address."""
    process = await asyncio.create_subprocess_exec(
        "node", "agent.mjs", cwd=installed(), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            line = await process.stdout.readline()
        assert line, "the agent ended at once"
        yield line.decode().strip()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def calls(
    card: str, *wanted: tuple[str, dict[str, Any]], token: str = "", binding: str = "JSONRPC"
) -> list[dict[str, Any]]:
    """Let the JavaScript client call an agent; return `{"result"}` or `{"error", "name"}` of each."""
    asked = {
        "card": card,
        "token": token,
        "binding": binding,
        "calls": [{"method": method, "params": params} for method, params in wanted],
    }
    process = await asyncio.create_subprocess_exec(
        "node",
        "client.mjs",
        cwd=installed(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate(json.dumps(asked).encode())
    answers = [json.loads(line) for line in out.splitlines()]
    assert len(answers) == len(wanted), out
    return answers
