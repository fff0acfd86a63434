"""A run as an A2A task. Pure: the same run and questions give the same task.

======================================  =======================
run                                     task
======================================  =======================
running, waiting for agents or time     TASK_STATE_WORKING
waiting for a person (or more)          TASK_STATE_INPUT_REQUIRED
completed                               TASK_STATE_COMPLETED
faulted                                 TASK_STATE_FAILED
cancelled                               TASK_STATE_CANCELED
======================================  =======================
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from a2a.types import (
    Artifact,
    Message,
    Part,
    Role,
    Task,
    TaskArtifactUpdateEvent,
    TaskState,
    TaskStatus,
    TaskStatusUpdateEvent,
)
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Struct, Value

from parley_coordinator.model import RunState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley_coordinator.model import Run, WorkItem

_JSON: Final = "application/json"
TERMINAL: Final = frozenset(
    {
        TaskState.TASK_STATE_COMPLETED,
        TaskState.TASK_STATE_FAILED,
        TaskState.TASK_STATE_CANCELED,
        TaskState.TASK_STATE_REJECTED,
    }
)
RESTING: Final = TERMINAL | {
    TaskState.TASK_STATE_INPUT_REQUIRED,
    TaskState.TASK_STATE_AUTH_REQUIRED,
}
"""Nothing happens until somebody sends something."""

STATES: Final[dict[int, RunState]] = {
    TaskState.TASK_STATE_SUBMITTED: RunState.RUNNING,
    TaskState.TASK_STATE_INPUT_REQUIRED: RunState.WAITING,
    TaskState.TASK_STATE_COMPLETED: RunState.COMPLETED,
    TaskState.TASK_STATE_FAILED: RunState.FAULTED,
    TaskState.TASK_STATE_CANCELED: RunState.CANCELLED,
}
"""Which runs can be tasks of a state; a state that is missing here may be any, or none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """The open questions of a run, as one caller sees them."""

    visible: Sequence[WorkItem] = ()
    hidden: int = 0
    """How many others there are, for people that the caller is not one of."""

    @property
    def open(self) -> bool:
        return bool(self.visible) or self.hidden > 0


def task_of(run: Run, questions: Questions, *, artifacts: bool = True) -> Task:
    """Return the task that a caller sees."""
    task = Task(
        id=run.id,
        context_id=run.context_id or run.id,
        status=status_of(run, questions),
        metadata=_struct(
            {"workflow": run.workflow, "version": run.version, "document": run.digest}
        ),
    )
    if artifacts and run.state is RunState.COMPLETED:
        task.artifacts.append(_artifact(run))
    return task


def status_of(run: Run, questions: Questions) -> TaskStatus:
    status = TaskStatus(state=_state(run, questions))
    status.timestamp.FromDatetime(run.updated_at.astimezone(UTC))
    message = _status_message(run, questions)
    if message is not None:
        status.message.CopyFrom(message)
    return status


def status_event(run: Run, questions: Questions) -> TaskStatusUpdateEvent:
    return TaskStatusUpdateEvent(
        task_id=run.id, context_id=run.context_id or run.id, status=status_of(run, questions)
    )


def artifact_event(run: Run) -> TaskArtifactUpdateEvent:
    return TaskArtifactUpdateEvent(
        task_id=run.id,
        context_id=run.context_id or run.id,
        artifact=_artifact(run),
        last_chunk=True,
    )


def same(one: TaskStatus, other: TaskStatus) -> bool:
    """Whether a client learns nothing from `other` that `one` did not say."""
    return one.state == other.state and one.message == other.message


def _state(run: Run, questions: Questions) -> TaskState:
    match run.state:
        case RunState.COMPLETED:
            return TaskState.TASK_STATE_COMPLETED
        case RunState.FAULTED:
            return TaskState.TASK_STATE_FAILED
        case RunState.CANCELLED:
            return TaskState.TASK_STATE_CANCELED
        case RunState.RUNNING | RunState.WAITING:
            if questions.open:
                return TaskState.TASK_STATE_INPUT_REQUIRED
            return TaskState.TASK_STATE_WORKING


def _status_message(run: Run, questions: Questions) -> Message | None:
    if run.state is RunState.FAULTED:
        return _fault(run, run.error or {})
    if run.state.final or not questions.open:
        return None
    message = _message(run, "-".join(item.id for item in questions.visible) or "others")
    if questions.visible:
        message.parts.append(Part(text="\n".join(item.title for item in questions.visible)))
        message.parts.extend(_question(item) for item in questions.visible)
    else:
        message.parts.append(Part(text="Somebody else has to decide something first."))
    return message


def _question(item: WorkItem) -> Part:
    return _part(
        {
            "item": item.id,
            "kind": str(item.kind),
            "title": item.title,
            "reason": item.reason,
            "summary": [fact.as_json() for fact in item.summary],
            "outcomes": item.outcomes,
            "digest": item.digest,
            "schema": _answer_schema(item),
        }
    )


def _answer_schema(item: WorkItem) -> dict[str, Any]:
    """Return the JSON Schema of the data part that answers an item."""
    properties: dict[str, Any] = {
        "item": {"const": item.id},
        "digest": {"const": item.digest},
        "outcome": {"enum": item.outcomes},
        "comment": {"type": "string", "maxLength": 2000},
    }
    if item.form.get("properties"):
        properties["values"] = item.form
    return {
        "type": "object",
        "properties": properties,
        "required": ["outcome", "digest"],
        "additionalProperties": False,
    }


def _fault(run: Run, error: dict[str, Any]) -> Message:
    message = _message(run, "fault")
    title = str(error.get("title") or "the run stopped")
    detail = error.get("detail")
    message.parts.append(Part(text=f"{title}: {detail}" if detail else title))
    message.metadata.CopyFrom(
        _struct({"code": str(error.get("type", "")).rsplit("/", 1)[-1] or "fault", "error": error})
    )
    return message


def _message(run: Run, about: str) -> Message:
    return Message(
        message_id=f"{run.id}-{about}",
        task_id=run.id,
        context_id=run.context_id or run.id,
        role=Role.ROLE_AGENT,
    )


def _artifact(run: Run) -> Artifact:
    return Artifact(
        artifact_id=f"{run.id}-output",
        name="output",
        description=f"What {run.workflow} {run.version} returned.",
        parts=[_part(run.output)],
    )


def _part(value: Any) -> Part:
    """Return a value as data; as its JSON text, if it nests deeper than Protobuf goes."""
    try:
        return Part(data=ParseDict(value, Value()), media_type=_JSON)
    except (ParseError, DecodeError):
        return Part(text=json.dumps(value, ensure_ascii=False), media_type=_JSON)


def _struct(value: dict[str, Any]) -> Struct:
    return ParseDict(value, Struct())
