"""When an agent is asked once more to stop what nobody needs any more. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_S: Final = 2.0
LONGEST_S: Final = 60.0
GIVE_UP: Final = timedelta(minutes=15)
"""After so long without an end a person is told that it could not be stopped."""


def pause_s(tries: int, draw: Callable[[], float]) -> float:
    """Return the seconds until the next try: half of it certain, half of it drawn.

    Args:
        tries: That were in vain, but for the first one.
        draw: A number from 0 to 1, evenly distributed.
    """
    whole = min(LONGEST_S, FIRST_S * 2.0 ** min(tries, 16))
    return whole * (1 + draw()) / 2
