"""An agent that does what the kit asks of an agent: the prefix of the newest message's id says what."""

from __future__ import annotations

import asyncio
import os

from a2a.types import Artifact, Part
from parley_wire.server import (
    Chunk,
    Completed,
    DataArtifact,
    InputRequired,
    Outcome,
    Rejected,
    Replied,
    TaskRequest,
)

STREAMING_TIMEOUT_S = float(os.environ.get("TCK_STREAMING_TIMEOUT", "2"))


class TckExecutor:
    async def execute(self, request: TaskRequest) -> Outcome:
        asked = str(request.newest["messageId"])
        for prefix, artifacts in _COMPLETED.items():
            if asked.startswith(prefix):
                return Completed(artifacts)
        if asked.startswith("tck-stream-artifact-chunked"):
            await request.emit(_text("chunk-1 ", "chunked"), chunk=Chunk.FIRST)
            await request.emit(_text("chunk-2", "chunked"), chunk=Chunk.LAST)
            return Completed()
        if asked.startswith("test-resubscribe-message-id"):
            await asyncio.sleep(2 * STREAMING_TIMEOUT_S)
            return Completed()
        if asked.startswith("tck-input-required"):
            return InputRequired("Go on.")
        if asked.startswith("tck-reject-task"):
            return Rejected("rejected")
        if asked.startswith("tck-message-response"):
            return Replied("Direct message response")
        return Completed(message="Hello from TCK")


def _text(text: str, artifact_id: str = "") -> Artifact:
    return Artifact(artifact_id=artifact_id, name="result", parts=[Part(text=text)])


def _file(**content: str | bytes) -> Artifact:
    part = Part(filename="output.txt", media_type="text/plain", **content)  # type: ignore[arg-type]
    return Artifact(name="result", parts=[part])


_COMPLETED: dict[str, list[Artifact | DataArtifact]] = {
    # The longer prefix of two that begin alike comes first.
    "tck-artifact-file-url": [_file(url="https://example.com/output.txt")],
    "tck-artifact-file": [_file(raw=b"output of the kit's agent")],
    "tck-artifact-text": [_text("Generated text content")],
    "tck-artifact-data": [DataArtifact({"key": "value", "count": 42})],
    "tck-stream-artifact-text": [_text("Streamed text content")],
    "tck-stream-artifact-file": [_file(raw=b"output of the kit's agent")],
    "tck-stream-ordering-001": [_text("Ordered output")],
    "tck-stream-001": [_text("Stream hello from TCK")],
    "tck-stream-003": [_text("Stream task lifecycle")],
    "tck-stream-002": [],
}
