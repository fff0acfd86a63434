"""Large outputs are kept beside the journal, once, for those who may see the run."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from tests.coordinator.engine.odd_agents import OddAgent
from tests.coordinator.world import CALL, world

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

TWICE = (
    CALL
    + """\
  - again:
      metadata: {label: Act again}
      call: act:1.0.0@agents
      with: {do: complete, output: "${ .rows | map(. + 1) | {rows: .} }"}
      timeout: {after: {seconds: 60}}
  - fail:
      metadata: {label: Fail}
      call: act:1.0.0@agents
      with: {do: fail-until-healed, output: "${ {count: (.rows | length), last: .rows[-1]} }"}
      timeout: {after: {seconds: 60}}
"""
)


async def test_a_large_output_is_named_by_the_journal_and_read_by_who_may_see_the_run(
    tmp_path: Path,
) -> None:
    agent = OddAgent()
    large = {"rows": list(range(500))}
    env = {"PARLEY_INLINE_BYTES": "1000"}
    async with world(tmp_path, {"act": TWICE}, agent, env=env) as mesh:
        stopped = await mesh.run("act", {"do": "complete", "output": large})
        steps = (await mesh.get(f"/v1/runs/{stopped['id']}/why"))["steps"]
        called = [each for each in steps if each["kind"] == "called"]
        agent.healed = True
        repaired = await mesh.post(
            f"/v1/runs/{stopped['id']}:repair", {"reason": "healed"}, role="operator"
        )
        assert repaired.status_code == 201, repaired.text
        ended = await mesh.ended(repaired.json()["id"])
        (fact,) = called[0]["facts"]

        async def asked(role: str, digest: str) -> Any:
            url = f"{mesh.url}/v1/artifacts/{digest}"
            return await mesh.http.get(url, headers=mesh.as_role(role))

        digest = fact["value"]["digest"]
        read = await asked("requester", digest)
        others = [(await asked("approver", digest)), (await asked("operator", "sha256:0"))]

    assert fact["source"] == "artifact"
    assert fact["value"]["href"] == f"/v1/artifacts/{digest}"
    assert fact["value"]["bytes"] == len(read.content)
    assert read.json() == large
    assert digest == f"sha256:{hashlib.sha256(read.content).hexdigest()}"
    assert [each.status_code for each in others] == [404, 404]
    assert {each.json()["code"] for each in others} == {"unknown_artifact"}
    assert (ended["state"], ended["output"]) == ("completed", {"count": 500, "last": 500})
    assert len(called) == 2


async def test_whoever_may_see_one_run_of_very_many_may_read_what_they_all_have(
    tmp_path: Path,
) -> None:
    agent = OddAgent()
    large = {"rows": list(range(500))}
    given = {"do": "complete", "output": large}
    async with world(tmp_path, {"act": CALL}, agent, env={"PARLEY_INLINE_BYTES": "1000"}) as mesh:
        run = await mesh.run("act", given)
        with sqlite3.connect(tmp_path / "coordinator.db") as database:
            database.execute(_OTHERS, (run["id"],))
            ((digest,),) = database.execute("SELECT digest FROM artifact")
        database.close()
        url = f"{mesh.url}/v1/artifacts/{digest}"
        read = await mesh.http.get(url, headers=mesh.as_role("requester"))
        other = await mesh.http.get(url, headers=mesh.as_role("approver"))

    assert read.json() == large
    assert other.status_code == 404


_OTHERS = """
    WITH RECURSIVE other (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM other WHERE n < 300)
    INSERT INTO artifact_use (digest, run_id)
    SELECT digest, printf('0-%d', n) FROM artifact_use, other WHERE run_id = ?
"""
"""300 runs of somebody else, before all others by their ids."""
