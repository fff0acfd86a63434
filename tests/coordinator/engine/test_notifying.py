"""The outbox of the webhooks of runs: one sender each, and nothing for who may not see the run."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from parley_coordinator.engine.beginning import begin
from parley_coordinator.engine.claims import Sole
from parley_coordinator.engine.notifying import RunWebhooks
from parley_coordinator.governance.access import Principal, Role
from parley_coordinator.model import Run, RunState
from parley_coordinator.settings import Settings, SettingsError
from parley_coordinator.store import run_webhooks, runs
from parley_coordinator.store.opening import open_database
from parley_coordinator.web.a2a.notices import next_notice
from parley_wire.server.push_params import PushConfig
from parley_wire.server.texts import timestamp

from tests.coordinator.engine.test_company import ZOMBIE, Process, processes
from tests.coordinator.world import until

if TYPE_CHECKING:
    from parley_coordinator.engine.claims import Claims
    from parley_wire.database import Database

pytestmark = pytest.mark.anyio

CONFIG = PushConfig(id="a", url="https://example.com/", token="", scheme="", credentials="")


def _now() -> datetime:
    return datetime.now(UTC)


class People:
    """Everybody is a requester, until they leave."""

    def __init__(self) -> None:
        self.gone: set[str] = set()

    def named(self, subject: str) -> Principal | None:
        if subject in self.gone:
            return None
        return Principal(subject=subject, roles=frozenset({Role.REQUESTER}))


def _outbox(database: Database, claims: Claims, people: People | None = None) -> RunWebhooks:
    named = (people or People()).named
    return RunWebhooks(database, claims, people=named, next_notice=next_notice, now=_now)


async def _run(database: Database, run_id: str = "r1") -> None:
    run = Run.starting(
        at=_now(),
        id=run_id,
        workflow="w",
        version="1.0.0",
        digest="d",
        input={},
        requested_by="ada",
        context_id=run_id,
    )
    await database.write(lambda c: begin(c, run))


async def test_a_webhook_is_one_coordinators_until_it_is_dead_and_then_the_same_goes_out_again(
    postgres_url: str,
) -> None:
    async with processes(postgres_url, ZOMBIE, "other") as (zombie, other):
        await _run(other.database)
        first, second = (_outbox(each.database, each.claims) for each in (zombie, other))
        await second.create("r1", CONFIG, "ada", timestamp(_now()))
        (due,) = await first.due(9, busy=())
        held = await first.delivery(due.webhook)
        assert held is not None
        assert await second.due(9, busy=()) == []
        assert await second.delivery(due.webhook) is None

        await _reaped(other)
        (again,) = await second.due(9, busy=())
        taken = await second.delivery(again.webhook)
        assert taken is not None
        assert (taken.body, taken.seq) == (held.body, held.seq)
        # The one that was taken for dead ends before it can say that it has sent something.
        with pytest.raises(SystemExit):
            await first.sent(due.webhook, held.seq, timestamp(_now()))
        await second.sent(again.webhook, taken.seq, timestamp(_now()))
        assert await second.delivery(again.webhook) is None
        assert await second.due(9, busy=()) == []


async def _reaped(other: Process) -> None:
    async def dead() -> bool:
        return ZOMBIE in await other.reap()

    await until(dead)


async def test_a_change_while_the_last_notification_is_on_its_way_is_told_after_it(
    tmp_path: Path,
) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'coordinator.db'}")
    outbox = _outbox(database, Sole())
    await _run(database)
    await outbox.create("r1", CONFIG, "ada", timestamp(_now()))
    (due,) = await outbox.due(9, busy=())
    first = await outbox.delivery(due.webhook)
    assert first is not None
    await database.write(
        lambda c: runs.finish(c, "r1", RunState.COMPLETED, at=_now(), output={"x": 1})
    )
    await outbox.due(9, busy=())
    told = [first]
    while (delivery := await outbox.delivery(due.webhook)) is not None:
        if delivery.seq == told[-1].seq:
            # It has not arrived: the same is handed out again, and nothing that came later.
            assert delivery.body == told[-1].body
        else:
            told.append(delivery)
        await outbox.sent(due.webhook, delivery.seq, timestamp(_now()))

    shown = [next(iter(json.loads(each.body))) for each in told]
    assert shown == ["statusUpdate", "artifactUpdate", "statusUpdate"]
    assert [each.seq for each in told] == sorted({each.seq for each in told})
    assert await outbox.due(9, busy=()) == []
    await database.aclose()


async def test_what_came_of_a_replaced_configuration_does_not_end_the_new_one(
    tmp_path: Path,
) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'coordinator.db'}")
    outbox = _outbox(database, Sole())
    await _run(database)
    await outbox.create("r1", CONFIG, "ada", timestamp(_now()))
    (due,) = await outbox.due(9, busy=())
    assert await outbox.delivery(due.webhook) is not None
    await outbox.create("r1", replace(CONFIG, url="https://new.example/"), "ada", timestamp(_now()))
    await outbox.failed(due.webhook, None, timestamp(_now()), "answered 404")

    fresh = await outbox.delivery(due.webhook)
    assert fresh is not None
    assert fresh.config.url == "https://new.example/"
    await database.aclose()


async def test_who_has_no_account_any_more_is_told_nothing(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'coordinator.db'}")
    people = People()
    outbox = _outbox(database, Sole(), people)
    await _run(database)
    await outbox.create("r1", CONFIG, "ada", timestamp(_now()))
    people.gone.add("ada")
    (due,) = await outbox.due(9, busy=())

    assert await outbox.delivery(due.webhook) is None
    assert await outbox.due(9, busy=()) == []
    (given_up,) = await database.read(lambda c: run_webhooks.given_up(c, 9))
    assert given_up.owner == "ada"
    assert "may not see" in given_up.why
    await database.aclose()


def test_where_webhooks_may_lead_is_read_from_the_environment(tmp_path: Path) -> None:
    def read(text: str) -> tuple[str, ...] | None:
        return Settings.load({"PARLEY_WEBHOOKS": text}, home=tmp_path).webhooks

    assert read("") is None
    assert read("public") == ()
    assert read("public, hooks.local:8080") == ("hooks.local:8080",)
    with pytest.raises(SettingsError, match="PARLEY_WEBHOOKS"):
        read("http://hooks.local/")
