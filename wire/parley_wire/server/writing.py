"""What one run of a task says, in its log: in order, and in as few commits as the disk is fast.

The first event is committed at once. What is said meanwhile waits, and shares the next commit. Nobody
sees an event before it is committed; whoever says it waits only if too much is waiting already.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from parley_wire.server.texts import Event, Piece

MAX_EVENTS: Final = 64
MAX_BYTES: Final = 1 << 20
"""So much may wait for a commit; one event may be larger."""


class LogWriter:
    """For one run of one task.

    Args:
        append: Commits events, all or none of them, and has them told.
    """

    def __init__(self, append: Callable[[Sequence[Piece]], Awaitable[tuple[Event, ...]]]) -> None:
        self._append = append
        self._waiting: list[Piece] = []
        self._bytes = 0
        self._writing: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._failure: Exception | None = None

    async def put(self, piece: Piece) -> None:
        """Have an event written soon.

        Raises:
            Exception: What the commit of earlier ones has raised, once. They are not lost: they are
                written with what comes next. This one is not taken.
        """
        while self._writing is not None and self._full():
            self._room.clear()
            await self._room.wait()
        self._tell_failure()
        self._add(piece)
        if self._writing is None:
            self._begin()
            await asyncio.sleep(0)  # so that it is under way, however much is said without a pause

    async def end(self, pieces: Sequence[Piece]) -> None:
        """Write these behind all that was put; return when everything is durable.

        Raises:
            Exception: What a commit raises that has tried them.
        """
        self._failure = None
        under_way = self._writing is not None
        for piece in pieces:
            self._add(piece)
        if not under_way:
            self._begin()
        await self.settle()
        if under_way and self._waiting:
            # Maybe only what was being written before has failed.
            self._failure = None
            self._begin()
            await self.settle()
        self._tell_failure()

    async def settle(self) -> None:
        """Return once nothing is being written."""
        while self._writing is not None:
            await asyncio.wait({self._writing})

    def _full(self) -> bool:
        return len(self._waiting) >= MAX_EVENTS or self._bytes >= MAX_BYTES

    def _add(self, piece: Piece) -> None:
        self._waiting.append(piece)
        self._bytes += len(piece.body)

    def _begin(self) -> None:
        self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        pieces: list[Piece] = []
        try:
            while self._waiting:
                pieces, self._waiting, self._bytes = self._waiting, [], 0
                self._room.set()
                await self._append(pieces)
        except Exception as exc:  # noqa: BLE001 - raised where somebody waits for it
            self._failure = exc
            self._waiting[:0] = pieces
            self._bytes += sum(len(piece.body) for piece in pieces)
        finally:
            self._writing = None
            self._room.set()

    def _tell_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
