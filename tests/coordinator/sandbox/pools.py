"""Pools that end with their test, and the processes that they have started."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psutil
from parley_coordinator.sandbox.limits import Limits
from parley_coordinator.sandbox.pool import JqPool

from tests.coordinator.world import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SMALL = Limits(cpu_s=0.5, wall_s=60, output_bytes=1 << 20)
ENDLESS = "def f: f; f"


@contextlib.asynccontextmanager
async def pool(workers: int = 2, limits: Limits = SMALL) -> AsyncIterator[JqPool]:
    opened = JqPool(workers=workers, limits=limits)
    try:
        yield opened
    finally:
        await opened.aclose()


def workers_of(pid: int) -> list[psutil.Process]:
    found = []
    for each in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if any("sandbox.worker" in part for part in each.cmdline()):
                found.append(each)
    return found


def runs(process: psutil.Process) -> bool:
    """Tell whether it has not ended; whoever inherits it may be slow to reap it."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def computing(pid: int, *, other_than: psutil.Process | None = None) -> psutil.Process:
    """Return a worker of that process that is in the middle of a program."""

    async def busy() -> psutil.Process | None:
        found = (each for each in workers_of(pid) if each != other_than)
        return next((each for each in found if each.cpu_times().user > 0.3), None)

    worker: psutil.Process = await until(busy)
    return worker
