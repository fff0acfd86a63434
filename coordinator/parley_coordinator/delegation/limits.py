"""So many at once, the others in the order in which they came."""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

MAX_TICKETS: Final = 10_000


class Turnstile:
    """Lets `limit` in at once.

    Who has to wait gets a ticket, and keeps it when it stops waiting here to come back later: it is
    then let in before everybody who came after it.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.inside = 0
        self._numbers = itertools.count()
        self._tickets: OrderedDict[Hashable, int] = OrderedDict()
        self._waiting: dict[Hashable, asyncio.Future[None]] = {}

    @property
    def waiting(self) -> int:
        """How many wait here now; those that will come back are not counted."""
        return len(self._waiting)

    def enter_anyway(self) -> None:
        """Go in without a question, over the limit if need be; `leave` afterwards."""
        self.inside += 1

    async def enter(self, who: Hashable) -> bool:
        """Go in as soon as it is one's turn; `leave` afterwards.

        Returns:
            Whether it had to wait.
        """
        if self.inside < self.limit and not self._waiting:
            self._tickets.pop(who, None)
            self.inside += 1
            return False
        self._tickets.setdefault(who, next(self._numbers))
        while len(self._tickets) > MAX_TICKETS:
            self._tickets.popitem(last=False)
        turn = asyncio.get_running_loop().create_future()
        self._waiting[who] = turn
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()  # it was our turn, and we are gone
            raise
        finally:
            if self._waiting.get(who) is turn:
                del self._waiting[who]
        self._tickets.pop(who, None)
        return True

    def leave(self) -> None:
        self.inside -= 1
        while self.inside < self.limit and self._waiting:
            following = min(self._waiting, key=lambda who: self._tickets.get(who, -1))
            turn = self._waiting.pop(following)
            if not turn.done():
                self.inside += 1
                turn.set_result(None)
