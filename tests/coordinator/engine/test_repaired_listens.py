"""A run that goes on for another one hears what that one had heard, and was to work on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.coordinator.engine.test_events import event, listens, send
from tests.coordinator.engine.test_repair import call, repaired
from tests.coordinator.world import world
from tests.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

PAID = """\
  - first:
      metadata: {label: First}
      listen: {to: {one: {with: {type: com.example.paid}}}}
      timeout: {after: {minutes: 5}}
  - second:
      metadata: {label: Second}
      listen: {to: {one: {with: {type: com.example.paid}}}}
      timeout: {after: {minutes: 5}}
""" + call("ship", '{do: fail-until-healed, output: {order: "${ .[0].order }"}}')


async def test_a_listen_that_is_done_anew_hears_again_what_no_step_before_it_has_used(
    tmp_path: Path,
) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"paid": PAID}, agent) as mesh:
        run = await mesh.start("paid", {})
        await listens(mesh, run)
        await send(mesh, *(event("com.example.paid", n, {"order": n}) for n in (1, 2)))
        faulted = await mesh.ended(run)
        again = await repaired(mesh, run, step="second")
        agent.healed = True
        last = await repaired(mesh, again["id"], step="second")

    assert faulted["state"] == again["state"] == "faulted"
    assert last["output"] == {"order": 2}, last
