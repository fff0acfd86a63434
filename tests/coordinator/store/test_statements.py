"""Every statement of the store gives the same on both databases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from parley_coordinator.engine.deploying import By, Written, deploy, deprecate, roll_back
from parley_coordinator.model import (
    Decision,
    Fact,
    ItemKind,
    ItemState,
    Parent,
    Place,
    Run,
    RunState,
    WorkItem,
)
from parley_coordinator.store import (
    calls_back,
    deployments,
    events,
    items,
    journal,
    passed_on,
    relayed,
    run_webhooks,
    runs,
    schedules,
)
from parley_coordinator.store.events import Listener, Logged
from parley_coordinator.store.opening import open_database
from parley_coordinator.store.run_webhooks import Notice
from parley_coordinator.store.schedules import Scheduled, SetState
from parley_coordinator.store.tables import to_text
from parley_coordinator.workflow.document import load_document
from parley_wire.database import Database
from parley_wire.server.push_outbox import Webhook
from parley_wire.server.push_params import PushConfig
from sqlalchemy import Connection

pytestmark = pytest.mark.anyio

AT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
ODD = "Größe 100 % \\ _ 'q\" :x %s %(y)s \u2028 \U0001f600"
"""Everything that means something to somebody on the way."""


def run(name: str, **more: Any) -> Run:
    number = sum(map(ord, name))
    plain = Run(
        id=name,
        workflow="w",
        version="1.0.0",
        digest="sha256:1",
        state=RunState.RUNNING,
        input={"text": ODD, "none": None, "big": 2**60},
        output=None,
        error=None,
        waiting_for=[],
        requested_by="ada",
        created_at=AT + timedelta(seconds=number % 3),
        updated_at=AT + timedelta(seconds=number % 3),
        context_id=f"context-{name}",
    )
    return replace(plain, **more)


def item(name: str, run_id: str, path: str, **more: Any) -> WorkItem:
    plain = WorkItem(
        id=name,
        version=1,
        kind=ItemKind.APPROVAL,
        state=ItemState.READY,
        run_id=run_id,
        workflow="w",
        path=path,
        attempt="",
        title=ODD,
        summary=[Fact(name="total", value="1.00", source="invoice")],
        reason="the rule",
        proposal={"a": 1},
        digest="sha256:2",
        outcomes=["approve"],
        form={},
        candidates=["role:approver", "user:ada"],
        excluded=[],
        origin={},
        created_at=AT,
        decide_by=None,
    )
    return replace(plain, **more)


def event(number: int, type_: str = "a.b") -> dict[str, Any]:
    return {"specversion": "1.0", "id": f"e{number}", "source": ODD, "type": type_, "data": ODD}


def written(version: str) -> Written:
    about = "io.serverlessworkflow.workflow.completed.v1" if version == "2.0.0" else "x"
    raw = (
        f"document: {{dsl: '1.0.3', namespace: t, name: greet, version: '{version}'}}\n"
        f"do: [{{greet: {{set: {{said: '100 % {about}'}}}}}}]\n"
    ).encode()
    return Written(load_document(raw, source="x"), raw, source="x")


SCHEDULE = Scheduled(
    workflow="w",
    version="1.0.0",
    digest="d",
    json={"on": {}},
    kind="after",
    types=["a.b"],
    since=AT,
    due=AT,
)
WAITS: list[dict[str, Any]] = [
    {"kind": "item", "path": "a", "since": AT.isoformat(), "until": None},
    {"kind": "timer", "path": "b", "since": AT.isoformat(), "until": AT.isoformat()},
]


async def of_runs(do: Callable[[Callable[[Connection], Any]], Any]) -> None:
    parent = Parent(run="r1", path="p", attempt="", waits=True)
    for each in (
        run("r1"),
        run("r2", parent=parent, depth=1),
        run("r3", parent=replace(parent, waits=False)),
        run("R1"),
        run("r-4", requested_by="bob"),
    ):
        await do(partial(runs.insert, run=each))
    await do(lambda c: runs.get(c, "r2"))
    await do(lambda c: runs.get(c, "none"))
    await do(lambda c: runs.park(c, "r2", 1, WAITS, AT))
    await do(lambda c: sorted(runs.stalled(c, AT)))
    await do(lambda c: sorted(runs.stalled(c, AT + timedelta(microseconds=1))))
    await do(lambda c: journal.append(c, "r2", Place(path="a"), "k", AT + timedelta(1), {"x": ODD}))
    await do(lambda c: journal.append(c, "r2", Place(path="a"), "k", AT, {"x": 2}))
    await do(lambda c: journal.append(c, "r2", Place(path="a"), "k.2", AT, {}))
    await do(lambda c: journal.read(c, "r2"))
    await do(lambda c: journal.of_kind(c, "r2", "k"))
    await do(lambda c: journal.last(c, "r2"))
    await do(lambda c: sorted(runs.stalled(c, AT)))
    await do(lambda c: runs.park(c, "R1", 1, [], AT))
    for first in (runs.FIRST, (to_text(AT), "r"), ("9", "")):
        await do(partial(runs.waiting, before=AT, after=first, limit=1))
    await do(lambda c: runs.resume(c, "r2", AT))
    await do(lambda c: runs.finish(c, "r1", RunState.FAULTED, at=AT, error={"title": ODD}))
    await do(lambda c: runs.finish(c, "r1", RunState.COMPLETED, at=AT, output=1))
    await do(runs.orphans)
    await do(lambda c: runs.keep_request(c, caller=ODD, key="k", digest="d", run_id="r1", at=AT))
    await do(lambda c: runs.get_request(c, ODD, "k"))
    await do(lambda c: runs.get_request(c, "x", "k"))
    first = await do(lambda c: runs.page(c, limit=2, before=None))
    last = first[-1].run
    before = (to_text(last.created_at), last.id)
    await do(lambda c: runs.page(c, limit=9, before=before))
    await do(lambda c: runs.page(c, limit=9, before=None, states=[RunState.FAULTED]))
    await do(lambda c: runs.page(c, limit=9, before=None, stuck_since=AT + timedelta(1)))
    titles = frozenset({"role:approver"})
    await do(lambda c: runs.page(c, limit=9, before=None, visible_to=("bob", titles)))


async def of_calls_back(do: Callable[[Callable[[Connection], Any]], Any]) -> None:
    later = AT + timedelta(seconds=5)
    place = Place(path="x", attempt="1.2")
    for path, kind in (("b", "intended"), ("c", "intended"), ("c", "observed")):
        await do(
            partial(journal.append, run_id="r1", place=Place(path=path), kind=kind, at=AT, body={})
        )
    await do(lambda c: calls_back.owe_open(c, "r1", at=AT, due=AT))
    await do(lambda c: calls_back.owe_open(c, "r1", at=later, due=later))
    await do(lambda c: calls_back.owe(c, "r2", place, at=AT, due=later))
    await do(lambda c: calls_back.owe(c, "r2", place, at=later, due=AT))
    await do(calls_back.next_due)
    taken = await do(lambda c: calls_back.take(c, before=AT, until=later, limit=9))
    await do(lambda c: calls_back.take(c, before=AT, until=later, limit=9))
    await do(lambda c: calls_back.put_off(c, taken[0], due=AT, tries=3))
    await do(lambda c: calls_back.take(c, before=AT, until=later, limit=9))
    await do(lambda c: calls_back.settle(c, "r2", place))
    await do(lambda c: calls_back.take(c, before=later, until=later, limit=9))


async def of_items(do: Callable[[Callable[[Connection], Any]], Any]) -> None:
    for name, path in (("i1", "a/1"), ("i2", "a_1/2"), ("i3", "a/1/x"), ("i4", "a%/2")):
        await do(partial(items.insert, item=item(name, "r1", path)))
    await do(lambda c: items.insert(c, item("i1", "r9", "z")))
    decision = Decision(outcome="approve", by="ada", at=AT, digest="d", comment=ODD, values={})
    await do(lambda c: items.decide(c, "i1", decision))
    await do(lambda c: items.decide(c, "i1", replace(decision, by="bob")))
    await do(lambda c: items.close(c, "i1", ItemState.EXPIRED))
    await do(lambda c: items.get(c, "i1"))
    await do(lambda c: items.withdraw_below(c, "r1", "a_1"))
    await do(lambda c: items.page(c, limit=9, before=None))
    await do(lambda c: items.page(c, limit=9, before=(to_text(AT), "i3"), state=ItemState.READY))
    await do(lambda c: items.page(c, limit=9, before=None, titles=frozenset({"user:ada", "x"})))
    await do(lambda c: items.withdraw_at(c, "r1", Place(path="a/1/x")))
    await do(lambda c: items.withdraw_below(c, "r1", ""))
    await do(lambda c: items.page(c, limit=9, before=None, run_id="r1"))
    await do(lambda c: runs.asked(c, "r1", frozenset({"user:ada"})))
    await do(lambda c: runs.asked(c, "r1", frozenset({"user:eve"})))


def _told(found: list[Logged]) -> list[Any]:
    """All but the numbers: Postgres uses up one for a duplicate too."""
    return [each[1:] for each in found]


async def of_events(do: Callable[[Callable[[Connection], Any]], Any]) -> None:
    place = Place(path="do/0/a_b")
    typed = Listener("r1", place, [{"type": "a.b"}], [])
    await do(lambda c: events.insert(c, event(1), AT, "ada"))
    await do(lambda c: events.insert(c, event(1), AT, "bob"))
    await do(lambda c: events.insert(c, event(1) | {"data": 2}, AT, "bob"))
    await do(lambda c: events.listen(c, typed, ["a.b"]))
    await do(lambda c: events.listen(c, typed, ["a.b"]))
    await do(lambda c: events.listen(c, Listener("r2", Place(path="x"), [], []), None))
    await do(lambda c: events.insert(c, event(2), AT + timedelta(1), "ada"))
    await do(lambda c: events.insert(c, event(3, f"{events.LIFECYCLE}x"), AT, "run:r1"))
    await do(lambda c: events.listeners(c, event(1)))
    await do(lambda c: events.listeners(c, event(2)))
    await do(lambda c: events.listeners(c, event(3, f"{events.LIFECYCLE}x")))
    await do(lambda c: _told(events.undelivered(c, 0, 2)))
    await do(lambda c: events.delivered(c, event(1)))
    await do(lambda c: _told(events.undelivered(c, 0, 9)))
    await do(lambda c: _told(events.page(c, after=1, limit=9, type_="a.b")))
    await do(lambda c: events.since(c, AT, None))
    await do(lambda c: events.since(c, AT + timedelta(1), ["a.b", "c"]))
    await do(lambda c: events.listens(c, "r1", place))
    await do(lambda c: events.close_below(c, "r1", "do/0/a_"))
    await do(lambda c: events.listens(c, "r1", place))
    await do(lambda c: events.close_below(c, "r1", "do/0"))
    await do(lambda c: events.listens(c, "r1", place))
    await do(lambda c: events.close_at(c, "r2", Place(path="x")))
    await do(lambda c: events.listens(c, "r2", Place(path="x")))


async def of_workflows(do: Callable[[Callable[[Connection], Any]], Any]) -> None:
    by = By("olga", AT)
    await do(events.about_workflows_wanted)
    for version in ("1.0.0", "1.1.0", "2.0.0", "1.1.0"):
        await do(partial(deploy, given=written(version), by=by))
    await do(events.about_workflows_wanted)
    await do(lambda c: roll_back(c, "greet", None, by))
    await do(lambda c: deprecate(c, "greet", "2.0.0", by))
    await do(lambda c: deployments.of(c, "greet"))
    await do(deployments.every)
    await do(deployments.current)
    await do(lambda c: deployments.acts(c, "greet"))
    await do(lambda c: deployments.content(c, deployments.of(c, "greet")[0]))


async def of_schedules(do: Callable[[Callable[[Connection], Any]], Any]) -> None:
    await do(lambda c: schedules.put(c, SCHEDULE))
    await do(lambda c: schedules.put(c, replace_(SCHEDULE, version="1.1.0")))
    later = AT + timedelta(hours=1)
    await do(lambda c: schedules.started(c, SCHEDULE, "r1", AT, None))
    await do(lambda c: schedules.started(c, SCHEDULE, "too late", AT, later))
    await do(lambda c: schedules.waiting_for_end(c, "r1"))
    await do(lambda c: schedules.set_due(c, replace_(SCHEDULE, due=None), later))
    await do(lambda c: schedules.set_due(c, replace_(SCHEDULE, due=None), AT))
    await do(lambda c: schedules.report(c, SCHEDULE, ODD, AT))
    await do(schedules.every)
    for number in (1, 2, 3):
        await do(partial(events.insert, event=event(number), at=AT, by="ada"))
    for number, of_set in ((1, "s1"), (2, "s2"), (2, "s1")):
        gather = partial(schedules.gather, of=SCHEDULE, event=event(number), set_id=of_set)
        await do(partial(gather, heard=True, complete=False))
    await do(lambda c: schedules.open_sets(c, "w"))
    await do(lambda c: schedules.sets(c, SetState.OPEN, SCHEDULE))
    await do(lambda c: schedules.gather(c, SCHEDULE, event(3), "s1", heard=False, complete=True))
    complete = await do(lambda c: schedules.sets(c, SetState.COMPLETE))
    for _ in range(2):
        await do(lambda c: schedules.settle(c, complete[0], SetState.COMPLETE, SetState.STARTED))
    await do(lambda c: schedules.gathered(c, "w", event(3)))
    await do(lambda c: schedules.drop_open(c, "w"))
    await do(lambda c: schedules.open_sets(c, "w"))
    await do(lambda c: schedules.delete(c, "w"))


def replace_(scheduled: Scheduled, **more: Any) -> Scheduled:
    return scheduled._replace(**more)


async def of_relayed(do: Any) -> None:
    for number in range(3):
        begin = partial(relayed.begin, by="ada", agent="a", operation="SendMessage", at=AT)
        await do(partial(begin, task_id=f"t{number}"))
    await do(lambda c: relayed.end(c, 2, ODD, "answered"))
    await do(lambda c: relayed.page(c, agent="a", before=None, limit=2))
    await do(lambda c: relayed.page(c, agent="a", before=2, limit=2))
    claim = partial(passed_on.claim, agent="a", caller="ada", context_id="c", at=AT)
    for task in ("t1", "t1", "t2"):
        await do(partial(claim, task_id=task))
    await do(lambda c: passed_on.count(c, "a", "ada"))


async def of_webhooks(do: Any) -> None:
    now, soon = "2026-01-02T03:04:05.678Z", "2026-01-02T03:04:06.678Z"
    await do(lambda c: runs.insert(c, run("r1")))
    config = PushConfig(id="a", url=ODD, token=ODD, scheme="Basic", credentials=ODD)
    one, other = Webhook("r1", "a", "ada"), Webhook("r1", "b", "ada")
    await do(lambda c: run_webhooks.put(c, one, config, now, replace=True))
    await do(lambda c: run_webhooks.put(c, one, config, now, replace=False))
    await do(lambda c: run_webhooks.put(c, other, replace(config, id="b"), now, replace=True))
    await do(lambda c: run_webhooks.get(c, other))
    await do(lambda c: run_webhooks.page(c, "r1", "ada", after="a", limit=5))
    seen = await do(lambda c: run_webhooks.waiting(c, one))
    await do(lambda c: run_webhooks.prepare(c, one, seen, Notice(ODD, 7, "told")))
    await do(lambda c: run_webhooks.due(c, "me", limit=9, busy=["bob"]))
    await do(lambda c: run_webhooks.due(c, "me", limit=9, busy=["ada"]))
    await do(lambda c: run_webhooks.hold(c, one, "gone", now))
    await do(lambda c: run_webhooks.hold(c, one, "me", now))
    await do(lambda c: run_webhooks.failed(c, one, "me", soon, now))
    await do(lambda c: run_webhooks.hold(c, one, "me", now))
    await do(lambda c: run_webhooks.hold(c, one, "me", soon))
    await do(lambda c: run_webhooks.sent(c, one, "me", 7, now))
    seen = await do(lambda c: run_webhooks.waiting(c, one))
    await do(run_webhooks.marked)
    await do(lambda c: runs.park(c, "r1", 1, [], AT))
    await do(run_webhooks.marked)
    await do(lambda c: run_webhooks.spread(c, now))
    await do(run_webhooks.marked)
    await do(lambda c: run_webhooks.rest(c, one, seen))
    seen = await do(lambda c: run_webhooks.waiting(c, one))
    await do(lambda c: run_webhooks.rest(c, one, seen))
    await do(lambda c: run_webhooks.waiting(c, one))
    await do(lambda c: run_webhooks.give_up(c, other, "me", ODD))
    await do(lambda c: run_webhooks.given_up(c, 9))
    await do(lambda c: run_webhooks.remove(c, one))
    await do(lambda c: run_webhooks.due(c, "me", limit=9, busy=[]))


@pytest.mark.parametrize(
    "use",
    [
        of_runs,
        of_calls_back,
        of_items,
        of_events,
        of_workflows,
        of_schedules,
        of_webhooks,
        of_relayed,
    ],
)
async def test_what_is_done_and_read_is_the_same_on_both_databases(
    use: Callable[[Any], Any], tmp_path: Path, postgres_url: str
) -> None:
    answers: list[list[Any]] = []
    for url in (f"sqlite:///{tmp_path / 'coordinator.db'}", postgres_url):
        database = open_database(url)
        answers.append(await _used(database, use))
        await database.aclose()

    assert answers[0] == answers[1]
    assert any(answers[0])


async def _used(database: Database, use: Callable[[Any], Any]) -> list[Any]:
    answers: list[Any] = []

    async def do(fn: Callable[[Connection], Any]) -> Any:
        answers.append(await database.write(fn))
        return answers[-1]

    await use(do)
    return answers
