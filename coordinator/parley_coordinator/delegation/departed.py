"""Messages that have left, and of which the agent's first word is still to come.

Whoever stops waiting for it does not stop the message: an agent that cannot list its tasks would have
one of which nobody ever learns the id. So the first word is waited for on its own, for a bounded time,
and told to who can use it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, TypeVar

from parley_cards.errors import ParleyError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

logger = logging.getLogger(__name__)

T = TypeVar("T")

SEND_S: Final = 60.0
"""So long is the first word waited for; a connection on which nothing comes is given up before."""
LINGER_S: Final = 2.0
"""So long does a process that stops wait for the first words that are still to come."""


class Departed:
    """Of all runs of this process."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Task[None]] = set()

    async def first_word(
        self,
        arriving: Coroutine[None, None, T],
        late: Callable[[T], Coroutine[None, None, None]],
    ) -> T:
        """Return what comes first.

        Args:
            late: Called with it if the caller is cancelled before.
        """
        word = asyncio.ensure_future(arriving)
        try:
            return await asyncio.shield(word)
        except asyncio.CancelledError:
            task = asyncio.create_task(self._outwait(word, late))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)
            raise

    async def aclose(self) -> None:
        """Wait for `LINGER_S`, and then no more."""
        waiting = set(self._waiting)
        if waiting:
            _, waiting = await asyncio.wait(waiting, timeout=LINGER_S)
        for task in waiting:
            task.cancel()
        if waiting:
            await asyncio.wait(waiting)

    async def _outwait(
        self, word: asyncio.Future[T], late: Callable[[T], Coroutine[None, None, None]]
    ) -> None:
        """A process edge: nothing that fails is anybody's."""
        try:
            async with asyncio.timeout(SEND_S):
                said = await word
            await late(said)
        except (ParleyError, TimeoutError) as exc:
            logger.info("nothing came of a message that is not waited for any more: %s", exc)
        except Exception:
            logger.exception("what an agent said too late could not be kept")


class Departing:
    """Sends for one look at a step, which stays in memory for longer while a message is unanswered.

    Args:
        timeout: Of the look.
        latest_s: Seconds from now after which it ends even then.
        left: Told that a task came to light which nobody waits for.
    """

    def __init__(
        self,
        departed: Departed,
        timeout: asyncio.Timeout,
        *,
        latest_s: float,
        left: Callable[[], None],
    ) -> None:
        self.left = left
        self._departed = departed
        self._timeout = timeout
        self._until = timeout.when()
        self._latest = asyncio.get_running_loop().time() + latest_s

    def begin(self) -> None:
        """Keep the look from ending before the first word about what leaves now."""
        self._timeout.reschedule(self._latest)

    async def first_word(
        self,
        arriving: Coroutine[None, None, T],
        late: Callable[[T], Coroutine[None, None, None]],
    ) -> T:
        """See `Departed.first_word`."""
        self.begin()
        try:
            return await self._departed.first_word(arriving, late)
        finally:
            if not self._timeout.expired():
                self._timeout.reschedule(self._until)
