"""What a scenario is, and the list of them."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from parley_torture.trial import Trial

    Play = Callable[[Trial], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One thing that goes wrong, played against an orchestrator."""

    name: str
    group: str
    expects: str
    """One sentence: what happens, and what must come of it."""
    play: Play
    needs: frozenset[str] = frozenset()
    """What the adapter must be able to do."""
    alone: bool = False
    """Whether it needs a process of its own, because that is killed or may be harmed."""
    clock: bool = False
    """Whether the clock of the process must be in the kit's hands."""
    seconds: float = 120.0


SCENARIOS: Final[dict[str, Scenario]] = {}
"""In the order in which they are told."""


def scenario(
    group: str,
    *,
    needs: tuple[str, ...] = (),
    alone: bool = False,
    clock: bool = False,
    seconds: float = 120.0,
) -> Callable[[Play], Play]:
    """Add a function to the list; its name is the scenario's, its docstring what is expected."""

    def add(play: Play) -> Play:
        name = play.__name__.replace("_", "-")
        SCENARIOS[name] = Scenario(
            name=name,
            group=group,
            expects=" ".join((inspect.getdoc(play) or "").split()),
            play=play,
            needs=frozenset(needs),
            alone=alone,
            clock=clock,
            seconds=seconds,
        )
        return play

    return add
