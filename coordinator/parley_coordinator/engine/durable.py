"""What the engine takes from DBOS, and nothing else: start, park, wake, recover.

One generic DBOS workflow, `parley.advance(run_id, segment)`, advances a run until it is over or has
to wait. A parked run is one delayed row: no coroutine, no thread. Each segment is enqueued at most
once, because its workflow id is `run#segment`. Recovery after a crash is DBOS's: what was running
when the process died runs again, and finds in the journal how far it had come.

Source: ADR-0004. One process per SQLite file, so the executor id is constant.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import fcntl
import logging
import sqlite3
import warnings
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final

import sqlalchemy
from dbos import DBOS, DBOSPortableJSONSerializer, SetWorkflowID
from dbos import error as dbos_errors
from parley_cards.errors import Kind
from sqlalchemy import event

from parley_coordinator.errors import CoordinatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

ENGINE_VERSION: Final = "parley-1"
"""Raised only when the interpreter changes so that old journals would replay differently."""
WORKFLOW: Final = "parley.advance"
QUEUE: Final = "parley"
_THREADS: Final = 8
_QUEUE_POLL_S: Final = 0.2
_RECOVERIES: Final = 1_000_000
_LIVE: Final = frozenset({"ENQUEUED", "DELAYED"})


class Standing(StrEnum):
    """What the queue knows of a segment."""

    UNKNOWN = "unknown"
    RUNNING = "running"
    """It runs in this process, or ran in one that died."""
    LIVE = "live"
    """It is queued, or sleeps."""
    OVER = "over"


class DatabaseInUseError(CoordinatorError):
    """Another coordinator has this home; with SQLite there can be one."""

    code: ClassVar[str] = "database_in_use"
    kind: ClassVar[Kind] = Kind.CONFLICT


_advance: Callable[[str, int], Coroutine[Any, Any, None]] | None = None


@DBOS.workflow(name=WORKFLOW, max_recovery_attempts=_RECOVERIES)
async def _workflow(run_id: str, segment: int) -> None:
    if _advance is None:
        raise RuntimeError("the engine is not launched")
    # The journal tells what has happened. In DBOS's context, what a segment does to the queue would
    # be its steps: after a crash they would be answered from a record instead of being done.
    await asyncio.create_task(_advance(run_id, segment), context=contextvars.Context())


class Durable:
    """The durable queue of one coordinator.

    Args:
        path: The SQLite file; its directory must exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine: sqlalchemy.Engine | None = None
        self._lock = contextlib.ExitStack()

    async def launch(self, advance: Callable[[str, int], Coroutine[Any, Any, None]]) -> None:
        """Start, and take up again what a crash has interrupted.

        Raises:
            DatabaseInUseError: If another process has the file.
        """
        global _advance  # noqa: PLW0603 - DBOS is one per process, and so is its workflow
        self._take_lock()
        _advance = advance
        self._engine = _engine(self._path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            DBOS(
                config={
                    "name": "parley",
                    "system_database_url": f"sqlite:///{self._path}",
                    "system_database_engine": self._engine,
                    "application_version": ENGINE_VERSION,
                    "executor_id": "local",
                    "serializer": DBOSPortableJSONSerializer(),
                    "max_executor_threads": _THREADS,
                    "log_level": "WARNING",
                }
            )
            logging.getLogger("dbos").setLevel(logging.ERROR)
            DBOS.launch()
        await DBOS.register_queue_async(QUEUE, polling_interval_sec=_QUEUE_POLL_S)

    async def start(self, run_id: str, segment: int) -> None:
        """Run a segment now, in this process; a second start of it is harmless."""
        with SetWorkflowID(_id(run_id, segment)):
            await DBOS.start_workflow_async(_workflow, run_id, segment)

    async def park(self, run_id: str, segment: int, delay_s: float) -> None:
        """Have a segment run after `delay_s`, or when it is woken; the last delay counts.

        It is there already if a crash or a failure came between here and the run's own row.
        """
        options: Any = {
            "workflow_name": WORKFLOW,
            "queue_name": QUEUE,
            "workflow_id": _id(run_id, segment),
            "workflow_id_reuse_policy": "reject",
            "delay_seconds": delay_s,
        }
        try:
            await DBOS.enqueue_workflow_with_options_async(options, run_id, segment)
        except dbos_errors.DBOSWorkflowIDInUseError:
            await self.wake(run_id, segment, delay_s)

    async def wake(self, run_id: str, segment: int, delay_s: float = 0) -> None:
        """Let a parked segment run after `delay_s`; nothing happens if it already does."""
        await DBOS.set_workflow_delay_async(_id(run_id, segment), delay_seconds=delay_s)

    async def standing(self, run_id: str, segment: int) -> Standing:
        status = await DBOS.get_workflow_status_async(_id(run_id, segment))
        if status is None:
            return Standing.UNKNOWN
        if status.status == "PENDING":
            return Standing.RUNNING
        return Standing.LIVE if status.status in _LIVE else Standing.OVER

    async def close(self) -> None:
        """Stop; what is under way is taken up by the next launch."""
        global _advance  # noqa: PLW0603 - see launch
        await asyncio.to_thread(DBOS.destroy, workflow_completion_timeout_sec=0)
        # DBOS makes its pool the loop's default executor and leaves it there, shut down.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        _advance = None
        if self._engine is not None:
            self._engine.dispose()
        self._lock.close()

    def _take_lock(self) -> None:
        handle = self._lock.enter_context(self._path.with_suffix(".lock").open("w"))
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            self._lock.close()
            raise DatabaseInUseError(
                f"another coordinator is running on {self._path.parent}; stop it or use another home"
            ) from exc


def _id(run_id: str, segment: int) -> str:
    return f"{run_id}#{segment}"


def _engine(path: Path) -> sqlalchemy.Engine:
    """WAL, which DBOS does not set, and FULL: a commit survives a loss of power."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    engine = sqlalchemy.create_engine(
        f"sqlite:///{path}", pool_size=4, max_overflow=2, pool_timeout=60
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = "IMMEDIATE"  # writers queue instead of deadlocking
        for pragma in ("busy_timeout=30000", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")

    return engine
