"""Progress of a run as Server-Sent Events.

Two kinds of event: `entry` is a row of the journal, its id the row's number, so that a client that
reconnects with `Last-Event-ID` loses none and gets none twice; `run` is the run as it stands, sent
after the rows that there are and whenever it has changed. The stream ends when the run has; a reconnect after the end gets
204, on which an EventSource stops (HTML, 9.2.3).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from starlette.responses import Response, StreamingResponse

from parley_coordinator.errors import InvalidRequestError
from parley_coordinator.web.follow import Glance, follow, until_stopping
from parley_coordinator.web.resources import EntryResource, RunSummary

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import Scope

    from parley_coordinator.governance.access import Principal
    from parley_coordinator.web.ports import Runs

PING = ": still here\n\n"
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


async def events_response(
    runs: Runs, principal: Principal, run_id: str, *, last_event_id: str | None, scope: Scope
) -> Response:
    """Stream what happens to a run.

    Raises:
        InvalidRequestError: If `last_event_id` is not the number of a row of this run.
        UnknownRunError: If the principal may not see the run.
    """
    after = _row(last_event_id)
    # Before the first byte of the response, so that an unknown run is a 404.
    run = await runs.get(principal, run_id)
    if after:
        rows = await runs.journal(principal, run_id, after - 1)
        if not rows:
            raise InvalidRequestError("Last-Event-ID is beyond the last event of this run")
        if run.state.final and rows[-1].seq == after:
            return Response(status_code=204)
    return StreamingResponse(
        _events(runs, principal, run_id, after, scope),
        media_type="text/event-stream",
        headers=_HEADERS,
    )


def _row(last_event_id: str | None) -> int:
    if not last_event_id:
        return 0
    if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) <= 15):
        raise InvalidRequestError("Last-Event-ID must be the id of an event of this stream")
    return int(last_event_id)


async def _events(
    runs: Runs, principal: Principal, run_id: str, after: int, scope: Scope
) -> AsyncGenerator[str]:
    shown: RunSummary | None = None
    with until_stopping(scope) as stop:
        glances = follow(runs, principal, run_id, stop=stop, after=after)
        async with contextlib.aclosing(glances):
            async for glance in glances:
                text, shown = _said(glance, shown)
                yield text or PING


def _said(glance: Glance, shown: RunSummary | None) -> tuple[str, RunSummary]:
    """Return what is new, as text of the stream, and the run as it was shown."""
    text = "".join(
        f"event: entry\nid: {entry.seq}\ndata: {EntryResource.of(entry).model_dump_json()}\n\n"
        for entry in glance.entries
    )
    now = RunSummary.model_validate(glance.run)
    if now != shown:
        text += f"event: run\ndata: {now.model_dump_json()}\n\n"
    return text, now
