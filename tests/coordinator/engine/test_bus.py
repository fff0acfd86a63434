"""Delivery over a real file, without a mesh: who is told, how often, and at what cost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parley_coordinator.engine.bus import Bus
from parley_coordinator.errors import EventConflictError
from parley_coordinator.model import Place
from parley_coordinator.store import events, journal
from parley_coordinator.store.events import Listener, Receipt
from parley_coordinator.store.opening import open_database
from parley_coordinator.workflow.events import types_of
from parley_coordinator.workflow.expressions import Expressions
from parley_wire.database import Database
from sqlalchemy import event as observed

from tests.coordinator.engine.test_events import event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy import Connection

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HERE = Place(path="/do/0/wait")


class Desk:
    """A bus, and what it has done."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.woken: list[str] = []
        self.heard: list[str] = []
        self.broken = False
        self.bus = Bus(
            database,
            signal=self._wake,
            hear=self._hear,
            expressions=Expressions(),
            now=lambda: NOW,
        )

    async def _wake(self, run_id: str) -> None:
        self.woken.append(run_id)

    async def _hear(self, one: dict[str, Any]) -> None:
        if self.broken and one["id"] == "e-1":
            raise RuntimeError("a defect")
        self.heard.append(one["id"])

    async def listen(
        self, run_id: str, *filters: dict[str, Any], expected: list[dict[str, Any]] | None = None
    ) -> None:
        new = Listener(run_id, HERE, list(filters), expected or [])
        await self.database.write(lambda c: events.listen(c, new, types_of(new.filters)))

    async def rows(self, run_id: str) -> list[Any]:
        found = await self.database.read(lambda c: journal.read(c, run_id))
        return [entry.body["event"]["id"] for entry in found]


@pytest.fixture(params=["sqlite", "postgres"])
async def desk(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    anyio_backend: str,  # noqa: ARG001 - orders fixtures
) -> AsyncIterator[Desk]:
    database = open_database(
        f"sqlite:///{tmp_path / 'coordinator.db'}"
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_url")
    )
    yield Desk(database)
    await database.aclose()


async def test_a_filter_takes_literals_patterns_and_the_right_type(desk: Desk) -> None:
    await desk.listen("literal", {"type": "a.b", "subject": "x"})
    await desk.listen("pattern", {"type": "a\\..*"})
    await desk.listen("either", {"type": "c.d"}, {"type": "a.b"})
    await desk.listen("every")
    await desk.listen("other", {"type": "a.c"})
    await desk.bus.publish([event("a.b", 1, {}, subject="x"), event("a.b", 2, {})], "me")

    assert {run: await desk.rows(run) for run in ("literal", "pattern", "either", "every")} == {
        "literal": ["e-1"],
        "pattern": ["e-1", "e-2"],
        "either": ["e-1", "e-2"],
        "every": ["e-1", "e-2"],
    }
    assert await desk.rows("other") == []
    assert sorted(set(desk.woken)) == ["either", "every", "literal", "pattern"]


async def test_only_those_are_told_whose_correlation_can_hold(desk: Desk) -> None:
    for number in range(1000):
        await desk.listen(f"r{number}", {"type": "a.b"}, expected=[{".data.order": number}])
    await desk.listen("unknown", {"type": "a.b"}, expected=[{"$input.order": 1}])
    await desk.listen("second", {"type": "x"}, {"type": "a.b"}, expected=[{".id": "?"}, {}])
    await desk.bus.publish([event("a.b", 1, {"order": 7})], "me")

    assert sorted(desk.woken) == ["r7", "second", "unknown"]


async def test_delivering_again_tells_nobody_again(desk: Desk) -> None:
    await desk.listen("one", {"type": "a.b"})
    one = event("a.b", 1, {})
    await desk.bus.publish([one], "me")
    await desk.bus.deliver(one)
    await desk.bus.redeliver()

    assert await desk.rows("one") == ["e-1"]
    assert desk.woken == ["one"]


async def test_who_began_to_listen_after_an_event_is_not_told_of_it(desk: Desk) -> None:
    """It has looked at the log when it began; a late delivery must not offer it a second time."""
    one = event("a.b", 1, {})
    await desk.bus.publish([one], "me")
    await desk.listen("late", {"type": "a.b"})
    await desk.bus.deliver(one)

    assert await desk.rows("late") == []


async def test_a_batch_with_a_conflict_leaves_nothing(desk: Desk) -> None:
    await desk.bus.publish([event("a.b", 1, {})], "me")
    with pytest.raises(EventConflictError):
        await desk.bus.publish([event("a.b", 2, {}), event("a.b", 1, {"other": True})], "me")

    assert await desk.database.read(_ids) == ["e-1"]


async def test_an_event_that_cannot_be_delivered_does_not_hold_up_the_next(desk: Desk) -> None:
    desk.broken = True
    await desk.database.write(_log)
    await desk.bus.redeliver()
    left = await desk.database.read(lambda c: events.undelivered(c, 0, 10))
    desk.broken = False
    await desk.bus.redeliver()

    assert [logged.event["id"] for logged in left] == ["e-1"]
    assert desk.heard == ["e-2", "e-1"]


async def test_events_about_workflows_go_to_who_names_their_type(desk: Desk) -> None:
    about = "io.serverlessworkflow.workflow.completed.v1"
    await desk.listen("named", {"type": about})
    await desk.listen("every")
    await desk.listen("pattern", {"type": "io.*"})
    await desk.bus.publish([event(about, 1, {})], "run:1")

    assert desk.woken == ["named"]
    assert await desk.database.read(lambda c: events.since(c, NOW - timedelta(1), None)) == []


@pytest.mark.parametrize("desk", ["sqlite"], indirect=True)
async def test_who_listens_is_found_by_an_index_and_so_is_whether_anybody_cares_for_runs(
    desk: Desk,
) -> None:
    for number in range(1000):
        await desk.listen(f"run-{number}", {"type": f"a.{number}"})
    plans: list[str] = []

    def explain(connection: Connection) -> None:
        def before(_: Any, cursor: Any, statement: str, values: Any, *__: Any) -> None:
            if statement.lstrip().startswith("SELECT"):
                rows = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)
                plans.extend(str(row[3]) for row in rows)

        observed.listen(connection, "before_cursor_execute", before)
        try:
            events.listeners(connection, event("a.7", 1, {}))
            events.about_workflows_wanted(connection)
        finally:
            observed.remove(connection, "before_cursor_execute", before)

    await desk.database.write(explain)

    assert any("listener_by_type" in plan for plan in plans), plans
    assert any("document_about_workflows" in plan for plan in plans), plans
    assert not any(plan.startswith("SCAN listener") for plan in plans), plans


def _log(connection: Connection) -> None:
    for number in (1, 2):
        events.insert(connection, event("a.b", number, {}), NOW, "me")


def _ids(connection: Connection) -> list[str]:
    return [logged.event["id"] for logged in events.page(connection, after=0, limit=10)]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["send", "listen", "redeliver"]), st.integers(1, 4)), max_size=12
    )
)
async def test_in_whatever_order_each_listen_is_told_once_of_each_later_event(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    database = open_database(f"sqlite:///{tmp_path_factory.mktemp('bus') / 'c.db'}")
    desk = Desk(database)
    sent: list[str] = []
    expected: dict[str, list[str]] = {}
    try:
        for what, number in steps:
            if what == "listen":
                await desk.listen(f"r{number}", {"type": "a.b"})
                expected.setdefault(f"r{number}", [])
            elif what == "redeliver":
                for each in sent:
                    await desk.bus.deliver(event("a.b", int(each[2:]), {}))
            else:
                (receipt,) = await desk.bus.publish([event("a.b", number, {})], "me")
                assert (receipt is Receipt.ACCEPTED) is (f"e-{number}" not in sent)
                if receipt is Receipt.ACCEPTED:
                    sent.append(f"e-{number}")
                    for heard in expected.values():
                        heard.append(f"e-{number}")
        found = {run: await desk.rows(run) for run in expected}
    finally:
        await database.aclose()

    assert found == expected
