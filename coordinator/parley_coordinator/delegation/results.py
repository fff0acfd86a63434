"""What an agent's task says, as values. Everything here is hostile until it fits its schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from a2a.types import Part, Task, TaskState, TaskStatus
from google.protobuf.json_format import MessageToDict
from parley_cards.extensions import DELEGATION, FORM

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from parley_coordinator.model import Place

TERMINAL = frozenset(
    {
        TaskState.TASK_STATE_COMPLETED,
        TaskState.TASK_STATE_FAILED,
        TaskState.TASK_STATE_CANCELED,
        TaskState.TASK_STATE_REJECTED,
    }
)
INTERRUPTED = frozenset({TaskState.TASK_STATE_INPUT_REQUIRED, TaskState.TASK_STATE_AUTH_REQUIRED})
ACTIVE = frozenset({TaskState.TASK_STATE_SUBMITTED, TaskState.TASK_STATE_WORKING})

_TEXT_LIMIT = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An agent needs something before it can go on (A2A 1.0 section 6.3)."""

    key: str
    """Tells this question from an earlier one of the same task."""
    message: str
    """The agent's words: untrusted, shown as text."""
    schema: dict[str, Any] | None
    """The form it asks for, if it named one; not yet checked."""
    authorization: bool
    """AUTH_REQUIRED: given out of band, and the agent may resume by itself."""


def delegation_message(
    *,
    message_id: str,
    context_id: str,
    arguments: Any,
    skill: str,
    version: str,
    run_id: str,
    place: Place,
    contract: dict[str, Any],
) -> dict[str, Any]:
    """Build the message that opens a task, as A2A's JSON: one data part, addressed to one skill.

    Args:
        contract: Of the call, as JSON; empty for an agent that does not know the extension.
    """
    addressed = {
        "skill": skill,
        "version": version,
        "run": run_id,
        "path": place.path,
        "attempt": place.attempt,
        **contract,
    }
    return {
        "messageId": message_id,
        "contextId": context_id,
        "role": "ROLE_USER",
        "parts": [_data_part(arguments)],
        "metadata": {DELEGATION: addressed},
        "extensions": [DELEGATION],
    }


def answer_message(*, message_id: str, task: str, context_id: str, values: Any) -> dict[str, Any]:
    """Build the answer to an interrupted task: both ids, always (A2A 1.0 section 3.4)."""
    return {
        "messageId": message_id,
        "contextId": context_id,
        "taskId": task,
        "role": "ROLE_USER",
        "parts": [_data_part(values)],
    }


def _data_part(value: Any) -> dict[str, Any]:
    return {"data": value, "mediaType": "application/json"}


def values_of(parts: Iterable[Part]) -> list[Any]:
    """The values of data parts, and of text parts where there is no data; in order."""
    parts = list(parts)
    data = [MessageToDict(part.data) for part in parts if part.HasField("data")]
    if data:
        return data
    return [{"text": part.text} for part in parts if part.HasField("text")]


def output_of(task: Task) -> list[Any]:
    """The values of all artifacts of a completed task; empty when there are none."""
    return [value for artifact in task.artifacts for value in values_of(artifact.parts)]


def status_text(status: TaskStatus) -> str:
    """What the agent says about its state, shortened; empty if it says nothing."""
    if not status.HasField("message"):
        return ""
    text = " ".join(part.text for part in status.message.parts if part.HasField("text"))
    return text[:_TEXT_LIMIT]


def status_code(status: TaskStatus) -> str:
    """The stable code that a Parley agent puts beside its reason; empty for other agents."""
    if not status.HasField("message"):
        return ""
    code = MessageToDict(status.message.metadata).get("code", "")
    return code[:80] if isinstance(code, str) else ""


def metadata_of(task: Task) -> Iterator[dict[str, Any]]:
    """Where an agent may report beside its answer: the status message, the task, the artifacts."""
    if task.status.HasField("message"):
        yield MessageToDict(task.status.message.metadata)
    yield MessageToDict(task.metadata)
    for artifact in task.artifacts:
        yield MessageToDict(artifact.metadata)


def question_of(status: TaskStatus) -> Question:
    schema: dict[str, Any] | None = None
    message = status_text(status)
    if status.HasField("message"):
        for part in status.message.parts:
            if not part.HasField("data"):
                continue
            value = MessageToDict(part.data)
            form = value.get(FORM, value) if isinstance(value, dict) else {}
            if isinstance(form, dict) and isinstance(form.get("requestedSchema"), dict):
                schema = form["requestedSchema"]
                message = message or str(form.get("message", ""))[:_TEXT_LIMIT]
    key = status.message.message_id if status.HasField("message") else ""
    return Question(
        key=key or status.timestamp.ToJsonString(),
        message=message or "the agent did not say what it needs",
        schema=schema,
        authorization=status.state == TaskState.TASK_STATE_AUTH_REQUIRED,
    )


def state_name(state: int) -> str:
    """`TASK_STATE_FAILED` and so on; numbers that A2A 1.0 does not know stay numbers."""
    known: str = TaskState.Name(state) if state in TaskState.values() else f"state {state}"
    return known
