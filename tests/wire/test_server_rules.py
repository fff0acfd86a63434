"""What an agent takes, and the less usual ways in which it answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from a2a.types import Artifact, Part
from parley_cards.card import load_card
from parley_wire.auth import Tokens
from parley_wire.server import Chunk, Completed, Options, Outcome, Replied, Rules, TaskRequest

from tests.wire.support import Running, Scripted, card_json, message, running_agent

pytestmark = pytest.mark.anyio

TOKENS = Tokens({"alice-token": "alice"})
ALICE = {"authorization": "Bearer alice-token"}


async def reply(_: TaskRequest) -> Outcome:
    return Replied("pong")


async def in_chunks(_: TaskRequest) -> Outcome:
    for number in range(3):
        chunk = (Chunk.FIRST, Chunk.NEXT, Chunk.LAST)[number]
        await _.emit(Artifact(artifact_id="a", parts=[Part(text=str(number))]), chunk=chunk)
    await _.emit(Artifact(parts=[Part(text="whole")]))
    return Completed(message="all of it")


async def test_a_part_of_a_media_type_that_the_card_lacks_is_refused(agent: Running) -> None:
    part = {"raw": "aGk", "mediaType": "image/png"}
    sent = {**message(""), "parts": [part]}
    answer = await agent.rpc("SendMessage", {"message": sent})
    over_rest = await agent.http.post(
        f"{agent.url}/rest/message:send", json={"message": sent}, headers={"a2a-version": "1.0"}
    )
    assert answer["error"]["code"] == -32005
    assert over_rest.status_code == 400
    assert not agent.tester.started
    for fine in ("text/plain; charset=utf-8", "Application/JSON", ""):
        part["mediaType"] = fine
        answer = await agent.rpc("SendMessage", {"message": {**sent, "messageId": f"m {fine}"}})
        assert "result" in answer, fine


async def test_media_types_can_be_left_to_the_executor_and_message_ids_forgotten(
    tmp_path: Path,
) -> None:
    options = Options(rules=Rules(dedupe=False, input_modes=False))
    async with running_agent(tmp_path, options=options) as agent:
        sent = {**message(""), "parts": [{"raw": "aGk", "mediaType": "image/png"}]}
        answers = [await agent.rpc("SendMessage", {"message": sent}) for _ in range(2)]
        ids = {each["result"]["task"]["id"] for each in answers}
        assert len(ids) == 2


async def test_a_trivial_exchange_is_a_bare_message_and_in_a_stream_a_task(tmp_path: Path) -> None:
    async with running_agent(tmp_path, Scripted(special={"ping": reply})) as agent:
        answer = (await agent.rpc("SendMessage", {"message": message("ping")}))["result"]
        assert answer["message"]["parts"] == [{"text": "pong"}]
        assert "taskId" not in answer["message"]
        events = await agent.events("SendStreamingMessage", {"message": message("ping")})
        kinds = [next(iter(each["result"])) for each in events]
        assert kinds == ["task", "statusUpdate"]
        said = events[-1]["result"]["statusUpdate"]["status"]
        assert said["message"]["parts"] == [{"text": "pong"}]


async def test_pieces_of_an_artifact_are_streamed_and_one_artifact_in_the_task(
    tmp_path: Path,
) -> None:
    async with running_agent(tmp_path, Scripted(special={"chunks": in_chunks})) as agent:
        events = await agent.events("SendStreamingMessage", {"message": message("chunks")})
        pieces = [
            each["result"]["artifactUpdate"]
            for each in events
            if "artifactUpdate" in each["result"]
        ]
        assert [(each.get("append"), each.get("lastChunk")) for each in pieces] == [
            (None, None),
            (True, None),
            (True, True),
            (None, True),
        ]
        task_id = pieces[0]["taskId"]
        task = (await agent.rpc("GetTask", {"id": task_id}))["result"]
        texts = [[part["text"] for part in each["parts"]] for each in task["artifacts"]]
        assert texts == [["0", "1", "2"], ["whole"]]
        assert task["status"]["message"]["parts"] == [{"text": "all of it"}]


def extends(card: dict[str, Any]) -> None:
    card["capabilities"]["extendedAgentCard"] = True


async def test_the_extended_card_is_for_callers_with_a_token(tmp_path: Path) -> None:
    extended = card_json("http://127.0.0.1:1")
    extended["description"] = "and more"
    options = Options(extended_card=load_card(extended))
    async with running_agent(tmp_path, tokens=TOKENS, change=extends, options=options) as agent:
        answer = await agent.rpc("GetExtendedAgentCard", headers=ALICE)
        assert answer["result"]["description"] == "and more"
        path = f"{agent.url}/rest/extendedAgentCard"
        version = {"a2a-version": "1.0"}
        over_rest = await agent.http.get(path, headers={**version, **ALICE})
        assert over_rest.json() == answer["result"]
        assert (await agent.http.get(path, headers=version)).status_code == 401


async def test_an_extended_card_that_is_missing_says_so(tmp_path: Path, agent: Running) -> None:
    assert (await agent.rpc("GetExtendedAgentCard"))["error"]["code"] == -32004
    home = tmp_path / "other"
    home.mkdir()
    async with running_agent(home, tokens=TOKENS, change=extends) as declared:
        answer = await declared.rpc("GetExtendedAgentCard", headers=ALICE)
        assert answer["error"]["code"] == -32007


async def test_an_address_that_ends_with_a_slash_is_the_same(agent: Running) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks"}
    answer = await agent.http.post(f"{agent.url}/a2a/", json=body, headers={"a2a-version": "1.0"})
    assert answer.json()["result"]["totalSize"] == 0


async def test_a_subscriber_stays_with_a_task_that_waits(agent: Running) -> None:
    """A2A 1.0 3.1.6: until the task has ended; a stream of a message ends when the task waits."""
    asked = (await agent.rpc("SendMessage", {"message": message("ask")}))["result"]["task"]
    body = {"jsonrpc": "2.0", "id": 1, "method": "SubscribeToTask", "params": {"id": asked["id"]}}
    async with agent.http.stream(
        "POST", f"{agent.url}/a2a", json=body, headers={"a2a-version": "1.0"}
    ) as response:
        lines = response.aiter_lines()
        assert '"task"' in await anext(lines)
        await agent.rpc("SendMessage", {"message": message("Oslo", taskId=asked["id"])})
        rest = [line async for line in lines if line.startswith("data: ")]
    assert '"TASK_STATE_WORKING"' in rest[0]
    assert '"TASK_STATE_COMPLETED"' in rest[-1]
