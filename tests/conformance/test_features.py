"""The semantics of the profile, kind by kind: our own features, and the words that they add.

Each scenario runs three times: from end to end, parked and resumed before every single effect, and
told again from its finished journal. All three must end alike and do the same to the world.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import pytest
from parley_coordinator.workflow.document import load_document
from parley_coordinator.workflow.durations import duration
from parley_coordinator.workflow.errors import same_type
from pytest_bdd import given, parsers, scenarios, then

from tests.conformance.cast import answers, fails, name_of, silent
from tests.conformance.public_services import services
from tests.conformance.running import Played, Stage, Way
from tests.conformance.values import yaml

HEAD: Final = 'document: {{dsl: "1.0.3", namespace: test, name: {name}, version: "1.0.0"}}\n'
STANDARD: Final = "https://serverlessworkflow.io/spec/1.0.0/errors/"

scenarios("features")


@pytest.fixture(autouse=True, params=["straight", "parked", "retold"])
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


def length(text: str) -> timedelta:
    """Read `3 minutes`."""
    amount, unit = text.split()
    return duration({unit if unit.endswith("s") else f"{unit}s": float(amount)})


# Given


@given("the workflow:")
def _workflow(stage: Stage, docstring: str) -> None:
    """All but the head."""
    stage.document = load_document(HEAD.format(name="example") + docstring, source="scenario.yaml")


@given(parsers.parse("another workflow '{name}':"))
def _another(stage: Stage, name: str, docstring: str) -> None:
    document = load_document(HEAD.format(name=name) + docstring, source=f"{name}.yaml")
    stage.workflows[name] = document


@given(parsers.parse("the secret '{name}' is:"))
def _secret(stage: Stage, name: str, docstring: str) -> None:
    stage.secrets[name] = yaml(docstring)


@given("the public services")
def _services(stage: Stage) -> None:
    stage.servers = services


WHO: Final = r"the (?:agent|workflow|protocol) '(?P<name>[^']+)'"


@given(parsers.re(WHO + r" answers:"))
def _answers(stage: Stage, name: str, docstring: str) -> None:
    stage.cast.learn(name, answers(yaml(docstring)))


@given(parsers.re(WHO + r" answers after (?P<after>[\d.]+ \w+):"))
def _answers_late(stage: Stage, name: str, after: str, docstring: str) -> None:
    stage.cast.learn(name, answers(yaml(docstring), length(after)))


@given(parsers.re(WHO + r" fails with '(?P<error>[^']+)'"))
def _fails(stage: Stage, name: str, error: str) -> None:
    stage.cast.learn(name, fails(error))


@given(parsers.re(WHO + r" fails (?P<times>\d+) times with '(?P<error>[^']+)', then answers:"))
def _fails_first(stage: Stage, name: str, times: str, error: str, docstring: str) -> None:
    stage.cast.learn(name, fails(error), times=int(times))
    stage.cast.learn(name, answers(yaml(docstring)))


@given(parsers.re(WHO + r" never answers"))
def _never(stage: Stage, name: str) -> None:
    stage.cast.learn(name, silent)


@given(parsers.re(r"a person decides '(?P<outcome>\w+)' after (?P<after>[\d.]+ \w+)"))
def _decides(stage: Stage, outcome: str, after: str) -> None:
    decision = {"outcome": outcome, "by": "ada", "comment": "", "values": {}}
    stage.cast.learn("human-task", answers(decision, length(after)))


@given("nobody decides")
def _undecided(stage: Stage) -> None:
    stage.cast.learn("human-task", silent)


@given(parsers.re(r"an event after (?P<after>[\d.]+ \w+):"))
def _event(stage: Stage, after: str, docstring: str) -> None:
    number = len(stage.events) + 1
    default = {"specversion": "1.0", "id": f"event-{number}", "source": "/outside"}
    stage.events.append((length(after), {**default, **yaml(docstring)}))


# Then


@then(parsers.re(r"the workflow should fault with '(?P<kind>\w+)' at '(?P<instance>[^']*)'"))
def _faults_at(played: Played, kind: str, instance: str) -> None:
    assert played.status == "faulted", played.output
    assert same_type(played.error["type"], STANDARD + kind), played.error
    assert played.error["instance"] == instance


@then("the workflow should wait")
def _waits(played: Played) -> None:
    assert played.status == "waiting", (played.output, played.error)


@then(parsers.re(r"(?P<text>[\d.]+ \w+) should have passed"))
def _passed(played: Played, text: str) -> None:
    assert played.took == length(text)


@then(parsers.re(r"between (?P<low>[\d.]+ \w+) and (?P<high>[\d.]+ \w+) should have passed"))
def _passed_between(played: Played, low: str, high: str) -> None:
    assert length(low) <= played.took <= length(high)


@then(parsers.parse("the calls should be: {names}"))
def _calls(played: Played, names: str) -> None:
    """In the order in which they ended."""
    found = [name_of(each) for each in played.journal.asked]
    assert found == [each.strip() for each in names.split(",")]


@then(parsers.parse("nobody should be called"))
def _no_calls(played: Played) -> None:
    assert played.journal.asked == []


@then(parsers.parse("'{name}' should be called with:"))
def _called_with(played: Played, name: str, docstring: str) -> None:
    """The last time."""
    found = [_told(each) for each in played.journal.asked if name_of(each) == name]
    assert found, f"nobody called {name}"
    assert found[-1] == yaml(docstring)


def _told(asked: Any) -> Any:
    return asked.input if hasattr(asked, "input") else asked.arguments


@then("the events should be:")
def _events(played: Played, docstring: str) -> None:
    """Those that the run published; members that are not named may be anything."""
    wanted = yaml(docstring)
    rows = played.journal.kinds("emitted")
    assert [
        {name: row.get(name) for name in each} for each, row in zip(wanted, rows, strict=True)
    ] == (wanted)


@then(parsers.parse("these tasks should run: {names}"))
def _ran(played: Played, names: str) -> None:
    """All of them, in the order in which they begin."""
    assert played.trace.names() == [each.strip() for each in names.split(",")]


@then(parsers.parse("{n:d} checkpoints should be written"))
def _checkpoints(played: Played, n: int) -> None:
    assert len(played.journal.kinds("checkpoint")) == n


@then(parsers.parse("telling it again should run: {names}"))
def _told_again(played: Played, names: str) -> None:
    """These tasks alone: the rest is behind a checkpoint, or has lost a race."""
    if played.retold is not None:
        assert played.retold.names() == [each.strip() for each in names.split(",")]
