"""The databases of an empty home, made once in each process of tests and copied from then on.

What making them costs is most of what starting a coordinator costs. That a home without them can be
started is proved by the tests that start processes.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from parley_coordinator.engine.durable import Durable
from parley_coordinator.engine.queues import QueueFile
from parley_coordinator.store.opening import open_database


async def lay_databases(home: Path) -> None:
    """Put a coordinator's database and queue into `home`, unless it has them."""
    await lay_database(home / "coordinator.db")
    if not (home / "queue.db").exists():
        made = _folder() / "queue.db"
        if not made.exists():
            await _make_queue(made)
        shutil.copyfile(made, home / "queue.db")


async def lay_database(path: Path) -> None:
    """Put a coordinator's database at `path`, unless there is one."""
    if path.exists():
        return
    made = _folder() / "coordinator.db"
    if not made.exists():
        await open_database(f"sqlite:///{made}").aclose()
    shutil.copyfile(made, path)


@functools.cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="parley-made-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


async def _make_queue(path: Path) -> None:
    async def advance(run_id: str, segment: int) -> None:
        raise AssertionError(f"an empty queue has no {run_id}#{segment}")

    queue = Durable(QueueFile(path))
    await queue.launch(advance)
    await queue.close()
