"""The operations of A2A over runs and items; no task store, no executor."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from a2a.types import ListTasksResponse
from a2a.utils.errors import (
    InvalidParamsError,
    PushNotificationNotSupportedError,
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
)

from parley_coordinator.errors import (
    NotPermittedError,
    RunFinishedError,
    UnknownItemError,
)
from parley_coordinator.model import RunState
from parley_coordinator.web.a2a import tasks
from parley_coordinator.web.a2a.answering import asked_items, decide
from parley_coordinator.web.a2a.declined import Declined
from parley_coordinator.web.a2a.errors import guarded, guarded_stream
from parley_coordinator.web.a2a.messages import answer_of, check_message, input_of
from parley_coordinator.web.a2a.tasks import Questions
from parley_coordinator.web.follow import follow_state, until_stopping

if TYPE_CHECKING:
    from asyncio import Event
    from collections.abc import AsyncGenerator

    from a2a.server.context import ServerCallContext
    from a2a.server.events import Event as StreamEvent
    from a2a.types import (
        CancelTaskRequest,
        GetTaskRequest,
        ListTasksRequest,
        Message,
        SendMessageConfiguration,
        SendMessageRequest,
        SubscribeToTaskRequest,
        Task,
    )
    from starlette.types import Scope

    from parley_coordinator.governance.access import Principal
    from parley_coordinator.model import Run, WorkItem
    from parley_coordinator.web.ports import Inbox, Runs

PAGE: Final = 50
MAX_PAGE: Final = 100
MAX_SCANNED_PAGES: Final = 20
PRINCIPAL: Final = "principal"
SCOPE: Final = "scope"
"""Keys of `ServerCallContext.state`."""


@dataclass(frozen=True, slots=True)
class _Caller:
    principal: Principal
    scope: Scope


class WorkflowHandler(Declined):
    """One workflow as an A2A agent.

    Streams of `send` end when the task rests, at a question too (A2A 1.0 11.7), so that a client
    that only listens is not kept for the days that people may take; streams of `subscribe` go on
    to the end of the task.
    """

    def __init__(self, workflow: str, *, runs: Runs, inbox: Inbox) -> None:
        self._workflow = workflow
        self._runs = runs
        self._inbox = inbox

    @guarded
    async def on_message_send(
        self, params: SendMessageRequest, context: ServerCallContext
    ) -> Task | Message:
        caller = _caller(context)
        run = await self._accept(params, caller.principal)
        if params.configuration.return_immediately:
            return await self._task(run, caller.principal)
        with until_stopping(caller.scope) as stop:
            states = follow_state(self._runs, caller.principal, run.id, stop=stop)
            async with contextlib.aclosing(states):
                async for seen in states:
                    task = await self._task(seen, caller.principal)
                    if task.status.state in tasks.RESTING:
                        break
        return task

    @guarded_stream
    async def on_message_send_stream(
        self, params: SendMessageRequest, context: ServerCallContext
    ) -> AsyncGenerator[StreamEvent]:
        caller = _caller(context)
        run = await self._accept(params, caller.principal)
        with until_stopping(caller.scope) as stop:
            async for event in self._stream(run.id, caller.principal, stop, to_end=False):
                yield event

    @guarded_stream
    async def on_subscribe_to_task(
        self, params: SubscribeToTaskRequest, context: ServerCallContext
    ) -> AsyncGenerator[StreamEvent]:
        caller = _caller(context)
        run = await self._run(params.id, caller.principal)
        if run.state.final:
            raise UnsupportedOperationError("the task has ended; get it instead")
        with until_stopping(caller.scope) as stop:
            async for event in self._stream(run.id, caller.principal, stop, to_end=True):
                yield event

    @guarded
    async def on_get_task(self, params: GetTaskRequest, context: ServerCallContext) -> Task | None:
        principal = _caller(context).principal
        _check_history(params)
        return await self._task(await self._run(params.id, principal), principal)

    @guarded
    async def on_list_tasks(
        self, params: ListTasksRequest, context: ServerCallContext
    ) -> ListTasksResponse:
        principal = _caller(context).principal
        _check_history(params)
        size = params.page_size if params.HasField("page_size") else PAGE
        if not 1 <= size <= MAX_PAGE:
            raise InvalidParamsError(f"pageSize must be 1 to {MAX_PAGE}")
        response = ListTasksResponse(page_size=size, next_page_token=params.page_token)
        # A state of A2A is not always one of a run, so pages are read until one is full enough.
        for _ in range(MAX_SCANNED_PAGES):
            page = await self._runs.list(
                principal,
                workflow=self._workflow,
                state=tasks.STATES.get(params.status),
                context_id=params.context_id or None,
                limit=size - len(response.tasks),
                cursor=response.next_page_token,
            )
            for run in page.entries:
                task = await self._task(run, principal, artifacts=params.include_artifacts)
                if _wanted(task, params):
                    response.tasks.append(task)
            response.next_page_token = page.next_cursor
            if len(response.tasks) >= size or not page.next_cursor:
                break
        # Of this page, not of all pages as A2A would have it: which task a run is depends on the
        # caller and on its open questions, so to count all would be to read them all.
        response.total_size = len(response.tasks)
        return response

    @guarded
    async def on_cancel_task(
        self, params: CancelTaskRequest, context: ServerCallContext
    ) -> Task | None:
        principal = _caller(context).principal
        run = await self._run(params.id, principal)
        try:
            run = await self._runs.cancel(principal, run.id, "cancelled over A2A")
        except RunFinishedError as exc:
            raise TaskNotCancelableError(exc.message, data={"code": exc.code}) from exc
        return await self._task(run, principal)

    async def _accept(self, params: SendMessageRequest, principal: Principal) -> Run:
        """Start a run, or answer a question; the same message again changes nothing."""
        message = params.message
        check_message(message)
        _check_history(params.configuration)
        if params.configuration.HasField("task_push_notification_config"):
            raise PushNotificationNotSupportedError
        if message.task_id:
            run = await self._run(message.task_id, principal)
            if message.context_id and message.context_id != (run.context_id or run.id):
                raise InvalidParamsError("message.contextId is not the context of this task")
            await decide(self._inbox, run, answer_of(message), principal)
            return await self._runs.get(principal, run.id)
        run, _ = await self._runs.start(
            principal,
            self._workflow,
            input_of(message),
            key=f"a2a:{self._workflow}:{message.message_id}",
            context_id=message.context_id or None,
        )
        return run

    async def _stream(
        self, run_id: str, principal: Principal, stop: Event, *, to_end: bool
    ) -> AsyncGenerator[StreamEvent]:
        """Yield the task, then what changes; each status once, the artifact before the end."""
        shown = None
        states = follow_state(self._runs, principal, run_id, stop=stop)
        async with contextlib.aclosing(states):
            async for run in states:
                questions = await self._questions(run, principal)
                status = tasks.status_of(run, questions)
                if shown is None:
                    yield tasks.task_of(run, questions)
                elif not tasks.same(shown, status):
                    if run.state is RunState.COMPLETED:
                        yield tasks.artifact_event(run)
                    yield tasks.status_event(run, questions)
                shown = status
                if not to_end and status.state in tasks.RESTING:
                    return

    async def _run(self, run_id: str, principal: Principal) -> Run:
        run = await self._runs.get(principal, run_id)
        if run.workflow != self._workflow:
            raise TaskNotFoundError("there is no such task")
        return run

    async def _task(self, run: Run, principal: Principal, *, artifacts: bool = True) -> Task:
        return tasks.task_of(run, await self._questions(run, principal), artifacts=artifacts)

    async def _questions(self, run: Run, principal: Principal) -> Questions:
        visible: list[WorkItem] = []
        hidden = 0
        for item_id in asked_items(run):
            try:
                item = await self._inbox.get(principal, item_id)
            except (UnknownItemError, NotPermittedError):
                hidden += 1
                continue
            # The run may not have noticed yet that somebody has answered.
            if not item.state.final:
                visible.append(item)
        return Questions(visible=visible, hidden=hidden)


def _caller(context: ServerCallContext) -> _Caller:
    return _Caller(context.state[PRINCIPAL], context.state[SCOPE])


def _check_history(
    params: GetTaskRequest | ListTasksRequest | SendMessageConfiguration,
) -> None:
    if params.history_length < 0:
        raise InvalidParamsError("historyLength must not be negative")


def _wanted(task: Task, params: ListTasksRequest) -> bool:
    if params.status and task.status.state != params.status:
        return False
    if params.HasField("status_timestamp_after"):
        after = params.status_timestamp_after.ToDatetime()
        return task.status.timestamp.ToDatetime() > after
    return True
