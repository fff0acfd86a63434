"""Undo calls: what has happened is undone in reverse, and a failed undo is a question, not an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.coordinator.world import World, until, world
from tests.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


def step(name: str, do: str, undoes: str = "") -> str:
    more = f", compensates: {undoes}" if undoes else ""
    return f"""\
        - {name}:
            metadata: {{label: {name.title()}{more}}}
            call: act:1.0.0@agents
            with: {{do: {do}, output: {{step: {name}}}}}
            timeout: {{after: {{seconds: 60}}}}
"""


def order(release: str = "complete", charge: str = "fail") -> str:
    return (
        """\
  - order:
      metadata: {label: Order}
      try:
"""
        + step("reserve", "complete")
        + step("pack", "complete")
        + step("charge", charge)
        + """\
      catch:
        as: failure
        do:
"""
        + "".join(
            line.replace("        ", "          ", 1) + "\n"
            for part in (
                step("refund", "complete", "charge"),
                step("unpack", "complete", "pack"),
                step("release", release, "reserve"),
            )
            for line in part.splitlines()
        )
        + """\
          - giveUp:
              raise: {error: {type: "https://example.com/undone", status: 409, title: Undone}}
"""
    )


def done(agent: ScriptedAgent) -> list[str]:
    return [task["metadata"]["wanted"]["output"]["step"] for task in agent.tasks.values()]


async def incident(mesh: World, run: str) -> dict[str, Any]:
    item = await mesh.item(run)
    assert item["kind"] == "incident"
    return item


async def test_what_has_happened_is_undone_in_reverse_and_what_has_not_is_skipped(
    tmp_path: Path,
) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"order": order()}, agent) as mesh:
        run = await mesh.run("order", {})
        why = await mesh.get(f"/v1/runs/{run['id']}/why")

    assert run["error"]["title"] == "Undone"
    assert done(agent) == ["reserve", "pack", "charge", "unpack", "release"]
    titles = [each["title"] for each in why["steps"]]
    assert "nothing to undo: charge has not happened" in titles
    assert "Release (undoes reserve)" in titles


async def test_an_undo_that_fails_is_an_incident_and_may_be_sent_again(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"order": order("fail-until-healed")}, agent) as mesh:
        run = await mesh.start("order", {})
        item = await incident(mesh, run)
        assert item["title"] == "This was not undone: Release"
        assert {"name": "undoes", "value": "/do/0/order/try/0/reserve", "source": "journal"} in (
            item["summary"]
        )
        await mesh.decide(item, "resend", role="operator")

        async def asked_again() -> Any:
            return await _another(mesh, run, item["id"])

        second = await until(asked_again)
        agent.healed = True
        await mesh.decide(second, "resend", role="operator")
        ended = await mesh.ended(run)

    assert ended["error"]["title"] == "Undone"
    assert done(agent).count("release") == 3
    assert len(agent.ran) == agent.runs, "each time it was a message of its own"


async def test_an_operator_may_say_that_it_was_undone_by_hand(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"order": order("fail")}, agent) as mesh:
        run = await mesh.start("order", {})
        item = await incident(mesh, run)
        response = await mesh.decide(item, "ran", role="operator", comment="done in the ERP")
        assert response.status_code == 200, response.text
        ended = await mesh.ended(run)

    assert ended["error"]["title"] == "Undone"
    assert done(agent).count("release") == 1


async def test_an_operator_may_stop(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"order": order("fail")}, agent) as mesh:
        run = await mesh.start("order", {})
        await mesh.decide(await incident(mesh, run), "stop", role="operator")
        ended = await mesh.ended(run)

    assert ended["state"] == "faulted"
    assert "chose to stop" in ended["error"]["title"]


async def test_nothing_is_undone_when_all_went_well(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"order": order(charge="complete")}, agent) as mesh:
        run = await mesh.run("order", {})

    assert run["state"] == "completed"
    assert done(agent) == ["reserve", "pack", "charge"]


async def test_what_completed_without_a_valid_result_may_have_happened(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"order": order(charge="empty")}, agent) as mesh:
        await mesh.run("order", {})

    assert done(agent) == ["reserve", "pack", "charge", "refund", "unpack", "release"]


async def test_an_undo_that_asks_and_is_not_answered_is_an_incident(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    document = order("ask")
    at = document.rindex("seconds: 60", 0, document.index("giveUp"))
    document = f"{document[:at]}seconds: 4{document[at + len('seconds: 60') :]}"
    async with world(tmp_path, {"order": document}, agent) as mesh:
        run = await mesh.start("order", {})

        async def incident_after_the_question() -> Any:
            found = (await mesh.get(f"/v1/items?run={run}"))["items"]
            return next((each for each in found if each["kind"] == "incident"), None)

        item = await until(incident_after_the_question)
        await mesh.decide(item, "ran", role="operator")
        ended = await mesh.ended(run)

    assert ended["error"]["title"] == "Undone"


async def _another(mesh: World, run: str, known: str) -> Any:
    found = (await mesh.get(f"/v1/items?run={run}"))["items"]
    return next((each for each in found if each["id"] != known), None)
