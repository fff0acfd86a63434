"""Whose signature a card must have to be taken, and what the registry tells about it."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from parley_cards.errors import ParleyError
from parley_cards.keys import CardKeyError, EnrolledKey, Keyring, SigningKey
from parley_cards.signatures import Mode, sign
from parley_registry.client import AgentRecord, RegistryRefusedError
from parley_registry.errors import SettingsError
from parley_registry.records import Health
from parley_registry.settings import load_settings
from parley_registry.signatures import Signatures
from parley_wire.serving import Background

from tests.cards.samples import a_card
from tests.registry.conftest import Served, serving
from tests.registry.parts import CardServer, Clock

pytestmark = pytest.mark.anyio


@cache
def key(name: str = "vendor") -> SigningKey:
    return SigningKey.new(key_id=name)


def judging(mode: Mode, *keys: SigningKey, **more: Any) -> Signatures:
    enrolled = (EnrolledKey.of({**each.public_jwk(), **more}) for each in keys)
    return Signatures(mode, Keyring(enrolled))


class Signing:
    """An agent whose card is signed as it is served."""

    def __init__(self) -> None:
        self._server = CardServer()
        self._background = Background(self._server.app)
        self.url = self._background.url
        interface = {"url": f"{self.url}/a2a", "protocolBinding": "JSONRPC"}
        self.card = {
            **a_card(),
            "supportedInterfaces": [{**interface, "protocolVersion": "1.0"}],
        }

    def shows(self, card: dict[str, Any]) -> None:
        self._server.card = copy.deepcopy(card)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self._background:
            yield


@pytest.fixture
async def agent(anyio_backend: str) -> AsyncIterator[Signing]:  # noqa: ARG001
    found = Signing()
    async with found.running():
        yield found


async def registered(registry: Served, agent: Signing, card: dict[str, Any]) -> AgentRecord | str:
    """The record, or the code with which it is refused."""
    agent.shows(card)
    try:
        return await registry.client.register(agent.url)
    except RegistryRefusedError as refused:
        return str(refused.facts["registry_code"])


def told(record: AgentRecord | str) -> tuple[str, str]:
    assert isinstance(record, AgentRecord), record
    return record.signed, record.signed_by


async def test_what_is_taken_and_what_is_told_of_it_depends_on_the_mode(
    tmp_path: Path, agent: Signing
) -> None:
    unsigned = agent.card
    good, unknown = sign(unsigned, key()), sign(unsigned, key("stranger"))
    bad = {**good, "version": "9.9.9"}
    expected: dict[Mode, list[Any]] = {
        Mode.OFF: [
            ("unverified", ""),
            ("unverified", ""),
            ("unsigned", ""),
            ("unverified", ""),
        ],
        Mode.VERIFY_IF_PRESENT: [
            ("verified", "vendor"),
            ("unverified", "stranger"),
            ("unsigned", ""),
            "card_signature_invalid",
        ],
        Mode.REQUIRE: [
            ("verified", "vendor"),
            "card_signature_missing",
            "card_signature_missing",
            "card_signature_invalid",
        ],
    }
    for mode, wanted in expected.items():
        home = tmp_path / mode
        home.mkdir()
        async with serving(home, Clock(), signatures=judging(mode, key())) as registry:
            found = [await registered(registry, agent, c) for c in (good, unknown, unsigned, bad)]
        shown = [each if isinstance(each, str) else told(each) for each in found]
        assert shown == wanted, mode


async def test_every_list_says_who_has_signed_also_after_a_restart(
    tmp_path: Path, agent: Signing
) -> None:
    clock, judge = Clock(), judging(Mode.VERIFY_IF_PRESENT, key())
    async with serving(tmp_path, clock, signatures=judge) as registry:
        await registered(registry, agent, sign(agent.card, key()))
        assert told(await registry.client.agent("echo-agent")) == ("verified", "vendor")
    async with serving(tmp_path, clock, signatures=judging(Mode.VERIFY_IF_PRESENT)) as registry:
        (listed,) = await registry.client.agents()
        assert told(listed) == ("unverified", "vendor")
        assert "not enrolled" in listed.unverified


async def test_a_signature_is_not_believed_longer_than_its_key(
    tmp_path: Path, agent: Signing
) -> None:
    clock = Clock()
    ends = clock.time.timestamp() + 10
    judge = judging(Mode.VERIFY_IF_PRESENT, key(), exp=ends)
    async with serving(tmp_path, clock, signatures=judge) as registry:
        await registered(registry, agent, sign(agent.card, key()))
        clock.forward(9)
        assert told(await registry.client.agent("echo-agent")) == ("verified", "vendor")
        clock.forward(1)
        found = await registry.client.agent("echo-agent")
        assert (told(found), found.health) == (("unverified", "vendor"), Health.UP)


async def test_who_would_not_be_taken_any_more_cannot_stay(tmp_path: Path, agent: Signing) -> None:
    clock = Clock()
    judge = judging(Mode.REQUIRE, key(), exp=clock.time.timestamp() + 10)
    async with serving(tmp_path, clock, signatures=judge) as registry:
        await registered(registry, agent, sign(agent.card, key()))
        await registry.client.renew("echo-agent")
        clock.forward(20)
        with pytest.raises(RegistryRefusedError) as refused:
            await registry.client.renew("echo-agent")
        assert refused.value.facts["registry_code"] == "card_signature_missing"

        clock.forward(60)
        await registry.directory.probe_lapsed()
        found = await registry.client.agent("echo-agent")
        assert found.health is Health.DOWN
        assert "expired" in found.problem


async def test_a_card_that_is_changed_in_place_is_found_out_by_the_probe(
    tmp_path: Path, agent: Signing
) -> None:
    clock = Clock()
    judge = judging(Mode.VERIFY_IF_PRESENT, key())
    async with serving(tmp_path, clock, signatures=judge) as registry:
        good = sign(agent.card, key())
        await registered(registry, agent, good)
        agent.shows({**good, "description": "Says what it likes."})
        clock.forward(60)
        await registry.directory.probe_lapsed()
        found = await registry.client.agent("echo-agent")
        assert found.health is Health.DOWN
        assert "'vendor'" in found.problem
        assert told(found) == ("verified", "vendor")  # the card that is kept is still the good one


async def test_keys_and_mode_are_settings(tmp_path: Path) -> None:
    (tmp_path / "vendor.json").write_text(json.dumps(key().public_jwk()))

    def loaded(**environ: str) -> Any:
        return load_settings(host="127.0.0.1", port=1, home=None, environ=environ)

    assert (len(loaded().keys), loaded().mode) == (0, Mode.VERIFY_IF_PRESENT)
    strict = loaded(PARLEY_CARD_KEYS=str(tmp_path), PARLEY_CARD_SIGNATURES="require")
    assert (len(strict.keys), strict.mode) == (1, Mode.REQUIRE)
    refused: list[tuple[dict[str, str], type[ParleyError], str]] = [
        ({"PARLEY_CARD_SIGNATURES": "always"}, SettingsError, "verify-if-present"),
        ({"PARLEY_CARD_SIGNATURES": "require"}, SettingsError, "no key is enrolled"),
        ({"PARLEY_CARD_KEYS": str(tmp_path / "none")}, CardKeyError, "cannot read"),
    ]
    for environ, error, why in refused:
        with pytest.raises(error, match=why):
            loaded(**environ)
