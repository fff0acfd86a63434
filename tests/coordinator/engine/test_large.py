"""Expressions that run away, long loops and wide forks: through REST, beside healthy runs."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.coordinator.world import world
from tests.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

RUNAWAY = """\
  - away:
      metadata: {label: Run away}
      fork:
        branches:
          - time:
              try: [{endless: {set: {x: "${ def f: f; f }"}}}]
              catch: {as: problem, do: [{say: {set: {stopped: "${ $problem.detail }"}}}]}
          - memory:
              try: [{huge: {set: {x: "${ [range(1000000000)] | length }"}}}]
              catch: {as: problem, do: [{say: {set: {stopped: "${ $problem.detail }"}}}]}
          - text:
              try: [{long: {set: {x: '${ reduce range(30) as $i ("x" * 100; . + .) | length }'}}}]
              catch: {as: problem, do: [{say: {set: {stopped: "${ $problem.detail }"}}}]}
"""
HEALTHY = """\
  - sum:
      metadata: {label: Sum it up}
      set: "${ {sum: ([.n, 1] | add)} }"
"""
DEEP = """\
  - deep:
      metadata: {label: Nest}
      set: {x: "${ reduce range(.levels) as $i (1; [.]) }"}
"""
LOOP = """\
  - loop:
      metadata: {label: Count}
      for: {each: n, in: "${ [range(.times)] }"}
      do:
        - count: {set: "${ {total: ((.total // 0) + $n)} }"}
"""
CALLS = """\
  - loop:
      metadata: {label: Call again and again}
      for: {each: n, in: "${ [range(.times)] }"}
      do:
        - act:
            call: act:1.0.0@agents
            with: {do: complete, output: {n: "${ $n }"}}
            timeout: {after: {minutes: 5}}
"""


def wide(branches: int) -> str:
    head = "  - wide:\n      metadata: {label: Wide}\n      fork:\n        branches:\n"
    return head + "".join(
        f"          - b{n}:\n              call: act:1.0.0@agents\n"
        f"              with: {{do: complete, output: {{n: {n}}}}}\n"
        "              timeout: {after: {minutes: 5}}\n"
        for n in range(branches)
    )


async def test_healthy_runs_finish_beside_expressions_that_run_away(tmp_path: Path) -> None:
    process = psutil.Process()
    documents = {"away": RUNAWAY, "healthy": HEALTHY}
    async with world(tmp_path, documents) as mesh:
        await mesh.run("healthy", {"n": 0})
        gc.collect()
        before = process.memory_info().rss
        away = await mesh.start("away", {})
        healthy = await asyncio.gather(*(mesh.start("healthy", {"n": n}) for n in range(50)))
        ended = [await mesh.ended(run, seconds=60) for run in healthy]
        stopped = await mesh.ended(away, seconds=60)
        grown = process.memory_info().rss - before
        why = await mesh.get(f"/v1/runs/{away}/why")

    assert [run["output"] for run in ended] == [{"sum": n + 1} for n in range(50)]
    details = [branch["stopped"] for branch in stopped["output"]]
    assert "CPU time" in details[0]
    assert "CPU time" in details[1] or "memory" in details[1]
    assert "memory" in details[2]
    assert grown < 100 << 20, f"{grown >> 20} MiB"
    assert sum("an expression was stopped" in step["title"] for step in why["steps"]) == 3


async def test_a_loop_of_ten_thousand_iterations_finishes(tmp_path: Path) -> None:
    async with world(tmp_path, {"loop": LOOP}) as mesh:
        run = await mesh.run("loop", {"times": 10_000}, seconds=110)

    assert run["output"] == {"total": sum(range(10_000))}


async def test_a_loop_of_calls_runs_each_once(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"loop": CALLS}, agent) as mesh:
        run = await mesh.run("loop", {"times": 250}, seconds=110)

    assert run["output"] == {"n": 249}
    assert len(agent.ran) == 250
    assert set(agent.ran.values()) == {1}


async def test_a_fork_of_two_hundred_branches_finishes(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    # Patience is there for one slow agent; here a slow machine must not have 200 calls made again.
    env = {"PARLEY_PATIENCE_S": "60"}
    async with world(tmp_path, {"wide": wide(200)}, agent, env=env) as mesh:
        run = await mesh.run("wide", {}, seconds=110)

    assert run["output"] == [{"n": n} for n in range(200)]
    assert set(agent.ran.values()) == {1}


async def test_what_was_stopped_stays_stopped_on_every_replay(tmp_path: Path) -> None:
    """The run parks after the stopped expression, and is told again from its journal."""
    document = (
        RUNAWAY
        + """\
  - ask:
      metadata: {label: Ask}
      call: human-task:1.0.0@parley
      with:
        title: Go on?
        candidates: ["role:approver"]
        outcomes: [ok]
        proposal: {action: go-on}
      timeout: {after: {minutes: 5}}
      output: {as: "${ $context }"}
"""
    )
    document = document.replace("      fork:\n", '      export: {as: "${ . }"}\n      fork:\n', 1)
    async with world(tmp_path, {"away": document}) as mesh:
        run = await mesh.start("away", {})
        item: dict[str, Any] = await mesh.item(run)
        await mesh.decide(item, "ok", role="approver")
        ended = await mesh.ended(run)

    assert ["stopped" in branch for branch in ended["output"]] == [True, True, True]


async def test_an_output_that_is_nested_too_deep_faults_its_run_and_all_else_is_shown(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, {"deep": DEEP}) as mesh:
        refused = await mesh.run("deep", {"levels": 300})
        taken = await mesh.run("deep", {"levels": 99})
        why = await mesh.get(f"/v1/runs/{refused['id']}/why")
        listed = await mesh.get("/v1/runs")
        ask = {"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": taken["id"]}}
        headers = {**mesh.as_role("operator"), "A2A-Version": "1.0"}
        told = await mesh.http.post(f"{mesh.url}/workflows/deep/a2a", json=ask, headers=headers)

    assert refused["state"] == "faulted"
    assert "nested more than 100 levels deep" in refused["error"]["detail"]
    assert taken["state"] == "completed"
    assert "/do/0/deep" in [each["path"] for each in why["steps"]]
    assert {each["id"] for each in listed["runs"]} == {refused["id"], taken["id"]}
    (part,) = told.json()["result"]["artifacts"][0]["parts"]
    assert json.loads(part["text"]) == taken["output"]
