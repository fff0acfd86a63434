"""What an agent says of a message that was given up says nothing about the one that went out after it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4, uuid5

import pytest
from parley_cards.extensions import DEDUPE, DELEGATION
from parley_coordinator.delegation import delegation

from tests.coordinator.engine.odd_agents import OddAgent, answered
from tests.coordinator.engine.test_calling_back import answer, silent, taken
from tests.coordinator.world import CALL, until, world
from tests.scripted_agent import ScriptedAgent, _error, _result

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.responses import Response

pytestmark = pytest.mark.anyio


async def test_a_task_that_is_named_after_an_operator_had_it_sent_again_is_not_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delegation, "SEND_S", 1.0)
    agent = silent()
    env = {"PARLEY_PATIENCE_S": "1"}
    async with world(tmp_path, {"act": CALL}, agent, env=env) as mesh:
        run = await mesh.start("act", {"do": "work"})
        await taken(agent)
        item = await mesh.item(run)
        unanswered, agent.answering = agent.answering, None
        await mesh.decide(item, "resend", role="operator", comment="it is not there")

        async def looked_at() -> bool:
            return len(agent.tasks) == 2 and agent.looks > 0

        await until(looked_at)
        assert unanswered is not None
        unanswered.set()
        changes = set()

        async def gone_on() -> bool:
            changes.add((await mesh.get(f"/v1/runs/{run}"))["updatedAt"])
            return len(changes) > 3

        await until(gone_on)
        agent.tasks["t-1"]["status"]["state"] = "TASK_STATE_SUBMITTED"  # as it stays
        agent.finish_all()
        ended = await mesh.ended(run)
    assert (ended["state"], agent.cancelled) == ("completed", [])


async def test_what_an_agent_answers_while_the_coordinator_stops_is_kept(tmp_path: Path) -> None:
    agent = silent()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": "work"})
        await taken(agent)
        asyncio.get_running_loop().call_later(0.5, answer, agent)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        agent.finish_all()
        ended = await mesh.ended(run)
    assert (ended["state"], agent.runs) == ("completed", 1)


@dataclass
class Remembering(OddAgent):
    """De-duplicates as the extension says: another message with an id that it knows is refused."""

    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    locked: int = 0
    """So many messages that it knows are refused for another reason first."""

    async def _send(self, call: Any, message: dict[str, Any], *, stream: bool) -> Response:
        before = self.known.setdefault(message["messageId"], message)
        if before != message:
            return _error(call, -32602, "The id was used before, for another message")
        if self.ran[message["messageId"]] and self.locked:
            self.locked -= 1
            return answered(401)
        if self.ran[message["messageId"]]:
            return _result(call, {"task": next(iter(self.tasks.values()))})
        return await super()._send(call, message, stream=stream)


async def test_what_an_agent_refuses_because_it_has_it_has_not_failed_without_effect(
    tmp_path: Path,
) -> None:
    agent = Remembering(lose_answers=1, locked=1, extensions=(DELEGATION, DEDUPE))
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": "complete"})

        first = await mesh.item(run)
        await mesh.decide(first, "resend", role="operator", comment="it is not there")

        async def asked_anew() -> Any:
            items = (await mesh.get(f"/v1/items?run={run}"))["items"]
            return [each for each in items if each["id"] != first["id"]]

        (item,) = await until(asked_anew, seconds=20)
    assert (item["kind"], agent.runs) == ("incident", 1)


@dataclass
class Listening(ScriptedAgent):
    """Remembers the ids of the answers that it is given."""

    told: list[str] = field(default_factory=list)

    async def _send(self, call: Any, message: dict[str, Any], *, stream: bool) -> Response:
        if message.get("taskId"):
            self.told.append(message["messageId"])
        return await super()._send(call, message, stream=stream)


async def test_an_answer_that_may_have_left_before_an_upgrade_keeps_the_id_that_it_had(
    tmp_path: Path,
) -> None:
    agent, older = Listening(), str(uuid5(uuid4(), "answer-1"))
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": "ask"})
        await mesh.item(run)
    with closing(sqlite3.connect(tmp_path / "coordinator.db")) as database, database:
        database.execute(
            "INSERT INTO journal (run_id, path, attempt, kind, seq, at, body)"
            " SELECT run_id, path, attempt, 'relayed.1', seq + 1, at, ? FROM journal"
            " WHERE run_id = ? AND kind = 'asked.1'",
            (json.dumps({"message": older, "to": "t-1-0"}), run),
        )
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        await mesh.decide(await mesh.item(run), "answer", role="operator", values={"text": "7"})
        await mesh.ended(run)
    assert agent.told == [older]
