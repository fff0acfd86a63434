"""Runs that nobody asks for: at times, and with events."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from parley_coordinator.governance.access import Role
from parley_coordinator.store.tables import from_text, to_text

from tests.coordinator.engine.test_events import event, send
from tests.coordinator.world import DOCUMENT, World, until, world

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

SAY = "  - say: {metadata: {label: Say it}, set: '${ {said: .} }'}\n"
PAUSE = "  - pause: {metadata: {label: Pause}, wait: {milliseconds: 400}}\n"


def scheduled(schedule: str, tasks: str = SAY) -> str:
    return f"{tasks}schedule: {schedule}\n"


def on(strategy: str, *, read: str = "data", tasks: str = SAY) -> str:
    return scheduled(f"{{on: {strategy}, read: {read}}}", tasks)


async def runs_of(mesh: World, workflow: str, at_least: int = 0) -> list[dict[str, Any]]:
    """Return the runs of a workflow, the oldest first, once there are so many."""

    async def found() -> Any:
        runs = (await mesh.get(f"/v1/runs?workflow={workflow}&limit=200"))["runs"]
        return (runs[::-1], True) if len(runs) >= at_least else None

    runs, _ = await until(found)
    return [await mesh.ended(run["id"]) for run in runs]


async def schedule_of(mesh: World, workflow: str) -> Any:
    found = (await mesh.get("/v1/schedules"))["schedules"]
    return next((each for each in found if each["workflow"] == workflow), None)


async def begun(mesh: World, workflow: str) -> dict[str, Any]:
    found: dict[str, Any] = await until(lambda: schedule_of(mesh, workflow))
    return found


async def deploy(mesh: World, name: str, tasks: str, version: str) -> None:
    text = DOCUMENT.format(name=name, tasks=tasks, version=version)
    response = await mesh.http.post(
        f"{mesh.url}/v1/workflows",
        content=text,
        headers={
            "authorization": f"Bearer {mesh.tokens[Role.OPERATOR]}",
            "content-type": "application/yaml",
        },
    )
    assert response.status_code == 201, response.text


def set_due(home: Path, workflow: str, due: datetime) -> None:
    """Make a stopped coordinator late."""
    with sqlite3.connect(home / "coordinator.db") as database:
        database.execute("UPDATE schedule SET due = ? WHERE workflow = ?", (to_text(due), workflow))


async def test_runs_start_as_often_as_the_document_says(tmp_path: Path) -> None:
    async with world(tmp_path, {"tick": scheduled("{every: {seconds: 1}}")}) as mesh:
        first, _, third = (await runs_of(mesh, "tick", 3))[:3]
        between = datetime.fromisoformat(third["createdAt"]) - datetime.fromisoformat(
            first["createdAt"]
        )

        assert (first["requestedBy"], first["output"]) == ("schedule", {"said": None})
        # One that comes late may be followed closely; over all there is one for each second.
        assert between > timedelta(seconds=1)
        assert (await begun(mesh, "tick"))["lastRun"] is not None


async def test_the_next_run_waits_for_the_end_of_the_last(tmp_path: Path) -> None:
    async with world(tmp_path, {"again": scheduled("{after: {seconds: 1}}", PAUSE)}) as mesh:
        first, second = (await runs_of(mesh, "again", 2))[:2]
        started, ended = (
            datetime.fromisoformat(text) for text in (second["createdAt"], first["updatedAt"])
        )

        assert started - ended >= timedelta(seconds=1)


async def test_a_time_that_was_missed_often_is_made_up_for_once(tmp_path: Path) -> None:
    documents = {"hourly": scheduled("{every: {hours: 1}}")}
    async with world(tmp_path, documents) as mesh:
        await begun(mesh, "hourly")
    late = datetime.now(UTC) - timedelta(hours=5)
    set_due(tmp_path, "hourly", late)
    async with world(tmp_path, documents) as mesh:
        await runs_of(mesh, "hourly", 1)

        async def planned() -> Any:
            found = await schedule_of(mesh, "hourly")
            return found if datetime.fromisoformat(found["due"]) > datetime.now(UTC) else None

        await until(planned)
    set_due(tmp_path, "hourly", late)  # as if the process had died before it noted the start
    async with world(tmp_path, documents) as mesh:
        await until(lambda: _later_due(mesh, "hourly"))

        assert len(await runs_of(mesh, "hourly")) == 1


async def _later_due(mesh: World, workflow: str) -> bool:
    due = from_text_or_none((await begun(mesh, workflow))["due"])
    return due is not None and due > datetime.now(UTC)


def from_text_or_none(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


async def test_each_event_starts_a_run_with_an_array_of_it(tmp_path: Path) -> None:
    documents = {
        "one": on("{one: {with: {type: com.example.order}}}"),
        "any": on("{any: [{with: {type: com.example.order, subject: b.*}}]}", read="envelope"),
    }
    async with world(tmp_path, documents) as mesh:
        second = event("com.example.order", 2, {"n": 2}, subject="big")
        await send(mesh, event("com.example.order", 1, {"n": 1}), second, second)
        await send(mesh, second)
        ones, (only,) = await runs_of(mesh, "one", 2), await runs_of(mesh, "any", 1)

        assert [run["output"]["said"] for run in ones] == [[{"n": 1}], [{"n": 2}]]
        assert only["output"]["said"] == [second]
        assert only["requestedBy"] == "schedule"


async def test_events_that_belong_together_start_one_run_together(tmp_path: Path) -> None:
    both = (
        "{all: [{with: {type: com.example.order}, correlate: {id: {from: '${ .data.id }'}}},"
        " {with: {type: com.example.payment}, correlate: {id: {from: '${ .data.id }'}}}]}"
    )
    documents = {"both": on(both)}
    async with world(tmp_path, documents) as mesh:
        await send(mesh, event("com.example.order", 1, {"id": 1}))
        await send(mesh, event("com.example.order", 2, {"id": 2}))
        await send(mesh, event("com.example.payment", 3, {"id": 2, "paid": True}))
        (run,) = await runs_of(mesh, "both", 1)

        assert run["output"]["said"] == [{"id": 2}, {"id": 2, "paid": True}]
    async with world(tmp_path, documents) as mesh:
        await send(mesh, event("com.example.payment", 4, {"id": 1, "paid": True}))
        _, run = await runs_of(mesh, "both", 2)

        assert run["output"]["said"] == [{"id": 1}, {"id": 1, "paid": True}]


async def test_events_are_gathered_until_they_are_enough(tmp_path: Path) -> None:
    documents = {
        "three": on("{any: [{with: {type: com.example.reading}}], until: '${ length >= 3 }'}"),
        "day": on(
            "{any: [{with: {type: com.example.reading}}],"
            " until: {all: [{with: {type: com.example.dusk}}, {with: {type: com.example.evening}}]}}"
        ),
    }
    async with world(tmp_path, documents) as mesh:
        await send(mesh, event("com.example.evening", 0, None))
        await send(mesh, *(event("com.example.reading", n, n) for n in (1, 2, 3)))
        await send(mesh, event("com.example.evening", 5, None))
        await send(mesh, event("com.example.reading", 4, 4), event("com.example.dusk", 6, None))
        (three,), (day,) = await runs_of(mesh, "three", 1), await runs_of(mesh, "day", 1)

        assert three["output"]["said"] == [1, 2, 3]
        assert day["output"]["said"] == [1, 2, 3, 4]


async def test_an_input_that_does_not_fit_is_reported_and_the_next_event_starts_a_run(
    tmp_path: Path,
) -> None:
    schema = "input: {schema: {document: {type: array, items: {type: object}}}}\n"
    documents = {"strict": on("{one: {with: {type: com.example.order}}}") + schema}
    async with world(tmp_path, documents) as mesh:
        await send(mesh, event("com.example.order", 1, "no object"))

        async def reported() -> Any:
            return (await begun(mesh, "strict"))["problem"]

        problem = await until(reported)
        await send(mesh, event("com.example.order", 2, {}))
        (run,) = await runs_of(mesh, "strict", 1)

        assert "does not fit strict" in problem
        assert run["output"]["said"] == [{}]
        assert (await begun(mesh, "strict"))["problem"] is None


async def test_an_expression_that_fails_is_reported_and_holds_up_nobody(tmp_path: Path) -> None:
    documents = {
        "bad": on("{one: {with: {type: com.example.order, subject: '${ error(\"odd\") }'}}}"),
        "good": on("{one: {with: {type: com.example.order}}}"),
    }
    async with world(tmp_path, documents) as mesh:
        response = await send(mesh, event("com.example.order", 1, {}))
        await runs_of(mesh, "good", 1)

        assert response.status_code == 202
        assert "e-1" in (await begun(mesh, "bad"))["problem"]


async def test_a_new_version_takes_its_schedule_with_it(tmp_path: Path) -> None:
    async with world(tmp_path, {"w": scheduled("{every: {hours: 1}}")}) as mesh:
        first = await begun(mesh, "w")
        await deploy(mesh, "w", scheduled("{every: {hours: 1}}", SAY + PAUSE), "1.1.0")

        async def replaced() -> Any:
            found = await schedule_of(mesh, "w")
            return found if found["version"] == "1.1.0" else None

        same = await until(replaced)
        await deploy(mesh, "w", on("{one: {with: {type: a.b}}}"), "1.2.0")

        async def listens() -> Any:
            found = await schedule_of(mesh, "w")
            return found if found["kind"] == "on" else None

        other = await until(listens)
        await deploy(mesh, "w", SAY, "1.3.0")

        async def gone() -> bool:
            return await schedule_of(mesh, "w") is None

        await until(gone)
        await send(mesh, event("a.b", 1, {}))

        assert same["due"] == first["due"]
        assert other["due"] is None
        assert await runs_of(mesh, "w") == []


async def test_an_event_may_follow_a_deploy_at_once(tmp_path: Path) -> None:
    async with world(tmp_path, {"w": SAY}) as mesh:
        await deploy(mesh, "w", on("{one: {with: {type: a.b}}}"), "1.1.0")
        await send(mesh, event("a.b", 1, {"n": 1}))
        (run,) = await runs_of(mesh, "w", 1)

        assert (run["version"], run["output"]["said"]) == ("1.1.0", [{"n": 1}])


async def test_what_is_due_while_the_agents_are_not_there_starts_when_they_are(
    tmp_path: Path,
) -> None:
    """The check before the start fails; the time that was due is not lost."""
    act = "  - act: {metadata: {label: Act}, call: 'act:1.0.0@agents', with: '${ . }', timeout: {after: {seconds: 60}}}\n"
    documents = {"early": scheduled("{every: {hours: 1}}", act)}
    async with world(tmp_path, documents) as mesh:
        await begun(mesh, "early")
    due = datetime.now(UTC) - timedelta(minutes=1)
    set_due(tmp_path, "early", due)
    async with world(tmp_path, documents) as mesh:

        async def reported() -> Any:
            return (await begun(mesh, "early"))["problem"]

        problem = await until(reported)
        found = await begun(mesh, "early")

        assert "act" in problem
        assert datetime.fromisoformat(found["due"]) == from_text(to_text(due))
        assert await runs_of(mesh, "early") == []


async def test_whoever_may_read_workflows_may_see_the_schedules(tmp_path: Path) -> None:
    async with world(tmp_path, {"w": scheduled("{cron: '0 6 * * 1-5'}")}) as mesh:
        found = await begun(mesh, "w")
        seen = await asyncio.gather(*(mesh.get("/v1/schedules", role=str(role)) for role in Role))

        due = datetime.fromisoformat(found["due"])
        assert (due.hour, due.minute, due.weekday() < 5) == (6, 0, True)
        assert [len(each["schedules"]) for each in seen] == [1] * len(Role)
