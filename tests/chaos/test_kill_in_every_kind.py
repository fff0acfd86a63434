"""SIGKILL in the middle of every kind of task: the same outcome, and every effect once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos.killable import Killable, killable
from tests.coordinator.world import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.crash, pytest.mark.chaos]

ACT = """\
{pad}- {name}:
{pad}    metadata: {{label: Act{more}}}
{pad}    call: act:1.0.0@agents
{pad}    with: {{do: {do}, step: {name}}}
{pad}    timeout: {{after: {{minutes: 5}}}}
"""


def act(name: str, *, do: str = "work", indent: int = 2, more: str = "") -> str:
    return ACT.format(name=name, do=do, pad=" " * indent, more=more)


def block(head: str, *bodies: str) -> str:
    return head + "".join(bodies)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A document, what it calls, and how it ends."""

    tasks: str
    output: Any
    calls: int
    at_once: int = 1
    """So many of them are under way when it is killed: of one more, nobody would know whether it had left."""
    kills: int = 1
    more: tuple[tuple[str, str], ...] = ()


DONE = {"done": True}
CASES = {
    "do": Case(
        tasks=block(
            "  - both:\n      metadata: {label: Both}\n      do:\n",
            act("one", indent=8),
            act("two", indent=8),
        ),
        output=DONE,
        calls=2,
        kills=2,
    ),
    "for": Case(
        tasks=block(
            "  - loop:\n      metadata: {label: Loop}\n      for: {each: n, in: '${ [1, 2, 3] }'}\n      do:\n",
            act("one", indent=8),
        ),
        output=DONE,
        calls=3,
        kills=3,
    ),
    "fork": Case(
        tasks=block(
            "  - split:\n      metadata: {label: Split}\n      fork:\n        branches:\n",
            act("one", indent=10),
            act("two", indent=10),
        ),
        output=[DONE, DONE],
        calls=2,
        at_once=2,
    ),
    "race": Case(
        tasks=block(
            "  - race:\n      metadata: {label: Race}\n      fork:\n        compete: true\n        branches:\n",
            "          - slow: {wait: {minutes: 4}}\n",
            "          - quick: {do: [{first: {wait: {milliseconds: 600}}}, {say: {set: {won: true}}}]}\n",
            "",
        )
        + act("after"),
        output=DONE,
        calls=1,
    ),
    "switch and set": Case(
        tasks=act("one")
        + """\
  - which:
      metadata: {label: Which}
      switch:
        - yes: {when: "${ .done }", then: two}
        - no: {then: end}
"""
        + act("two")
        + '  - last: {metadata: {label: Say it}, set: {said: "${ .done }"}}\n',
        output={"said": True},
        calls=2,
        kills=2,
    ),
    "try, retry and raise": Case(
        tasks=block(
            """\
  - outer:
      metadata: {label: Outer}
      try:
        - inner:
            try:
""",
            act("one", indent=14),
            """\
              - again: {raise: {error: {type: "https://example.com/odd", status: 409, title: Odd}}}
            catch:
              retry: {delay: {milliseconds: 100}, limit: {attempt: {count: 2}}}
      catch:
        do:
""",
            act("handle", indent=10),
        ),
        output=DONE,
        calls=4,
        kills=3,
    ),
    "wait": Case(
        tasks="  - pause: {metadata: {label: Pause}, wait: {seconds: 2}}\n" + act("one"),
        output=DONE,
        calls=1,
    ),
    "a function of the document": Case(
        tasks="  - one:\n      metadata: {label: One}\n      call: doIt\n      with: {step: x}\n"
        "      timeout: {after: {minutes: 5}}\n"
        "use:\n  functions:\n    doIt:\n      call: act:1.0.0@agents\n      with: {do: work}\n",
        output=DONE,
        calls=1,
    ),
    "another workflow": Case(
        tasks="""\
  - sub:
      metadata: {label: Sub}
      run: {workflow: {namespace: tests, name: inner, version: "1.0.0", input: {}}}
      timeout: {after: {minutes: 5}}
""",
        more=(("inner", act("one") + act("two")),),
        output=DONE,
        calls=2,
        kills=2,
    ),
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", CASES)
async def test_killed_in_the_middle_it_ends_as_if_nothing_had_happened(
    tmp_path: Path, kind: str
) -> None:
    case = CASES[kind]
    async with killable(tmp_path, {"top": case.tasks, **dict(case.more)}) as site:
        run = await site.mesh.start("top", {})
        for _ in range(case.kills):
            await site.at_work(case.at_once)
            await site.kill()
            site.agent.finish_all()
        ended = await site.ended(run)

    assert ended["state"] == "completed", ended["error"]
    assert ended["output"] == case.output
    assert site.agent.runs == case.calls
    assert set(site.agent.ran.values()) == {1}


async def test_killed_while_it_waits_a_timer_goes_off_once(tmp_path: Path) -> None:
    tasks = "  - pause: {metadata: {label: Pause}, wait: {seconds: 2}}\n" + act("one")
    async with killable(tmp_path, {"top": tasks}) as site:
        run = await site.mesh.start("top", {})
        await site.waits(run, "timer")
        await site.kill()
        ended = await site.ended(run)

    assert ended["output"] == DONE
    assert site.agent.runs == 1


LISTEN = (
    """\
  - tell:
      metadata: {label: Tell}
      emit: {event: {with: {type: com.example.begun, data: {}}}}
  - hear:
      metadata: {label: Hear}
      listen:
        to: {any: [{with: {type: com.example.reading}}], until: "${ length >= 3 }"}
      foreach:
        item: reading
        do:
"""
    + act("one", indent=10)
    + """\
          - note: {set: {value: "${ $reading.n }"}}
      timeout: {after: {minutes: 5}}
"""
)


@pytest.mark.timeout(120)
async def test_killed_between_and_within_events_each_is_worked_on_once(tmp_path: Path) -> None:
    async with killable(tmp_path, {"top": LISTEN}) as site:
        run = await site.mesh.start("top", {})
        await site.waits(run, "event")
        await site.kill()
        for number in (1, 2, 3):
            await _publish(site, number)
            await _publish(site, number)
        for _ in range(3):
            await site.at_work()
            await site.kill()
            site.agent.finish_all()
        ended = await site.ended(run)
        log = (await site.mesh.get("/v1/events"))["events"]

    assert ended["output"] == [{"value": n} for n in (1, 2, 3)]
    assert site.agent.runs == 3
    assert set(site.agent.ran.values()) == {1}
    assert sum(each["event"]["type"] == "com.example.begun" for each in log) == 1
    assert len(log) == 4


UNDO = (
    """\
  - order:
      metadata: {label: Order}
      try:
"""
    + act("reserve", indent=8)
    + act("charge", do="fail", indent=8)
    + """\
      catch:
        do:
"""
    + act("release", indent=10, more=", compensates: reserve")
)


async def test_killed_in_the_middle_of_an_undo_it_is_undone_once(tmp_path: Path) -> None:
    async with killable(tmp_path, {"top": UNDO}) as site:
        run = await site.mesh.start("top", {})
        await site.at_work()
        await site.kill()
        site.agent.finish_all()
        await site.at_work()
        await site.kill()
        ended = await site.ended(run)

    assert ended["output"] == DONE
    steps = [task["metadata"]["wanted"]["step"] for task in site.agent.tasks.values()]
    assert steps == ["reserve", "charge", "release"]
    assert set(site.agent.ran.values()) == {1}


HTTP = """\
  - ask:
      metadata: {{label: Ask the site}}
      call: http
      with: {{method: {method}, endpoint: '${{ .url + \"/slow\" }}'}}
      timeout: {{after: {{minutes: 5}}}}
"""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_killed_while_a_server_answers_only_what_does_no_harm_is_sent_again(
    tmp_path: Path, method: str
) -> None:
    async with killable(tmp_path, {"top": HTTP.format(method=method)}) as site:
        run = await site.mesh.start("top", {"url": site.site.url})

        async def asked() -> bool:
            return site.site.asked[method] == 1

        await until(asked, seconds=30)
        await site.kill()
        site.site.go.set()
        if method == "POST":
            item = await site.mesh.item(run)
            assert item["kind"] == "incident"
            answer = {"result": '{"method": "POST"}'}
            response = await site.mesh.decide(item, "ran", role="operator", values=answer)
            assert response.status_code == 200, response.text
        ended = await site.ended(run)

    assert ended["output"] == {"method": method}
    assert site.site.asked[method] == (2 if method == "GET" else 1)


async def _publish(site: Killable, number: int) -> None:
    event = {
        "specversion": "1.0",
        "id": f"r-{number}",
        "source": "urn:sensor",
        "type": "com.example.reading",
        "data": {"n": number},
    }
    response = await site.mesh.http.post(
        f"{site.mesh.url}/v1/events",
        json=event,
        headers={
            "authorization": f"Bearer {site.mesh.tokens['requester']}",  # type: ignore[index]
            "content-type": "application/cloudevents+json",
        },
    )
    assert response.status_code == 202, response.text
