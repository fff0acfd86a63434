"""Parameters of A2A in the shapes of 0.3 and 1.0, as 1.0 wants them; and what its results say.

0.3 marks its objects with `kind` and nests files; 1.0 does neither. What is not known is passed on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from parley_coordinator.protocols.outcome import told, unfit
from parley_coordinator.workflow.errors import Standard, WorkflowError

_ROLES: Final = {"user": "ROLE_USER", "agent": "ROLE_AGENT"}
ACTIVE: Final = frozenset(("TASK_STATE_SUBMITTED", "TASK_STATE_WORKING"))
ENDED: Final = frozenset(
    ("TASK_STATE_COMPLETED", "TASK_STATE_FAILED", "TASK_STATE_CANCELED", "TASK_STATE_REJECTED")
)
SETTLED: Final = ENDED | {"TASK_STATE_INPUT_REQUIRED", "TASK_STATE_AUTH_REQUIRED"}
_FAILURES: Final = {
    "TASK_STATE_FAILED": (Standard.RUNTIME, 500),
    "TASK_STATE_CANCELED": (Standard.RUNTIME, 500),
    "TASK_STATE_REJECTED": (Standard.RUNTIME, 422),
    "TASK_STATE_INPUT_REQUIRED": (Standard.RUNTIME, 428),
    "TASK_STATE_AUTH_REQUIRED": (Standard.AUTHENTICATION, 401),
}


@dataclass(frozen=True, slots=True)
class Opening:
    """The parameters of SendMessage and SendStreamingMessage, and what they are known by."""

    params: dict[str, Any]
    message_id: str
    context_id: str
    """Empty: the message goes to a task of which the document does not say the context."""
    task_id: str
    """Of a task that the message is for; empty: it opens one."""
    own_context: bool
    """The context was made for this one message: any task in it is the one."""
    immediately: bool
    """The document wants the task as it is at first."""


def opening(parameters: dict[str, Any], *, message_id: str, context_id: str) -> Opening:
    """Read the parameters of `message/send` and `message/stream`.

    Args:
        message_id: For a message that has none.
        context_id: For a message that has neither a context nor a task.

    Raises:
        WorkflowError: `validation`.
    """
    given = parameters.get("message")
    if not isinstance(given, dict):
        raise unfit("`parameters.message` must be an object")
    message = {name: value for name, value in given.items() if name != "kind"}
    for name in ("messageId", "contextId", "taskId"):
        value = message.pop(name, None)
        if value is not None and (not isinstance(value, str) or not value):
            raise unfit(f"`parameters.message.{name}` must be text")
        if value is not None:
            message[name] = value
    parts = message.get("parts")
    if not isinstance(parts, list) or not parts:
        raise unfit("`parameters.message.parts` must be an array with at least one part")
    role = message.get("role", "ROLE_USER")
    message["role"] = _ROLES.get(role, role) if isinstance(role, str) else role
    message["parts"] = [_part(each) for each in parts]
    own = "contextId" not in message and "taskId" not in message
    message.setdefault("messageId", message_id)
    if own:
        message["contextId"] = context_id
    configuration, immediately = _configuration(parameters.get("configuration"))
    rest = {k: v for k, v in parameters.items() if k not in ("message", "configuration")}
    return Opening(
        params={**rest, "message": message, "configuration": configuration},
        message_id=message["messageId"],
        context_id=message.get("contextId", ""),
        task_id=message.get("taskId", ""),
        own_context=own,
        immediately=immediately,
    )


def push_parameters(method: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of `tasks/pushNotificationConfig/...` as 1.0 wants them.

    0.3 nests the configuration, and names the task `id` where 1.0 names it `taskId`.
    """
    rest = {name: value for name, value in parameters.items() if name != "kind"}
    nested = rest.pop("pushNotificationConfig", None)
    if isinstance(nested, dict):
        return {**nested, **rest}
    if "taskId" not in rest and "id" in rest:
        rest["taskId"] = rest.pop("id")
    which = rest.pop("pushNotificationConfigId", None)
    if which is not None and not method.endswith("/list"):
        rest["id"] = which
    return rest


def _configuration(given: Any) -> tuple[dict[str, Any], bool]:
    """We never let an agent hold the connection until it is done: we follow the task instead."""
    if given is not None and not isinstance(given, dict):
        raise unfit("`parameters.configuration` must be an object")
    known = dict(given or {})
    blocking = known.pop("blocking", True)
    push = known.pop("pushNotificationConfig", None)
    if push is not None:
        known["taskPushNotificationConfig"] = push
    immediately = known.get("returnImmediately") is True or blocking is False
    return {**known, "returnImmediately": True}, immediately


def _part(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise unfit("a part of a message must be an object")
    part = {name: value for name, value in given.items() if name != "kind"}
    file = part.pop("file", None)
    if isinstance(file, dict):
        renamed = {"bytes": "raw", "uri": "url", "mimeType": "mediaType", "name": "filename"}
        part.update({new: file[old] for old, new in renamed.items() if file.get(old) is not None})
    if not {"text", "raw", "url", "data"} & part.keys():
        raise unfit("a part of a message needs text, data, raw or url")
    return part


def state_of(task: Any) -> str:
    """Return the state of a task, as A2A 1.0 names it; empty if it has none."""
    status = task.get("status") if isinstance(task, dict) else None
    state = status.get("state") if isinstance(status, dict) else None
    return state if isinstance(state, str) else ""


def failure_of(who: str, task: dict[str, Any]) -> WorkflowError | None:
    """Return the error that a task stands for; None if it is none.

    A task that needs an input or an authorization is an error that a document may catch: 428 and 401.
    """
    state = state_of(task)
    found = _FAILURES.get(state)
    if found is None:
        return None
    kind, status = found
    said = _said(task) or "the agent gave no reason"
    named = f"task {told(str(task.get('id', '')))}, context {told(str(task.get('contextId', '')))}"
    return WorkflowError(kind, f"{who} answered {state}", f"{said} ({named})", status=status)


def _said(task: dict[str, Any]) -> str:
    status = task.get("status")
    message = status.get("message") if isinstance(status, dict) else None
    parts = message.get("parts") if isinstance(message, dict) else None
    texts = [
        each["text"]
        for each in (parts if isinstance(parts, list) else [])
        if isinstance(each, dict) and isinstance(each.get("text"), str)
    ]
    return told(" ".join(texts))
