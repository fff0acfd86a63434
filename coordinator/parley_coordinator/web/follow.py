"""Following a run: what both faces stream is made from here."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from parley_wire.serving import STOPPING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Generator, Sequence

    from starlette.types import Scope

    from parley_coordinator.governance.access import Principal
    from parley_coordinator.model import Entry, Run
    from parley_coordinator.web.ports import Runs

LOOK_AGAIN_S: Final = 15.0
"""A wake-up that got lost costs no more than this; also how often a silent stream shows life."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """A run as it was at one moment."""

    run: Run
    entries: Sequence[Entry]
    """The journal rows since the glance before, oldest first."""
    seq: int
    """Of the last journal row seen so far."""


@contextlib.contextmanager
def until_stopping(scope: Scope) -> Generator[asyncio.Event]:
    """Yield an event that is set when the server stops, so that long responses end before it."""
    event = asyncio.Event()
    stopping = scope.get(STOPPING)
    if stopping is None:
        yield event
        return
    if stopping.happened:
        event.set()
    stopping.add(event.set)
    try:
        yield event
    finally:
        stopping.discard(event.set)


async def follow(
    runs: Runs, principal: Principal, run_id: str, *, stop: asyncio.Event, after: int = 0
) -> AsyncGenerator[Glance]:
    """Yield the run as it is, then again whenever something may have changed.

    No journal row beyond `after` is left out or comes twice. Consecutive glances may be equal. Ends
    after the glance that shows a final state, or when `stop` is set.
    """
    seq = after
    while True:
        # The run first: once it is final nothing is added, so the rows read after it are all.
        run = await runs.get(principal, run_id)
        entries = await runs.journal(principal, run_id, seq)
        if entries:
            seq = entries[-1].seq
        yield Glance(run=run, entries=entries, seq=seq)
        if run.state.final or stop.is_set():
            return
        await either(runs.wait(run_id, after_seq=seq, timeout_s=LOOK_AGAIN_S), stop)


async def follow_state(
    runs: Runs,
    principal: Principal,
    run_id: str,
    *,
    stop: asyncio.Event,
    seen: Run | None = None,
) -> AsyncGenerator[Run]:
    """Yield the run as it is, then again whenever its state may have changed.

    Ends after a final state, or when `stop` is set.

    Args:
        seen: The run as it was just read; None: it is read first.
    """
    run = seen or await runs.get(principal, run_id)
    while True:
        yield run
        if run.state.final or stop.is_set():
            return
        await either(runs.wait_for_state(run, timeout_s=LOOK_AGAIN_S), stop)
        run = await runs.get(principal, run_id)


async def either(change: Coroutine[object, object, bool], stop: asyncio.Event) -> None:
    """Wait for a change or for the end of the server, whichever comes first."""
    tasks = {asyncio.ensure_future(change), asyncio.ensure_future(stop.wait())}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
