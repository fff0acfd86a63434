"""What the coordinator adds when it passes calls on: extensions, its own card, limits, and a record."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from parley_cards.card import load_card
from parley_cards.extensions import DELEGATION
from parley_coordinator.delegation.breaker import FAILURES, State
from parley_coordinator.delegation.gates import Gate
from parley_coordinator.delegation.ids import message_id
from parley_coordinator.delegation.limits import Turnstile
from parley_coordinator.delegation.relaying import RelayedClient
from parley_wire.agent_errors import AgentError
from parley_wire.client import AgentClient, fetch_card
from parley_wire.http import open_http
from parley_wire.serving import Background
from starlette.responses import JSONResponse

from tests.coordinator.web.test_relay import client_of, rpc, said
from tests.coordinator.world import CALL, World, until, world
from tests.scripted_agent import ScriptedAgent
from tests.tck.suts import free_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx
    from starlette.requests import Request
    from starlette.responses import Response

pytestmark = pytest.mark.anyio

OURS = "urn:parley:a2a:skill-contract:v1"
THEIRS = "https://example.com/ext/priority"
NEEDED = "https://example.com/ext/needed"


@dataclass
class Vendor(ScriptedAgent):
    """It has extensions of its own, and a card for those whom it knows."""

    activated: list[set[str]] = field(default_factory=list)
    """By each call."""
    required: bool = False
    concurrency: int | None = None

    def card(self) -> dict[str, Any]:
        card = super().card()
        extensions = card["capabilities"]["extensions"]
        extensions.append({"uri": THEIRS})
        if self.required:
            extensions.append({"uri": NEEDED, "required": True})
        if self.concurrency is not None:
            extensions[0]["params"]["skills"]["act"]["concurrency"] = self.concurrency
        card["capabilities"]["extendedAgentCard"] = True
        return card

    async def _rpc(self, request: Request) -> Response:
        given = request.headers.get("a2a-extensions", "")
        self.activated.append({each.strip() for each in given.split(",")})
        call = await request.json()
        if call["method"] == "GetExtendedAgentCard":
            card = self.card()
            card["skills"].append({**card["skills"][0], "id": "secret", "name": "Secret"})
            card["securitySchemes"] = {
                "key": {"apiKeySecurityScheme": {"name": "x-inner-key", "location": "header"}}
            }
            card["securityRequirements"] = [{"schemes": {"key": {"list": []}}}]
            return JSONResponse({"jsonrpc": "2.0", "id": call["id"], "result": card})
        return await super()._rpc(request)


async def over_rest(
    mesh: World, method: str, path: str, body: Any = None, **headers: str
) -> httpx.Response:
    return await mesh.http.request(
        method,
        f"{mesh.url}/agents/vendor/rest{path}",
        json=body,
        headers={"a2a-version": "1.0", **mesh.as_role("operator"), **headers},
    )


async def test_extensions_of_the_agents_card_are_passed_on_and_no_others(tmp_path: Path) -> None:
    agent = Vendor()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        asked = {"a2a-extensions": f"{THEIRS}, urn:nobody:knows"}
        answer = await over_rest(mesh, "POST", "/message:send", {"message": said()}, **asked)
        await over_rest(mesh, "POST", "/message:send", {"message": said("m2")})

    assert answer.headers["a2a-extensions"] == THEIRS
    assert agent.activated == [{OURS, THEIRS}, {OURS}]


async def test_an_extension_that_the_agent_needs_is_needed_here_too(tmp_path: Path) -> None:
    agent = Vendor(required=True)
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        refused = await rpc(mesh, "SendMessage", {"message": said()})
        asked = {"a2a-extensions": NEEDED}
        answer = await over_rest(mesh, "POST", "/message:send", {"message": said()}, **asked)

    assert refused["error"]["code"] == -32008
    assert NEEDED in refused["error"]["message"]
    assert answer.status_code == 200
    assert agent.activated == [{OURS, NEEDED}]


async def test_the_extended_card_names_our_addresses_and_nothing_that_the_agent_asks_of_us(
    tmp_path: Path,
) -> None:
    agent = Vendor()
    env = {"PARLEY_GRPC_PORT": str(free_ports(1)[0])}
    async with world(tmp_path, {"act": CALL}, agent, env=env) as mesh:
        answer = await over_rest(mesh, "GET", "/extendedAgentCard")
        over_grpc = await client_of(mesh, binding="GRPC")
        same = await over_grpc.call("GetExtendedAgentCard", {})

    card = load_card(answer.content)
    assert {each["id"] for each in card.json["skills"]} == {"act", "secret"}
    for each in (card.json, same):
        urls = [interface["url"] for interface in each["supportedInterfaces"]]
        assert not any(url.startswith(agent.url) for url in urls)
        assert f"{mesh.url}/agents/vendor/a2a" in urls
        assert list(each["securitySchemes"]) == ["bearer"]
    assert "x-inner-key" not in answer.text


async def test_an_agent_that_is_not_well_is_left_alone_and_who_calls_is_told_how_long(
    tmp_path: Path,
) -> None:
    agent = Vendor()
    env = {"PARLEY_GRPC_PORT": str(free_ports(1)[0])}
    async with world(tmp_path, {"act": CALL}, agent, env=env) as mesh:
        for number in range(FAILURES):
            await rpc(mesh, "SendMessage", {"message": said(f"m{number}", do="html")})
        before = len(agent.activated)
        refused = await over_rest(mesh, "POST", "/message:send", {"message": said("n")})
        over_rpc = await rpc(mesh, "SendMessage", {"message": said("n")})
        over_grpc = await client_of(mesh, binding="GRPC")
        with pytest.raises(AgentError) as told:
            await over_grpc.send(said("n"))

    assert len(agent.activated) == before
    assert refused.status_code == 503
    assert 1 <= int(refused.headers["retry-after"]) <= 5
    assert refused.json()["error"]["details"][0]["reason"] == "AGENT_RESTING"
    retry = over_rpc["error"]["data"][1]
    assert retry["@type"].endswith("RetryInfo")
    assert retry["retryDelay"].endswith("s")
    assert "left alone" in str(told.value)


async def test_more_work_than_an_agent_takes_at_once_is_refused_and_looking_is_not(
    tmp_path: Path,
) -> None:
    agent = Vendor(answering=asyncio.Event())
    env = {"PARLEY_AGENT_CONCURRENCY": "1"}
    async with world(tmp_path, {"act": CALL}, agent, env=env) as mesh:
        first = asyncio.create_task(rpc(mesh, "SendMessage", {"message": said()}))

        async def begun() -> bool:
            return agent.runs == 1

        await until(begun)
        refused = await over_rest(mesh, "POST", "/message:send", {"message": said("m2")})
        looked = await rpc(mesh, "ListTasks", {"contextId": "c1"})
        assert agent.answering is not None
        agent.answering.set()
        done = await first
        again = await rpc(mesh, "SendMessage", {"message": said("m2")})

    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["error"]["details"][0]["reason"] == "AGENT_CROWDED"
    assert "result" in looked
    assert "result" in done
    assert "result" in again


@dataclass
class Holding(Vendor):
    """Its streams stay open while a task waits for its caller."""

    async def _follow(self, call: Any, task: dict[str, Any]) -> AsyncIterator[bytes]:
        async for event in super()._follow(call, task):
            yield event
        await self.released.wait()
        raise ConnectionError("cut on purpose")


async def test_who_listens_to_a_task_that_waits_for_them_takes_no_room(tmp_path: Path) -> None:
    agent = Holding(streaming=True)
    env = {"PARLEY_AGENT_CONCURRENCY": "1"}
    async with world(tmp_path, {"act": CALL}, agent, env=env) as mesh:
        client = await client_of(mesh)
        async with aclosing(client.stream("SendStreamingMessage", asking())) as events:
            await anext(events)
            answer = await rpc(mesh, "SendMessage", {"message": said("m2")})
            agent.released.set()

    assert "result" in answer


async def test_an_agent_that_hangs_up_on_who_waits_is_not_taken_to_be_unwell() -> None:
    agent = Holding(streaming=True)
    gate = Gate(Turnstile(64))

    seen: list[int] = []

    async def listen(client: AgentClient, number: int) -> None:
        relayed = RelayedClient(client, gate, now=_now)
        async for _ in relayed.stream_json("SendStreamingMessage", asking(f"m{number}")):
            seen.append(number)
            if len(seen) == FAILURES:
                agent.released.set()

    async with Background(agent.app()) as served, open_http() as http:
        agent.url = served.url
        client = AgentClient(await fetch_card(http, served.url), http)
        await asyncio.gather(*(listen(client, number) for number in range(FAILURES)))

    assert sorted(seen) == list(range(FAILURES))
    assert gate.breaker.state(_now()) is State.CLOSED


def _now() -> datetime:
    return datetime.now(UTC)


def asking(message_id: str = "m1") -> dict[str, Any]:
    return {"message": said(message_id, do="ask")}


async def test_what_somebody_has_an_agent_do_is_on_record_and_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    agent = Vendor()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        sent = await rpc(mesh, "SendMessage", {"message": said()})
        task_id = sent["result"]["task"]["id"]
        await rpc(mesh, "GetTask", {"id": task_id})
        await rpc(mesh, "CancelTask", {"id": "nope"})
        await rpc(mesh, "SendMessage", {"message": said("m3", do="refuse")})
        page = await mesh.get("/v1/agents/vendor/calls?limit=2", role="auditor")
        rest = await mesh.get(f"/v1/agents/vendor/calls?before={page['next']}")
        refused = await mesh.http.get(
            f"{mesh.url}/v1/agents/vendor/calls", headers=mesh.as_role("requester")
        )

    shown = [
        (each["by"], each["operation"], each["taskId"], each["outcome"])
        for each in (*page["calls"], *rest["calls"])
    ]
    assert shown == [
        ("operator", "SendMessage", "", "INVALID_PARAMS"),
        ("operator", "CancelTask", "nope", "TaskNotFoundError"),
        ("operator", "SendMessage", task_id, "answered"),
    ]
    assert rest["next"] is None
    assert refused.status_code == 403
    assert f"GetTask by operator to agent vendor, task {task_id}: answered" in caplog.text


async def test_ids_that_only_steps_of_runs_have_are_refused(tmp_path: Path) -> None:
    agent = Vendor()
    reserved = message_id(b"0123456789")
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        as_message = await rpc(mesh, "SendMessage", {"message": said(reserved)})
        as_context = await rpc(mesh, "SendMessage", {"message": said(context=reserved.upper())})

    assert as_message["error"]["code"] == as_context["error"]["code"] == -32602
    assert agent.runs == 0


async def test_the_key_of_a_steps_effects_is_no_id_for_others_either(tmp_path: Path) -> None:
    """An agent of the kit takes the id of a message without a key for its key."""
    agent = Vendor(extensions=(DELEGATION,))
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        await mesh.run("act", {"do": "complete"})
        key = agent.messages[0]["metadata"][DELEGATION]["idempotencyKey"]
        answer = await rpc(mesh, "SendMessage", {"message": said(key)})

    assert answer["error"]["code"] == -32602
    assert agent.runs == 1
