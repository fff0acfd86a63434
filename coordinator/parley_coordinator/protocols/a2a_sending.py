"""A message to an agent: sent once, looked up after a lost answer, followed until it rests.

What an agent has begun is known by its task: noted as soon as the agent names it, else found among the
tasks of the context. Only where that finds nothing, and sending twice is harmless because the document
or the agent's card says so, does the message go out again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from a2a.types import Message, TaskArtifactUpdateEvent
from parley_cards.errors import ParleyError
from parley_wire.agent_errors import (
    AgentAuthError,
    AgentConnectionLostError,
    AgentError,
    AgentProtocolError,
    AgentRefusedError,
    TaskUnknownError,
)
from parley_wire.errors import UnsupportedAgentError

from parley_coordinator.protocols import a2a_answers
from parley_coordinator.protocols.a2a_messages import (
    ACTIVE,
    SETTLED,
    Opening,
    failure_of,
    state_of,
)
from parley_coordinator.protocols.outcome import (
    Following,
    LostError,
    misconfigured,
    told,
    unreachable,
)

if TYPE_CHECKING:
    from parley_cards.card import Card

    from parley_coordinator.protocols.guard import Caller, Guard
    from parley_coordinator.protocols.outcome import Trail

MAX_TRIES: Final = 6
SEND_S: Final = 60.0
"""So long may an agent take to answer a message, if it is silent for no longer than a client waits."""
TURN_S: Final = 120.0
"""So long does a message wait for room at an agent that has as much to do as it takes at once."""
POLL_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Pauses between two looks at a task; the last one repeats."""
LONGEST_PAUSE_S: Final = 30.0
CANCEL_S: Final = 10.0
MAX_ID: Final = 256
"""Characters of the id of a task, or of a context, that an agent may make up."""
_MAX_PAGES: Final = 20


@dataclass(kw_only=True)
class Sending:
    """Implements `outcome.Prepared` for one message."""

    client: Caller
    guard: Guard
    card: Card
    opened: Opening
    streams: bool
    patience: timedelta
    """How long a task is followed before the run parks; a stream stays open as long as it may."""
    who: str
    facts: dict[str, Any]
    idempotent: bool
    traceable: bool = True
    _begun: bool = field(default=False, init=False)
    """The agent may have begun."""
    _timeout: asyncio.Timeout | None = field(default=None, init=False)
    _results: list[dict[str, Any]] = field(default_factory=list, init=False)

    async def send(self, trail: Trail) -> Any:
        self._begun = trail.begun
        patience = None if self.streams else self.patience.total_seconds()
        try:
            async with self._turn(trail), asyncio.timeout(patience) as self._timeout:
                return await self._tried(trail)
        except TimeoutError:
            if not self._begun:
                raise unreachable(self.who, "it did not take the message in time") from None
            return Following(trail.pause())

    async def cancel(self, trail: Trail) -> str:
        try:
            async with asyncio.timeout(CANCEL_S):
                task_id = trail.task()
                if task_id is None:
                    found = await self._found()
                    task_id = "" if found is None else str(found["id"])
                if not task_id:
                    return f"{self.who} shows no task for it; it may be running"
                task = await self.client.call("CancelTask", {"id": task_id})
        except (ParleyError, LostError, TimeoutError) as exc:
            return f"{self.who} could not cancel: {str(exc) or 'no answer in time'}"
        return state_of(task) or "the agent did not say"

    async def _tried(self, trail: Trail) -> Any:
        """Go on through what passes; park if the agent stays away after it may have begun."""
        for failed in range(1, MAX_TRIES + 1):
            try:
                return await self._attempt(trail)
            except UnsupportedAgentError as exc:
                raise misconfigured(f"{self.who}: {exc.message}") from exc
            except AgentError as exc:
                if exc.disposition == "final":
                    # Without its deadline, who has the message after all refuses it as another one.
                    known = self.card.dedupes and trail.log.resent_at(trail.place) > 0
                    if self._begun or known:
                        why = f"it may have begun, and the agent refuses: {told(exc.message)}"
                        raise LostError(why) from exc
                    raise a2a_answers.refused(self.who, exc) from exc
                if failed < MAX_TRIES:
                    pause_s = self.guard.pause_s(failed, exc)
                    await asyncio.sleep(min(pause_s, LONGEST_PAUSE_S))
                elif not self._begun:
                    raise unreachable(self.who, exc.message) from exc
        return Following(trail.pause())

    @asynccontextmanager
    async def _turn(self, trail: Trail) -> AsyncIterator[None]:
        """Be one of the calls that the agent takes at once; what it has begun does not wait."""
        if self._begun:
            self.guard.enter_anyway()
        else:
            async with asyncio.timeout(TURN_S):
                await self.guard.enter((trail.log.run_id, trail.place))
        try:
            yield
        finally:
            self.guard.leave()

    async def _attempt(self, trail: Trail) -> Any:
        task = await self._known(trail) if self._begun else None
        if self._begun and task is None and not (self.idempotent or self.card.dedupes):
            raise LostError("the answer was lost, and the agent shows no task for it")
        if self.streams:
            return await self._streamed(trail, task)
        if task is None:
            with self._leaving(), self._held():
                result = await self.client.call("SendMessage", self.opened.params)
                message, task = self._read(result)
            if task is None:
                return {"message": message}
            self._note(trail, task)
        if not self.opened.immediately:
            task = await self._followed(task)
        self._judge(task)
        return {"task": task}

    async def _followed(self, task: dict[str, Any]) -> dict[str, Any]:
        pauses = iter(POLL_S)
        while state_of(task) in ACTIVE:
            await asyncio.sleep(next(pauses, POLL_S[-1]))
            task = await self._get(str(task["id"]))
        return task

    async def _streamed(self, trail: Trail, task: dict[str, Any] | None) -> list[dict[str, Any]]:
        """Collect a stream until the task rests; what a broken one brought stays."""
        if task is not None and state_of(task) not in ACTIVE:
            self._results.append({"task": task})
            self._judge(task)
            return self._results
        method, params = "SendStreamingMessage", self.opened.params
        if task is not None:
            method, params = "SubscribeToTask", {"id": task["id"]}
        source = a2a_answers.events(self.client, method, params, self.who)
        with self._leaving():
            async with aclosing(cast("Any", source)) as stream:
                async for event, shown in cast("AsyncIterator[tuple[Any, Any]]", stream):
                    self._results.append(shown)
                    if isinstance(event, Message):
                        return self._results
                    if isinstance(event, TaskArtifactUpdateEvent):
                        continue
                    task = self._seen(shown, task)
                    self._note(trail, task)
                    if state_of(task) not in ACTIVE:
                        break
        if task is None or state_of(task) in ACTIVE:
            raise AgentConnectionLostError(f"{self.who} ended the stream before the task rested")
        self._judge(task)
        return self._results

    @contextmanager
    def _leaving(self) -> Iterator[None]:
        """From here on it may have begun, unless the agent's first word is that it has not taken it."""
        before, self._begun = self._begun, True
        try:
            yield
        except AgentError as exc:
            self._begun = before or bool(self._results) or exc.disposition == "uncertain"
            raise

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Let a message that is on its way be answered first, for longer than the patience of a look."""
        timeout, until = self._timeout, None if self._timeout is None else self._timeout.when()
        if timeout is None or until is None:
            yield
            return
        timeout.reschedule(asyncio.get_running_loop().time() + SEND_S)
        try:
            yield
        finally:
            if not timeout.expired():
                timeout.reschedule(until)

    async def _known(self, trail: Trail) -> dict[str, Any] | None:
        """Return the task that the message has opened, or gone to; None: the agent shows none.

        Raises:
            LostError: The agent had named a task, and has forgotten it.
        """
        task_id = trail.task()
        try:
            if task_id is not None:
                return await self._get(task_id)
        except TaskUnknownError:
            if not self.idempotent and not self.card.dedupes:
                raise LostError("the agent has forgotten the task") from None
            return None
        found = await self._found()
        if found is not None:
            self._note(trail, found)
        return found

    async def _found(self) -> dict[str, Any] | None:
        """Look for the message among the agent's tasks."""
        try:
            if self.opened.task_id:
                params = {"id": self.opened.task_id, "historyLength": 100}
                task = self._task(await self.client.call("GetTask", params))
                return task if self.opened.message_id in _history(task) else None
            async for task in self._tasks():
                known = _history(task)
                ours = self.opened.own_context and not known
                if self.opened.message_id in known or ours:
                    return await self._get(str(task["id"]))
        except (AgentRefusedError, AgentAuthError, ValueError):
            pass  # the agent cannot list, or not for us; nobody can tell
        return None

    async def _tasks(self) -> AsyncIterator[dict[str, Any]]:
        params = {"contextId": self.opened.context_id, "pageSize": 50, "historyLength": 100}
        for _ in range(_MAX_PAGES):
            page = await self.client.call("ListTasks", params)
            tasks = page.get("tasks", []) if isinstance(page, dict) else None
            if not isinstance(tasks, list):
                raise AgentProtocolError(f"{self.who} did not answer with a page of tasks")
            for each in tasks:
                if isinstance(each, dict) and each.get("contextId") == self.opened.context_id:
                    yield self._task(each)
            token = page.get("nextPageToken")
            if not isinstance(token, str) or not token:
                return
            params = {**params, "pageToken": token}

    async def _get(self, task_id: str) -> dict[str, Any]:
        task = self._task(await self.client.call("GetTask", {"id": task_id}))
        if task["id"] != task_id:
            raise LostError(f"{self.who} answered with another task than the one asked for")
        return task

    def _read(self, result: Any) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """Return the message, or the task, of an answer to SendMessage."""
        members = result if isinstance(result, dict) else {}
        message = members.get("message")
        if isinstance(message, dict) and "task" not in members:
            return message, None
        if "message" in members or "task" not in members:
            raise AgentProtocolError(f"{self.who} answered with neither a task nor a message")
        return {}, self._task(members["task"])

    def _task(self, task: Any) -> dict[str, Any]:
        if not isinstance(task, dict) or not isinstance(task.get("id"), str) or not task["id"]:
            raise AgentProtocolError(f"{self.who} answered with a task that has no id")
        if max(len(task["id"]), len(str(task.get("contextId", "")))) > MAX_ID:
            raise LostError(f"{self.who} answered with an id of more than {MAX_ID} characters")
        wanted = self.opened
        if wanted.context_id and task.get("contextId") != wanted.context_id:
            raise LostError(
                f"{self.who} answered with task {told(task['id'], 80)} of another context"
            )
        if wanted.task_id and task["id"] != wanted.task_id:
            raise LostError(f"{self.who} answered with another task than the one named")
        return task

    def _seen(self, shown: dict[str, Any], task: dict[str, Any] | None) -> dict[str, Any]:
        """Fold one event into what is known of the task."""
        if "task" in shown:
            found = self._task(shown["task"])
        else:
            update = shown["statusUpdate"]
            named = {"id": update.get("taskId"), "contextId": update.get("contextId")}
            found = self._task({**(task or {}), **named, "status": update.get("status")})
        if task is not None and found["id"] != task["id"]:
            raise LostError(f"{self.who} went on with another task than the one it began with")
        return found

    def _note(self, trail: Trail, task: dict[str, Any]) -> None:
        trail.note(str(task["id"]), str(task.get("contextId", "")))

    def _judge(self, task: dict[str, Any]) -> None:
        state = state_of(task)
        if state not in SETTLED and not (state in ACTIVE and self.opened.immediately):
            raise LostError(f"the task is in {told(state, 80) or 'no state'}")
        failure = failure_of(self.who, task)
        if failure is not None:
            raise failure


def _history(task: dict[str, Any]) -> set[str]:
    """Return the ids of the messages that a task shows."""
    history = task.get("history")
    return {
        str(each["messageId"])
        for each in (history if isinstance(history, list) else [])
        if isinstance(each, dict) and each.get("messageId")
    }
