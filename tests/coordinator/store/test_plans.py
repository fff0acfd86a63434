"""What is asked often is answered from an index, in its order, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from parley_coordinator.model import RunState
from parley_coordinator.store import run_tasks, runs
from parley_coordinator.store.opening import open_database
from parley_wire.database import Database
from sqlalchemy import Connection, event

pytestmark = pytest.mark.anyio

AT = datetime(2026, 1, 2, tzinfo=UTC)
TASKS = run_tasks.Wanted(
    workflow="w", phase=None, context_id=None, changed_since=None, visible_to=None
)


@pytest.fixture(params=["sqlite", "postgres"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    url = f"sqlite:///{tmp_path / 'coordinator.db'}"
    if request.param == "postgres":
        url = str(request.getfixturevalue("postgres_url"))
    opened = open_database(url)
    yield opened
    await opened.aclose()


def plan(connection: Connection, ask: object) -> str:
    """Return how the first statement of `ask(connection)` is answered."""
    asked: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        asked.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    ask(connection)  # type: ignore[operator]
    event.remove(connection, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # there are few rows
        connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
    statement, parameters = asked[-1]
    rows = connection.exec_driver_sql(explain + statement, parameters)
    return "\n".join(" ".join(map(str, row)) for row in rows)


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (lambda c: run_tasks.page(c, TASKS, limit=5, before=None), "run_by_change"),
        (lambda c: runs.page(c, limit=5, before=None, workflow="w"), "run_by_workflow"),
        (lambda c: runs.page(c, limit=5, before=None), "run_by_age"),
        (lambda c: runs.waiting(c, AT, after=runs.FIRST, limit=5), "run_by_state"),
        (lambda c: runs.page(c, limit=5, before=None, states=[RunState.FAULTED]), "run_by_"),
    ],
)
async def test_lists_of_runs_are_read_in_the_order_of_an_index(
    database: Database, ask: object, index: str
) -> None:
    said = await database.read(lambda c: plan(c, ask))

    assert index in said
    # Postgres orders runs of the same moment among themselves, which reads no more than the page.
    assert "TEMP B-TREE FOR ORDER BY" not in said
    assert "  Sort  " not in said.replace("Incremental Sort", "")
