"""Starting, finding, cancelling and resuming runs, through REST and the real engine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.coordinator.engine.test_people import ASK
from tests.coordinator.world import CALL, world
from tests.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_the_same_key_and_request_start_one_run_however_often_they_come(
    tmp_path: Path,
) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        body = {"workflow": "act", "input": {"do": "complete"}}
        answers = await asyncio.gather(*(mesh.post("/v1/runs", body, key="k") for _ in range(8)))
        other = await mesh.post("/v1/runs", {**body, "input": {"do": "fail"}}, key="k")
        (run,) = {answer.json()["id"] for answer in answers}
        await mesh.ended(run)

        assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
        assert agent.runs == 1


async def test_a_value_that_cannot_be_pinned_is_refused_before_anything_happens(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, {"act": CALL}, ScriptedAgent()) as mesh:
        response = await mesh.post("/v1/runs", {"workflow": "act", "input": {"n": 2**60}})

        assert (response.status_code, response.json()["code"]) == (400, "not_canonical")
        assert (await mesh.get("/v1/runs"))["runs"] == []


async def test_an_unknown_workflow_is_named_with_those_that_exist(tmp_path: Path) -> None:
    async with world(tmp_path, {"act": CALL}, ScriptedAgent()) as mesh:
        response = await mesh.post("/v1/runs", {"workflow": "fly", "input": {}})

        assert (response.status_code, response.json()["code"]) == (404, "unknown_workflow")
        assert response.json()["known"] == ["act"]


async def test_a_run_that_has_ended_cannot_be_cancelled_and_one_cancelled_stays_so(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, {"act": CALL, "ask": ASK}, ScriptedAgent()) as mesh:
        done = await mesh.run("act", {"do": "complete"})
        late = await mesh.post(f"/v1/runs/{done['id']}:cancel", {})
        open_run = await mesh.start("ask", {"amount": "1.00"})
        await mesh.item(open_run)
        auditor = await mesh.post(f"/v1/runs/{open_run}:cancel", {}, role="auditor")
        first = await mesh.post(f"/v1/runs/{open_run}:cancel", {"reason": "twice"})
        again = await mesh.post(f"/v1/runs/{open_run}:cancel", {"reason": "twice"})
        why = await mesh.get(f"/v1/runs/{open_run}/why")

        assert (late.status_code, late.json()["code"]) == (409, "run_finished")
        assert (auditor.status_code, auditor.json()["code"]) == (403, "not_permitted")
        assert [r.json()["state"] for r in (first, again)] == ["cancelled", "cancelled"]
        assert why["steps"][-1]["title"] == "requester cancelled the run: twice"


async def test_a_parked_run_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path, {"ask": ASK}) as mesh:
        run = await mesh.start("ask", {"amount": "7.00"})
        item = await mesh.item(run)
    async with world(tmp_path, {"ask": ASK}) as mesh:
        again = await mesh.item(run)
        await mesh.decide(again, "approved")

        assert again["digest"] == item["digest"]
        assert (await mesh.ended(run))["output"]["outcome"] == "approved"


async def test_a_lost_queue_is_made_anew_from_the_runs(tmp_path: Path) -> None:
    """A crash between the row of a run and its place in the queue looks like this."""
    async with world(tmp_path, {"ask": ASK}) as mesh:
        run = await mesh.start("ask", {"amount": "7.00"})
        await mesh.item(run)
    for left in tmp_path.glob("queue.db*"):
        left.unlink()
    async with world(tmp_path, {"ask": ASK}) as mesh:
        await mesh.decide(await mesh.item(run), "approved")

        assert (await mesh.ended(run))["output"]["outcome"] == "approved"


async def test_a_run_stays_on_the_document_that_it_was_started_with(tmp_path: Path) -> None:
    async with world(tmp_path, {"ask": ASK}) as mesh:
        run = await mesh.start("ask", {"amount": "7.00"})
        await mesh.item(run)
    changed = ASK + "  - after:\n      metadata: {label: After}\n      set: {changed: true}\n"
    async with world(tmp_path, {"ask": changed}, version="1.1.0") as mesh:
        await mesh.decide(await mesh.item(run), "approved")
        old = await mesh.ended(run)
        new = await mesh.start("ask", {"amount": "7.00"})
        await mesh.decide(await mesh.item(new), "approved")

        assert old["output"]["outcome"] == "approved"
        assert (await mesh.ended(new))["output"] == {"changed": True}


async def test_runs_are_listed_newest_first_and_page_by_page(tmp_path: Path) -> None:
    async with world(tmp_path, {"act": CALL}, ScriptedAgent()) as mesh:
        runs = [await mesh.start("act", {"do": "complete", "output": n}) for n in range(5)]
        for run in runs:
            await mesh.ended(run)
        seen: list[str] = []
        cursor = ""
        while True:
            page: dict[str, Any] = await mesh.get(f"/v1/runs?limit=2&cursor={cursor}")
            seen += [run["id"] for run in page["runs"]]
            cursor = page["nextCursor"]
            if not cursor:
                break
        headers = {"authorization": f"Bearer {mesh.tokens['operator']}"}  # type: ignore[index]
        bad = await mesh.http.get(f"{mesh.url}/v1/runs?cursor=nope", headers=headers)

        assert seen == runs[::-1]
        assert (bad.status_code, bad.json()["code"]) == (400, "invalid_request")


async def test_a_failed_branch_withdraws_what_its_siblings_still_wait_for(tmp_path: Path) -> None:
    forked = """\
  - both:
      metadata: {label: Both}
      try:
        - fork:
            metadata: {label: Fork}
            fork:
              branches:
                - asks:
                    metadata: {label: Asks}
                    call: act:1.0.0@agents
                    with: {do: ask}
                    timeout: {after: {seconds: 60}}
                - fails:
                    metadata: {label: Fails}
                    call: act:1.0.0@agents
                    with: {do: fail}
                    timeout: {after: {seconds: 60}}
      catch:
        do:
          - rest:
              metadata: {label: Ask a person}
              call: human-task:1.0.0@parley
              with: {title: 'And now?', candidates: ['role:operator'], outcomes: [stop],
                     proposal: {action: stop}}
              timeout: {after: {seconds: 60}}
"""
    agent = ScriptedAgent()
    async with world(tmp_path, {"act": forked}, agent) as mesh:
        run = await mesh.start("act", {})

        async def second() -> dict[str, Any]:
            while (item := await mesh.item(run))["title"] != "And now?":
                pass
            return item

        item = await asyncio.wait_for(second(), 60)
        others = (await mesh.get(f"/v1/items?run={run}&state=withdrawn"))["items"]

        assert item["kind"] == "approval"
        assert [other["kind"] for other in others] in ([], ["input"])
        assert len(agent.cancelled) == 1
