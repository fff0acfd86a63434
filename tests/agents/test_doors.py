from __future__ import annotations

from pathlib import Path

import pytest
from a2a.types import Message, Task
from google.protobuf.json_format import MessageToDict, ParseDict
from parley_agents.contracts import contracts_of
from parley_agents.doors import CLOSED, Doors, with_doors
from parley_agents.errors import AgentSettingsError
from parley_agents.runtime import Agent, SkillTask, create_app
from parley_agents.settings import Given, load_settings
from parley_cards.card import Card, load_card
from parley_cards.extensions import DELEGATION, SKILL_CONTRACT
from parley_cards.library import library_card
from parley_wire.client import AgentClient
from parley_wire.http import open_http
from parley_wire.serving import Background
from pydantic import BaseModel

from tests.ports import free_port

pytestmark = pytest.mark.anyio


class Words(BaseModel):
    words: list[str]


def counting() -> Agent:
    agent = Agent("counting")

    @agent.skill("count-words")
    async def count_words(task: SkillTask, request: Words) -> Words:
        await task.tell("counting")
        return Words(words=[str(len(request.words))])

    return agent


def card_of(agent: Agent, url: str) -> Card:
    contracts = contracts_of(agent.forms)
    return load_card(
        {
            **library_card("matching", url=url).json,
            "name": agent.name,
            "capabilities": {
                "streaming": True,
                "extensions": [{"uri": SKILL_CONTRACT, "params": {"skills": contracts}}],
            },
            "skills": [
                {"id": each, "name": each, "description": each, "tags": ["test"]}
                for each in contracts
            ],
        }
    )


def test_what_is_opened_is_in_the_card() -> None:
    card = library_card("matching", url="http://127.0.0.1:8432")
    doors = Doors(grpc="0.0.0.0:9000", webhooks=(), older=True)

    opened = with_doors(card, doors, url="http://agent.example:8432")

    assert [(each.binding, each.protocol_version, each.url) for each in opened.interfaces[2:]] == [
        ("GRPC", "1.0", "agent.example:9000"),
        ("JSONRPC", "0.3", "http://agent.example:8432/a2a"),
        ("HTTP+JSON", "0.3", "http://agent.example:8432/rest"),
    ]
    assert opened.json["capabilities"]["pushNotifications"] is True
    assert with_doors(card, CLOSED, url="http://agent.example:8432") is card


@pytest.mark.parametrize(
    ("environ", "doors"),
    [
        ({}, CLOSED),
        ({"PARLEY_GRPC_PORT": "9000"}, Doors(grpc="127.0.0.1:9000")),
        ({"PARLEY_OLDER": "1"}, Doors(older=True)),
        ({"PARLEY_WEBHOOKS": "public"}, Doors(webhooks=())),
        (
            {"PARLEY_WEBHOOKS": "127.0.0.1:8420, hooks.local"},
            Doors(webhooks=("127.0.0.1:8420", "hooks.local")),
        ),
    ],
)
def test_the_environment_opens_doors(environ: dict[str, str], doors: Doors) -> None:
    assert load_settings(Given(host="127.0.0.1", port=8432), environ).doors == doors


@pytest.mark.parametrize(
    "environ",
    [
        {"PARLEY_GRPC_PORT": "none"},
        {"PARLEY_GRPC_PORT": "0"},
        {"PARLEY_GRPC_PORT": "65536"},
        {"PARLEY_WEBHOOKS": "http://hooks.local/"},
    ],
)
def test_a_door_that_is_none_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(AgentSettingsError):
        load_settings(Given(host="127.0.0.1", port=8432), environ)


@pytest.mark.parametrize(
    ("binding", "version"), [("GRPC", "1.0"), ("JSONRPC", "0.3"), ("HTTP+JSON", "0.3")]
)
async def test_a_skill_is_called_through_each_door(
    tmp_path: Path, binding: str, version: str
) -> None:
    port = free_port()
    background = Background()
    agent = counting()
    background.app = create_app(
        agent,
        url=background.url,
        home=tmp_path,
        card=card_of(agent, background.url),
        doors=Doors(grpc=f"127.0.0.1:{port}", older=True),
    )
    async with background, open_http() as http:
        served = await http.get(f"{background.url}/.well-known/agent-card.json")
        card = served.json()
        card["supportedInterfaces"] = [
            each
            for each in card["supportedInterfaces"]
            if (each["protocolBinding"], each["protocolVersion"]) == (binding, version)
        ]
        message = {
            "messageId": "m1",
            "role": "ROLE_USER",
            "parts": [{"data": {"words": ["a", "b"]}}],
            "metadata": {DELEGATION: {"skill": "count-words"}},
        }
        client = AgentClient(load_card(card), http)
        done = await client.send(message, return_immediately=False)
        assert isinstance(done, Task)
        assert MessageToDict(done)["artifacts"][0]["parts"][0]["data"] == {"words": ["2"]}, done
        found = [
            type(each).__name__
            async for each in client.send_streaming(
                ParseDict({**message, "messageId": "m2"}, Message())
            )
        ]
        assert found[0] == "Task"
        assert found[-2:] == ["TaskArtifactUpdateEvent", "TaskStatusUpdateEvent"]
