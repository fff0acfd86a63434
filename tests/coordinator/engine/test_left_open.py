"""What a crash leaves between two commits, and what a run leaves behind: nothing stays open for long."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from parley_coordinator import app
from parley_coordinator.delegation.terms import Terms
from parley_coordinator.engine.children import Children
from parley_coordinator.engine.durable import Durable
from parley_coordinator.engine.ending import end
from parley_coordinator.engine.queues import QueueFile
from parley_coordinator.model import Place, RunState
from parley_coordinator.store import journal, runs
from parley_coordinator.store.log import OvertakenError, RunLog
from parley_coordinator.store.opening import open_database
from parley_coordinator.workflow.document import Document
from parley_coordinator.workflow.effects import NOTE_WON, Child
from parley_wire.database import Database

from tests.coordinator.engine.test_events import event, send
from tests.coordinator.world import World, until, world

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

YEARS = 10 * 365 * 86_400
SUB = '{{workflow: {{namespace: tests, name: {name}, version: "1.0.0"}}}}'
LONG = "  - pause: {metadata: {label: Pause}, wait: {minutes: 8}}\n"
RACE = """\
  - race:
      metadata: {label: Race}
      fork:
        compete: true
        branches:
          - sub:
              metadata: {keep: what it did may stay}
              run: {workflow: {namespace: tests, name: long, version: "1.0.0"}}
              timeout: {after: {minutes: 9}}
          - pause: {wait: {minutes: 5}}
"""
HEARS_OR_WAITS = """\
  - race:
      metadata: {label: Race}
      fork:
        compete: true
        branches:
          - hear: {listen: {to: {one: {with: {type: com.example.a}}}}, timeout: {after: {minutes: 5}}}
          - pause: {wait: {seconds: 1}}
  - more: {metadata: {label: More}, wait: {minutes: 5}}
"""
TWICE = """\
  - order:
      metadata: {label: Order}
      try:
        - number: {set: "${ {n: (($context.n // 0) + 1)} }", export: {as: "${ . }"}}
        - limited:
            timeout: {after: '${ if $context.n == 1 then "PT3S" else "PT1M" end }'}
            do:
              - both:
                  fork:
                    branches:
                      - sub:
                          run: {workflow: {namespace: tests, name: short, version: "1.0.0"}}
                          timeout: {after: {minutes: 1}}
                      - beat:
                          for: {in: "${ [1, 2] }"}
                          do: [{pause: {wait: {seconds: 1}}}]
      catch: {retry: {limit: {attempt: {count: 1}}}}
"""
COUNTS = """\
  - hear:
      metadata: {label: Hear}
      listen: {to: {one: {with: {type: com.example.a}}}}
      timeout: {after: {minutes: 5}}
  - count: {metadata: {label: Count}, set: "${ {n: ([limit(3; repeat(7))] | add)} }"}
"""


def runs_another(name: str) -> str:
    return (
        f"  - sub:\n      metadata: {{label: Run {name}}}\n      run: {SUB.format(name=name)}\n"
        "      timeout: {after: {minutes: 9}}\n"
    )


async def waiting(mesh: World, workflow: str) -> dict[str, Any]:
    """Return the run of this workflow, once it waits."""

    async def there() -> Any:
        found = (await mesh.get(f"/v1/runs?workflow={workflow}"))["runs"]
        return found[0] if found and found[0]["state"] == "waiting" else None

    found: dict[str, Any] = await until(there)
    return found


def database_of(home: Path) -> Database:
    return open_database(f"sqlite:///{home / 'coordinator.db'}")


async def test_a_segment_that_is_parked_twice_runs_at_the_later_word(tmp_path: Path) -> None:
    durable = Durable(QueueFile(tmp_path / "queue.db"))
    went_on = asyncio.Event()

    async def advance(_run_id: str, segment: int) -> None:
        if segment == 1:
            went_on.set()
            return
        await durable.park("run", 1, YEARS)
        await durable.park("run", 1, 0)

    await durable.launch(advance)
    try:
        await durable.start("run", 0)
        async with asyncio.timeout(60):
            await went_on.wait()
    finally:
        await durable.close()


async def test_a_run_that_the_queue_lets_sleep_too_long_is_woken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "SWEEP_S", 1)
    pause = "  - pause: {metadata: {label: Pause}, wait: {seconds: 5}}\n"
    async with world(tmp_path, {"top": pause}) as mesh:
        run = await mesh.start("top", {})
        await waiting(mesh, "top")
        never = int((datetime.now(UTC) + timedelta(seconds=YEARS)).timestamp() * 1000)
        with sqlite3.connect(tmp_path / "queue.db") as queue:
            changed = queue.execute(
                "UPDATE workflow_status SET delay_until_epoch_ms = ? WHERE workflow_uuid = ?",
                (never, f"{run}#1"),
            )
        queue.close()

        assert changed.rowcount == 1
        assert (await mesh.ended(run))["state"] == "completed"


async def test_what_a_run_waited_for_is_cancelled_though_it_died_as_it_ended(
    tmp_path: Path,
) -> None:
    documents = {"top": runs_another("mid"), "mid": runs_another("long"), "long": LONG}
    async with world(tmp_path, documents) as mesh:
        run = await mesh.start("top", {})
        below = [await waiting(mesh, name) for name in ("mid", "long")]
    database = database_of(tmp_path)
    stored = await database.read(lambda c: runs.get(c, run))
    assert stored is not None
    body = {"by": "user:alice", "reason": ""}
    await database.write(lambda c: end(c, stored.run, RunState.CANCELLED, body, datetime.now(UTC)))
    await database.aclose()
    async with world(tmp_path, documents) as mesh:
        for each in below:
            assert (await mesh.ended(each["id"]))["state"] == "cancelled"


async def test_a_loser_is_stopped_though_the_process_died_after_it_had_lost(
    tmp_path: Path,
) -> None:
    documents = {"top": RACE, "long": LONG}
    async with world(tmp_path, documents) as mesh:
        run = await mesh.start("top", {})
        loser = await waiting(mesh, "long")
        await waiting(mesh, "top")
    database = database_of(tmp_path)
    won = {"branch": "pause", "losers": ["/do/0/race/fork/branches/0/sub"]}
    place, at = Place(path="/do/0/race"), datetime.now(UTC)
    assert await database.write(lambda c: journal.append(c, run, place, NOTE_WON, at, won))
    await database.aclose()
    async with world(tmp_path, documents) as mesh:
        assert (await mesh.ended(loser["id"]))["state"] == "cancelled"
        found = await until(lambda: only_waits_for(mesh, run, "timer"))
        assert found["state"] == "waiting"


async def only_waits_for(mesh: World, run: str, kind: str) -> Any:
    found = await mesh.get(f"/v1/runs/{run}")
    return found if [each["kind"] for each in found["waitingFor"]] == [kind] else None


async def test_what_another_attempt_has_begun_outlives_the_end_of_the_one_before(
    tmp_path: Path,
) -> None:
    short = "  - pause: {metadata: {label: Pause}, wait: {seconds: 5}}\n"
    async with world(tmp_path, {"top": TWICE, "short": short}) as mesh:
        run = await mesh.run("top", {})
        states = [each["state"] for each in (await mesh.get("/v1/runs?workflow=short"))["runs"]]

        assert run["state"] == "completed", run["error"]
        assert states == ["completed", "cancelled"]


async def test_a_run_no_longer_waits_for_what_has_lost(tmp_path: Path) -> None:
    async with world(tmp_path, {"top": HEARS_OR_WAITS}) as mesh:
        run = await mesh.start("top", {})

        async def goes_on() -> Any:
            waits = (await mesh.get(f"/v1/runs/{run}"))["waitingFor"]
            return waits if any(each["path"] == "/do/1/more" for each in waits) else None

        assert [each["path"] for each in await until(goes_on)] == ["/do/1/more"]


async def test_a_run_waits_while_no_expression_can_be_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path, {"top": COUNTS}) as mesh:
        run = await mesh.start("top", {})
        await until(lambda: only_waits_for(mesh, run, "event"))
        with monkeypatch.context() as without_workers:
            without_workers.setattr(sys, "executable", str(tmp_path / "nothing"))
            assert (await send(mesh, event("com.example.a", 1, {}))).status_code == 202
            await until(lambda: only_waits_for(mesh, run, "engine"))

        assert (await mesh.ended(run))["output"] == {"n": 21}


class EndsTheParent:
    """A nursery: while it looks for what is to be started, somebody cancels who asked."""

    def __init__(self, database: Database, run_id: str) -> None:
        self._database = database
        self._run_id = run_id
        self.started: list[str] = []

    async def startable(self, name: str, version: str | None) -> Document:
        at = datetime.now(UTC)
        await self._database.write(
            lambda c: runs.finish(c, self._run_id, RunState.CANCELLED, at=at)
        )
        head = {"dsl": "1.0.3", "namespace": "tests", "name": name, "version": version}
        return Document.from_json({"document": head, "do": [{"one": {"set": {"a": 1}}}]})

    async def start(self, run_id: str) -> None:
        self.started.append(run_id)

    async def cancel(self, run_id: str, reason: str, *, tell: dict[str, Any] | None = None) -> None:
        raise AssertionError(run_id, reason, tell)


async def test_a_run_that_was_cancelled_meanwhile_starts_no_other(tmp_path: Path) -> None:
    async with world(tmp_path, {"top": LONG}) as mesh:
        await mesh.start("top", {})
        run_id = (await waiting(mesh, "top"))["id"]
    database = database_of(tmp_path)
    stored = await database.read(lambda c: runs.get(c, run_id))
    assert stored is not None
    log = RunLog(run_id, [], database, lambda: datetime.now(UTC), lambda _: None)
    nursery = EndsTheParent(database, run_id)
    child = Child(
        place=Place(path="/do/0/sub"),
        namespace="tests",
        name="other",
        version="1.0.0",
        input={},
        awaited=True,
        deadline=None,
        title="Run the other workflow",
    )
    with pytest.raises(OvertakenError):
        await Children(stored.run, log, nursery, Terms("")).run_workflow(child)
    entries = await database.read(lambda c: journal.read(c, run_id))
    count = await database.read(lambda c: len(runs.page(c, limit=9, before=None)))
    await database.aclose()

    assert (count, nursery.started) == (1, [])
    assert not any(each.kind == "child" for each in entries)
