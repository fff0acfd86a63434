"""Outcomes of an executor as the events that they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from a2a.types import Artifact
from google.protobuf.json_format import MessageToDict
from parley_cards.extensions import FORM

from parley_wire.server.outcomes import (
    AuthRequired,
    Chunk,
    Completed,
    DataArtifact,
    Failed,
    InputRequired,
    Outcome,
    Rejected,
    Replied,
)
from parley_wire.server.texts import Piece, Snapshot, State, agent_message, dumps, status

if TYPE_CHECKING:
    from datetime import datetime


def outcome_pieces(outcome: Outcome, task: Snapshot, *, at: datetime) -> list[Piece]:
    """Return the events that an outcome is: artifacts first, the status last.

    Args:
        outcome: What the executor returned.
        task: Whose outcome it is.
        at: When.

    Raises:
        TypeError: If `outcome` is none of the outcomes.
        ValueError: If a data artifact is not JSON.
    """

    def said(parts: list[dict[str, Any]], code: str = "") -> dict[str, Any]:
        return agent_message(task_id=task.id, context_id=task.context_id, parts=parts, code=code)

    match outcome:
        case Completed(artifacts=artifacts, message=text):
            return [
                *(
                    artifact_piece(each, f"artifact-{n}")
                    for n, each in enumerate(artifacts, start=1)
                ),
                status(State.COMPLETED, at, said([{"text": text}]) if text else None),
            ]
        case Replied(text=text):
            message = said([{"text": text}])
            bare = {key: value for key, value in message.items() if key != "taskId"}
            return [Piece("reply", dumps(bare)), status(State.COMPLETED, at, message)]
        case AuthRequired(message=text):
            return [status(State.AUTH_REQUIRED, at, said([{"text": text}]))]
        case InputRequired(message=text, schema=schema):
            message = said([{"text": text}])
            if schema is not None:
                form = {"message": text, "requestedSchema": schema}
                message["parts"].append({"data": form, "metadata": {FORM: form}})
                message["extensions"] = [FORM]
            return [status(State.INPUT_REQUIRED, at, message)]
        case Failed(reason=reason, code=code, metadata=metadata):
            message = said([{"text": reason}], code)
            if metadata:
                message["metadata"] = {**metadata, **message.get("metadata", {})}
            return [status(State.FAILED, at, message)]
        case Rejected(reason=reason, code=code):
            return [status(State.REJECTED, at, said([{"text": reason}], code))]
    raise TypeError(f"the executor returned a {type(outcome).__name__}, which is no outcome")


def artifact_piece(
    artifact: Artifact | DataArtifact, new_id: str, chunk: Chunk = Chunk.WHOLE
) -> Piece:
    """Return the event of an artifact; `new_id` is for one that has none.

    Raises:
        ValueError: If a data artifact is not JSON.
    """
    if isinstance(artifact, DataArtifact):
        value: dict[str, Any] = {"name": artifact.name, "parts": [{"data": artifact.data}]}
        if artifact.metadata:
            value["metadata"] = dict(artifact.metadata)
        artifact_id = artifact.artifact_id
    else:
        value = MessageToDict(artifact)
        artifact_id = value.pop("artifactId", "")
    return Piece("artifact", dumps({"artifactId": artifact_id or new_id, **value}), chunk.value)
