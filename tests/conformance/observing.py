"""What the tasks of a run did, seen from outside the interpreter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from parley_coordinator.model import Place
from parley_coordinator.workflow.effects import NOTE_SKIPPED
from parley_coordinator.workflow.errors import WorkflowError
from parley_coordinator.workflow.frame import Limit
from parley_coordinator.workflow.machine import Machine
from parley_coordinator.workflow.tasks import NamedTask


@dataclass
class Seen:
    """One visit of a task. Without an output and an error it was left before it ended."""

    name: str
    output: Any = None
    error: dict[str, Any] | None = None
    ended: bool = False


@dataclass
class Trace:
    """The visits in the order in which they began; a visit that is told again counts once."""

    visits: dict[tuple[str, str], Seen] = field(default_factory=dict)

    def names(self) -> list[str]:
        return [seen.name for seen in self.visits.values()]

    def last(self, name: str) -> Seen:
        found = [seen for seen in self.visits.values() if seen.name == name]
        assert found, f"{name} did not run; these did: {self.names()}"
        return found[-1]


def observed(trace: Trace) -> type[Machine]:
    """Return machines that tell `trace` about every task that is not skipped."""

    class Observed(Machine):
        async def run_task(
            self,
            named: NamedTask,
            raw: Any,
            *,
            place: Place,
            limit: Limit | None,
            variables: Mapping[str, Any],
            passing_on: bool = False,
        ) -> tuple[Any, str]:
            key = (place.path, place.attempt)
            seen = trace.visits.setdefault(key, Seen(named.name))
            try:
                output, then = await super().run_task(
                    named,
                    raw,
                    place=place,
                    limit=limit,
                    variables=variables,
                    passing_on=passing_on,
                )
            except WorkflowError as error:
                seen.error, seen.ended = error.as_json(), True
                raise
            if self.effects.recall(place, NOTE_SKIPPED) is not None:
                trace.visits.pop(key, None)
            seen.output, seen.ended = output, True
            return output, then

    return Observed
