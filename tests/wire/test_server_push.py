"""Notifications: an outbox in the task store, emptied by a worker (A2A 1.0 4.3)."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from a2a.types import Artifact, Part
from parley_wire.auth import Tokens
from parley_wire.server import Chunk, Completed, Options, Outcome, Patience, TaskRequest
from parley_wire.webhooks import WebhookRefusedError, Webhooks, is_signed

from tests.ports import free_port
from tests.webhook_receiver import Receiver, receiving
from tests.wire.support import Running, Scripted, message, running_agent, until

pytestmark = pytest.mark.anyio

QUICK = Patience(timeout_s=2, first_s=0.05, most_s=0.2)
LOOPBACK = Options(webhooks=("127.0.0.1",), patience=QUICK)
CREATE = "CreateTaskPushNotificationConfig"
GET = "GetTaskPushNotificationConfig"
LIST = "ListTaskPushNotificationConfigs"
DELETE = "DeleteTaskPushNotificationConfig"


def pushes(card: dict[str, Any]) -> None:
    card["capabilities"]["pushNotifications"] = True


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


@asynccontextmanager
async def pushing(
    home: Path, tester: Scripted | None = None, *, options: Options = LOOPBACK, **others: Any
) -> AsyncIterator[Running]:
    async with running_agent(home, tester, options=options, change=pushes, **others) as agent:
        yield agent


async def send(agent: Running, text: str, hook: dict[str, Any], **options: Any) -> str:
    """Send with a webhook; return the task id."""
    params = {
        "message": message(text),
        "configuration": {"taskPushNotificationConfig": hook, "returnImmediately": True},
    }
    answer = await agent.rpc("SendMessage", params, **options)
    return str(answer["result"]["task"]["id"])


async def test_each_status_is_pushed_in_order_with_the_secrets_of_the_configuration(
    tmp_path: Path, receiver: Receiver
) -> None:
    hook = {
        "url": receiver.url,
        "token": "t0ken",
        "authentication": {"scheme": "Bearer", "credentials": "s3cret"},
    }
    async with pushing(tmp_path) as agent:
        task_id = await send(agent, "count 2", hook)
        await until(lambda: "COMPLETED" in receiver.states)

    assert receiver.states == ["WORKING", "WORKING", "WORKING", "COMPLETED"]
    assert [*receiver.bodies[-2]] == ["artifactUpdate"]
    for headers, body in receiver.got:
        assert headers["content-type"] == "application/a2a+json"
        assert headers["a2a-version"] == "1.0"
        assert headers["x-a2a-notification-token"] == "t0ken"
        assert headers["authorization"] == "Bearer s3cret"
        assert "webhook-signature" not in headers  # without tokens there is no secret to sign with
        shown = json.loads(body)
        assert next(iter(shown.values()))["taskId"] == task_id
    sequence = [next(iter(each.values()))["metadata"] for each in receiver.bodies]
    numbers = [each["urn:parley:a2a:sequence:v1"] for each in sequence]
    assert numbers == sorted(set(numbers))


async def test_a_notification_is_signed_with_the_token_of_who_asked_for_it(
    tmp_path: Path, receiver: Receiver
) -> None:
    tokens = Tokens({"alice-token": "alice", "bob-token": "bob"})
    async with pushing(tmp_path, tokens=tokens) as agent:
        caller = {"authorization": "Bearer alice-token"}
        await send(agent, "hi", {"url": receiver.url}, headers=caller)
        await until(lambda: "COMPLETED" in receiver.states)

    headers, body = receiver.got[0]
    assert is_signed("alice-token", headers, body, now=time.time())
    assert not is_signed("bob-token", headers, body, now=time.time())
    assert not is_signed("alice-token", headers, body + b" ", now=time.time())
    assert not is_signed("alice-token", headers, body, now=time.time() + 3600)
    assert not is_signed("alice-token", {}, body, now=time.time())


async def test_a_receiver_that_fails_gets_the_same_notification_again_and_misses_none(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.statuses = [500, 429, 503]
    async with pushing(tmp_path) as agent:
        await send(agent, "count 1", {"url": receiver.url})
        await until(lambda: "COMPLETED" in receiver.states)

    assert receiver.states == ["WORKING", "WORKING", "WORKING", "WORKING", "WORKING", "COMPLETED"]
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert len(set(ids[:4])) == 1
    assert len(set(ids)) == len(ids) - 3


async def test_what_was_not_delivered_is_delivered_after_a_restart(tmp_path: Path) -> None:
    port = free_port()
    # Nobody answers there now.
    async with pushing(tmp_path) as agent:
        await send(agent, "hi", {"url": f"http://127.0.0.1:{port}/hook"})

    async with receiving(port=port) as receiver, pushing(tmp_path):
        await until(lambda: "COMPLETED" in receiver.states)
    assert receiver.states == ["WORKING", "COMPLETED"]


@pytest.mark.parametrize("status", [400, 401, 404, 410])
async def test_a_receiver_that_refuses_is_not_asked_again(
    tmp_path: Path, receiver: Receiver, status: int
) -> None:
    receiver.statuses = [status]
    async with pushing(tmp_path) as agent, receiving() as other:
        await send(agent, "count 2", {"url": receiver.url})
        await until(lambda: receiver.got)
        await send(agent, "hi", {"url": other.url})
        await until(lambda: "COMPLETED" in other.states)
    assert len(receiver.got) == 1


@pytest.mark.parametrize("status", [404, 500])
async def test_the_last_attempt_of_a_replaced_configuration_says_nothing_about_the_new_one(
    tmp_path: Path, receiver: Receiver, status: int
) -> None:
    receiver.statuses, receiver.gate = [status], asyncio.Event()
    options = Options(webhooks=("127.0.0.1",), patience=Patience(first_s=600, most_s=600))
    async with pushing(tmp_path, options=options) as agent, receiving() as other:
        task_id = await send(agent, "hi", {"id": "a", "url": receiver.url})
        await until(lambda: receiver.got)
        await agent.rpc(CREATE, {"taskId": task_id, "id": "a", "url": other.url})
        receiver.gate.set()
        await until(lambda: "COMPLETED" in other.states)
    assert len(receiver.got) == 1


async def test_a_webhook_that_fails_for_too_long_is_given_up(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.statuses = [500] * 1000
    patience = Patience(first_s=0.01, most_s=0.02, age_s=2)
    options = Options(webhooks=("127.0.0.1",), patience=patience)
    async with pushing(tmp_path, options=options) as agent, receiving() as other:
        await send(agent, "hi", {"url": receiver.url})
        await until(lambda: given_up(tmp_path))
        tried = len(receiver.got)
        await send(agent, "hi", {"url": other.url})
        await until(lambda: "COMPLETED" in other.states)
    assert tried > 2
    assert len(receiver.got) == tried


def given_up(home: Path) -> list[str]:
    with closing(sqlite3.connect(home / "agent.db")) as database:
        return [why for (why,) in database.execute("SELECT given_up FROM push_configs") if why]


async def test_a_slow_receiver_delays_neither_the_task_nor_the_webhooks_of_others(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.gate = asyncio.Event()
    tokens = Tokens({"alice-token": "alice", "bob-token": "bob"})
    async with pushing(tmp_path, tokens=tokens) as agent, receiving() as other:
        alice = {"authorization": "Bearer alice-token"}
        for _ in range(12):
            await send(agent, "hi", {"url": receiver.url}, headers=alice)
        answer = await agent.rpc("SendMessage", {"message": message("hi")}, headers=alice)
        assert answer["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
        bob = {"authorization": "Bearer bob-token"}
        await send(agent, "hi", {"url": other.url}, headers=bob)
        await until(lambda: "COMPLETED" in other.states)
        receiver.gate.set()


async def test_pieces_of_an_artifact_go_out_together(tmp_path: Path, receiver: Receiver) -> None:
    async def stream(request: TaskRequest) -> Outcome:
        for number in range(40):
            chunk = {0: Chunk.FIRST, 39: Chunk.LAST}.get(number, Chunk.NEXT)
            piece = Artifact(artifact_id="a", parts=[Part(text=f"{number} ")])
            await request.emit(piece, chunk=chunk)
        return Completed()

    async with pushing(tmp_path, Scripted(special={"stream": stream})) as agent:
        await send(agent, "stream", {"url": receiver.url})
        await until(lambda: "COMPLETED" in receiver.states)

    pieces = [each["artifactUpdate"] for each in receiver.bodies if "artifactUpdate" in each]
    told = "".join(part["text"] for each in pieces for part in each["artifact"]["parts"])
    assert told == "".join(f"{number} " for number in range(40))
    assert len(pieces) <= 5
    assert "append" not in pieces[0]
    assert pieces[-1]["lastChunk"]


async def test_a_webhook_made_later_gets_the_newest_event_at_once(
    tmp_path: Path, receiver: Receiver
) -> None:
    async with pushing(tmp_path) as agent:
        answer = await agent.rpc("SendMessage", {"message": message("hi")})
        task_id = answer["result"]["task"]["id"]
        await agent.rpc(CREATE, {"taskId": task_id, "url": receiver.url})
        await until(lambda: receiver.got)
    assert receiver.states == ["COMPLETED"]


async def test_configurations_are_kept_listed_and_forgotten_without_their_secrets(
    tmp_path: Path,
) -> None:
    async with pushing(tmp_path) as agent:
        answer = await agent.rpc("SendMessage", {"message": message("ask")})
        task_id = answer["result"]["task"]["id"]
        config = {
            "taskId": task_id,
            "id": "mine",
            "url": "https://example.com/hook",
            "token": "t0ken",
            "authentication": {"scheme": "Bearer", "credentials": "s3cret"},
        }
        shown = {
            "taskId": task_id,
            "id": "mine",
            "url": "https://example.com/hook",
            "authentication": {"scheme": "Bearer"},
        }
        assert (await agent.rpc(CREATE, config))["result"] == shown
        named = {"taskId": task_id, "id": "mine"}
        assert (await agent.rpc(GET, named))["result"] == shown
        unnamed = {"taskId": task_id, "url": "https://example.com/other"}
        others = [(await agent.rpc(CREATE, unnamed))["result"]["id"] for _ in range(2)]
        assert len({*others, "mine"}) == 3  # one without a name does not replace another

        first = (await agent.rpc(LIST, {"taskId": task_id, "pageSize": 2}))["result"]
        rest = await agent.rpc(
            LIST, {"taskId": task_id, "pageSize": 2, "pageToken": first["nextPageToken"]}
        )
        listed = [*first["configs"], *rest["result"]["configs"]]
        assert {each["id"] for each in listed} == {"mine", *others}
        assert "nextPageToken" not in rest["result"]

        assert (await agent.rpc(DELETE, named))["result"] == {}
        assert (await agent.rpc(DELETE, named))["result"] == {}
        assert (await agent.rpc(GET, named))["error"]["code"] == -32001


async def test_the_webhooks_of_a_task_are_its_callers_alone(tmp_path: Path) -> None:
    tokens = Tokens({"alice-token": "alice", "bob-token": "bob"})
    async with pushing(tmp_path, tokens=tokens) as agent:
        alice = {"authorization": "Bearer alice-token"}
        bob = {"authorization": "Bearer bob-token"}
        answer = await agent.rpc("SendMessage", {"message": message("ask")}, headers=alice)
        task_id = answer["result"]["task"]["id"]
        config = {"taskId": task_id, "id": "mine", "url": "https://example.com/hook"}
        await agent.rpc(CREATE, config, headers=alice)
        for method, params in (
            (CREATE, config),
            (GET, {"taskId": task_id, "id": "mine"}),
            (LIST, {"taskId": task_id}),
            (DELETE, {"taskId": task_id, "id": "mine"}),
        ):
            refused = await agent.rpc(method, params, headers=bob)
            assert refused["error"]["code"] == -32001, method


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "ftp://example.com/hook",
        "/hook",
        "https://example.com:0/hook",
        "https://example.com:x/hook",
        "https://user:secret@example.com/",
        "https://127.0.0.1/hook",
        "https://[::1]/hook",
        "https://[::ffff:10.0.0.1]/hook",
        "https://10.1.2.3/hook",
        "https://169.254.169.254/latest",
        "https://localhost/hook",
        "https://LOCALHOST./hook",
    ],
)
async def test_an_address_inside_is_refused_before_anything_is_stored(
    tmp_path: Path, url: str
) -> None:
    async with pushing(tmp_path, options=Options(patience=QUICK)) as agent:
        params = {
            "message": message("hi"),
            "configuration": {"taskPushNotificationConfig": {"url": url}},
        }
        answer = await agent.rpc("SendMessage", params)
        assert answer["error"]["code"] == -32602
        assert (await agent.rpc("ListTasks"))["result"]["totalSize"] == 0


async def test_a_name_that_leads_inside_is_not_called() -> None:
    async def inside(_: str, __: int) -> list[str]:
        return ["93.184.215.14", "10.0.0.1"]

    with pytest.raises(WebhookRefusedError):
        await Webhooks(lookup=inside).addresses("example.com", 443)
    assert await Webhooks(["example.com:443"], lookup=inside).addresses("example.com", 443)
    with pytest.raises(WebhookRefusedError):
        await Webhooks(["example.com:443"], lookup=inside).addresses("example.com", 8443)


async def test_an_agent_whose_card_does_not_push_says_so(agent: Running) -> None:
    hook = {"taskPushNotificationConfig": {"url": "https://example.com/hook"}}
    sent = await agent.rpc("SendMessage", {"message": message("hi"), "configuration": hook})
    listed = await agent.rpc(LIST, {"taskId": "x"})
    assert [sent["error"]["code"], listed["error"]["code"]] == [-32003, -32003]


def bad(**changes: Any) -> dict[str, Any]:
    return {"url": "https://example.com/", **changes}


@pytest.mark.parametrize(
    "config",
    [
        {},
        bad(url="https://example.com/" + "x" * 3000),
        bad(token="a\r\nb"),
        bad(token="é"),
        bad(authentication={"scheme": "two words", "credentials": "x"}),
        bad(authentication={"credentials": "x"}),
        bad(id="x" * 300),
        bad(id="ключ"),
        bad(id="a\r\nb"),
    ],
)
async def test_a_configuration_that_is_none_is_refused(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    async with pushing(tmp_path) as agent:
        answer = await agent.rpc(
            "SendMessage",
            {
                "message": message("hi"),
                "configuration": {"taskPushNotificationConfig": config},
            },
        )
    assert answer["error"]["code"] == -32602


async def test_the_tasks_of_an_agent_that_did_not_push_yet_are_kept(
    tmp_path: Path, receiver: Receiver
) -> None:
    async with pushing(tmp_path) as agent:
        answer = await agent.rpc("SendMessage", {"message": message("ask")})
        task_id = answer["result"]["task"]["id"]
    with closing(sqlite3.connect(tmp_path / "agent.db")) as database:
        database.execute("DROP TABLE push_configs")
        database.execute("PRAGMA user_version = 1")
        database.commit()

    async with pushing(tmp_path) as agent:
        await agent.rpc(CREATE, {"taskId": task_id, "url": receiver.url})
        await until(lambda: receiver.states)
    assert receiver.states == ["INPUT_REQUIRED"]
