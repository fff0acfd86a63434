"""What an explanation says of events, races, loops' limits, other workflows and undo calls. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from parley_coordinator.model import Entry, Fact, WhyStep


def step(entry: Entry, kind: str, title: str, **more: Any) -> WhyStep:
    return WhyStep(
        path=entry.path, attempt=entry.attempt, kind=kind, at=entry.at, title=title, **more
    )


def _child(entry: Entry) -> WhyStep:
    body = entry.body
    waits = "" if body["awaited"] else ", and did not wait for it"
    return step(
        entry,
        "started",
        f"{body['title']}: started {body['workflow']} {body['version']}{waits}",
        facts=[
            Fact(name="run", value=body["run"], source="journal"),
            Fact(name="document", value=body["digest"], source="journal"),
        ],
    )


def _emitted(entry: Entry) -> WhyStep:
    event = entry.body["event"]
    return step(entry, "emitted", f"announced {event['type']}", facts=_event(event))


def _listening(entry: Entry) -> WhyStep:
    return step(entry, "waited", f"{entry.body.get('title') or 'a listen'}: waits for events")


def _heard(entry: Entry) -> WhyStep:
    number = len(entry.body["events"])
    facts = [Fact(name="event", value=key, source="event log") for key in entry.body["events"]]
    return step(entry, "heard", f"heard {number} event{'s' * (number != 1)}", facts=facts)


def _unheard(entry: Entry) -> WhyStep:
    return step(entry, "expired", "the events that it waited for did not come in time")


def _won(entry: Entry) -> WhyStep:
    branch = entry.body["branch"]
    return step(entry, "chose", f"the branch {branch!r} finished first, the others were stopped")


def _limited(entry: Entry) -> WhyStep:
    error = entry.body["error"]
    return step(entry, "failed", f"an expression was stopped: {error.get('detail', '')}")


def went_on(entry: Entry, continues: dict[str, Any]) -> WhyStep:
    """The first row of a run that goes on for another one; what came before is carried over."""
    step_ = continues["step"].rpartition("/")[2]
    where = f", {'past' if continues['act'] == 'skip' else 'from'} {step_!r}" if step_ else ""
    return step(
        entry,
        "started",
        f"{continues['by']} had the run {continues['run']} go on{where}: {continues['reason']}",
        facts=[
            Fact(name="run", value=continues["run"], source="journal"),
            Fact(name="document", value=entry.body["digest"], source="journal"),
        ],
        person={"subject": continues["by"], "comment": continues["reason"]},
    )


def _continued(entry: Entry) -> WhyStep:
    body = entry.body
    return step(
        entry,
        "repaired",
        f"{body['by']} had the run {body['run']} go on for this one: {body['reason']}",
        facts=[Fact(name="run", value=body["run"], source="journal")],
        person={"subject": body["by"], "comment": body["reason"]},
    )


def _given(entry: Entry) -> WhyStep:
    body = entry.body
    if "arguments" in body:
        title, given = "called with other arguments", body["arguments"]
    else:
        title, given = "not run, and its output given", body.get("output")
    if body.get("passed"):
        title, given = "not run", None
    facts = [] if given is None else [Fact(name="given", value=given, source=f"user:{body['by']}")]
    return step(
        entry,
        "repaired",
        f"{body['by']}: {title}: {body['reason']}",
        facts=facts,
        person={"subject": body["by"], "comment": body["reason"]},
    )


def _declined(entry: Entry) -> WhyStep:
    body = entry.body
    return step(
        entry,
        "declined",
        f"{body['title']}: {body['agent']} has not begun it: {body['why']}",
        rule=body["code"],
    )


def _waited(entry: Entry) -> WhyStep:
    body = entry.body
    took = "left until later" if body["parked"] else f"waited {body['seconds']:.0f} s"
    return step(entry, "waited", f"{body['title']}: {took}, {body['agent']}: {body['why']}")


def _event(event: dict[str, Any]) -> list[Fact]:
    return [
        Fact(name=name, value=event[name], source="event")
        for name in ("id", "source", "subject", "time")
        if name in event
    ]


RENDERERS: Final[dict[str, Callable[[Entry], WhyStep]]] = {
    "child": _child,
    "emitted": _emitted,
    "listening": _listening,
    "heard": _heard,
    "unheard": _unheard,
    "won": _won,
    "limited": _limited,
    "continued": _continued,
    "declined": _declined,
    "waited": _waited,
    "given": _given,
}
