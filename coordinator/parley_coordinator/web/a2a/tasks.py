"""A run as an A2A task. Pure: the same run and items give the same task.

Every form of it is made from what is stored, each time: there is nothing that a restart could lose or
that could disagree with the run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from parley_wire.server.texts import SEQUENCE, TERMINAL, State, timestamp

from parley_coordinator.model import ItemState, phase
from parley_coordinator.web.a2a.phases import STATES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley_coordinator.model import Run, RunItems, Thread, WorkItem

MAX_DEPTH: Final = 40
"""Of data: each level of JSON is two of Protobuf's, which reads 100."""
_JSON: Final = "application/json"
_RANKS: Final = {State.WORKING: 0, State.INPUT_REQUIRED: 1, State.AUTH_REQUIRED: 1}
_OUTPUT_RANK: Final = 2
_END_RANK: Final = 3
"""What a run shows without a new row in its journal comes in the order of these."""


@dataclass(frozen=True, slots=True)
class View:
    """A run at one moment, as one person sees it."""

    thread: Thread

    @property
    def run(self) -> Run:
        return self.thread.run

    @property
    def items(self) -> RunItems:
        return self.thread.items

    @property
    def context_id(self) -> str:
        return self.run.context_id or self.run.id

    @property
    def open(self) -> list[WorkItem]:
        """The open questions that the person may see."""
        return [item for item in self.items.visible if item.state is ItemState.READY]

    @property
    def state(self) -> State:
        kinds = [*self.items.hidden, *(item.kind for item in self.open)]
        return STATES[phase(self.run, kinds)]

    def number(self, rank: int | None = None) -> int:
        """Of the last event of the task that this shows: higher for whatever comes later."""
        if rank is None:
            rank = _RANKS.get(self.state, _END_RANK)
        return 4 * self.thread.seq + rank


def task(
    view: View, *, history_length: int | None = None, artifacts: bool = True
) -> dict[str, Any]:
    """Return the A2A Task. `history_length`: None is all, 0 none, n the newest n."""
    run = view.run
    shown: dict[str, Any] = {
        "id": run.id,
        "contextId": view.context_id,
        "status": status(view),
    }
    if artifacts and view.state is State.COMPLETED:
        shown["artifacts"] = [_artifact(run)]
    history = [] if history_length == 0 else _history(view)[-(history_length or 0) :]
    if history:
        shown["history"] = history
    shown["metadata"] = {
        "workflow": run.workflow,
        "version": run.version,
        "document": run.digest,
        SEQUENCE: view.number(),
    }
    return shown


def status(view: View) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "state": view.state.value,
        "timestamp": timestamp(view.run.updated_at),
    }
    message = status_message(view)
    if message is not None:
        shown["message"] = message
    return shown


def updates(before: View, view: View) -> list[dict[str, Any]]:
    """Return what a stream that has shown one view says to get to the other."""
    if _told(before) == _told(view):
        return []
    if view.state is not State.COMPLETED:
        return [status_update(view)]
    return [output_update(view), status_update(view)]


def status_update(view: View) -> dict[str, Any]:
    """Return the StreamResponse that says how the task stands."""
    changed = {
        "taskId": view.run.id,
        "contextId": view.context_id,
        "status": status(view),
        "metadata": {SEQUENCE: view.number()},
    }
    return {"statusUpdate": changed}


def output_update(view: View) -> dict[str, Any]:
    """Return the StreamResponse that brings what the run has returned."""
    output = {
        "taskId": view.run.id,
        "contextId": view.context_id,
        "artifact": _artifact(view.run),
        "lastChunk": True,
        "metadata": {SEQUENCE: view.number(_OUTPUT_RANK)},
    }
    return {"artifactUpdate": output}


def _told(view: View) -> tuple[State, Any]:
    return view.state, status_message(view)


def status_message(view: View) -> dict[str, Any] | None:
    """Return the Message in the task's status, if it needs one."""
    run = view.run
    if run.state.final:
        return _fault(view, run.error or {}) if view.state is State.FAILED else None
    if view.state is State.WORKING:
        return None
    asked = view.open
    about = "-".join(item.id for item in asked) or "others"
    if not asked:
        text = "Somebody else has to decide something first."
        return _message(view, about, [{"text": text}])
    titles = {"text": "\n".join(item.title for item in asked)}
    return _message(view, about, [titles, *map(_question, asked)])


def _question(item: WorkItem) -> dict[str, Any]:
    shown = {
        "item": item.id,
        "kind": str(item.kind),
        "title": item.title,
        "reason": item.reason,
        "summary": [fact.as_json() for fact in item.summary],
        "outcomes": item.outcomes,
        "digest": item.digest,
        "schema": _answer_schema(item),
    }
    return {"data": shown, "mediaType": _JSON}


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


def _fault(view: View, error: dict[str, Any]) -> dict[str, Any]:
    title = str(error.get("title") or "the run stopped")
    detail = error.get("detail")
    code = str(error.get("type", "")).rsplit("/", 1)[-1] or "fault"
    message = _message(view, "fault", [{"text": f"{title}: {detail}" if detail else title}])
    return {**message, "metadata": {"code": code, "error": error}}


def _message(view: View, about: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "messageId": f"{view.run.id}-{about}",
        "contextId": view.context_id,
        "taskId": view.run.id,
        "role": "ROLE_AGENT",
        "parts": parts,
    }


def _history(view: View) -> list[dict[str, Any]]:
    """Return what was said to the run: how it began, and what this person answered, oldest first."""
    run = view.run
    began = _said(view, view.thread.message_id or f"{run.id}-input", run.input)
    return [began, *(_answer(view, item) for item in _answered(view.items.visible, run))]


def _answered(items: Sequence[WorkItem], run: Run) -> list[WorkItem]:
    """The items that were answered over A2A, in the order of the answers."""
    given = [
        item
        for item in items
        if item.run_id == run.id and item.decision is not None and item.decision.message is not None
    ]
    return sorted(given, key=lambda item: item.decision.at if item.decision else run.created_at)


def _answer(view: View, item: WorkItem) -> dict[str, Any]:
    made = item.decision
    if made is None or made.message is None:
        raise ValueError(f"{item.id} was not answered over A2A")
    content: dict[str, Any] = {"item": item.id, "outcome": made.outcome, "digest": made.digest}
    if made.comment:
        content["comment"] = made.comment
    if made.values:
        content["values"] = made.values
    return _said(view, made.message.id, content)


def _said(view: View, message_id: str, content: Any) -> dict[str, Any]:
    return {
        "messageId": message_id,
        "contextId": view.context_id,
        "taskId": view.run.id,
        "role": "ROLE_USER",
        "parts": [_part(content)],
    }


def _artifact(run: Run) -> dict[str, Any]:
    return {
        "artifactId": f"{run.id}-output",
        "name": "output",
        "description": f"What {run.workflow} {run.version} returned.",
        "parts": [_part(run.output)],
    }


def _part(value: Any) -> dict[str, Any]:
    """Return a value as data; as its JSON text, if it nests deeper than Protobuf goes."""
    if _deeper(value, MAX_DEPTH):
        return {"text": json.dumps(value, ensure_ascii=False), "mediaType": _JSON}
    return {"data": value, "mediaType": _JSON}


def _deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    each = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(inner, levels - 1) for inner in each)


__all__ = [
    "TERMINAL",
    "View",
    "output_update",
    "status",
    "status_message",
    "status_update",
    "task",
    "updates",
]
