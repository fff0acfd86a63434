"""A message that arrives twice is taken once (extension DEDUPE)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from parley_wire.auth import Tokens

from tests.wire.support import Running, Scripted, message, running_agent

pytestmark = pytest.mark.anyio


async def test_the_second_arrival_returns_the_stored_task(agent: Running) -> None:
    sent = {"message": message("hi")}

    first = await agent.rpc("SendMessage", sent)
    second = await agent.rpc("SendMessage", sent)
    streamed = await agent.events("SendStreamingMessage", sent)

    assert first == second
    assert streamed[0]["result"] == first["result"]
    assert len(streamed) == 1
    assert list(agent.tester.started.values()) == [1]


async def test_key_order_and_space_do_not_make_another_message(agent: Running) -> None:
    sent = message("hi", data={"a": 1, "b": 2})
    turned: dict[str, Any] = dict(reversed(sent.items()))
    turned["parts"] = [sent["parts"][0], {"data": {"b": 2, "a": 1}}]

    assert await agent.rpc("SendMessage", {"message": sent}) == await agent.rpc(
        "SendMessage", {"message": turned}
    )


async def test_arriving_many_times_at_once_it_runs_once(agent: Running) -> None:
    sent = {"message": message("wait")}

    async def streamed() -> list[dict[str, Any]]:
        return await agent.events("SendStreamingMessage", sent)

    asyncio.get_running_loop().call_later(0.1, agent.tester.gate.set)
    seen = await asyncio.gather(*(streamed() for _ in range(20)))

    assert len({each[0]["result"]["task"]["id"] for each in seen}) == 1
    finals = [next(iter(each[-1]["result"].values()))["status"]["state"] for each in seen]
    assert set(finals) == {"TASK_STATE_COMPLETED"}
    assert list(agent.tester.started.values()) == [1]


async def test_the_same_id_with_another_body_is_refused(agent: Running) -> None:
    sent = message("hi")
    await agent.rpc("SendMessage", {"message": sent})

    refused = await agent.rpc("SendMessage", {"message": {**sent, "parts": [{"text": "ho"}]}})

    assert refused["error"]["code"] == -32602
    assert "used before" in refused["error"]["message"]
    assert len(agent.tester.started) == 1


async def test_it_is_remembered_across_a_restart(tmp_path: Path) -> None:
    sent = {"message": message("hi")}
    async with running_agent(tmp_path) as agent:
        first = await agent.rpc("SendMessage", sent)

    async with running_agent(tmp_path) as agent:
        assert await agent.rpc("SendMessage", sent) == first
        assert agent.tester.started == {}


async def test_an_answer_that_arrives_twice_is_taken_once(agent: Running) -> None:
    asked = await agent.rpc("SendMessage", {"message": message("ask 2")})
    task_id = asked["result"]["task"]["id"]
    answer = {"message": message("Oslo", taskId=task_id)}

    first = await agent.rpc("SendMessage", answer)
    second = await agent.rpc("SendMessage", answer)

    assert first == second
    assert first["result"]["task"]["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    assert agent.tester.started == {task_id: 2}


async def test_two_callers_may_use_the_same_id(tmp_path: Path) -> None:
    tokens = Tokens({"ta": "ada", "tb": "bob"})
    async with running_agent(tmp_path, Scripted(), tokens=tokens) as agent:
        sent = {"message": message("hi")}
        ada = await agent.rpc("SendMessage", sent, headers={"authorization": "Bearer ta"})
        bob = await agent.rpc("SendMessage", sent, headers={"authorization": "Bearer tb"})

    assert ada["result"]["task"]["id"] != bob["result"]["task"]["id"]


async def test_the_agent_tells_how_often_it_ran_for_each_message(agent: Running) -> None:
    sent = message("ask", contextId="c1")
    for _ in range(2):
        asked = await agent.rpc("SendMessage", {"message": sent})
    task_id = asked["result"]["task"]["id"]
    answer = message("Oslo", taskId=task_id)
    await agent.rpc("SendMessage", {"message": answer})
    await agent.rpc("SendMessage", {"message": message("hi", contextId="c2")})

    told = (await agent.http.get(f"{agent.url}/executions?contextId=c1&limit=10")).json()

    assert told["executions"] == [
        {
            "taskId": task_id,
            "contextId": "c1",
            "messageId": each["messageId"],
            "skill": "test",
            "runs": 1,
            "state": "TASK_STATE_COMPLETED",
        }
        for each in (sent, answer)
    ]
