"""What an agent's answers mean, where there is nothing to look up."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, cast

from a2a.types import Message, Task, TaskStatusUpdateEvent
from google.protobuf.json_format import MessageToDict
from parley_wire.agent_errors import AgentAuthError, AgentError, AgentRefusedError

from parley_coordinator.protocols.outcome import LostError, told, unreachable, unusable
from parley_coordinator.protocols.outlet import MAX_ANSWER_BYTES
from parley_coordinator.workflow.errors import Standard, WorkflowError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from parley_wire.client import Event

    from parley_coordinator.protocols.guard import Caller

MAX_EVENTS: Final = 5_000


def refused(who: str, exc: AgentError) -> WorkflowError:
    """Return the error of an agent that does not do what it was asked."""
    away = isinstance(exc, AgentAuthError)
    return WorkflowError(
        Standard.AUTHENTICATION if away else Standard.RUNTIME,
        f"{who} refused the request",
        told(exc.message),
        status=422 if isinstance(exc, AgentRefusedError) else None,
    )


def meaning(who: str, exc: AgentError) -> WorkflowError | LostError:
    """Say what a failed operation means."""
    match exc.disposition:
        case "final":
            return refused(who, exc)
        case "retry":
            return unreachable(who, exc.message)
        case _:
            return LostError(told(exc.message))


async def events(
    client: Caller, method: str, params: dict[str, Any], who: str
) -> AsyncIterator[tuple[Event, dict[str, Any]]]:
    """Yield what a stream brings, each with its JSON: `{task: ...}`, `{statusUpdate: ...}` and so on.

    Raises:
        AgentError: Also in the middle.
        WorkflowError: It brings more than we keep.
    """
    size = count = 0
    async with aclosing(cast("Any", client.stream(method, params))) as stream:
        async for event in stream:
            size += event.ByteSize()
            count += 1
            if size > MAX_ANSWER_BYTES or count > MAX_EVENTS:
                raise unusable(who, "its stream brings more than is allowed")
            yield event, {_member(event): MessageToDict(event)}


async def collected(
    client: Caller, method: str, params: dict[str, Any], who: str
) -> list[dict[str, Any]]:
    """Return all that a stream brings."""
    return [shown async for _, shown in events(client, method, params, who)]


def _member(event: Event) -> str:
    if isinstance(event, Task):
        return "task"
    if isinstance(event, Message):
        return "message"
    return "statusUpdate" if isinstance(event, TaskStatusUpdateEvent) else "artifactUpdate"
