"""The agents of the kit count truly, and misbehave as they are told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_torture.agents.scripts import Asks, Script
from parley_torture.agents.tasks import object_in
from parley_torture.agents.vendor import Agent
from parley_torture.clock import Clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

CASE = {"case": "x", "trail": []}


@contextlib.asynccontextmanager
async def opened(script: Script, *, parts: str = "data") -> AsyncIterator[Agent]:
    agent = Agent("torture-b", step="b", script=script, parts=parts)
    await agent.open()
    try:
        yield agent
    finally:
        await agent.close()


async def call(agent: Agent, method: str, **params: Any) -> Any:
    async with httpx.AsyncClient(trust_env=False) as http:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return (await http.post(f"{agent.url}/a2a", json=body)).json()


def message(**more: Any) -> dict[str, Any]:
    return {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"data": CASE}], **more}


async def test_a_message_that_comes_twice_is_counted_twice() -> None:
    async with opened(Script()) as agent:
        for _ in range(2):
            said = await call(agent, "SendMessage", message=message())

    assert said["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert said["result"]["task"]["artifacts"][0]["parts"] == [{"data": {**CASE, "trail": ["b"]}}]
    assert (agent.runs, agent.messages) == (2, 2)


async def test_an_answer_to_its_question_is_no_second_execution() -> None:
    async with opened(Asks()) as agent:
        asked = (await call(agent, "SendMessage", message=message()))["result"]["task"]
        answer = message(taskId=asked["id"], parts=[{"text": "4711"}])
        said = await call(agent, "SendMessage", message=answer)

    assert asked["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    assert said["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert (agent.runs, agent.answers) == (1, ["4711"])


@pytest.mark.parametrize("forget", [False, True])
async def test_an_agent_that_restarts_keeps_its_port_and_its_tasks_or_forgets_them(
    forget: bool,
) -> None:
    async with opened(Asks()) as agent:
        task = (await call(agent, "SendMessage", message=message()))["result"]["task"]
        await agent.door.slam()
        with pytest.raises(httpx.ConnectError):
            await call(agent, "GetTask", id=task["id"])
        await agent.restart(forget=forget)
        said = await call(agent, "GetTask", id=task["id"])

    assert said.get("error", {}).get("code") == (-32001 if forget else None)
    assert agent.runs == 1


async def test_an_older_agent_speaks_0_3_and_nothing_else() -> None:
    class Old(Script):
        dialect = "0.3"

    older = {"messageId": "m", "role": "user", "kind": "message"}
    async with opened(Old(), parts="text") as agent:
        card = agent.card()
        parts = [{"kind": "text", "text": f"please: {json.dumps(CASE)}"}]
        said = await call(agent, "message/send", message={**older, "parts": parts})
        async with httpx.AsyncClient(trust_env=False) as http:
            body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {}}
            newer = await http.post(f"{agent.url}/a2a", json=body)

    assert (card["protocolVersion"], card["url"]) == ("0.3.0", f"{agent.url}/a2a")
    assert "supportedInterfaces" not in card
    assert said["result"]["kind"] == "task"
    assert said["result"]["status"]["state"] == "completed"
    (part,) = said["result"]["artifacts"][0]["parts"]
    assert (part["kind"], json.loads(part["text"])) == ("text", {**CASE, "trail": ["b"]})
    assert newer.status_code == 400


@pytest.mark.parametrize(
    "part",
    [
        {"data": CASE},
        {"data": {"data": {"input": CASE}}},
        {"text": json.dumps(CASE)},
        {"text": f"earlier: {json.dumps({'case': 'y'})} now: {json.dumps(CASE)} thanks}}"},
    ],
)
def test_the_object_is_found_however_it_is_wrapped(part: dict[str, Any]) -> None:
    assert object_in({"parts": [{"text": "hello {"}, part]}) == CASE


@given(st.text(), st.text())
def test_the_object_is_found_in_any_text(before: str, after: str) -> None:
    text = before.replace("{", "") + json.dumps(CASE) + after.replace("{", "")

    assert object_in({"parts": [{"text": text}]}) == CASE


@given(st.text(alphabet='{}[]":,case 1'))
def test_no_text_breaks_the_search(text: str) -> None:
    assert isinstance(object_in({"parts": [{"text": text}]}), dict)


@pytest.mark.skipif(bool(Clock.missing()), reason=str(Clock.missing()))
async def test_a_clock_is_turned_for_one_process_and_leaves_its_stopwatch_alone(
    tmp_path: Path,
) -> None:
    clock = await Clock.make(tmp_path)
    tells = (
        "import sys, time; from datetime import datetime\n"
        "for _ in sys.stdin: print(int(time.time()), int(datetime.now().timestamp()),"
        " int(time.monotonic()), flush=True)"
    )
    process = await asyncio.create_subprocess_exec(
        *(*clock.prefix, sys.executable, "-c", tells),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    seen = []
    for jump in (0, 86_400, -3_600):
        clock.jump(jump)
        process.stdin.write(b"\n")
        seen.append([int(word) for word in (await process.stdout.readline()).split()])
    process.stdin.close()
    await process.wait()

    true, ahead, back = seen
    for wall in (0, 1):
        assert 86_400 <= ahead[wall] - true[wall] < 86_460
        assert 3_540 < true[wall] - back[wall] <= 3_600
    assert 0 <= back[2] - true[2] < 60
