"""The operations of A2A 1.0 over a durable task log.

A task that waits for its caller is rows and nothing else. A task that is worked on is one asyncio task;
if the process dies, the next one finds it in the log and runs it again or fails it, never forgets it.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Literal

from a2a.utils.errors import (
    ExtensionSupportRequiredError,
    InternalError,
    PushNotificationNotSupportedError,
    TaskNotCancelableError,
    UnsupportedOperationError,
)
from parley_cards.card import Card

from parley_wire.problems import log_defect
from parley_wire.server.endpoint import Batch, Call
from parley_wire.server.feed import BrokenOffError, Feed, Follower
from parley_wire.server.outcomes import Executor, Failed, TaskRequest, skill_of
from parley_wire.server.params import SendParams, list_params, send_params, task_params
from parley_wire.server.store import Execution, TaskStore
from parley_wire.server.texts import (
    RESTING,
    TERMINAL,
    Event,
    Piece,
    Snapshot,
    State,
    agent_message,
    outcome_pieces,
    status,
    timestamp,
)

AfterRestart = Literal["rerun", "fail"]


class TaskService:
    """One agent's tasks. An `Endpoint`."""

    def __init__(
        self,
        card: Card,
        executor: Executor,
        store: TaskStore,
        *,
        after_restart: AfterRestart,
        now: Callable[[], datetime],
    ) -> None:
        self._streaming = card.streaming
        self._only_skill = card.skills[0].id if len(card.skills) == 1 else None
        self._required = frozenset(
            extension["uri"]
            for extension in card.json["capabilities"].get("extensions") or []
            if extension.get("required")
        )
        self._executor = executor
        self._store = store
        self._after_restart = after_restart
        self._now = now
        self._feed = Feed(store.events_after)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._called_off: set[str] = set()

    async def start(self) -> None:
        """Take up the tasks that the last process left behind."""
        # All at once: they share commits.
        await asyncio.gather(*map(self._take_up, await self._store.unfinished()))

    async def _take_up(self, task: Snapshot) -> None:
        if self._after_restart == "fail":
            reason = "the agent was restarted while it worked on this"
            await self._append(task, self._said(task, State.FAILED, reason, code="restarted"))
            return
        again = self._said(task, State.WORKING, "taken up again after a restart")
        if await self._append(task, again, run_again=True):
            self._launch(task, [json.loads(message) for message in task.messages])

    async def stop(self) -> None:
        """Interrupt what runs, leaving it to the next `start`."""
        for running in self._tasks:
            running.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def load(self) -> tuple[int, int]:
        """How many tasks are being worked on, and how many streams and calls wait for one."""
        return len(self._tasks), self._feed.followed

    async def executions(self, caller: str, context_id: str, limit: int) -> list[Execution]:
        return await self._store.executions(caller, context_id, limit)

    async def answer(self, method: str, params: Any, call: Call) -> str:
        match method:
            case "SendMessage":
                return await self._send(params, call)
            case "GetTask":
                task_id, history_length = task_params(params)
                task = await self._store.load(task_id, call.caller)
                return task.text(history_length=history_length)
            case "ListTasks":
                return await self._list(params, call)
            case "CancelTask":
                return await self._cancel(params, call)
            case "GetExtendedAgentCard":
                raise UnsupportedOperationError("this agent has no extended card")
        raise PushNotificationNotSupportedError

    async def stream(self, method: str, params: Any, call: Call) -> AsyncGenerator[Batch]:
        if not self._streaming:
            raise UnsupportedOperationError("this agent does not stream; its card says so")
        async with self._followed(method, params, call) as (task, follower, history_length):
            shown = f'{{"task":{task.text(history_length=history_length)}}}'
            yield Batch((shown,), last=task.state in RESTING)
            while task.state not in RESTING:
                texts = await self._more(task, follower)
                if not texts:
                    return
                yield Batch(texts, last=task.state in RESTING)

    @asynccontextmanager
    async def _followed(
        self, method: str, params: Any, call: Call
    ) -> AsyncGenerator[tuple[Snapshot, Follower, int | None]]:
        if method == "SendStreamingMessage":
            send = send_params(params)
            async with self._admitted(send, call) as (task, follower):
                yield task, follower, send.history_length
            return
        task_id, history_length = task_params(params)
        with self._feed.follow(task_id) as follower:
            task = await self._store.load(task_id, call.caller)
            if task.state in TERMINAL:
                raise UnsupportedOperationError(f"task {task_id} has ended; get it instead")
            yield task, follower, history_length

    async def _more(self, task: Snapshot, follower: Follower) -> list[str]:
        """Return what happens next after the snapshot; nothing if the task was broken off."""
        texts: list[str] = []
        while not texts and task.state not in RESTING:
            try:
                fresh = await follower.after(task.seq)
            except BrokenOffError:
                break
            for event in fresh:
                task.apply(event)
                text = task.stream_text(event)
                if text is not None:
                    texts.append(text)
                if task.state in RESTING:
                    break
        return texts

    async def _send(self, params: Any, call: Call) -> str:
        send = send_params(params)
        async with self._admitted(send, call) as (task, follower):
            while task.state not in RESTING and not send.return_immediately:
                try:
                    fresh = await follower.after(task.seq)
                except BrokenOffError as exc:
                    raise InternalError("the agent stops; get the task later") from exc
                for event in fresh:
                    task.apply(event)
            return f'{{"task":{task.text(history_length=send.history_length)}}}'

    async def _list(self, params: Any, call: Call) -> str:
        asked = list_params(params)
        page = await self._store.page(asked, call.caller)
        tasks = ",".join(
            task.text(history_length=asked.history_length, artifacts=asked.artifacts)
            for task in page.snapshots
        )
        return (
            f'{{"tasks":[{tasks}],"nextPageToken":"{page.next_page_token}",'
            f'"pageSize":{asked.page_size},"totalSize":{page.total}}}'
        )

    async def _cancel(self, params: Any, call: Call) -> str:
        task_id, _ = task_params(params)
        task = await self._store.load(task_id, call.caller)
        said = self._said(task, State.CANCELED, "cancelled by the caller")
        if not await self._append(task, said):
            raise TaskNotCancelableError(f"task {task_id} has ended")
        running = self._running.get(task_id)
        if running is not None:
            running.cancel()
        elif task.state not in RESTING:
            # Stored a moment ago, and about to be launched.
            self._called_off.add(task_id)
        return (await self._store.load(task_id, call.caller)).text()

    @asynccontextmanager
    async def _admitted(
        self, send: SendParams, call: Call
    ) -> AsyncGenerator[tuple[Snapshot, Follower]]:
        """Store a message, or recognise it; yield its task and a place behind that in the log."""
        missing = self._required - call.extensions
        if missing:
            raise ExtensionSupportRequiredError(f"activate {', '.join(sorted(missing))}")
        message = send.message
        task = Snapshot(
            id=message.get("taskId") or str(uuid.uuid4()),
            context_id=message.get("contextId") or str(uuid.uuid4()),
            caller=call.caller,
            skill=skill_of(message, self._only_skill),
        )
        now = self._now()
        working, at = status(State.WORKING, now), timestamp(now)
        if message.get("taskId"):
            accepted = await self._store.answer(send, call.caller, working, at)
        else:
            accepted = await self._store.open(send, task, working, at)
        with self._feed.follow(accepted.task_id) as follower:
            if accepted.fresh and not message.get("taskId"):
                for event in accepted.events:
                    task.apply(event)
                # The stream goes on from its own copy: no await until it has been handed out.
                self._launch(task, [message])
            else:
                task = await self._store.load(accepted.task_id, call.caller)
            if accepted.fresh and message.get("taskId") and task.state not in TERMINAL:
                self._feed.publish(task.id, accepted.events)
                self._launch(task, [json.loads(each) for each in task.messages])
            yield task, follower

    def _launch(self, task: Snapshot, messages: Sequence[dict[str, Any]]) -> None:
        if task.id in self._called_off:
            self._called_off.discard(task.id)
            return
        running = asyncio.create_task(self._run(task, messages), name=f"task {task.id}")
        self._running[task.id] = running
        self._tasks.add(running)
        running.add_done_callback(self._tasks.discard)

    async def _run(self, task: Snapshot, messages: Sequence[dict[str, Any]]) -> None:
        async def update(text: str) -> None:
            await self._append(task, self._said(task, State.WORKING, text))

        request = TaskRequest(
            task_id=task.id,
            context_id=task.context_id,
            caller=task.caller,
            skill=task.skill,
            messages=messages,
            update=update,
        )
        try:
            await self._append(task, await self._outcome(request, task))
        except asyncio.CancelledError:
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
        return added

    def _said(self, task: Snapshot, state: State, text: str, *, code: str = "") -> list[Piece]:
        message = agent_message(
            task_id=task.id,
            context_id=task.context_id,
            parts=[{"text": text}],
            code=code,
        )
        return [status(state, self._now(), message)]
