"""What the kit can be run against by name: started for the run, and ended after it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.ports import free_port

START_S = 30


@contextmanager
def agent(*options: str) -> Iterator[str]:
    """An agent of our facade; yields its base URL."""
    port, grpc_port = free_ports(2)
    with tempfile.TemporaryDirectory() as home:
        command = ["-m", "tests.tck.agent", str(port), str(grpc_port), home, *options]
        with python(command, f"http://127.0.0.1:{port}/healthz"):
            yield f"http://127.0.0.1:{port}"


@contextmanager
def hop() -> Iterator[str]:
    """The same agent behind a coordinator; yields the coordinator's base URL."""
    port, grpc_port = free_ports(2)
    with agent() as behind, tempfile.TemporaryDirectory() as home:
        command = ["-m", "tests.tck.hop", str(port), str(grpc_port), home, behind]
        with python(command, f"http://127.0.0.1:{port}/healthz"):
            yield f"http://127.0.0.1:{port}"


SUTS: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "agent": agent,
    "bare": lambda: agent("bare"),
    "hop": hop,
}


def free_ports(count: int) -> list[int]:
    return [free_port() for _ in range(count)]


@contextmanager
def python(arguments: list[str], ready_url: str) -> Iterator[None]:
    """Run a Python program of ours from the repository until the block ends."""
    root = Path(__file__).parents[2]
    process = subprocess.Popen([sys.executable, *arguments], cwd=root, stdout=subprocess.DEVNULL)
    try:
        _await(ready_url, process)
        yield
    finally:
        process.terminate()
        process.wait(timeout=START_S)


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode} before it served")
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - our own address
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing answers at {url}")
