"""The operations of A2A over runs and items; no task store, no executor."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from a2a.utils.errors import (
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
)
from parley_wire.server.endpoint import Batch
from parley_wire.server.forms import invalid
from parley_wire.server.params import list_params, send_params, task_params
from parley_wire.server.texts import RESTING, TERMINAL, dumps

from parley_coordinator.errors import InvalidRequestError, RunFinishedError, UnknownRunError
from parley_coordinator.web.a2a import tasks
from parley_coordinator.web.a2a.answering import decide
from parley_coordinator.web.a2a.messages import check_message, contract_of, input_of
from parley_coordinator.web.a2a.phases import PHASES
from parley_coordinator.web.a2a.tasks import View
from parley_coordinator.web.follow import LOOK_AGAIN_S, either, until_stopping

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from parley_wire.server.endpoint import Call
    from parley_wire.server.params import SendParams
    from starlette.types import Scope

    from parley_coordinator.governance.access import Principal
    from parley_coordinator.model import Run
    from parley_coordinator.web.a2a.pushing import Push
    from parley_coordinator.web.ports import Inbox, Runs

_PUSH: Final = "PushNotificationConfig"


class WorkflowEndpoint:
    """One workflow as an A2A agent, for one caller. An `Endpoint`.

    Streams of `send` end when the task rests, at a question too (A2A 1.0 11.7), so that a client
    that only listens is not kept for the days that people may take; streams of `subscribe` go on
    to the end of the task.

    Args:
        scope: Of the request: tells when the server stops.
    """

    def __init__(
        self,
        workflow: str,
        *,
        runs: Runs,
        inbox: Inbox,
        push: Push,
        principal: Principal,
        scope: Scope,
    ) -> None:
        self._workflow = workflow
        self._runs = runs
        self._inbox = inbox
        self._push = push
        self._principal = principal
        self._scope = scope

    async def answer(self, method: str, params: Any, call: Call) -> str:
        with _as_a2a():
            match method:
                case "SendMessage":
                    return await self._send(send_params(params), call)
                case "GetTask":
                    task_id, length = task_params(params)
                    return dumps(tasks.task(await self._view(task_id), history_length=length))
                case "ListTasks":
                    return await self._list(params)
                case "CancelTask":
                    return await self._cancel(task_params(params)[0])
            if _PUSH in method:
                await self._view(self._push.task_of(method, params))
                return await self._push.answer(method, params, call, self._principal)
            raise UnsupportedOperationError("there is no extended card")

    async def stream(self, method: str, params: Any, call: Call) -> AsyncGenerator[Batch]:
        with _as_a2a():
            if method == "SendStreamingMessage":
                send = send_params(params)
                run_id = (await self._accept(send, call))[0].id
                last, length = RESTING, send.history_length
            else:
                run_id, length = task_params(params)
                if (await self._view(run_id)).state in TERMINAL:
                    raise UnsupportedOperationError("the task has ended; get it instead")
                last = TERMINAL
            shown: View | None = None
            async with contextlib.aclosing(self._views(run_id)) as views:
                async for view in views:
                    if shown is None:
                        texts = [dumps({"task": tasks.task(view, history_length=length)})]
                    else:
                        texts = [dumps(event) for event in tasks.updates(shown, view)]
                    shown = view
                    if texts:
                        yield Batch(texts, last=view.state in last)
                    if view.state in last:
                        return

    async def _send(self, send: SendParams, call: Call) -> str:
        run, fresh = await self._accept(send, call)
        waits = not send.return_immediately
        # A run that was just begun has nothing to show that is worth a look.
        seen = run if fresh and waits and not run.state.final else None
        view: View | None = None
        async with contextlib.aclosing(self._views(run.id, seen=seen)) as views:
            async for view in views:
                if not waits or view.state in RESTING:
                    break
        if view is None:
            view = await self._view(run.id)
        return dumps({"task": tasks.task(view, history_length=send.history_length)})

    async def _list(self, params: Any) -> str:
        asked = list_params(params)
        empty: dict[str, Any] = {"tasks": [], "nextPageToken": "", "pageSize": asked.page_size}
        if asked.state and asked.state not in PHASES:
            return dumps({**empty, "totalSize": 0})
        try:
            page, total = await self._runs.tasks(
                self._principal,
                workflow=self._workflow,
                phase=PHASES[asked.state] if asked.state else None,
                context_id=asked.context_id or None,
                changed_since=datetime.fromisoformat(asked.changed_since)
                if asked.changed_since
                else None,
                limit=asked.page_size,
                cursor=asked.page_token,
            )
        except InvalidRequestError as exc:
            raise invalid("pageToken", "is not one that this agent gave out") from exc
        shown = [
            tasks.task(
                View(thread),
                history_length=asked.history_length,
                artifacts=asked.artifacts,
            )
            for thread in page.entries
        ]
        more = {"nextPageToken": page.next_cursor, "totalSize": total}
        return dumps({**empty, **more, "tasks": shown})

    async def _cancel(self, task_id: str) -> str:
        await self._view(task_id)
        try:
            await self._runs.cancel(self._principal, task_id, "cancelled over A2A")
        except RunFinishedError as exc:
            raise TaskNotCancelableError(exc.message) from exc
        return dumps(tasks.task(await self._view(task_id)))

    async def _accept(self, send: SendParams, call: Call) -> tuple[Run, bool]:
        """Start a run, or answer a question; the same message again changes nothing.

        Returns:
            The run as it was then, and whether it was started by this.
        """
        message = send.message
        check_message(message)
        await self._push.check(send.push, message.get("taskId", ""), self._principal)
        if message.get("taskId"):
            view = await self._view(message["taskId"])
            if message.get("contextId", view.context_id) != view.context_id:
                raise invalid("message.contextId", "is not the context of the task")
            await decide(self._inbox, view, send, self._principal)
            await self._push.attach(view.run.id, send.push, self._principal)
            return view.run, False
        run, fresh = await self._runs.start(
            self._principal,
            self._workflow,
            input_of(message),
            key=f"a2a:{self._workflow}:{message['messageId']}",
            context_id=message.get("contextId") or None,
            contract=contract_of(message, call.headers),
            message_id=message["messageId"],
        )
        # Until it is answered the client sends the message again, and finds the run.
        await self._push.attach(run.id, send.push, self._principal)
        return run, fresh

    async def _views(self, run_id: str, *, seen: Run | None = None) -> AsyncGenerator[View]:
        """Yield the run as it is, then again whenever it may have changed, until it or the server ends.

        Args:
            seen: As it was just now, which is not yielded.
        """
        with until_stopping(self._scope) as stop:
            while not (seen is not None and (seen.state.final or stop.is_set())):
                if seen is not None:
                    await either(self._runs.wait_for_state(seen, timeout_s=LOOK_AGAIN_S), stop)
                view = await self._view(run_id)
                yield view
                seen = view.run

    async def _view(self, run_id: str) -> View:
        view = View(await self._runs.thread(self._principal, run_id))
        if view.run.workflow != self._workflow:
            raise TaskNotFoundError("there is no such task")
        return view


@contextlib.contextmanager
def _as_a2a() -> Generator[None]:
    """Call a run that there is not, or that the caller may not see, by the name that A2A has for it."""
    try:
        yield
    except UnknownRunError as exc:
        raise TaskNotFoundError("there is no such task") from exc
