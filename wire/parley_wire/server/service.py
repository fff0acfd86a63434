"""The operations of A2A 1.0 over a durable task log.

A task that waits for its caller is rows and nothing else.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from a2a.utils.errors import (
    ContentTypeNotSupportedError,
    ExtensionSupportRequiredError,
    InternalError,
    TaskNotCancelableError,
    UnsupportedOperationError,
)
from parley_cards.card import Card

from parley_wire.server.endpoint import Batch, Call
from parley_wire.server.extended_card import ExtendedCard
from parley_wire.server.feed import BrokenOffError, Feed, Follower
from parley_wire.server.outcomes import Executor, skill_of
from parley_wire.server.params import SendParams, list_params, send_params, task_params
from parley_wire.server.push_operations import PushOperations
from parley_wire.server.running import AfterRestart, Runner
from parley_wire.server.store import Execution, TaskStore
from parley_wire.server.texts import RESTING, TERMINAL, Snapshot, State, status, timestamp

PUSH_METHODS: Final = frozenset(
    {
        "CreateTaskPushNotificationConfig",
        "GetTaskPushNotificationConfig",
        "ListTaskPushNotificationConfigs",
        "DeleteTaskPushNotificationConfig",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a task server insists on. The defaults are for production."""

    dedupe: bool = True
    """A message that arrives twice is taken once."""
    input_modes: bool = True
    """A part with a media type that the card does not list is refused."""


DEFAULT_RULES: Final = Rules()


class TaskService:
    """One agent's tasks. An `Endpoint`."""

    def __init__(
        self,
        card: Card,
        executor: Executor,
        store: TaskStore,
        *,
        push: PushOperations,
        extended_card: ExtendedCard,
        after_restart: AfterRestart,
        rules: Rules,
        now: Callable[[], datetime],
    ) -> None:
        self._streaming = card.streaming
        self._only_skill = card.skills[0].id if len(card.skills) == 1 else None
        self._required = frozenset(
            extension["uri"]
            for extension in card.json["capabilities"].get("extensions") or []
            if extension.get("required")
        )
        self._input_modes = _input_modes(card) if rules.input_modes else None
        self._store = store
        self._push = push
        self._extended_card = extended_card
        self._after_restart: AfterRestart = after_restart
        self._now = now
        self._feed = Feed(store.events_after)
        self._runner = Runner(executor, store, self._feed, now=now, logged=push.wake)

    async def start(self) -> None:
        """Take up the tasks that the last process left behind."""
        await self._runner.take_up(self._after_restart)

    async def stop(self) -> None:
        """Interrupt what runs, leaving it to the next `start`, and end every stream."""
        await self._runner.stop()
        self._feed.close()

    @property
    def load(self) -> tuple[int, int]:
        """How many tasks are being worked on, and how many streams and calls wait for one."""
        return self._runner.working, self._feed.followed

    async def executions(self, caller: str, context_id: str, limit: int) -> list[Execution]:
        return await self._store.executions(caller, context_id, limit)

    async def answer(self, method: str, params: Any, call: Call) -> str:
        if method in PUSH_METHODS:
            return await self._push.answer(method, params, call)
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
                return self._extended_card.answer(params, call)
        raise UnsupportedOperationError(f"{method[:80]} is not offered here")

    async def stream(self, method: str, params: Any, call: Call) -> AsyncGenerator[Batch]:
        if not self._streaming:
            raise UnsupportedOperationError("this agent does not stream; its card says so")
        # Whoever asks to be told of a task stays until it has ended (A2A 1.0 3.1.6); what was sent is
        # answered for when the task waits (11.7).
        final = TERMINAL if method == "SubscribeToTask" else RESTING
        async with self._followed(method, params, call) as (task, follower, history_length):
            shown = f'{{"task":{task.text(history_length=history_length)}}}'
            yield Batch((shown,), last=task.state in final)
            while task.state not in final:
                texts = await self._more(task, follower, final)
                if not texts:
                    return
                yield Batch(texts, last=task.state in final)

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

    async def _more(self, task: Snapshot, follower: Follower, final: frozenset[State]) -> list[str]:
        """Return what happens next after the snapshot; nothing if the task was broken off."""
        texts: list[str] = []
        while not texts and task.state not in final:
            try:
                fresh = await follower.after(task.seq)
            except BrokenOffError:
                break
            for event in fresh:
                task.apply(event)
                text = task.stream_text(event)
                if text is not None:
                    texts.append(text)
                if task.state in final:
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
            if task.reply and not send.return_immediately:
                return f'{{"message":{task.reply}}}'
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
        if not await self._runner.cancel(task):
            raise TaskNotCancelableError(f"task {task_id} has ended")
        return (await self._store.load(task_id, call.caller)).text()

    @asynccontextmanager
    async def _admitted(
        self, send: SendParams, call: Call
    ) -> AsyncGenerator[tuple[Snapshot, Follower]]:
        """Store a message, or recognise it; yield its task and a place behind that in the log."""
        self._check(send, call)
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
                self._runner.launch(task, [message])
            else:
                task = await self._store.load(accepted.task_id, call.caller)
            if accepted.fresh and message.get("taskId") and task.state not in TERMINAL:
                self._feed.publish(task.id, accepted.events)
                self._runner.launch(task, [json.loads(each) for each in task.messages])
            if accepted.fresh:
                self._push.wake()
            yield task, follower

    def _check(self, send: SendParams, call: Call) -> None:
        missing = self._required - call.extensions
        if missing:
            raise ExtensionSupportRequiredError(f"activate {', '.join(sorted(missing))}")
        if send.push is not None:
            self._push.check(send.push)
        if self._input_modes is not None:
            for part in send.message["parts"]:
                given = part.get("mediaType", "").partition(";")[0].strip().lower()
                if given and not _accepted(given, self._input_modes):
                    raise ContentTypeNotSupportedError(
                        f"this agent takes {', '.join(sorted(self._input_modes))}, not {given[:80]}"
                    )


def _input_modes(card: Card) -> frozenset[str]:
    """Media types that the agent, or one of its skills, takes."""
    modes = [*card.json["defaultInputModes"]]
    for skill in card.json["skills"]:
        modes.extend(skill.get("inputModes") or [])
    return frozenset(mode.partition(";")[0].strip().lower() for mode in modes)


def _accepted(given: str, modes: frozenset[str]) -> bool:
    return given in modes or f"{given.partition('/')[0]}/*" in modes or "*/*" in modes
