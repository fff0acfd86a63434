"""Notifications made of a task's log: pieces of one artifact that wait together go out as one. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from parley_wire.server.outcomes import Chunk
from parley_wire.server.texts import Event, Snapshot, artifact_id, joined

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_COALESCED: Final = 262_144
"""Characters of an artifact in one notification; a single larger piece goes out as it is."""
_CHUNK: Final = {
    (appends, ends): next(each for each in Chunk if (each.appends, each.ends) == (appends, ends))
    for appends in (False, True)
    for ends in (False, True)
}


def next_notification(task: Snapshot, events: Sequence[Event]) -> tuple[bytes, int]:
    """Return the next body, and what has been sent when it arrives; empty if there is nothing to show.

    Args:
        task: Without its log: for the texts of events.
        events: That were not sent yet, oldest first.
    """
    for place, event in enumerate(events):
        text = task.stream_text(event)
        if text is None:
            continue
        if event.kind == "artifact":
            event = _coalesced(events[place:])  # noqa: PLW2901 - it stands for this and the next ones
            text = task.stream_text(event) or ""
        return text.encode(), event.seq
    return b"", events[-1].seq if events else 0


def _coalesced(events: Sequence[Event]) -> Event:
    """Join the first event, a piece of an artifact, with what follows of the same one."""
    first = last = events[0]
    pieces, size = [first.body], len(first.body)
    for event in events[1:]:
        if event.kind != "artifact" or not Chunk(event.state).appends:
            break
        if (
            artifact_id(first.body) != artifact_id(event.body)
            or size + len(event.body) > MAX_COALESCED
        ):
            break
        pieces.append(event.body)
        size += len(event.body)
        last = event
    chunk = _CHUNK[Chunk(first.state).appends, Chunk(last.state).ends]
    return Event(last.seq, "artifact", joined(pieces), chunk.value)
