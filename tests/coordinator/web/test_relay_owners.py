"""Two callers of one agent that knows only the coordinator: neither learns of the other."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from a2a.utils.errors import A2AError, InvalidParamsError, TaskNotFoundError
from parley_cards.extensions import DELEGATION
from parley_coordinator.delegation.gates import Gate
from parley_coordinator.delegation.limits import Turnstile
from parley_coordinator.delegation.lines import Line, PassedOn
from parley_coordinator.delegation.relaying import RelayedActs, RelayedClient
from parley_coordinator.errors import UnknownAgentError
from parley_coordinator.governance.access import Principal, Role
from parley_coordinator.store.opening import open_database
from parley_coordinator.web.a2a import relay_params
from parley_coordinator.web.a2a.reach import Reach
from parley_coordinator.web.a2a.relay import AgentEndpoint, Relay
from parley_wire.server.endpoint import Call
from parley_wire.server.params import send_params

from tests.wire.support import running_agent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

CALL = Call(
    caller="anonymous", authenticated=False, version="1.0", extensions=frozenset(), headers={}
)


def _now() -> datetime:
    return datetime.now(UTC)


class NoLines:
    async def to(self, name: str) -> Line:
        raise UnknownAgentError(name)


@asynccontextmanager
async def two_callers(home: Path) -> AsyncIterator[tuple[AgentEndpoint, AgentEndpoint]]:
    database = open_database(f"sqlite:///{home / 'coordinator.db'}")
    try:
        async with running_agent(home) as agent:
            direct = agent.client()
            client = RelayedClient(direct, Gate(Turnstile(64)), now=_now)
            line = Line(direct.card, _now(), lambda _card, _extensions: client)
            relay = Relay(
                NoLines(),
                PassedOn(database, now=_now),
                RelayedActs(database, now=_now),
                Reach("http://127.0.0.1:1"),
            )
            ada, bob = (
                relay.endpoint(
                    "tester", line, Principal(subject=name, roles=frozenset({Role.OPERATOR}))
                )
                for name in ("ada", "bob")
            )
            yield ada, bob
    finally:
        await database.aclose()


async def ask(endpoint: AgentEndpoint, method: str, **params: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(await endpoint.answer(method, params, CALL))
    return answer


async def send(endpoint: AgentEndpoint, message_id: str, text: str, **ids: Any) -> dict[str, Any]:
    message = {"messageId": message_id, "role": "ROLE_USER", "parts": [{"text": text}], **ids}
    task: dict[str, Any] = (await ask(endpoint, "SendMessage", message=message))["task"]
    return task


async def test_a_task_is_its_callers_alone(tmp_path: Path) -> None:
    async with two_callers(tmp_path) as (ada, bob):
        task = await send(ada, "m1", "ask")
        refusals: list[A2AError] = []
        for method, params in (
            ("GetTask", {"id": task["id"]}),
            ("CancelTask", {"id": task["id"]}),
            ("ListTaskPushNotificationConfigs", {"taskId": task["id"]}),
            ("GetTask", {"id": "nope"}),
        ):
            with pytest.raises(TaskNotFoundError) as refused:
                await ask(bob, method, **params)
            refusals.append(refused.value)
        with pytest.raises(TaskNotFoundError):
            await send(bob, "m2", "Oslo", taskId=task["id"])
        with pytest.raises(TaskNotFoundError):
            await anext(bob.stream("SubscribeToTask", {"id": task["id"]}, CALL))
        still = await ask(ada, "GetTask", id=task["id"])

    assert len({str(each) for each in refusals}) == 1
    assert still["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"


async def test_the_message_of_another_does_not_lead_to_their_task(tmp_path: Path) -> None:
    async with two_callers(tmp_path) as (ada, bob):
        first = await send(ada, "m1", "hello")
        again = await send(ada, "m1", "hello")
        with pytest.raises(InvalidParamsError, match="messageId"):
            await send(bob, "m1", "hello")

    assert again["id"] == first["id"]


async def test_the_context_of_another_cannot_be_joined(tmp_path: Path) -> None:
    async with two_callers(tmp_path) as (ada, bob):
        await send(ada, "m1", "hello", contextId="case-9")
        with pytest.raises(InvalidParamsError, match="contextId"):
            await send(bob, "m2", "hello", contextId="case-9")
        await send(ada, "m3", "hello", contextId="case-9")
        mine = await ask(ada, "ListTasks", contextId="case-9")

    assert mine["totalSize"] == 2


async def test_the_task_of_another_cannot_be_referred_to(tmp_path: Path) -> None:
    async with two_callers(tmp_path) as (ada, bob):
        task = await send(ada, "m1", "hello")
        for ids in ([task["id"]], ["nope"]):
            with pytest.raises(TaskNotFoundError):
                await send(bob, "m2", "hello", referenceTaskIds=ids)
        with pytest.raises(InvalidParamsError, match="referenceTaskIds"):
            await send(bob, "m2", "hello", referenceTaskIds=["x"] * 101)
        mine = await send(ada, "m3", "hello", referenceTaskIds=[task["id"]])

    assert mine["history"][0]["referenceTaskIds"] == [task["id"]]


async def test_the_idempotency_key_of_one_is_not_that_of_another(tmp_path: Path) -> None:
    contract = {DELEGATION: {"idempotencyKey": "invoice-7", "deadline": "2099-01-01T00:00:00Z"}}
    async with two_callers(tmp_path) as (ada, bob):
        told = [
            (await send(caller, message_id, "hello", metadata=contract))["history"][0]["metadata"]
            for caller, message_id in ((ada, "m1"), (ada, "m2"), (bob, "m3"))
        ]
    keys = [each[DELEGATION]["idempotencyKey"] for each in told]

    assert keys[0] == keys[1] != keys[2]
    assert {each[DELEGATION]["deadline"] for each in told} == {"2099-01-01T00:00:00Z"}


def test_the_key_is_its_callers_alone_wherever_an_agent_may_look_for_it() -> None:
    contract = {DELEGATION: {"idempotencyKey": "invoice-7"}}
    message = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "hi"}]}
    params = {"message": {**message, "metadata": contract}, "metadata": contract}
    asked = relay_params.sent_params(send_params(params), params, "ada")

    (key,) = {each["metadata"][DELEGATION]["idempotencyKey"] for each in (asked, asked["message"])}
    assert key != "invoice-7"


async def test_a_list_has_the_callers_tasks_in_pages(tmp_path: Path) -> None:
    async with two_callers(tmp_path) as (ada, bob):
        theirs = [(await send(bob, f"b{number}", "hello"))["id"] for number in range(2)]
        mine = [(await send(ada, f"a{number}", "hello"))["id"] for number in range(5)]
        pages, token = [], ""
        for _ in range(3):
            page = await ask(
                ada, "ListTasks", pageSize=2, **({"pageToken": token} if token else {})
            )
            pages.append([task["id"] for task in page["tasks"]])
            token = page["nextPageToken"]
            assert page["totalSize"] == 5
        with pytest.raises(InvalidParamsError, match="pageToken"):
            await ask(ada, "ListTasks", pageToken="x")
        of_bob = await ask(bob, "ListTasks")

    assert token == ""
    assert [len(page) for page in pages] == [2, 2, 1]
    assert {task for page in pages for task in page} == set(mine)
    assert {task["id"] for task in of_bob["tasks"]} == set(theirs)
