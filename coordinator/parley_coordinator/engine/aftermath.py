"""What a run that was cancelled leaves behind at others, read from journals. Pure.

Nothing is undone by a cancellation: it stops what is under way. What was done before, and what may have
been, is told, so that a person can see to it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from parley_coordinator.model import Effect, EffectState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from parley_coordinator.model import Entry

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_STATES: Final = {
    "TASK_STATE_CANCELED": EffectState.CANCELLED,
    "TASK_STATE_COMPLETED": EffectState.DONE,
    "TASK_STATE_FAILED": None,
    "TASK_STATE_REJECTED": None,
    "nothing was sent": None,
}
"""By what came of a cancellation; None: it is known to have had no effect. Anything else: it may run."""


def aftermath(entries: Sequence[Entry]) -> list[Effect]:
    """Return what a run has done or begun elsewhere, in the order in which it began.

    What only reads is left out, and so is what is known to have had no effect or was undone.
    """
    rows = {(entry.path, entry.attempt, entry.kind): entry for entry in entries}
    undone = set(_undone(entries, rows))
    found: list[Effect] = []
    for entry in entries:
        if entry.kind != "intended" or entry.path in undone or _only_reads(entry.body):
            continue
        place = (entry.path, entry.attempt)
        ends = {kind: rows.get((*place, kind)) for kind in ("observed", "failed")}
        ends["cancelled"] = _last(rows, place, "cancelled")
        state, said = _came_of(ends)
        if state is not None and not _nothing_begun(rows, place):
            newest = _newest(rows, place)
            found.append(
                Effect(
                    run_id=entry.run_id,
                    path=entry.path,
                    attempt=entry.attempt,
                    title=str(newest.get("title") or entry.path),
                    agent=str(newest.get("agent", {}).get("name") or newest.get("who", "")),
                    task=_task(rows, place),
                    state=state,
                    said=said,
                )
            )
    return found


def children(entries: Iterable[Entry]) -> list[str]:
    """Return the runs that a run has started and waited for."""
    return [e.body["run"] for e in entries if e.kind == "child" and e.body["awaited"]]


def _came_of(ends: dict[str, Entry | None]) -> tuple[EffectState | None, str]:
    if ends["observed"] is not None:
        return EffectState.DONE, "done, and stays done"
    stopped = ends["cancelled"]
    if ends["failed"] is not None and not (stopped and stopped.seq > ends["failed"].seq):
        body = ends["failed"].body
        error = body["error"]
        told = ": ".join(str(error[key]) for key in ("title", "detail") if error.get(key))
        return (EffectState.UNKNOWN if body.get("sent") else None), told
    if stopped is not None:
        outcome = str(stopped.body["outcome"])
        return _STATES.get(outcome, EffectState.RUNNING), stop_told(stopped.body)
    return EffectState.RUNNING, "it has not answered yet; it is asked again"


def _only_reads(body: dict[str, Any]) -> bool:
    if "protocol" not in body:
        return body.get("effect") == "read"
    if body["protocol"] == "mcp":
        return body.get("method") != "tools/call"
    return body["protocol"] != "a2a" and body.get("method", "").upper() in _SAFE


def _undone(entries: Sequence[Entry], rows: dict[tuple[str, str, str], Entry]) -> Iterable[str]:
    begun = Counter(entry.path for entry in entries if entry.kind == "intended")
    for entry in entries:
        if entry.kind == "intended" and entry.body.get("compensates"):
            # Of several times that it was done, nobody knows which one was meant: all are told.
            path = entry.body["compensates"]
            if begun[path] == 1 and (entry.path, entry.attempt, "observed") in rows:
                yield path
                yield entry.path


def _nothing_begun(rows: dict[tuple[str, str, str], Entry], place: tuple[str, str]) -> bool:
    number = 1
    while (*place, f"intended.{number + 1}") in rows:
        number += 1
    return (*place, f"declined.{number}") in rows


def stop_told(body: dict[str, Any]) -> str:
    """Say what came of calling something back."""
    if body.get("givenUp"):
        return f"could not be stopped: {body['outcome']}"
    return f"{body['outcome']}; it is asked again" if body.get("again") else str(body["outcome"])


def _newest(rows: dict[tuple[str, str, str], Entry], place: tuple[str, str]) -> dict[str, Any]:
    found = _last(rows, place, "intended")
    return {} if found is None else found.body


def _task(rows: dict[tuple[str, str, str], Entry], place: tuple[str, str]) -> str:
    found = _last(rows, place, "sent")
    return "" if found is None else str(found.body["task"])


def _last(
    rows: dict[tuple[str, str, str], Entry], place: tuple[str, str], kind: str
) -> Entry | None:
    """Return the newest of the rows `kind`, `kind.2` and so on."""
    found, number = rows.get((*place, kind)), 2
    while (again := rows.get((*place, f"{kind}.{number}"))) is not None:
        found, number = again, number + 1
    return found
