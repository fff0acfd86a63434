"""The exchange with one agent about one task: open, follow, find, answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from a2a.types import (
    Message,
    Task,
    TaskArtifactUpdateEvent,
    TaskStatusUpdateEvent,
)
from parley_wire.agent_errors import (
    AgentAuthError,
    AgentConnectionLostError,
    AgentRefusedError,
    TaskUnknownError,
)

from parley_coordinator.delegation import results

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from parley_cards.card import Card
    from parley_wire.client import AgentClient

    from parley_coordinator.model import Place
    from parley_coordinator.store.log import RunLog

Event = Task | Message | TaskStatusUpdateEvent | TaskArtifactUpdateEvent

POLL_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Pauses between GetTask calls to an agent that cannot stream; the last one repeats."""


class ForeignTaskError(Exception):
    """An agent answered with a task of another context: it may be somebody else's."""


class Conversation:
    """Speaks with the agent and writes the task id into the journal as soon as it is known."""

    def __init__(
        self, *, client: AgentClient, card: Card, log: RunLog, place: Place, context: str
    ) -> None:
        self.context = context
        self._client = client
        self._card = card
        self._log = log
        self._place = place
        self._streams = card.streaming

    async def send(self, message: dict[str, Any]) -> Task | Message:
        """Send the opening message or an answer, as JSON; stay until the task is terminal or interrupted."""
        if self._card.streaming:
            last = await self._absorb(self._client.send_streaming(message))
        else:
            last = await self._client.send(message, return_immediately=True)
            if isinstance(last, Task):
                self._note(self._checked(last))
        if isinstance(last, Message):
            return last
        if last is None:
            raise AgentConnectionLostError(f"{self._card.name} closed the stream without an event")
        return last if _settled(last) else await self.follow(last.id)

    async def get(self, task_id: str) -> Task:
        return self._checked(await self._client.get_task(task_id))

    async def find(self, opening: str) -> Task | None:
        """Look for the task that the message with this id opened, and note its id.

        The context id was made for this one message, so any task in it is the one.
        """
        try:
            tasks = await self._client.list_tasks(self.context)
        except (AgentRefusedError, AgentAuthError):
            return None  # the agent cannot list, or not for us; nobody can tell
        for task in tasks:
            known = {message.message_id for message in task.history}
            if opening in known or (not known and task.context_id == self.context):
                self._note(task)
                return task
        return None

    async def follow(self, task_id: str) -> Task | Message:
        """Stay with a task until it is terminal or interrupted."""
        pauses = iter(POLL_S)
        while True:
            if self._streams:
                last = await self._watch(task_id)
                if isinstance(last, Message) or (last is not None and _settled(last)):
                    return last
            task = await self.get(task_id)
            if _settled(task):
                return task
            await asyncio.sleep(next(pauses, POLL_S[-1]))

    async def _watch(self, task_id: str) -> Task | Message | None:
        """Subscribe; None if the agent does not let us, as when the task has just ended."""
        try:
            return await self._absorb(self._client.subscribe(task_id))
        except TaskUnknownError:
            raise
        except AgentRefusedError:
            self._streams = False
            return None

    async def _absorb(self, events: AsyncIterator[Event]) -> Task | Message | None:
        """Fold a stream into the task that it describes; None if nothing came."""
        task: Task | None = None
        async for event in events:
            if isinstance(event, Message):
                return event
            if isinstance(event, Task):
                task = self._checked(event)
                self._note(task)
            elif task is None:
                # Some servers start follow-up streams with an update (A2A 1.0 3.1.2 forbids it).
                task = await self.get(event.task_id)
                self._note(task)
            elif event.task_id != task.id:
                continue  # of another task: not what was asked for
            elif isinstance(event, TaskStatusUpdateEvent):
                task.status.CopyFrom(event.status)
            else:
                _add_artifact(task, event)
            if _settled(task):
                return task
        return task

    def _checked(self, task: Task) -> Task:
        if task.context_id != self.context:
            raise ForeignTaskError(
                f"{self._card.name} answered with task {task.id[:80]} of another context"
            )
        return task

    def _note(self, task: Task) -> None:
        # Not awaited: the row is in order before whatever is observed next, in the same commit.
        self._log.note_task(self._place, task.id, task.context_id)


def _settled(task: Task) -> bool:
    return task.status.state not in results.ACTIVE


def _add_artifact(task: Task, event: TaskArtifactUpdateEvent) -> None:
    """Apply one artifact update (A2A 1.0 section 4.2): append to, or replace, what is there."""
    for known in task.artifacts:
        if known.artifact_id == event.artifact.artifact_id:
            if event.append:
                known.parts.extend(event.artifact.parts)
            else:
                known.CopyFrom(event.artifact)
            return
    task.artifacts.append(event.artifact)
