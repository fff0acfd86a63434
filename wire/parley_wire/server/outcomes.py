"""What an agent's code sees and says: a request comes in, an outcome goes out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Protocol, TypeAlias

from a2a.types import Artifact, Message
from google.protobuf.json_format import ParseDict
from parley_cards.extensions import DELEGATION


class Chunk(StrEnum):
    """Which part of an artifact an event brings."""

    WHOLE = ""
    FIRST = "first"
    NEXT = "next"
    LAST = "last"

    @property
    def appends(self) -> bool:
        return self in {Chunk.NEXT, Chunk.LAST}

    @property
    def ends(self) -> bool:
        return self in {Chunk.WHOLE, Chunk.LAST}


@dataclass(frozen=True, slots=True)
class DataArtifact:
    """One JSON value as an artifact, exactly as it is: no detour over protobuf's floats."""

    data: Any
    name: str = "result"
    artifact_id: str = ""
    """Empty: made up, unique in the task."""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Completed:
    """Done; the results, in order."""

    artifacts: Sequence[Artifact | DataArtifact] = field(default_factory=list)
    message: str = ""
    """For people, beside the results; empty: none."""


@dataclass(frozen=True, slots=True)
class Replied:
    """A trivial exchange: a blocking caller gets a bare message, without a task (A2A 1.0 3.7).

    Whoever streams or does not wait has the task already; it completes with the text as its message.
    """

    text: str


@dataclass(frozen=True, slots=True)
class InputRequired:
    """The task waits, without using memory, until somebody answers `message`."""

    message: str
    schema: dict[str, Any] | None = None
    """Of the answer: flat JSON Schema, the subset of MCP elicitation."""


@dataclass(frozen=True, slots=True)
class AuthRequired:
    """The task waits for an authorization, which is given elsewhere (A2A 1.0 7.6).

    The state authorizes nothing. When somebody sends a message, the executor is called again, and has to
    look for itself whether what it needs is there.
    """

    message: str
    """What is needed, and where it is given."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Tried and did not succeed."""

    reason: str
    """For the caller: no internals."""
    code: str = ""
    """Stable, for programs; sent as metadata `code` of the status message."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Of the status message, besides."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Not even tried: the request is not one that this agent takes."""

    reason: str
    code: str = ""


Outcome: TypeAlias = Completed | Replied | InputRequired | AuthRequired | Failed | Rejected


class TaskRequest:
    """One run of a task: the first one, one after an answer, or one again after a restart."""

    def __init__(
        self,
        *,
        task_id: str,
        context_id: str,
        caller: str,
        skill: str | None,
        messages: Sequence[dict[str, Any]],
        update: Callable[[str], Awaitable[None]],
        emit: Callable[[Artifact | DataArtifact, Chunk], Awaitable[None]],
    ) -> None:
        self.task_id = task_id
        self.context_id = context_id
        self.caller = caller
        self.skill = skill
        """As the message's `DELEGATION` metadata says, else the only skill of the card, else None."""
        self.json = messages[0]
        """The first message, as JSON."""
        self.answers: list[Any] = [_content(message) for message in messages[1:]]
        """Of each later message, oldest first: its data, or `{"text": ...}`."""
        self.newest = messages[-1]
        """The message that made this run necessary, as JSON."""
        self._update = update
        self._emit = emit

    @cached_property
    def message(self) -> Message:
        """The first message. Its id is the same in every run: fit to derive idempotency keys from."""
        return ParseDict(self.json, Message(), ignore_unknown_fields=True)

    @property
    def message_id(self) -> str:
        return str(self.json["messageId"])

    @property
    def metadata(self) -> dict[str, Any]:
        return dict(self.json.get("metadata", {}))

    @property
    def data(self) -> Any:
        """The first data part of the first message; None if it has none. Whole numbers are int."""
        return next((part["data"] for part in self.json["parts"] if "data" in part), None)

    @property
    def text(self) -> str:
        """The text parts of the first message, a line each."""
        return _text(self.json)

    async def update(self, text: str) -> None:
        """Tell the caller how it goes; no-op on a cancelled task.

        What is said reaches everybody in order and only once it is durable: at once, or with what was said
        meanwhile. Returns before that, unless much is waiting already; what the run returns comes last.
        """
        await self._update(text)

    async def emit(self, artifact: Artifact | DataArtifact, *, chunk: Chunk = Chunk.WHOLE) -> None:
        """Send a result, or a part of it, before the end; durable as what `update` says.

        Args:
            artifact: The parts of later chunks are added to those of the earlier ones, by its id.
            chunk: Which of several this is. A run after a restart begins again with `FIRST`.
        """
        await self._emit(artifact, chunk)


class Executor(Protocol):
    """An agent's code."""

    async def execute(self, request: TaskRequest) -> Outcome:
        """Do the task once.

        Cancelled if the caller cancels the task or the server stops; in the second case it is called
        again after the restart, so effects must carry an idempotency key. Any exception makes the task
        FAILED; the caller sees a reference, the log has the trace.
        """
        ...


def skill_of(message: dict[str, Any], default: str | None) -> str | None:
    """Return the skill that a message addresses."""
    delegation = message.get("metadata", {}).get(DELEGATION)
    if isinstance(delegation, dict) and isinstance(delegation.get("skill"), str):
        return str(delegation["skill"])
    return default


def _content(message: dict[str, Any]) -> Any:
    for part in message["parts"]:
        if "data" in part:
            return part["data"]
    return {"text": _text(message)}


def _text(message: dict[str, Any]) -> str:
    return "\n".join(part["text"] for part in message["parts"] if "text" in part)
