"""The processes that benchmarks run against: an agent, a registry, a coordinator."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HEALTHY_S = 60


@dataclass
class Ground:
    """What is running; everything ends with the context of `ground`."""

    home: Path
    stack: ExitStack
    agent: str = ""
    registry: str = ""
    _port: int = field(default_factory=lambda: random.randrange(10_000, 30_000))  # noqa: S311 - not a secret

    def port(self) -> int:
        self._port += 1
        return self._port

    def folder(self, name: str) -> Path:
        folder = self.home / name
        folder.mkdir(parents=True)
        return folder

    def workflows(self, documents: Mapping[str, str]) -> Path:
        """Write documents, by name; return the folder that a coordinator takes them from."""
        for name, document in documents.items():
            (self.folder(f"workflows/{name}") / "workflow.yaml").write_text(document)
        return self.home / "workflows"

    def run(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start a process that ends when we do."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("PARLEY_")}
        process = subprocess.Popen(argv, env=env)
        self.stack.callback(process.wait)
        self.stack.callback(process.terminate)
        return process

    def module(self, name: str, *argv: str) -> subprocess.Popen[bytes]:
        return self.run(sys.executable, "-m", name, *argv)

    def coordinator(self, workflows: Path, port: int = 0) -> tuple[str, subprocess.Popen[bytes]]:
        """Start a coordinator on the home; return its address once it is healthy."""
        port = port or self.port()
        url = f"http://127.0.0.1:{port}"
        flags = (
            "--registry",
            self.registry,
            "--workflows",
            str(workflows),
            "--home",
            str(self.home),
        )
        process = self.module("parley_coordinator", "--port", str(port), *flags)
        until_healthy(url, process)
        return url, process


@contextmanager
def ground(agent: str = "benchmarks.agent") -> Iterator[Ground]:
    """Start an agent, and a registry that knows it."""
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="parley-bench-"))
        found = Ground(Path(home), stack)
        port = found.port()
        found.agent = f"http://127.0.0.1:{port}"
        served = found.module(agent, str(port), home)
        port = found.port()
        found.registry = f"http://127.0.0.1:{port}"
        listing = found.module("parley_registry", "--port", str(port), "--home", home)
        until_healthy(found.agent, served)
        until_healthy(found.registry, listing)
        joined = httpx.post(f"{found.registry}/v1/agents", json={"url": found.agent})
        joined.raise_for_status()
        yield found


def until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + HEALTHY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.02)
    raise SystemExit(f"{url} did not come up")


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process and of its children."""
    times = [each.cpu_times() for each in _family(pid)]
    return float(sum(each.user + each.system for each in times))


def memory_mb(pid: int) -> float:
    """Return the memory of a process and of its children; what several share is divided (PSS)."""
    return float(sum(each.memory_full_info().pss for each in _family(pid))) / 1e6


def _family(pid: int) -> list[psutil.Process]:
    """Our own children are the others that are measured."""
    process = psutil.Process(pid)
    return [process, *([] if pid == os.getpid() else process.children(recursive=True))]
