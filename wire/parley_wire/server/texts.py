"""Tasks and their events as JSON text, put together without parsing it.

A task is an append-only log. Each event is one piece of A2A JSON: a message, a status or an artifact,
in the form in which it is sent. So a stream and a snapshot are concatenations, and what was stored is
what everybody sees, byte for byte.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Literal, TypeAlias

from parley_wire.server.outcomes import Chunk

SEQUENCE: Final = "urn:parley:a2a:sequence:v1"
"""Metadata of a task and of its events: how many events of the task's log it includes. A client that
follows a task over several connections drops an event whose number it has seen."""

_ID_FIRST: Final = '{"artifactId":'
_DECODER: Final = json.JSONDecoder()

Kind: TypeAlias = Literal["message", "status", "artifact", "reply"]


class State(StrEnum):
    """A2A 1.0 `TaskState`; values as on the wire."""

    SUBMITTED = "TASK_STATE_SUBMITTED"
    WORKING = "TASK_STATE_WORKING"
    INPUT_REQUIRED = "TASK_STATE_INPUT_REQUIRED"
    AUTH_REQUIRED = "TASK_STATE_AUTH_REQUIRED"
    COMPLETED = "TASK_STATE_COMPLETED"
    FAILED = "TASK_STATE_FAILED"
    CANCELED = "TASK_STATE_CANCELED"
    REJECTED = "TASK_STATE_REJECTED"


TERMINAL: Final = frozenset({State.COMPLETED, State.FAILED, State.CANCELED, State.REJECTED})
INTERRUPTED: Final = frozenset({State.INPUT_REQUIRED, State.AUTH_REQUIRED})
RESTING: Final = TERMINAL | INTERRUPTED
"""Nothing happens until somebody sends something; streams end here (A2A 1.0 11.7)."""


@dataclass(frozen=True, slots=True)
class Piece:
    """An event that has no number yet."""

    kind: Kind
    body: str
    state: str = ""
    """Of a status: its state. Of an artifact: which `Chunk` it is."""


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a task's log."""

    seq: int
    """1-based, without gaps."""
    kind: Kind
    body: str
    state: str = ""


@dataclass(slots=True)
class Snapshot:
    """A task as its log up to `seq` says."""

    id: str
    context_id: str
    caller: str
    skill: str | None
    seq: int = 0
    state: str = State.SUBMITTED
    status: str = ""
    messages: list[str] = field(default_factory=list)
    """Of the caller, oldest first."""
    history: list[str] = field(default_factory=list)
    """Messages of both sides, oldest first, but for the one in the current status."""
    artifacts: dict[str, list[str]] = field(default_factory=dict)
    """By id, in order of appearance: the chunks of each."""
    reply: str = ""
    """The bare message that a blocking caller gets instead of the task; empty: none."""

    def apply(self, event: Event) -> None:
        self.seq = event.seq
        if event.kind == "message":
            self.messages.append(event.body)
            self._retire_status_message()
            self.history.append(event.body)
        elif event.kind == "artifact":
            chunks = self.artifacts.setdefault(artifact_id(event.body), [])
            if not Chunk(event.state).appends:
                chunks.clear()
            chunks.append(event.body)
        elif event.kind == "reply":
            self.reply = event.body
        else:
            self._retire_status_message()
            self.state, self.status = event.state, event.body

    def _retire_status_message(self) -> None:
        if '"message":' in self.status:
            status = json.loads(self.status)
            self.history.append(dumps(status.pop("message")))
            self.status = dumps(status)

    def text(self, *, history_length: int | None = None, artifacts: bool = True) -> str:
        """Return the A2A Task. `history_length`: None is all, 0 none, n the newest n."""
        history = self.history if history_length is None else self.history[-history_length:]
        parts = [
            f'{{"id":"{self.id}","contextId":{json.dumps(self.context_id)},"status":{self.status}'
        ]
        if artifacts and self.artifacts:
            whole = ",".join(map(joined, self.artifacts.values()))
            parts.append(f',"artifacts":[{whole}]')
        if history and history_length != 0:
            parts.append(f',"history":[{",".join(history)}]')
        parts.append(f',"metadata":{{"{SEQUENCE}":{self.seq}}}}}')
        return "".join(parts)

    def stream_text(self, event: Event) -> str | None:
        """Return the A2A StreamResponse for one event; None for what the stream does not show."""
        if event.kind in {"message", "reply"}:
            return None
        name, flags = "statusUpdate", ""
        if event.kind == "artifact":
            name, chunk = "artifactUpdate", Chunk(event.state)
            flags = (',"append":true' if chunk.appends else "") + (
                ',"lastChunk":true' if chunk.ends else ""
            )
        return (
            f'{{"{name}":{{"taskId":"{self.id}","contextId":{json.dumps(self.context_id)},'
            f'"{event.kind}":{event.body}{flags},"metadata":{{"{SEQUENCE}":{event.seq}}}}}}}'
        )


def joined(chunks: list[str]) -> str:
    """Return one artifact of all its chunks."""
    if len(chunks) == 1:
        return chunks[0]
    whole = json.loads(chunks[0])
    for chunk in chunks[1:]:
        whole["parts"].extend(json.loads(chunk)["parts"])
    return dumps(whole)


def artifact_id(body: str) -> str:
    """Read the id, which we write first, without reading the rest."""
    if not body.startswith(_ID_FIRST):
        return str(json.loads(body)["artifactId"])
    return str(_DECODER.raw_decode(body, len(_ID_FIRST))[0])


def dumps(value: Any) -> str:
    """Write JSON: compact, ASCII, so that no line separator in it can end a line of a stream.

    Raises:
        ValueError: On NaN or Infinity.
        TypeError: On what is not JSON.
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds and Z (A2A 1.0 5.6.1); sorts as text."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def status(state: State, at: datetime, message: dict[str, Any] | None = None) -> Piece:
    body: dict[str, Any] = {"state": state.value, "timestamp": timestamp(at)}
    if message is not None:
        body["message"] = message
    return Piece("status", dumps(body), state.value)


def agent_message(
    *, task_id: str, context_id: str, parts: list[dict[str, Any]], code: str = ""
) -> dict[str, Any]:
    message: dict[str, Any] = {
        "messageId": str(uuid.uuid4()),
        "contextId": context_id,
        "taskId": task_id,
        "role": "ROLE_AGENT",
        "parts": parts,
    }
    if code:
        message["metadata"] = {"code": code}
    return message
