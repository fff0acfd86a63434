"""Holds what a case came to against what it expects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from parley_coordinator.rehearsing.cast import Made
from parley_coordinator.rehearsing.differences import ABSENT, Difference, differences
from parley_coordinator.rehearsing.expect import AskedSpec, CallSpec, Expect, uri_of
from parley_coordinator.rehearsing.paths import steps
from parley_coordinator.rehearsing.playing import Played
from parley_coordinator.workflow.durations import words
from parley_coordinator.workflow.errors import WorkflowError, same_type


def unmet(expect: Expect, played: Played) -> Iterator[Difference]:
    """Yield what is not as expected."""
    if played.state != expect.ends:
        yield Difference("state", expect.ends, _with_reason(played))
    yield from _outputs(expect, played)
    if expect.error is not None and played.error is not None:
        yield from _error(expect.error.wanted(), played.error)
    if expect.calls is not None:
        yield from _calls(expect.calls, [made for made in played.made if made.kind != "people"])
    called = {name for made in played.made for name in (made.name, *made.tasks)}
    for name in expect.not_called:
        if name in called:
            yield Difference(f"notCalled: {name}", "no call", "a call")
    if expect.asked is not None:
        yield from _asked(expect.asked, [made for made in played.made if made.kind == "people"])
    if expect.emitted is not None:
        yield from differences(list(expect.emitted), played.emitted, "emitted")
    if expect.tasks is not None:
        yield from _tasks(expect.tasks, played)
    if expect.took is not None and played.took != expect.took:
        yield Difference("took", words(expect.took), words(played.took))


def _with_reason(played: Played) -> str:
    error = played.error
    if error is None:
        return played.state
    at = f" at {error.instance}" if error.instance else ""
    return f"{played.state}: {error} ({error.type.rpartition('/')[2]}, {error.status}){at}"


def _outputs(expect: Expect, played: Played) -> Iterator[Difference]:
    if played.state != "completed":
        return
    if "output" in expect.model_fields_set:
        yield from differences(expect.output, played.output, "output")
    if "output_exactly" in expect.model_fields_set:
        yield from differences(expect.output_exactly, played.output, "output", exactly=True)


def _error(wanted: dict[str, Any], error: WorkflowError) -> Iterator[Difference]:
    found = error.as_json()
    for name, value in wanted.items():
        if name == "type" and same_type(uri_of(value), error.type):
            continue
        if found.get(name) != value:
            yield Difference(f"error.{name}", value, found.get(name, ABSENT))


def _calls(wanted: Sequence[str | CallSpec], made: Sequence[Made]) -> Iterator[Difference]:
    """Compare names first: with a call too few or too many, arguments say nothing."""
    specs = [
        CallSpec.model_validate({"skill": each}) if isinstance(each, str) else each
        for each in wanted
    ]
    pairs = list(zip_longest(specs, made))
    if any(spec is None or call is None or not _named(spec, call) for spec, call in pairs):
        expected = [_said(spec, call) for spec, call in pairs if spec is not None]
        yield Difference("calls", expected, [call.name for call in made])
        return
    for index, (spec, call) in enumerate(pairs):
        if "with_" in spec.model_fields_set:
            yield from differences(spec.with_, call.arguments, f"calls[{index}].with")


def _named(spec: CallSpec, call: Made) -> bool:
    name = spec.skill or spec.protocol or spec.workflow
    return name in (None, call.name) and (spec.task is None or spec.task in call.tasks)


def _said(spec: CallSpec, call: Made | None) -> str:
    """Return how an expected call is named; as it was made, if it is that one."""
    if call is not None and _named(spec, call):
        return call.name
    return spec.skill or spec.protocol or spec.workflow or f"task {spec.task}"


def _asked(wanted: Sequence[AskedSpec], made: Sequence[Made]) -> Iterator[Difference]:
    if len(wanted) != len(made):
        expected = [spec.task or spec.title or "a question" for spec in wanted]
        yield Difference("asked", expected, [call.tasks[0] for call in made])
        return
    for index, (spec, call) in enumerate(zip(wanted, made, strict=True)):
        where = f"asked[{index}]"
        if spec.task is not None and spec.task not in call.tasks:
            yield Difference(f"{where}.task", spec.task, call.tasks[0])
        for name in ("title", "candidates", "exclude_actors", "outcomes"):
            value = getattr(spec, name)
            alias = AskedSpec.model_fields[name].alias or name
            if value is not None:
                value = list(value) if isinstance(value, tuple) else value
                found = call.arguments.get(alias, ABSENT)
                yield from differences(value, found, f"{where}.{alias}")
        if "with_" in spec.model_fields_set:
            yield from differences(spec.with_, call.arguments, f"{where}.with")


def _tasks(wanted: Sequence[str], played: Played) -> Iterator[Difference]:
    """Find the names in the order of the visits; others may come between."""
    names = [step.name for visit in played.visits for step in list(steps(visit.path))[-1:]]
    left = iter(names)
    for index, name in enumerate(wanted):
        if name not in left:  # takes from `left` up to the name
            yield Difference(f"tasks[{index}]", name, f"not there, or not then: {', '.join(names)}")
            return
