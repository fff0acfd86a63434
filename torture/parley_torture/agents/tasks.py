"""A task of a scripted agent, and how A2A 1.0 writes it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Final

NOW: Final = "2026-01-01T00:00:00.000Z"
TERMINAL: Final = frozenset({"COMPLETED", "FAILED", "CANCELED", "REJECTED"})
RESTING: Final = TERMINAL | {"INPUT_REQUIRED", "AUTH_REQUIRED"}


@dataclass
class Task:
    """What the agent knows of one piece of work."""

    id: str
    context: str
    message: dict[str, Any]
    """The message that opened it."""
    given: dict[str, Any]
    """The object of the pipeline in it."""
    state: str = "SUBMITTED"
    """Without the prefix TASK_STATE_."""
    said: dict[str, Any] | None = None
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    push: dict[str, Any] | None = None
    """Where the client wants to be told: `{url, token}`."""
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def rests(self) -> bool:
        return self.state in RESTING

    @property
    def over(self) -> bool:
        return self.state in TERMINAL

    def become(self, state: str, text: str | None = None) -> None:
        self.state = state
        self.said = None if text is None else self._speech(text)
        self.move()

    def move(self) -> None:
        """Wake those who follow the task."""
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def moves(self) -> None:
        await self._moved.wait()

    async def rested(self) -> None:
        while not self.rests:
            await self.moves()

    def body(self) -> dict[str, Any]:
        written: dict[str, Any] = {
            "id": self.id,
            "contextId": self.context,
            "status": self.status(),
            "history": self.history,
        }
        if self.artifacts:
            written["artifacts"] = self.artifacts
        return written

    def status(self) -> dict[str, Any]:
        written: dict[str, Any] = {"state": f"TASK_STATE_{self.state}", "timestamp": NOW}
        if self.said is not None:
            written["message"] = self.said
        return written

    def _speech(self, text: str) -> dict[str, Any]:
        return {
            "messageId": f"{self.id}-{self.state}-{len(self.answers)}",
            "role": "ROLE_AGENT",
            "taskId": self.id,
            "contextId": self.context,
            "parts": [{"text": text}],
        }


def object_in(message: dict[str, Any]) -> dict[str, Any]:
    """Return the pipeline's object in a message: the last one with a `case`, as data or in text."""
    found: dict[str, Any] = {}
    for part in message.get("parts", ()):
        text = part.get("text")
        for value in [part.get("data")] if text is None else _objects(text):
            found = _with_case(value) or found
    return found


def words_in(message: dict[str, Any]) -> str:
    """Return what a person said, in whatever part an orchestrator has put it."""
    return " ".join(
        part["text"] if isinstance(part.get("text"), str) else json.dumps(part.get("data"))
        for part in message.get("parts", ())
    )


def _objects(text: str) -> list[Any]:
    decoder, found, at = json.JSONDecoder(), [], text.find("{")
    while at >= 0:
        try:
            value, at = decoder.raw_decode(text, at)
            found.append(value)
        except ValueError:
            at += 1
        at = text.find("{", at)
    return found


def _with_case(value: Any) -> dict[str, Any] | None:
    if not isinstance(value, dict):
        return None
    if "case" in value:
        return value
    inner = [found for each in value.values() if (found := _with_case(each)) is not None]
    return inner[-1] if inner else None
