"""What agents answer, from JSON to the types of the A2A SDK; anything else is a protocol error."""

from __future__ import annotations

from typing import Any, Final, TypeAlias, TypeVar

from a2a.types import (
    Message,
    Task,
    TaskArtifactUpdateEvent,
    TaskPushNotificationConfig,
    TaskStatusUpdateEvent,
)
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message as ProtobufMessage

from parley_wire.agent_errors import AgentProtocolError
from parley_wire.protojson import MISFITS

M = TypeVar("M", bound=ProtobufMessage)
_Event: TypeAlias = Task | Message | TaskStatusUpdateEvent | TaskArtifactUpdateEvent

_MEMBERS: Final[dict[str, type[_Event]]] = {
    "task": Task,
    "message": Message,
    "statusUpdate": TaskStatusUpdateEvent,
    "artifactUpdate": TaskArtifactUpdateEvent,
}
MAX_ID_CHARS: Final = 512
MAX_NESTED: Final = 400
"""Messages in each other: two for each level of JSON, of which the transport lets few through."""
_MOVING: Final = frozenset({"TASK_STATE_SUBMITTED", "TASK_STATE_WORKING"})
_UNFINISHED: Final = _MOVING | {"TASK_STATE_INPUT_REQUIRED", "TASK_STATE_AUTH_REQUIRED"}


def event_of(name: str, result: Any) -> _Event:
    """Read an A2A StreamResponse."""
    member, value = _only_member(name, result, _MEMBERS)
    event: _Event = _parsed(name, value, _MEMBERS[member])
    if isinstance(event, Task):
        _checked(name, event)
    elif isinstance(event, TaskStatusUpdateEvent | TaskArtifactUpdateEvent):
        if not event.task_id:
            raise AgentProtocolError(f"{name} sent an event without a task id")
        _check_ids(name, event.task_id, event.context_id)
    return event


def rests(result: Any, *, for_good: bool = False) -> bool:
    """Whether a StreamResponse is the last one to be expected: the task rests, or is no task.

    Args:
        for_good: A task that waits for its caller is not taken to rest.
    """
    if not isinstance(result, dict) or "artifactUpdate" in result:
        return False
    value = result.get("task") or result.get("statusUpdate")
    status = value.get("status") if isinstance(value, dict) else None
    moving = _UNFINISHED if for_good else _MOVING
    return not isinstance(status, dict) or status.get("state") not in moving


def push_config_of(name: str, value: Any) -> TaskPushNotificationConfig:
    return _parsed(name, value, TaskPushNotificationConfig)


def push_configs_of(name: str, value: Any) -> list[TaskPushNotificationConfig]:
    configs = value.get("configs", []) if isinstance(value, dict) else None
    if not isinstance(configs, list):
        raise AgentProtocolError(f"{name} did not answer with a list of push configs")
    return [push_config_of(name, each) for each in configs]


def send_result(name: str, result: Any) -> Task | Message:
    member, value = _only_member(name, result, ("task", "message"))
    if member == "task":
        return task_of(name, value)
    return _parsed(name, value, Message)


def task_of(name: str, value: Any) -> Task:
    return _checked(name, _parsed(name, value, Task))


def tasks_page(name: str, value: Any) -> tuple[list[Task], str]:
    """Read one page of ListTasks, and the token of the next one."""
    tasks = value.get("tasks", []) if isinstance(value, dict) else None
    token = value.get("nextPageToken", "") if isinstance(value, dict) else None
    if not isinstance(tasks, list) or not isinstance(token, str):
        raise AgentProtocolError(f"{name} did not answer with a page of tasks")
    return [task_of(name, each) for each in tasks], token


def _only_member(name: str, result: Any, known: Any) -> tuple[str, Any]:
    members = [key for key in result if key in known] if isinstance(result, dict) else []
    if len(members) != 1 or not isinstance(result[members[0]], dict):
        raise AgentProtocolError(f"{name} did not answer with one of {', '.join(known)}")
    return members[0], result[members[0]]


def _parsed(name: str, value: Any, kind: type[M]) -> M:
    """Fields that A2A 1.0 lacks are passed over; states that it lacks become unspecified."""
    if not isinstance(value, dict):
        raise AgentProtocolError(f"{name} answered with something that is no {kind.__name__}")
    try:
        return ParseDict(value, kind(), ignore_unknown_fields=True, max_recursion_depth=MAX_NESTED)
    except MISFITS as exc:
        raise AgentProtocolError(
            f"{name} answered with a malformed {kind.__name__}: {str(exc)[:200]}"
        ) from exc


def _checked(name: str, task: Task) -> Task:
    if not task.id:
        raise AgentProtocolError(f"{name} answered with a task that has no id")
    _check_ids(name, task.id, task.context_id)
    return task


def _check_ids(name: str, task_id: str, context_id: str) -> None:
    for what, value in (("task", task_id), ("context", context_id)):
        # They are written down, and sent back in headers and paths.
        if len(value) > MAX_ID_CHARS or not value.isprintable():
            raise AgentProtocolError(f"{name} answered with a {what} id that cannot be kept")
