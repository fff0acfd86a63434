"""What the engine takes from DBOS, and nothing else: start, park, wake, recover.

One generic DBOS workflow, `parley.advance(run_id, segment)`, advances a run until it is over or has
to wait. A parked run is one delayed row: no coroutine, no thread. Each segment is enqueued at most
once, because its workflow id is `run#segment`. Recovery after a crash is DBOS's: what was running
when the process died runs again, and finds in the journal how far it had come.

Source: ADR-0004, ADR-0015.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import warnings
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from dbos import DBOS, DBOSPortableJSONSerializer, SetWorkflowID
from dbos import error as dbos_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from datetime import datetime

    from parley_coordinator.engine.queues import Queue

ENGINE_VERSION: Final = "parley-1"
"""Raised only when the interpreter changes so that old journals would replay differently."""
WORKFLOW: Final = "parley.advance"
QUEUE: Final = "parley"
_THREADS: Final = 8
_QUEUE_POLL_S: Final = 1.0
"""What is due soon is advanced without the queue (ADR-0022); each look costs CPU for ever."""
_LISTENER_POLL_S: Final = 0.05
"""Of a thread that looks at nothing here; the end of the process waits for it to wake."""
_AT_ONCE: Final = 256
"""So many segments does the queue run in one process."""
_RECOVERIES: Final = 1_000_000
_LIVE: Final = frozenset({"ENQUEUED", "DELAYED"})
_OVER: Final = ["SUCCESS", "ERROR", "CANCELLED"]
_LOOKED_UP: Final = 500
"""So many segments in one query: databases bound the number of its parameters."""

Segment: TypeAlias = tuple[str, int]
"""Run id and number."""


class Standing(StrEnum):
    """What the queue knows of a segment."""

    UNKNOWN = "unknown"
    RUNNING = "running"
    """It runs in this process, or ran in one that died."""
    LIVE = "live"
    """It is queued, or sleeps."""
    OVER = "over"


_advance: Callable[[str, int], Coroutine[Any, Any, None]] | None = None


@DBOS.workflow(name=WORKFLOW, max_recovery_attempts=_RECOVERIES)
async def _workflow(run_id: str, segment: int) -> None:
    if _advance is None:
        raise RuntimeError("the engine is not launched")
    # The journal tells what has happened. In DBOS's context, what a segment does to the queue would
    # be its steps: after a crash they would be answered from a record instead of being done.
    await asyncio.create_task(_advance(run_id, segment), context=contextvars.Context())


class Durable:
    """The durable queue of one coordinator."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def launch(self, advance: Callable[[str, int], Coroutine[Any, Any, None]]) -> None:
        """Start, and take up again what a crash has interrupted.

        Raises:
            DatabaseInUseError: If another process has the file.
        """
        global _advance  # noqa: PLW0603 - DBOS is one per process, and so is its workflow
        where = self._queue.open()
        _advance = advance
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            DBOS(
                config={
                    "name": "parley",
                    **where,
                    "application_version": ENGINE_VERSION,
                    "serializer": DBOSPortableJSONSerializer(),
                    "max_executor_threads": _THREADS,
                    "notification_listener_polling_interval_sec": _LISTENER_POLL_S,
                    "log_level": "WARNING",
                }
            )
            logging.getLogger("dbos").setLevel(logging.ERROR)
            DBOS.launch()
        await DBOS.register_queue_async(
            QUEUE, polling_interval_sec=_QUEUE_POLL_S, worker_concurrency=_AT_ONCE
        )

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

    async def standings(self, segments: Sequence[Segment]) -> dict[Segment, Standing]:
        """Return what the queue knows of each of these."""
        found = dict.fromkeys(segments, Standing.UNKNOWN)
        by_id = {_id(*each): each for each in found}
        ids = list(by_id)
        for start in range(0, len(ids), _LOOKED_UP):
            statuses = await DBOS.list_workflows_async(
                workflow_ids=ids[start : start + _LOOKED_UP], load_input=False, load_output=False
            )
            for each in statuses:
                found[by_id[each.workflow_id]] = _standing(each.status)
        return found

    async def forget(self, before: datetime) -> int:
        """Remove what was over before a time, the first of them; return how many.

        Nobody asks for it again: a run names the segment that goes on with it, and its journal tells the
        rest. What is queued, sleeps or runs stays, however old it is.
        """
        old = await DBOS.list_workflows_async(
            status=_OVER,
            completed_before=before.isoformat(),
            limit=_LOOKED_UP,
            load_input=False,
            load_output=False,
        )
        if old:
            await DBOS.delete_workflows_async([each.workflow_id for each in old])
        return len(old)

    async def recover(self, executors: Sequence[str]) -> None:
        """Put back on the queue what these coordinators were running; they are gone.

        What another one has begun meanwhile is left alone, so doing this twice is harmless.
        """
        # Of what DBOS offers, only this looks again whose a workflow is; test_company pins it.
        recover = DBOS._recover_pending_workflows  # noqa: SLF001
        await asyncio.to_thread(recover, list(executors))

    async def close(self) -> None:
        """Stop; what is under way is taken up by the next launch."""
        global _advance  # noqa: PLW0603 - see launch
        await asyncio.to_thread(DBOS.destroy, workflow_completion_timeout_sec=0)
        # DBOS makes its pool the loop's default executor and leaves it there, shut down.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        _advance = None
        self._queue.close()


def _standing(status: str) -> Standing:
    if status == "PENDING":
        return Standing.RUNNING
    return Standing.LIVE if status in _LIVE else Standing.OVER


def _id(run_id: str, segment: int) -> str:
    return f"{run_id}#{segment}"
