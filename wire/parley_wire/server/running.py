"""The tasks that are being worked on, and what their executors say, in the log.

A task that is worked on is one asyncio task. If the process dies, the next one finds it in the log and
runs it again or fails it, never forgets it.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from parley_wire.problems import log_defect
from parley_wire.server.outcomes import Chunk, DataArtifact, Executor, Failed, TaskRequest
from parley_wire.server.pieces import artifact_piece, outcome_pieces
from parley_wire.server.texts import (
    RESTING,
    Event,
    Piece,
    Snapshot,
    State,
    agent_message,
    status,
    timestamp,
)
from parley_wire.server.writing import LogWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from a2a.types import Artifact

    from parley_wire.server.feed import Feed
    from parley_wire.server.store import TaskStore

AfterRestart: TypeAlias = Literal["rerun", "fail"]


class Runner:
    """Runs an executor.

    Args:
        logged: Called after every commit that added events.
    """

    def __init__(
        self,
        executor: Executor,
        store: TaskStore,
        feed: Feed,
        *,
        now: Callable[[], datetime],
        logged: Callable[[], None],
    ) -> None:
        self._executor = executor
        self._store = store
        self._feed = feed
        self._now = now
        self._logged = logged
        self._running: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._called_off: set[str] = set()

    @property
    def working(self) -> int:
        return len(self._tasks)

    async def take_up(self, after_restart: AfterRestart) -> None:
        """Go on with the tasks that the last process left behind."""
        # All at once: they share commits.
        unfinished = await self._store.unfinished()
        await asyncio.gather(*(self._take_up(each, after_restart) for each in unfinished))

    async def _take_up(self, task: Snapshot, after_restart: AfterRestart) -> None:
        if after_restart == "fail":
            reason = "the agent was restarted while it worked on this"
            await self._append(task, [self._said(task, State.FAILED, reason, code="restarted")])
            return
        again = self._said(task, State.WORKING, "taken up again after a restart")
        if await self._append(task, [again], run_again=True):
            self.launch(task, [json.loads(message) for message in task.messages])

    async def stop(self) -> None:
        """Interrupt what runs, leaving it to the next process."""
        for running in self._tasks:
            running.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def cancel(self, task: Snapshot) -> bool:
        """End a task as cancelled; False if it has ended."""
        said = self._said(task, State.CANCELED, "cancelled by the caller")
        if not await self._append(task, [said]):
            return False
        running = self._running.get(task.id)
        if running is not None:
            running.cancel()
        elif task.state not in RESTING:
            # Stored a moment ago, and about to be launched.
            self._called_off.add(task.id)
        return True

    def launch(self, task: Snapshot, messages: Sequence[dict[str, Any]]) -> None:
        if task.id in self._called_off:
            self._called_off.discard(task.id)
            return
        running = asyncio.create_task(self._run(task, messages), name=f"task {task.id}")
        self._running[task.id] = running
        self._tasks.add(running)
        running.add_done_callback(self._tasks.discard)

    async def _run(self, task: Snapshot, messages: Sequence[dict[str, Any]]) -> None:
        log = LogWriter(partial(self._append, task))

        async def update(text: str) -> None:
            await log.put(self._said(task, State.WORKING, text))

        async def emit(artifact: Artifact | DataArtifact, chunk: Chunk) -> None:
            new_id = str(uuid.uuid4()) if chunk is Chunk.WHOLE else "stream"
            await log.put(artifact_piece(artifact, new_id, chunk))

        request = TaskRequest(
            task_id=task.id,
            context_id=task.context_id,
            caller=task.caller,
            skill=task.skill,
            messages=messages,
            update=update,
            emit=emit,
        )
        try:
            await log.end(await self._outcome(request, task))
        except asyncio.CancelledError:
            await log.settle()
            self._feed.break_off(task.id)
            raise
        except Exception as exc:  # noqa: BLE001 - process edge: the next start takes the task up
            log_defect(exc, doing=f"storing the outcome of task {task.id}")
            self._feed.break_off(task.id)
        finally:
            if self._running.get(task.id) is asyncio.current_task():
                del self._running[task.id]

    async def _outcome(self, request: TaskRequest, task: Snapshot) -> list[Piece]:
        try:
            outcome = await self._executor.execute(request)
            return outcome_pieces(outcome, task, at=self._now())
        except asyncio.CancelledError as exc:
            running = asyncio.current_task()
            if running is None or running.cancelling():
                raise
            failure: BaseException = exc  # something inside was cancelled, not this task
        except Exception as exc:  # noqa: BLE001 - process edge: the failure becomes the task's status
            failure = exc
        reference = log_defect(failure, doing=f"task {task.id}")
        failed = Failed(f"the agent failed; its log has it under {reference}", "agent_failed")
        return outcome_pieces(failed, task, at=self._now())

    async def _append(
        self, task: Snapshot, pieces: Sequence[Piece], *, run_again: bool = False
    ) -> tuple[Event, ...]:
        at = timestamp(self._now())
        added = await self._store.append(task.id, pieces, at, run_again=run_again)
        self._feed.publish(task.id, added)
        if added:
            self._logged()
        return added

    def _said(self, task: Snapshot, state: State, text: str, *, code: str = "") -> Piece:
        message = agent_message(
            task_id=task.id,
            context_id=task.context_id,
            parts=[{"text": text}],
            code=code,
        )
        return status(state, self._now(), message)
