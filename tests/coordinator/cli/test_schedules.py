"""`parley schedules`, against a coordinator that has some."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.coordinator.cli.shell import Shell
from tests.coordinator.engine.test_events import event, send
from tests.coordinator.engine.test_schedules import begun, on, runs_of, scheduled
from tests.coordinator.web.memory import Memory
from tests.coordinator.web.serving import Served
from tests.coordinator.world import until, world

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

pytestmark = pytest.mark.anyio


async def test_what_starts_by_itself_is_listed_with_what_is_wrong(tmp_path: Path) -> None:
    schema = "input: {schema: {document: {type: array, items: {type: object}}}}\n"
    documents = {
        "daily": scheduled("{cron: '0 6 * * *'}"),
        "strict": on("{one: {with: {type: com.example.order}}}") + schema,
    }
    async with world(tmp_path, documents) as mesh:
        await begun(mesh, "strict")
        await send(mesh, event("com.example.order", 1, {}))
        await runs_of(mesh, "strict", 1)
        await send(mesh, event("com.example.order", 2, "no object"))

        async def reported() -> Any:
            return (await begun(mesh, "strict"))["problem"]

        await until(reported)
        parley = Shell(Served(mesh.url, Memory()), tmp_path)
        table, listed = await parley("schedules"), await parley("schedules", "-o", "json")

    daily, strict = (next(r for r in table.out.splitlines() if w in r) for w in documents)
    assert (table.status, listed.status) == (0, 0), table.err
    assert "cron 0 6 * * *" in daily
    assert " 06:00:00 " in daily
    assert "with events" in strict
    assert "does not fit" in strict
    assert [each["workflow"] for each in listed.json] == ["daily", "strict"]


async def test_without_schedules_it_says_so(parley: Shell) -> None:
    ended = await parley("schedules")

    assert "no workflow starts by itself" in ended.out + ended.err
