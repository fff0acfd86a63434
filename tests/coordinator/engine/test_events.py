"""Events: announced by runs, sent in over HTTP, and heard once by whoever listens."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parley_coordinator.workflow.cloudevents import problems

from tests.coordinator.world import World, until, world

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

pytestmark = pytest.mark.anyio

BY_ORDER = """\
  - paid:
      metadata: {label: Wait for the payment}
      listen:
        to:
          one:
            with: {type: com.example.paid}
            correlate:
              order: {from: "${ .data.order }", expect: "${ .order }"}
      timeout: {after: {seconds: 60}}
"""
TWICE = BY_ORDER + BY_ORDER.replace("paid:", "paidAgain:", 1)
ANNOUNCE = """\
  - shipped:
      metadata: {label: Tell that it has left}
      emit: {event: {with: {type: com.example.shipped, data: "${ . }"}}}
"""
EACH = """\
  - readings:
      metadata: {label: Readings until there are two}
      listen:
        to: {any: [{with: {type: com.example.reading}}], until: "${ length >= 2 }"}
      foreach:
        item: reading
        do:
          - double: {set: {value: "${ $reading.value * 2 }"}}
      timeout: {after: {seconds: 60}}
"""
SOON = """\
  - never:
      metadata: {label: Nothing comes}
      listen: {to: {one: {with: {type: com.example.never}}}}
      timeout: {after: {milliseconds: 300}}
"""
RACE = """\
  - race:
      metadata: {label: What comes first}
      fork:
        compete: true
        branches:
          - heard: {listen: {to: {one: {with: {type: com.example.go}}}}}
          - late: {do: [{wait: {wait: {minutes: 5}}}, {say: {set: {late: true}}}]}
      timeout: {after: {minutes: 10}}
"""


def event(type_: str, number: int, data: Any, **more: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"e-{number}",
        "source": "https://shop.example.com",
        "type": type_,
        "data": data,
        **more,
    }


async def send(mesh: World, *events: dict[str, Any], role: str = "requester") -> httpx.Response:
    return await mesh.http.post(
        f"{mesh.url}/v1/events",
        json=list(events),
        headers={
            "authorization": f"Bearer {mesh.tokens[role]}",  # type: ignore[index]
            "content-type": "application/cloudevents-batch+json",
        },
    )


async def listens(mesh: World, run: str) -> None:
    async def waits() -> bool:
        found = await mesh.get(f"/v1/runs/{run}")
        return [each["kind"] for each in found["waitingFor"]] == ["event"]

    await until(waits)


async def test_a_run_hears_the_event_that_is_meant_for_it(tmp_path: Path) -> None:
    async with world(tmp_path, {"order": BY_ORDER}) as mesh:
        one = await mesh.start("order", {"order": 1})
        two = await mesh.start("order", {"order": 2})
        await listens(mesh, one)
        await listens(mesh, two)
        response = await send(mesh, event("com.example.paid", 1, {"order": 2, "amount": "9.50"}))

        assert response.status_code == 202, response.text
        assert response.json() == {"accepted": 1, "duplicates": 0}
        assert (await mesh.ended(two))["output"] == [{"order": 2, "amount": "9.50"}]
        assert (await mesh.get(f"/v1/runs/{one}"))["state"] == "waiting"


async def test_an_event_that_came_before_the_listen_was_reached_counts(tmp_path: Path) -> None:
    later = "  - pause: {metadata: {label: Pause}, wait: {milliseconds: 700}}\n" + BY_ORDER
    async with world(tmp_path, {"order": later}) as mesh:
        run = await mesh.start("order", {"order": 1})
        await send(mesh, event("com.example.paid", 1, {"order": 1}))

        assert (await mesh.ended(run))["output"] == [{"order": 1}]


async def test_a_used_event_is_not_heard_again_and_a_new_one_is(tmp_path: Path) -> None:
    document = TWICE.replace("${ .order }", "${ $workflow.input.order }")
    async with world(tmp_path, {"order": document}) as mesh:
        run = await mesh.start("order", {"order": 1})
        await send(mesh, event("com.example.paid", 1, {"order": 1, "n": 1}))

        async def second() -> bool:
            found = await mesh.get(f"/v1/runs/{run}")
            return any("paidAgain" in each["path"] for each in found["waitingFor"])

        await until(second)
        await send(mesh, event("com.example.paid", 2, {"order": 1, "n": 2}))

        assert (await mesh.ended(run))["output"] == [{"order": 1, "n": 2}]


async def test_what_a_run_announces_is_in_the_log_and_heard_by_others(tmp_path: Path) -> None:
    hear = BY_ORDER.replace("com.example.paid", "com.example.shipped")
    async with world(tmp_path, {"tell": ANNOUNCE, "hear": hear}) as mesh:
        waiting = await mesh.start("hear", {"order": 5})
        await listens(mesh, waiting)
        told = await mesh.run("tell", {"order": 5})

        assert told["output"]["source"] == "/tests/tell/1.0.0"
        assert (await mesh.ended(waiting))["output"] == [{"order": 5}]
        log = await mesh.get("/v1/events?type=com.example.shipped")
        assert [each["event"]["id"] for each in log["events"]] == [told["output"]["id"]]


async def test_each_event_is_worked_on_in_the_order_they_came(tmp_path: Path) -> None:
    async with world(tmp_path, {"readings": EACH}) as mesh:
        run = await mesh.start("readings", {})
        await listens(mesh, run)
        await send(mesh, *(event("com.example.reading", n, {"value": n}) for n in (1, 2, 3)))

        assert (await mesh.ended(run))["output"] == [{"value": 2}, {"value": 4}]


async def test_what_a_correlation_expects_may_be_a_plain_text(tmp_path: Path) -> None:
    document = BY_ORDER.replace('"${ .order }"', '"42"')
    async with world(tmp_path, {"order": document}) as mesh:
        run = await mesh.start("order", {})
        await listens(mesh, run)
        await send(mesh, event("com.example.paid", 1, {"order": "42"}))

        assert (await mesh.ended(run))["output"] == [{"order": "42"}]


async def test_whatever_event_comes_may_end_a_listen(tmp_path: Path) -> None:
    document = BY_ORDER.replace(
        "one:\n            with", "until: {any: []}\n          any:\n          - with"
    ).replace('expect: "${ .order }"', 'expect: "${ 1 }"')
    async with world(tmp_path, {"order": document}) as mesh:
        run = await mesh.start("order", {})
        await listens(mesh, run)
        await send(mesh, event("com.example.other", 1, {}))

        assert (await mesh.ended(run))["output"] == []


async def test_a_listen_that_an_error_has_ended_is_told_nothing_more(tmp_path: Path) -> None:
    document = """\
  - safe:
      metadata: {label: Safe}
      try:
        - hear:
            listen: {to: {any: [{with: {type: com.example.a}}], until: "${ length > 5 }"}}
            timeout: {after: {minutes: 5}}
            foreach: {do: [{boom: {raise: {error: {type: "https://e/b", status: 500}}}}]}
      catch: {do: [{ok: {set: {a: 1}}}]}
  - more: {metadata: {label: More}, wait: {minutes: 5}}
"""
    async with world(tmp_path, {"top": document}) as mesh:
        run = await mesh.start("top", {})
        await listens(mesh, run)
        await send(mesh, event("com.example.a", 1, {}))

        async def rests() -> bool:
            found = await mesh.get(f"/v1/runs/{run}")
            return [each["kind"] for each in found["waitingFor"]] == ["timer"]

        await until(rests)
        await send(mesh, event("com.example.a", 2, {}))
        with sqlite3.connect(tmp_path / "coordinator.db") as database:
            told = "SELECT count(*) FROM journal WHERE kind LIKE 'event:%'"
            assert database.execute(told).fetchone() == (1,)
            assert database.execute("SELECT count(*) FROM listener").fetchone() == (0,)


async def test_a_deadline_ends_the_listen_and_a_late_event_changes_nothing(tmp_path: Path) -> None:
    async with world(tmp_path, {"soon": SOON}) as mesh:
        run = await mesh.run("soon", {})
        await send(mesh, event("com.example.never", 1, {}))

        assert run["error"]["status"] == 408
        assert (await mesh.get(f"/v1/runs/{run['id']}"))["error"] == run["error"]


async def test_a_race_between_an_event_and_a_timer_is_won_once(tmp_path: Path) -> None:
    async with world(tmp_path, {"race": RACE}) as mesh:
        run = await mesh.start("race", {})

        async def both_wait() -> bool:
            found = await mesh.get(f"/v1/runs/{run}")
            return {each["kind"] for each in found["waitingFor"]} == {"event", "timer"}

        await until(both_wait)
        await send(mesh, event("com.example.go", 1, {"go": True}))

        assert (await mesh.ended(run))["output"] == [{"go": True}]
        why = await mesh.get(f"/v1/runs/{run}/why")
        assert any("'heard' finished first" in each["title"] for each in why["steps"])


async def test_the_same_event_twice_is_one_and_another_with_its_id_is_refused(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, {"order": BY_ORDER}) as mesh:
        first = await send(mesh, event("a.b", 1, {"n": 1}))
        again = await send(mesh, event("a.b", 1, {"n": 1}))
        other = await send(mesh, event("a.b", 1, {"n": 2}))

        assert (first.json(), again.json()) == (
            {"accepted": 1, "duplicates": 0},
            {"accepted": 0, "duplicates": 1},
        )
        assert other.status_code == 409
        assert other.json()["code"] == "event_conflict"


async def test_binary_and_structured_mode_are_understood(tmp_path: Path) -> None:
    async with world(tmp_path, {"order": BY_ORDER}) as mesh:
        token = {"authorization": f"Bearer {mesh.tokens['requester']}"}  # type: ignore[index]
        binary = await mesh.http.post(
            f"{mesh.url}/v1/events",
            json={"order": 1},
            headers={
                **token,
                "ce-specversion": "1.0",
                "ce-id": "b-1",
                "ce-source": "urn:shop",
                "ce-type": "com.example.%C3%A9t%C3%A9",
            },
        )
        structured = await mesh.http.post(
            f"{mesh.url}/v1/events",
            json=event("a.b", 2, {}),
            headers={**token, "content-type": "application/cloudevents+json"},
        )
        plain = await mesh.http.post(f"{mesh.url}/v1/events", json={}, headers=token)
        logged = (await mesh.get("/v1/events"))["events"]

    assert (binary.status_code, structured.status_code) == (202, 202)
    assert logged[0]["event"]["type"] == "com.example.été"
    assert logged[0]["event"]["data"] == {"order": 1}
    assert plain.status_code == 400
    assert plain.json()["code"] == "invalid_event"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": ""}, "`id`"),
        ({"source": 7}, "`source`"),
        ({"time": "yesterday"}, "RFC 3339"),
        ({"Upper": "x"}, "'Upper'"),
        ({"extra": {"a": 1}}, "`extra`"),
        ({"datacontenttype": "text/xml"}, "datacontenttype"),
        ({"data_base64": "AA=="}, "data_base64"),
    ],
)
async def test_what_is_no_event_is_refused_and_nothing_of_the_batch_is_taken(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    async with world(tmp_path, {"order": BY_ORDER}) as mesh:
        response = await send(mesh, event("a.b", 1, {}), event("a.b", 2, {}) | change)

        assert response.status_code == 400
        assert response.json()["code"] == "invalid_event"
        assert words in response.json()["detail"]
        assert (await mesh.get("/v1/events"))["events"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"type": "io.serverlessworkflow.workflow.completed.v1"},
        {"source": "/tests/order/1.0.0"},
        {"source": "/elsewhere/order/9.9.9#x"},
    ],
)
async def test_nobody_may_speak_for_a_workflow(tmp_path: Path, change: dict[str, Any]) -> None:
    async with world(tmp_path, {"order": BY_ORDER}) as mesh:
        response = await send(mesh, event("a.b", 1, {}), event("a.b", 2, {}) | change)

        assert (response.status_code, response.json()["code"]) == (403, "event_reserved")
        assert (await mesh.get("/v1/events"))["events"] == []


async def test_who_may_only_approve_may_not_publish(tmp_path: Path) -> None:
    async with world(tmp_path, {"order": BY_ORDER}) as mesh:
        assert (await send(mesh, event("a.b", 1, {}), role="approver")).status_code == 403


async def test_of_many_who_listen_only_the_one_goes_on_that_is_meant(tmp_path: Path) -> None:
    async with world(tmp_path, {"order": BY_ORDER}) as mesh:
        runs = await asyncio.gather(*(mesh.start("order", {"order": n}) for n in range(60)))
        for run in runs:
            await listens(mesh, run)
        await send(mesh, event("com.example.paid", 1, {"order": 41}))

        assert (await mesh.ended(runs[41]))["output"] == [{"order": 41}]
        assert rows(tmp_path, "journal", "kind LIKE 'event:%'") == 1, "nobody else is even woken"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(
    JSON | st.dictionaries(st.sampled_from(["id", "source", "type", "specversion", "time"]), JSON)
)
def test_whatever_comes_gets_a_sentence_or_is_an_event(value: Any) -> None:
    assert all(isinstance(each, str) for each in problems(value))


async def test_an_id_of_the_author_that_is_taken_is_an_error_that_stays(tmp_path: Path) -> None:
    tell = ANNOUNCE.replace("with: {", 'with: {id: "${ .order | tostring }", ')
    async with world(tmp_path, {"tell": tell}) as mesh:
        first = await mesh.run("tell", {"order": 5, "n": 1})
        second = await mesh.run("tell", {"order": 5, "n": 2})
        (logged,) = (await mesh.get("/v1/events"))["events"]

        assert logged["event"] == first["output"]
        assert logged["receivedFrom"] == f"run:{first['id']}"
        assert second["state"] == "faulted"
        assert "has the id '5'" in second["error"]["detail"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("extra: '${ {a: 1} }'", "extra"),
        ("time: '${ \"soon\" }'", "time"),
        ("datacontenttype: text/plain", "datacontenttype"),
        ("subject: '${ \"a\" * 3000 }'", "subject"),
        ("data: '${ \"a\" * 300000 }'", "262144 bytes"),
    ],
)
async def test_what_is_no_event_is_not_announced(tmp_path: Path, more: str, words: str) -> None:
    tell = (
        "  - tell: {metadata: {label: Tell},"
        f" emit: {{event: {{with: {{type: com.example.x, {more}}}}}}}}}\n"
    )
    async with world(tmp_path, {"tell": tell}) as mesh:
        run = await mesh.run("tell", {})

        assert (run["state"], run["error"]["status"]) == ("faulted", 400)
        assert words in run["error"]["detail"]
        assert (await mesh.get("/v1/events"))["events"] == []


async def test_a_workflow_cannot_speak_for_the_coordinator(tmp_path: Path) -> None:
    tell = ANNOUNCE.replace("com.example.shipped", "io.serverlessworkflow.workflow.completed.v1")
    async with world(tmp_path, {"tell": tell}) as mesh:
        run = await mesh.run("tell", {})

        assert "by the coordinator alone" in run["error"]["detail"]


MANY = """\
  - both:
      metadata: {label: Readings in two branches}
      fork:
        branches:
          - fast: {listen: {to: {any: [{with: {type: com.example.reading}}], until: "${ length >= 20 }"}}}
          - slow:
              do:
                - pause: {wait: {milliseconds: 300}}
                - rest: {listen: {to: {any: [{with: {type: com.example.reading}}], until: "${ length >= 20 }"}}}
      timeout: {after: {seconds: 60}}
"""


async def test_events_that_come_while_a_run_is_parked_and_woken_are_all_heard(
    tmp_path: Path,
) -> None:
    """One branch reads the log when it begins, while the other is told of each event."""
    async with world(tmp_path, {"readings": MANY}) as mesh:
        run = await mesh.start("readings", {})
        sent = [event("com.example.reading", n, n) for n in range(20)]
        answers = await asyncio.gather(*(send(mesh, each) for each in sent[:10]))

        async def both_listen() -> bool:
            found = await mesh.get(f"/v1/runs/{run}")
            return [each["kind"] for each in found["waitingFor"]] == ["event", "event"]

        await until(both_listen)
        answers += await asyncio.gather(*(send(mesh, each) for each in sent[10:]))
        fast, slow = (await mesh.ended(run))["output"]

        assert {answer.status_code for answer in answers} == {202}
        assert sorted(fast) == sorted(slow) == list(range(20))


async def test_a_listen_that_is_abandoned_or_over_is_told_nothing_more(tmp_path: Path) -> None:
    async with world(tmp_path, {"race": RACE, "order": BY_ORDER}) as mesh:
        race = await mesh.start("race", {})
        order = await mesh.start("order", {"order": 1})
        await listens(mesh, order)
        await send(mesh, event("com.example.go", 1, {}))
        await mesh.ended(race)
        await mesh.post(f"/v1/runs/{order}:cancel", {})

        assert rows(tmp_path, "listener") == 0


def rows(home: Path, table: str, where: str = "1") -> int:
    with sqlite3.connect(home / "coordinator.db") as database:
        (found,) = database.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()  # noqa: S608
        return int(found)
