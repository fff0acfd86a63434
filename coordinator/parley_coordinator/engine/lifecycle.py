"""What happened in a run as CloudEvents of the language, read from its journal. Pure.

Nothing is written for them: the same journal gives the same events, with the same ids. A run cannot be
suspended as a whole; a task is, while an operator has a question about it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, uuid5

from parley_coordinator.store.events import LIFECYCLE
from parley_coordinator.store.tables import to_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from parley_coordinator.model import Entry, Run

MAX_OUTPUT_BYTES: Final = 65_536
"""A longer output is a link."""
_NAMESPACE: Final = uuid5(NAMESPACE_URL, "urn:parley:lifecycle")
_BEGINS: Final = frozenset({"intended", "asked", "listening", "emitted", "child", "chose"})
"""Rows that a task writes first."""
_ENDS: Final = {
    "observed": "completed",
    "decided": "completed",
    "heard": "completed",
    "emitted": "completed",
    "chose": "completed",
    "failed": "faulted",
    "unheard": "faulted",
    "expired": "faulted",
    "fork-failed": "faulted",
    "limited": "faulted",
    "cancelled": "cancelled",
    "retrying": "retried",
}
_RUN: Final = frozenset({"started", "completed", "faulted", "cancelled"})


@dataclass(frozen=True, slots=True)
class _Teller:
    run: Run
    namespace: str

    def of_run(self, what: str, at: datetime, body: dict[str, Any]) -> dict[str, Any]:
        run = self.run
        data: dict[str, Any] = {
            "name": self._name,
            "definition": {
                "namespace": self.namespace,
                "name": run.workflow,
                "version": run.version,
            },
            f"{what}At": to_text(at),
        }
        if what == "completed":
            data |= _output(run.id, body.get("output"))
        elif what == "faulted":
            data["error"] = body["error"]
        return self._event(f"workflow.{what}", at, what, data)

    def of_task(self, what: str, entry: Entry) -> dict[str, Any]:
        data: dict[str, Any] = {
            "workflow": self._name,
            "task": entry.path,
            "attempt": entry.attempt,
            f"{what}At": to_text(entry.at),
        }
        if "error" in entry.body:
            data["error"] = entry.body["error"]
        key = f"{what}|{entry.path}|{entry.attempt}|{entry.kind}"
        return self._event(f"task.{what}", entry.at, key, data)

    @property
    def _name(self) -> str:
        return f"{self.run.id}.{self.namespace}"

    def _event(self, what: str, at: datetime, key: str, data: dict[str, Any]) -> dict[str, Any]:
        run = self.run
        return {
            "specversion": "1.0",
            "id": str(uuid5(_NAMESPACE, f"{run.id}|{key}")),
            "source": f"/{self.namespace}/{run.workflow}/{run.version}",
            "type": f"{LIFECYCLE}{what}.v1",
            "subject": run.id,
            "time": to_text(at),
            "data": data,
        }


def lifecycle(run: Run, namespace: str, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return the events of a run, in the order of its journal.

    Tasks that leave nothing in the journal, such as `set`, have none.
    """
    teller = _Teller(run, namespace)
    begun: set[tuple[str, str]] = set()
    found: list[dict[str, Any]] = []
    for entry in entries:
        if not entry.path:
            if entry.kind in _RUN:
                found.append(teller.of_run(entry.kind, entry.at, entry.body))
            continue
        place = (entry.path, entry.attempt)
        if entry.kind in _BEGINS and place not in begun:
            begun.add(place)
            found.append(teller.of_task("started", entry))
        what = _what(entry.kind)
        if what is not None:
            found.append(teller.of_task(what, entry))
    return found


def outcome(
    run: Run, namespace: str, state: str, at: datetime, body: dict[str, Any]
) -> dict[str, Any]:
    """Return the event of a run's end, as `lifecycle` will.

    Args:
        body: Of the journal's last row.
    """
    return _Teller(run, namespace).of_run(state, at, body)


def _what(kind: str) -> str | None:
    name, _, rest = kind.partition(".")
    if rest and name == "asked" and not rest.endswith("expired"):
        return "suspended"
    if rest and name == "answered" and not rest.endswith("expired"):
        return "resumed"
    return _ENDS.get(kind)


def _output(run_id: str, output: Any) -> dict[str, Any]:
    if len(json.dumps(output)) > MAX_OUTPUT_BYTES:
        return {"outputUri": f"/v1/runs/{run_id}"}
    return {"output": output}
