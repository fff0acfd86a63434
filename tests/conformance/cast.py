"""Everybody outside a run, played from a script: agents, people, servers, other workflows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeAlias

from parley_coordinator.workflow.effects import Call, Child
from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_coordinator.workflow.rehearsal import Asked, Later, Never, names

Line: TypeAlias = Callable[[Asked], Any]
"""What somebody does when asked once."""


def answers(value: Any, after: timedelta = timedelta()) -> Line:
    return lambda _asked: Later(after, value)


def fails(kind: str, *, status: int | None = None) -> Line:
    """Fail with a standard error, or with one of any type."""
    type_ = Standard[kind.upper()] if kind.upper() in Standard.__members__ else kind

    def line(_asked: Asked) -> Any:
        raise WorkflowError(type_, "It did not work", "as the script says", status=status)

    return line


def silent(asked: Asked) -> Any:
    raise Never(asked)


def echoes(asked: Asked) -> Any:
    return names(asked)


def name_of(asked: Asked) -> str:
    """Return by what name a script is found: of the function, the workflow or the protocol."""
    if isinstance(asked, Call):
        return asked.function
    return asked.name if isinstance(asked, Child) else asked.protocol


@dataclass
class Cast:
    """The lines of each name, in the order of its calls; the last one is said again and again.

    Who has no lines says who it is, and what it was told.
    """

    lines: dict[str, list[Line]] = field(default_factory=dict)

    def learn(self, name: str, line: Line, *, times: int = 1) -> None:
        self.lines.setdefault(name, []).extend([line] * times)

    def performance(self) -> Callable[[Asked], Any]:
        """Return the script for one run: asking again about one call is no new call."""
        turns: dict[tuple[str, str], int] = {}
        counts: dict[str, int] = {}

        def script(asked: Asked) -> Any:
            name = name_of(asked)
            lines = self.lines.get(name, [echoes])
            key = (asked.place.path, asked.place.attempt)
            if key not in turns:
                turns[key] = counts.get(name, 0)
                counts[name] = turns[key] + 1
            return lines[min(turns[key], len(lines) - 1)](asked)

        return script
