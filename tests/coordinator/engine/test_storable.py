"""Text that a workflow computes and no database stores is an error of the task, and no endless retry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from parley_coordinator.engine import asking

from tests.coordinator.engine.test_people import ASK
from tests.coordinator.world import world

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

ASKS = ASK.replace("'role:requester'", "'${ .who }'")
CAUGHT = """\
  - careful:
      metadata: {label: Careful}
      try:
        - approve:
            metadata: {label: Approve}
            call: human-task:1.0.0@parley
            with: {title: Pay?, candidates: ['${ .who }'], outcomes: [yes], proposal: {action: pay}}
            timeout: {after: {seconds: 60}}
      catch:
        as: problem
        do:
          - note: {set: {handled: '${ $problem.detail }'}}
"""
GIVEN = {"amount": "1.00", "who": "user:a\0b"}


@pytest.fixture(params=["sqlite", "postgres"])
def env(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == "sqlite":
        return {}
    return {"PARLEY_DATABASE_URL": request.getfixturevalue("postgres_url")}


async def test_a_name_that_cannot_be_stored_is_a_final_error_that_a_workflow_may_catch(
    tmp_path: Path, env: dict[str, str]
) -> None:
    async with world(tmp_path, {"ask": ASKS, "caught": CAUGHT}, env=env) as mesh:
        asked = await mesh.run("ask", GIVEN)
        caught = await mesh.run("caught", GIVEN)

    assert asked["state"] == "faulted"
    assert asked["error"]["detail"].startswith("unstorable_text: ")
    assert asked["error"]["type"].endswith("/validation")
    assert asked["error"]["instance"] == "/do/0/approve"
    assert caught["output"]["handled"].startswith("unstorable_text: ")


async def test_what_the_database_refuses_ends_the_run_and_is_not_tried_again(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "check_storable", lambda *_: None)
    env = {"PARLEY_DATABASE_URL": postgres_url}
    async with world(tmp_path, {"ask": ASKS}, env=env) as mesh:
        run = await mesh.run("ask", GIVEN)

    assert run["state"] == "faulted"
    assert run["error"]["detail"].startswith("unstorable_text: ")
