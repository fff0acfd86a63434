"""From a stream of events to the task that they describe (A2A 1.0 section 4.2).

Events carry no number, and real servers repeat them and mix up their order. What is certain is kept;
where it is not, `exact` is False and the task is to be read again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from a2a.types import TaskArtifactUpdateEvent, TaskStatusUpdateEvent
from google.protobuf.message import DecodeError
from parley_wire.agent_errors import AgentProtocolError

from parley_coordinator.delegation import results

if TYPE_CHECKING:
    from a2a.types import Task, TaskStatus

MAX_BYTES: Final = 8 * 1_048_576
"""Of everything that one stream adds to a task."""


class Folded:
    """A task, and what a stream adds to it."""

    def __init__(self, task: Task, *, agent: str) -> None:
        self.task = task
        self.exact = True
        """Whether its artifacts are as they would be without any repeated event."""
        self.complete = True
        """Whether nothing was left out that could not be kept."""
        self._agent = agent
        self._bytes = 0
        self._seen: set[str] = set()

    def restart(self, task: Task) -> None:
        """The agent has told the whole task."""
        self._size(task.ByteSize())
        self.task = task
        self.exact = self.complete = True
        self._seen.clear()

    def add(self, event: TaskStatusUpdateEvent | TaskArtifactUpdateEvent) -> None:
        """Raises: AgentProtocolError, if the stream brings more than is allowed."""
        self._size(event.ByteSize())
        if event.task_id != self.task.id:
            return  # of another task: not what was asked for
        try:
            self._fold(event)
        except DecodeError:
            # Protobuf copies about 30 levels of data at most; read as a whole there may be more.
            self.exact = self.complete = False

    def _fold(self, event: TaskStatusUpdateEvent | TaskArtifactUpdateEvent) -> None:
        if isinstance(event, TaskArtifactUpdateEvent):
            self._artifact(event)
        elif not _is_late(event.status, self.task.status):
            self.task.status.state = event.status.state
            self.task.status.CopyFrom(event.status)

    def _artifact(self, event: TaskArtifactUpdateEvent) -> None:
        key = event.artifact.artifact_id
        known = next((each for each in self.task.artifacts if each.artifact_id == key), None)
        # Told twice, or as a piece: a repeated piece looks like a new one.
        self.exact = self.exact and not event.append and key not in self._seen
        self._seen.add(key)
        if known is None:
            self.task.artifacts.append(event.artifact)
        elif event.append:
            known.parts.extend(event.artifact.parts)
        else:
            known.CopyFrom(event.artifact)

    def _size(self, more: int) -> None:
        self._bytes += more
        if self._bytes > MAX_BYTES:
            raise AgentProtocolError(f"{self._agent} sent a stream of more than {MAX_BYTES} bytes")


def _is_late(status: TaskStatus, known: TaskStatus) -> bool:
    """Whether a status was overtaken by the one that is known. A terminal one never was."""
    if status.state in results.TERMINAL or not status.HasField("timestamp"):
        return False
    return known.HasField("timestamp") and (
        (status.timestamp.seconds, status.timestamp.nanos)
        < (known.timestamp.seconds, known.timestamp.nanos)
    )
