"""One thread that runs what has queued up in one transaction."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from parley_wire.errors import DatabaseUnusableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

T = TypeVar("T")

_BATCH: Final = 256
"""So many writes share one commit at most: a bound on the latency of the first of them."""


class Backend(Protocol):
    """One kind of database. `write` is called by one thread, `read` by several."""

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction; what it did is durable when this returns.

        It may run again after a transaction of which nothing is left. Whatever it raises is raised,
        and nothing is written.
        """
        ...

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, maybe again, on one consistent snapshot in which it cannot write."""
        ...

    def give_up(self) -> None:
        """Wait no longer for a database that cannot be reached; called by any thread."""
        ...

    def close(self) -> None:
        """Close every connection; nothing runs any more."""
        ...


@dataclass(slots=True)
class Job(Generic[T]):
    fn: Callable[[Connection], T]
    future: asyncio.Future[T]
    loop: asyncio.AbstractEventLoop
    result: T | None = None
    error: BaseException | None = None

    def run(self, connection: Connection) -> None:
        self.result = self.fn(connection)

    def settle(self) -> None:
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]


class Writer:
    """Applies jobs in the order in which they come. While it commits, the next ones queue up."""

    def __init__(self, backend: Backend) -> None:
        self.check: Callable[[Connection], None] | None = None
        """Runs first in each transaction."""
        self._backend = backend
        self._jobs: SimpleQueue[Job[Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="db-write", daemon=True)
        self._thread.start()

    def put(self, job: Job[Any]) -> None:
        self._jobs.put(job)

    def stop(self) -> None:
        """Take no more; what was put before is applied."""
        self._jobs.put(None)

    def join(self) -> None:
        self._thread.join()

    def _work(self) -> None:
        closing = False
        while not closing:
            batch: list[Job[Any]] = []
            first = self._jobs.get()
            if first is None:
                return
            batch.append(first)
            with contextlib.suppress(Empty):
                while len(batch) < _BATCH:
                    job = self._jobs.get_nowait()
                    if job is None:
                        closing = True
                        break
                    batch.append(job)
            if not self._together(batch):
                for job in batch:
                    self._alone(job)
            _announce(batch)

    def _together(self, batch: list[Job[Any]]) -> bool:
        """Run all in one transaction; False if that failed because of one of them."""
        if len(batch) == 1:
            return False
        try:
            self._apply(batch)
        except DatabaseUnusableError as exc:
            for job in batch:
                job.error = exc
        except Exception:  # noqa: BLE001 - whatever it is, `_alone` finds whose it is
            return False
        return True

    def _alone(self, job: Job[Any]) -> None:
        try:
            self._apply([job])
        except BaseException as exc:  # noqa: BLE001 - raised where the caller awaits it
            job.error = exc

    def _apply(self, jobs: list[Job[Any]]) -> None:
        def every(connection: Connection) -> None:
            if self.check is not None:
                self.check(connection)
            for job in jobs:
                job.run(connection)

        self._backend.write(every)


def _announce(batch: list[Job[Any]]) -> None:
    """Wake the callers, with one wake-up per event loop."""
    per_loop: dict[asyncio.AbstractEventLoop, list[Job[Any]]] = {}
    for job in batch:
        per_loop.setdefault(job.loop, []).append(job)
    for loop, jobs in per_loop.items():
        # A loop that was closed meanwhile has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, jobs)


def _settle(jobs: list[Job[Any]]) -> None:
    for job in jobs:
        job.settle()
