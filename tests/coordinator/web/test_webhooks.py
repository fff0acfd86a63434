"""Webhooks of a workflow's callers: told what a stream would show, signed, again until it arrives."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
from parley_cards.card import load_card
from parley_coordinator.cli.doctor import database as doctor
from parley_coordinator.governance.access import Role
from parley_wire.agent_errors import AgentRefusedError, TaskUnknownError
from parley_wire.client import AgentClient, fetch_card
from parley_wire.webhooks import is_signed

from tests.coordinator.engine.test_people import ASK
from tests.coordinator.world import World, until, world
from tests.tck.suts import free_ports
from tests.webhook_receiver import Receiver, receiving

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

DO = "  - say: {metadata: {label: Say it}, set: {said: true}}\n"
LOOPBACK = {"PARLEY_WEBHOOKS": "127.0.0.1"}
VALUES = {"costCentre": "4711"}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


def message(data: Any, message_id: str = "m1") -> dict[str, Any]:
    return {"messageId": message_id, "role": "ROLE_USER", "parts": [{"data": data}]}


async def rpc(
    mesh: World, workflow: str, method: str, params: Any, *, role: str = "requester"
) -> dict[str, Any]:
    response = await mesh.http.post(
        f"{mesh.url}/workflows/{workflow}/a2a",
        json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params},
        headers={"a2a-version": "1.0", **mesh.as_role(role)},
    )
    body: dict[str, Any] = response.json()
    return body


async def send(
    mesh: World, workflow: str, data: Any, hook: dict[str, Any], message_id: str = "m1"
) -> str:
    """Send with a webhook; return the task id."""
    configuration = {"taskPushNotificationConfig": hook, "returnImmediately": True}
    params = {"message": message(data, message_id), "configuration": configuration}
    answer = await rpc(mesh, workflow, "SendMessage", params)
    return str(answer["result"]["task"]["id"])


async def arrived(receiver: Receiver, *states: str) -> None:
    async def there() -> bool:
        return len([state for state in receiver.states if state in states]) >= len(states)

    await until(there)


async def client_of(mesh: World, workflow: str, role: str, binding: str) -> AgentClient:
    card = (await fetch_card(mesh.http, f"{mesh.url}/workflows/{workflow}")).json
    card["supportedInterfaces"] = [
        each for each in card["supportedInterfaces"] if each["protocolBinding"] == binding
    ]
    token = mesh.as_role(role)["authorization"].removeprefix("Bearer ")
    return AgentClient(load_card(card), mesh.http, token=token)


async def test_a_caller_is_told_of_questions_and_the_end_in_order_signed_and_with_the_token(
    tmp_path: Path, receiver: Receiver
) -> None:
    hook = {
        "url": receiver.url,
        "token": "t0ken",
        "authentication": {"scheme": "Bearer", "credentials": "s3cret"},
    }
    async with world(tmp_path, {"ask": ASK}, env=LOOPBACK) as mesh:
        card = await fetch_card(mesh.http, f"{mesh.url}/workflows/ask")
        task_id = await send(mesh, "ask", {"amount": "120.00"}, hook)
        again = await send(mesh, "ask", {"amount": "120.00"}, hook)
        await arrived(receiver, "INPUT_REQUIRED")
        item = await mesh.item(task_id, role="approver")
        await mesh.decide(item, "approved", values=VALUES)
        await arrived(receiver, "COMPLETED")
        tokens = {role: mesh.tokens[role] for role in (Role.REQUESTER, Role.APPROVER)}

    assert card.json["capabilities"]["pushNotifications"] is True
    assert again == task_id
    assert receiver.states[0] == "WORKING"
    assert receiver.states[-1] == "COMPLETED"
    assert receiver.states.count("INPUT_REQUIRED") == 1
    assert receiver.bodies[-2]["artifactUpdate"]["artifact"]["parts"][0]["data"]
    numbers = receiver.numbers(task_id)
    assert numbers == sorted(set(numbers))
    assert receiver.ids == [f"{task_id}/default/{each}" for each in numbers]
    for headers, body in receiver.got:
        assert headers["content-type"] == "application/a2a+json"
        assert headers["x-a2a-notification-token"] == "t0ken"
        assert headers["authorization"] == "Bearer s3cret"
        assert is_signed(tokens[Role.REQUESTER], headers, body, now=time.time())
        assert not is_signed(tokens[Role.APPROVER], headers, body, now=time.time())


async def test_each_binding_makes_shows_lists_and_deletes_webhooks_of_the_caller_alone(
    tmp_path: Path, receiver: Receiver
) -> None:
    env = {**LOOPBACK, "PARLEY_GRPC_PORT": str(free_ports(1)[0])}
    async with world(tmp_path, {"ask": ASK, "do": DO}, env=env) as mesh:
        task_id = await mesh.start("ask", {"amount": "1.00"})
        foreign = await mesh.start("ask", {"amount": "2.00"}, role="requester")
        hook = {"taskId": task_id, "url": receiver.url, "token": "s3cret"}
        for binding in ("JSONRPC", "HTTP+JSON", "GRPC"):
            own = await client_of(mesh, "ask", "requester", binding)
            other = await client_of(mesh, "ask", "approver", binding)
            elsewhere = await client_of(mesh, "do", "requester", binding)
            for name in ("a", "b"):
                made = await own.create_push_config({**hook, "id": name})
                assert (made.id, made.url, made.token) == (name, receiver.url, "")
            assert (await own.get_push_config(task_id, "a")).task_id == task_id
            assert [each.id for each in await own.list_push_configs(task_id)] == ["a", "b"]
            assert list(await other.list_push_configs(task_id)) == []
            await other.delete_push_config(task_id, "a")
            await own.delete_push_config(task_id, "b")
            await own.delete_push_config(task_id, "b")
            assert [each.id for each in await own.list_push_configs(task_id)] == ["a"]
            for client, task in ((own, "nothing"), (elsewhere, task_id)):
                with pytest.raises(TaskUnknownError):
                    await client.create_push_config({**hook, "taskId": task})
            with pytest.raises(TaskUnknownError):
                await own.get_push_config(foreign, "a")
            await own.delete_push_config(task_id, "a")
        for number in range(16):
            await own.create_push_config({**hook, "id": str(number)})
        with pytest.raises(AgentRefusedError, match="more than 16"):
            await own.create_push_config({**hook, "id": "one too many"})


async def test_clients_of_a2a_03_have_webhooks_too(tmp_path: Path, receiver: Receiver) -> None:
    async with world(tmp_path, {"do": DO}, env={**LOOPBACK, "PARLEY_OLDER": "1"}) as mesh:
        said = {
            "messageId": "m1",
            "kind": "message",
            "role": "user",
            "parts": [{"kind": "data", "data": {"x": 1}}],
        }
        configuration = {"pushNotificationConfig": {"url": receiver.url}, "blocking": False}
        response = await mesh.http.post(
            f"{mesh.url}/workflows/do/a2a",
            json={
                "jsonrpc": "2.0",
                "id": 1,
                "method": "message/send",
                "params": {"message": said, "configuration": configuration},
            },
            headers=mesh.as_role("requester"),
        )
        assert response.json()["result"]["kind"] == "task", response.text
        await arrived(receiver, "COMPLETED")


async def test_where_webhooks_may_lead_is_what_the_operator_allows(tmp_path: Path) -> None:
    urls = ("http://169.254.169.254/latest", "https://10.0.0.1/", "http://example.com/", "ftp://x")
    async with world(tmp_path / "some", {"do": DO}, env=LOOPBACK) as mesh:
        for url in urls:
            params = {
                "message": message({}),
                "configuration": {"taskPushNotificationConfig": {"url": url}},
            }
            refused = await rpc(mesh, "do", "SendMessage", params)
            assert refused["error"]["code"] == -32602
        assert (await mesh.get("/v1/runs"))["runs"] == []
        run = await mesh.start("do", {})
        refused = await rpc(
            mesh, "do", "CreateTaskPushNotificationConfig", {"taskId": run, "url": urls[0]}
        )
        assert refused["error"]["code"] == -32602
    async with world(tmp_path / "none", {"do": DO}) as mesh:
        card = await fetch_card(mesh.http, f"{mesh.url}/workflows/do")
        refused = await rpc(mesh, "do", "ListTaskPushNotificationConfigs", {"taskId": "x"})
    assert card.json["capabilities"]["pushNotifications"] is False
    assert refused["error"]["code"] == -32003


async def test_a_run_that_has_ended_is_told_to_who_comes_late(
    tmp_path: Path, receiver: Receiver
) -> None:
    async with world(tmp_path, {"do": DO}, env=LOOPBACK) as mesh:
        run = await mesh.start("do", {})
        await mesh.ended(run)
        await rpc(
            mesh, "do", "CreateTaskPushNotificationConfig", {"taskId": run, "url": receiver.url}
        )
        await arrived(receiver, "COMPLETED")

    assert [next(iter(each)) for each in receiver.bodies] == ["artifactUpdate", "statusUpdate"]
    assert receiver.bodies[0]["artifactUpdate"]["artifact"]["parts"][0]["data"] == {"said": True}


async def test_a_receiver_that_fails_gets_the_same_again_and_one_that_refuses_is_given_up_visibly(
    tmp_path: Path, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.statuses = [500, 429]
    caplog.set_level(logging.WARNING)
    async with receiving() as closed, world(tmp_path, {"do": DO}, env=LOOPBACK) as mesh:
        closed.statuses = [410]
        good = await send(mesh, "do", {}, {"url": receiver.url})
        bad = await send(mesh, "do", {}, {"url": closed.url, "id": "gone"}, "m2")
        await arrived(receiver, "COMPLETED")

        async def warned() -> bool:
            return f"webhook gone of task {bad} is given up" in caplog.text

        await until(warned)
        findings = [
            each
            for each in doctor.examine(f"sqlite:///{tmp_path / 'coordinator.db'}", tmp_path)
            if each.check == "webhooks"
        ]

    assert len(set(receiver.ids[:3])) == 1
    assert len(set(receiver.ids)) == len(receiver.ids) - 2
    assert receiver.numbers(good) == sorted(receiver.numbers(good))
    assert len(closed.got) == 1
    (finding,) = findings
    assert str(finding.status) == "warning"
    assert bad in finding.what
    assert "answered 410" in finding.what
