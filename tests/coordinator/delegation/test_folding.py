"""What a stream says of a task, however its events come."""

from __future__ import annotations

from typing import Any

import pytest
from a2a.types import Task, TaskArtifactUpdateEvent, TaskState, TaskStatusUpdateEvent
from google.protobuf.json_format import MessageToDict, ParseDict
from hypothesis import given
from hypothesis import strategies as st
from parley_coordinator.delegation.folding import MAX_BYTES, Folded
from parley_wire.agent_errors import AgentProtocolError

STATES = ("SUBMITTED", "WORKING", "INPUT_REQUIRED", "COMPLETED")


def folded() -> Folded:
    task = {"id": "t", "contextId": "c", "status": status(0)}
    return Folded(ParseDict(task, Task()), agent="vendor")


def status(moment: int) -> dict[str, Any]:
    state = STATES[min(moment, 3)]
    return {"state": f"TASK_STATE_{state}", "timestamp": f"2026-01-01T00:00:0{moment}Z"}


def update(moment: int, task: str = "t") -> TaskStatusUpdateEvent:
    return ParseDict({"taskId": task, "status": status(moment)}, TaskStatusUpdateEvent())


def piece(key: str, data: Any, *, append: bool = False, task: str = "t") -> TaskArtifactUpdateEvent:
    artifact = {"artifactId": key, "parts": [{"data": data}]}
    event = {"taskId": task, "artifact": artifact, "append": append}
    return ParseDict(event, TaskArtifactUpdateEvent())


@given(st.lists(st.integers(0, 2), max_size=8))
def test_the_latest_status_counts_in_whatever_order_and_number_they_come(
    moments: list[int],
) -> None:
    found = folded()
    for moment in moments:
        found.add(update(moment))
        found.add(update(3, task="another"))

    assert (
        found.task.status
        == ParseDict(
            {"taskId": "t", "status": status(max([0, *moments]))}, TaskStatusUpdateEvent()
        ).status
    )


def test_an_end_is_an_end_whatever_time_it_has() -> None:
    found = folded()
    found.add(update(2))
    late = update(3)
    late.status.timestamp.Clear()
    found.add(late)

    assert found.task.status.state == TaskState.TASK_STATE_COMPLETED


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9), st.booleans()), max_size=6))
def test_it_is_exact_only_if_no_event_could_have_been_told_twice(
    pieces: list[tuple[str, int, bool]],
) -> None:
    found = folded()
    for key, number, append in pieces:
        found.add(piece(key, {"n": number}, append=append))

    keys = [key for key, _, _ in pieces]
    whole = not any(append for _, _, append in pieces) and len(set(keys)) == len(keys)
    assert found.exact == whole
    assert found.complete
    if whole:
        told = {
            each.artifact_id: MessageToDict(each.parts[0].data) for each in found.task.artifacts
        }
        assert told == {key: {"n": number} for key, number, _ in pieces}


def test_what_is_nested_too_deep_to_be_kept_makes_it_incomplete_and_breaks_nothing() -> None:
    deep: Any = {}
    for _ in range(60):
        deep = {"in": deep}
    event = TaskArtifactUpdateEvent(task_id="t")
    ParseDict(
        {"artifactId": "a", "parts": [{"data": deep}]}, event.artifact, max_recursion_depth=400
    )
    found = folded()
    found.add(event)
    found.add(update(3))

    assert (found.exact, found.complete) == (False, False)
    assert found.task.status.state == TaskState.TASK_STATE_COMPLETED


def test_a_stream_that_never_ends_is_left() -> None:
    found, event = folded(), piece("a", "x" * (MAX_BYTES // 4), append=True)

    for _ in range(3):
        found.add(event)
    with pytest.raises(AgentProtocolError, match="more than"):
        found.add(event)
