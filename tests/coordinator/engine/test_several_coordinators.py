"""What several coordinators on one Postgres read first and write later, others may change meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from parley_cards.canonical import digest
from parley_coordinator.delegation.catalog import AgentCatalog
from parley_coordinator.engine.checking import Checks
from parley_coordinator.engine.deploying import Written
from parley_coordinator.engine.gathering import Gathering
from parley_coordinator.engine.planning import Current, plan
from parley_coordinator.engine.scheduling import Scheduler
from parley_coordinator.engine.workflows import Workflows
from parley_coordinator.model import Run
from parley_coordinator.store import events, schedules
from parley_coordinator.store.opening import open_database
from parley_coordinator.store.schedules import SetState
from parley_coordinator.workflow.document import Document, load_document
from parley_coordinator.workflow.expressions import Expressions
from parley_wire.database import Database

from tests.coordinator.engine.test_events import event

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAIR = {"on": {"all": [{"with": {"type": "a"}}, {"with": {"type": "b"}}]}}


def now() -> datetime:
    return NOW


async def nothing(*_: Any) -> None:
    """Take it."""


@pytest.fixture
async def databases(postgres_url: str) -> AsyncIterator[list[Database]]:
    opened = [open_database(postgres_url) for _ in range(3)]
    yield opened
    for each in opened:
        await each.aclose()


async def test_events_that_coordinators_hear_at_once_each_belong_to_one_set(
    databases: list[Database],
) -> None:
    current = [Current("pair", "1.0.0", PAIR)]
    await databases[0].write(lambda c: plan(c, current, NOW))
    heard = [event("ab"[number % 2], number, number) for number in range(40)]
    for each in heard:
        await databases[0].write(partial(events.insert, event=each, at=NOW, by="me"))
    coordinators = [
        Gathering(database, expressions=Expressions(), now=now, plan=nothing, complete=lambda: None)
        for database in databases
    ]
    # Each event comes to one of them, and some to two.
    await asyncio.gather(
        *(coordinators[number % 3].hear(each) for number, each in enumerate(heard)),
        *(coordinators[number % 2].hear(each) for number, each in enumerate(heard[::3])),
    )

    complete = await databases[0].read(lambda c: schedules.sets(c, SetState.COMPLETE))
    types = [sorted(each["type"] for each, _ in one.events) for one in complete]
    assert types == [["a", "b"]] * 20
    assert await databases[0].read(lambda c: schedules.sets(c, SetState.OPEN)) == []


async def test_a_set_starts_one_run_whoever_comes_first(databases: list[Database]) -> None:
    await databases[0].write(lambda c: plan(c, [Current("pair", "1.0.0", PAIR)], NOW))
    for number, kind in enumerate("ab"):
        one = event(kind, number, number)
        await databases[0].write(partial(events.insert, event=one, at=NOW, by="me"))
        gathering = Gathering(
            databases[number],
            expressions=Expressions(),
            now=now,
            plan=nothing,
            complete=lambda: None,
        )
        await gathering.hear(one)
    (complete,) = await databases[0].read(lambda c: schedules.sets(c, SetState.COMPLETE))
    settled = await asyncio.gather(
        *(
            each.write(lambda c: schedules.settle(c, complete, SetState.COMPLETE, SetState.STARTED))
            for each in databases
        )
    )

    assert sorted(settled) == [False, False, True]


class Idle:
    """Nothing is due here."""

    async def start(self, *_: Any, **__: Any) -> tuple[Run, bool]:
        raise AssertionError("a run was started")


def written(version: str, hours: int) -> Written:
    raw = (
        f"document: {{dsl: '1.0.3', namespace: t, name: tick, version: '{version}'}}\n"
        f"do: [{{one: {{set: {{x: 1}}}}}}]\nschedule: {{every: {{hours: {hours}}}}}\n"
    ).encode()
    return Written(load_document(raw, source="x"), raw, source="x")


async def no_agents() -> AgentCatalog:
    return AgentCatalog([])


class Overtaken(Workflows):
    """While it reads the documents, another coordinator deploys a version."""

    other: Workflows | None = None

    async def documents(self) -> list[Document]:
        found = await super().documents()
        if self.other is not None:
            other, self.other = self.other, None
            await other.deploy_files([written("2.0.0", 2)])
        return found


async def test_a_plan_that_was_overtaken_by_a_deployment_is_made_again(
    databases: list[Database],
) -> None:
    first, second = (Overtaken(database, Checks(no_agents), now=now) for database in databases[:2])
    await first.deploy_files([written("1.0.0", 1)])
    first.other = second
    await Scheduler(databases[0], first, Idle(), now=now).plan()
    (planned,) = await databases[1].read(schedules.every)

    assert (planned.version, planned.digest) == ("2.0.0", digest({"every": {"hours": 2}}))
    assert planned.due == NOW + timedelta(hours=2)


async def test_what_was_deployed_through_another_coordinator_is_planned_before_an_event_is_heard(
    databases: list[Database],
) -> None:
    first, second = (Workflows(each, Checks(no_agents), now=now) for each in databases[:2])
    scheduler = Scheduler(databases[1], second, Idle(), now=now)
    await first.deploy_files([written("1.0.0", 1)])
    await scheduler.plan()
    await first.deploy_files([written("2.0.0", 2)])
    await scheduler.plan()

    (planned,) = await databases[0].read(schedules.every)
    assert planned.version == "2.0.0"


async def test_a_time_that_another_coordinator_has_dealt_with_stays_dealt_with(
    databases: list[Database],
) -> None:
    workflows = Workflows(databases[0], Checks(no_agents), now=now)
    await workflows.deploy_files([written("1.0.0", 1)])
    await Scheduler(databases[0], workflows, Idle(), now=now).plan()
    (seen,) = await databases[0].read(schedules.every)
    for number, each in enumerate(databases[:2], 1):
        due = NOW + timedelta(hours=number + 1)
        note = partial(schedules.started, of=seen, run_id=f"r{number}", at=NOW, due=due)
        await each.write(note)
    (found,) = await databases[2].read(schedules.every)

    assert (found.last_run, found.due) == ("r1", NOW + timedelta(hours=2))
