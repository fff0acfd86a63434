"""The exchange with one agent about one task: open, follow, find, answer."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, cast

from a2a.types import Message, Task
from parley_wire.agent_errors import (
    AgentAuthError,
    AgentConnectionLostError,
    AgentRefusedError,
    TaskUnknownError,
)

from parley_coordinator.delegation import results
from parley_coordinator.delegation.folding import Folded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from parley_cards.card import Card
    from parley_wire.client import Event

    from parley_coordinator.delegation.departed import Departing
    from parley_coordinator.delegation.guarded import GuardedClient
    from parley_coordinator.model import Place
    from parley_coordinator.store.log import RunLog

logger = logging.getLogger(__name__)

POLL_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Pauses between GetTask calls to an agent that cannot stream; the last one repeats."""
IDLE_S: Final = 15.0
"""A stream on which nothing at all comes for so long is lost."""


class ForeignTaskError(Exception):
    """An agent answered with a task of another context: it may be somebody else's."""


class SilentError(Exception):
    """The agent works on and says nothing: look again later."""


class Conversation:
    """Speaks with the agent and writes the task id into the journal as soon as it is known.

    Args:
        past: So many tasks of the place, the oldest, count no more: a person has ruled that nothing ran.
        silence_s: A task of which a stream says nothing for so long is looked at, and left alone.
    """

    def __init__(
        self,
        *,
        client: GuardedClient,
        card: Card,
        log: RunLog,
        place: Place,
        context: str,
        past: int,
        silence_s: float,
        departing: Departing,
    ) -> None:
        self.context = context
        self.heard = 0
        """What the agent has said so far, in answer to a message or of a task: it has begun."""
        self._past = past
        self._resent = log.resent_at(place)
        self._silence_s = silence_s
        self._client = client
        self._card = card
        self._log = log
        self._place = place
        self._streams = card.streaming
        self._departing = departing

    @property
    def task(self) -> str | None:
        """The id of the task that is talked about."""
        return self._log.task_at(self._place, past=self._past)

    async def send(self, message: dict[str, Any]) -> Task | Message:
        """Send the opening message or an answer, as JSON; stay until the task is terminal or interrupted.

        Raises:
            SilentError: It works on, and says nothing.
        """
        if self._card.streaming:
            stream = self._client.send_streaming(message, idle_timeout_s=IDLE_S)
            last = await self._absorb(self._leaving(stream))
        else:
            sent = self._client.send(message)
            last = await self._departing.first_word(sent, self._note_late)
            self.heard += 1
            if isinstance(last, Task):
                self._note(self._checked(last))
        if isinstance(last, Message):
            # What is said about a task is no result of it: look at the task.
            known = str(message.get("taskId", ""))
            return await self.follow(known) if known else last
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
        gone = self._log.tasks_at(self._place)[: self._past]
        for task in tasks:
            if task.id in gone:
                continue
            known = {message.message_id for message in task.history}
            if opening in known or (not known and task.context_id == self.context):
                self._note(task)
                return task
        return None

    async def follow(self, task_id: str) -> Task | Message:
        """Stay with a task until it is terminal or interrupted.

        Raises:
            SilentError: It works on, and says nothing.
        """
        pauses = iter(POLL_S)
        while True:
            if self._streams:
                last = await self._watch(task_id)
                if isinstance(last, Task) and _settled(last):
                    return last
            task = await self.get(task_id)
            if _settled(task):
                return task
            await asyncio.sleep(next(pauses, POLL_S[-1]))

    async def _watch(self, task_id: str) -> Task | Message | None:
        """Subscribe; None if the agent does not let us, as when the task has just ended."""
        try:
            return await self._absorb(self._client.subscribe(task_id, idle_timeout_s=IDLE_S))
        except TaskUnknownError:
            raise
        except AgentRefusedError:
            self._streams = False
            return None

    async def _absorb(self, events: AsyncIterator[Event]) -> Task | Message | None:
        """Fold a stream into the task that it describes; None if nothing came."""
        folded: Folded | None = None
        async with aclosing(cast("Any", events)) as stream:
            while (event := await self._next(stream, folded)) is not None:
                self.heard += 1
                if isinstance(event, Message):
                    if folded is None:
                        return event
                    continue  # said about the task, which is what was asked for
                if isinstance(event, Task):
                    task = self._checked(event)
                    self._note(task)
                    if folded is None:
                        folded = Folded(task, agent=self._card.name)
                    else:
                        folded.restart(task)
                elif folded is None:
                    # Some servers start follow-up streams with an update (A2A 1.0 3.1.2 forbids it).
                    task = await self.get(event.task_id)
                    self._note(task)
                    folded = Folded(task, agent=self._card.name)
                else:
                    folded.add(event)
                if _settled(folded.task):
                    break
        if folded is None:
            return None
        return folded.task if folded.exact else await self._read_again(folded)

    async def _leaving(self, stream: AsyncIterator[Event]) -> AsyncGenerator[Event]:
        """Yield what comes of a message; its first word is waited for even if nobody does."""
        source = cast("AsyncGenerator[Event]", stream)

        async def late(word: Event | None) -> None:
            async with aclosing(source):
                if word is not None:
                    await self._note_late(word)

        word = await self._departing.first_word(_first(source), late)
        async with aclosing(source):
            if word is None:
                return
            yield word
            async for event in source:
                yield event

    async def _note_late(self, word: Event) -> None:
        if not isinstance(word, Task) or word.context_id != self.context:
            return
        noted = self._log.note_late(self._place, word.id, word.context_id, resent=self._resent)
        if await noted:
            self._departing.left()

    async def _next(self, stream: Any, folded: Folded | None) -> Event | None:
        """Return the next event; None at the end.

        Raises:
            SilentError: Nothing came for long, though the agent answers and works on.
        """
        event: Event | None
        if folded is None:
            event = await anext(stream, None)
            return event
        try:
            async with asyncio.timeout(self._silence_s):
                event = await anext(stream, None)
        except TimeoutError:
            pass
        else:
            return event
        task = await self.get(folded.task.id)
        if not _settled(task):
            raise SilentError
        return task

    async def _read_again(self, folded: Folded) -> Task:
        """Return a task that a stream told in pieces as the agent has it.

        A task that has ended has ended, whatever the agent says of it afterwards.
        """
        task = folded.task
        if task.status.state not in results.TERMINAL and folded.complete:
            return task
        try:
            again = await self.get(task.id)
        except TaskUnknownError:
            if not folded.complete:
                raise
            return task
        if again.status.state == task.status.state or not folded.complete:
            return again
        logger.warning("%s took back the end of a task: ignored", self._card.name)
        return task

    def _checked(self, task: Task) -> Task:
        if task.context_id != self.context:
            raise ForeignTaskError(
                f"{self._card.name} answered with task {task.id[:80]} of another context"
            )
        return task

    def _note(self, task: Task) -> None:
        # Not awaited: the row is in order before whatever is observed next, in the same commit.
        self._log.note_task(self._place, task.id, task.context_id, past=self._past)


async def _first(stream: AsyncGenerator[Event]) -> Event | None:
    return await anext(stream, None)


def _settled(task: Task) -> bool:
    return task.status.state not in results.ACTIVE
