"""The vocabulary of the specification's conformance kit (ctk/README.md there)."""

from __future__ import annotations

import asyncio

import pytest
from parley_coordinator.workflow.document import load_document
from pytest_bdd import given, parsers, then, when

from tests.conformance.running import Played, Stage, Way, play
from tests.conformance.values import fits, member, yaml


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def way() -> Way:
    return "straight"


@given("a workflow with definition:")
def _defined(stage: Stage, docstring: str) -> None:
    stage.document = load_document(docstring, source="scenario.yaml")


@given("given the workflow input is:")
def _input(stage: Stage, docstring: str) -> None:
    stage.data = yaml(docstring)


@when("the workflow is executed", target_fixture="played")
def _executed(stage: Stage, way: Way) -> Played:
    return asyncio.run(play(stage, way))


@then("the workflow should complete")
def _completes(played: Played) -> None:
    assert played.status == "completed", played.error


@then("the workflow should complete with output:")
def _completes_with(played: Played, docstring: str) -> None:
    _completes(played)
    assert played.output == yaml(docstring)


@then("the workflow should fault")
def _faults(played: Played) -> None:
    assert played.status == "faulted", played.output


@then("the workflow should fault with error:")
def _faults_with(played: Played, docstring: str) -> None:
    _faults(played)
    fits(played.error, yaml(docstring))


@then("the workflow should cancel")
def _cancels() -> None:
    pytest.fail("no workflow cancels itself: somebody outside does")


@then(parsers.re(r"the workflow output should have properties (?P<paths>'.+')"))
def _has(played: Played, paths: str) -> None:
    _completes(played)
    for path in paths.split(","):
        member(played.output, path.strip().strip("'"))


@then(parsers.parse("the workflow output should have a '{path}' property with value:"))
def _has_value(played: Played, path: str, docstring: str) -> None:
    _completes(played)
    assert member(played.output, path) == yaml(docstring)


@then(parsers.parse("the workflow output should have a '{path}' property containing {n:d} items"))
def _has_items(played: Played, path: str, n: int) -> None:
    _completes(played)
    assert len(member(played.output, path)) == n


@then(parsers.re(r"(?P<name>\w+) should run first"))
def _first(played: Played, name: str) -> None:
    assert played.trace.names()[0] == name


@then(parsers.re(r"(?P<name>\w+) should run last"))
def _last(played: Played, name: str) -> None:
    assert played.trace.names()[-1] == name


@then(parsers.re(r"(?P<name>\w+) should run after (?P<other>\w+)"))
def _after(played: Played, name: str, other: str) -> None:
    names = played.trace.names()
    assert names.index(name) > names.index(other), names


@then(parsers.re(r"(?P<name>\w+) should run before (?P<other>\w+)"))
def _before(played: Played, name: str, other: str) -> None:
    names = played.trace.names()
    assert names.index(name) < names.index(other), names


@then(parsers.re(r"(?!the workflow )(?P<name>\w+) should cancel"))
def _task_cancels(played: Played, name: str) -> None:
    assert not played.trace.last(name).ended


@then(parsers.re(r"(?!the workflow )(?P<name>\w+) should complete"))
def _task_completes(played: Played, name: str) -> None:
    seen = played.trace.last(name)
    assert seen.ended
    assert seen.error is None


@then(parsers.re(r"(?!the workflow )(?P<name>\w+) should complete with output:"))
def _task_completes_with(played: Played, name: str, docstring: str) -> None:
    _task_completes(played, name)
    assert played.trace.last(name).output == yaml(docstring)


@then(parsers.re(r"(?!the workflow )(?P<name>\w+) should fault"))
def _task_faults(played: Played, name: str) -> None:
    assert played.trace.last(name).error is not None


@then(parsers.re(r"(?!the workflow )(?P<name>\w+) should fault with error:"))
def _task_faults_with(played: Played, name: str, docstring: str) -> None:
    _task_faults(played, name)
    fits(played.trace.last(name).error or {}, yaml(docstring))
