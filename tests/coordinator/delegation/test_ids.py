"""The ids of what steps send: nobody guesses them, everybody can tell them, and a place keeps its own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_coordinator.delegation import ids, intents
from parley_coordinator.model import Entry, Place
from parley_coordinator.store.log import RunLog
from parley_coordinator.store.opening import open_database

from tests.coordinator.world import CALL, world
from tests.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

DRAWN = st.binary(min_size=ids.RANDOM_BYTES, max_size=ids.RANDOM_BYTES)
AT = datetime(2026, 1, 1, tzinfo=UTC)


@given(DRAWN, DRAWN)
def test_ids_are_uuids_that_nobody_else_may_have_and_differ_by_what_was_drawn(
    one: bytes, other: bytes
) -> None:
    message = ids.message_id(one)
    found = {message, ids.derived(message, "context"), ids.derived(message, "answer-1")}

    assert all(ids.is_reserved(each) and str(UUID(each)) == each for each in found)
    assert len(found) == 3
    assert UUID(message).version == 8
    # 74 of the 80 bits count; the others say which version of a UUID it is.
    same = UUID(ids.message_id(other)) == UUID(message)
    assert not same or sum(a != b for a, b in zip(one, other, strict=True)) <= 2


@given(st.text())
def test_other_ids_are_not_reserved(text: str) -> None:
    assert not ids.is_reserved(text)
    assert not ids.is_reserved(str(uuid4()))


@given(DRAWN)
def test_a_reserved_id_is_told_in_every_spelling_of_a_uuid(drawn: bytes) -> None:
    message = ids.message_id(drawn)
    for spelled in (message.upper(), message.replace("-", ""), f"{{{message}}}"):
        assert ids.is_reserved(spelled)


async def test_two_runs_send_what_nobody_can_tell_from_their_ids(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        first = await mesh.run("act", {"do": "complete"})
        await mesh.run("act", {"do": "complete"})

    sent = {each["messageId"] for each in agent.messages}
    contexts = {each["contextId"] for each in agent.messages}
    assert len(sent) == len(contexts) == 2
    assert all(ids.is_reserved(each) for each in sent | contexts)
    assert str(first["id"]) not in str(sent)


async def test_a_place_that_was_intended_before_ids_were_drawn_keeps_its_own(
    tmp_path: Path,
) -> None:
    place = Place(path="/do/0/act")
    older = {"message": str(uuid5(uuid4(), "run")), "context": str(uuid5(uuid4(), "context"))}
    row = Entry(run_id="r", seq=1, path=place.path, attempt="1", kind="intended", at=AT, body=older)
    database = open_database(f"sqlite:///{tmp_path / 'coordinator.db'}")
    log = RunLog("r", [row], database, lambda: AT, lambda _: None)
    found = intents.ids_at(log, place)
    await database.aclose()

    assert (found.message, found.context) == (older["message"], older["context"])
