from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from a2a.types import Task
from hypothesis import given
from hypothesis import strategies as st
from parley_wire.agent_errors import AgentAuthError, TaskUnknownError
from parley_wire.auth import Tokens

from tests.wire.support import PATIENT, Running, message, running_agent

pytestmark = pytest.mark.anyio


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Running]:
    tokens = Tokens({"ta": "ada", "tb": "bob"})
    async with running_agent(tmp_path, tokens=tokens) as agent:
        yield agent


def test_a_known_token_is_its_caller() -> None:
    tokens = Tokens({"ta": "ada", "tb": "bob"})

    assert tokens.caller("Bearer ta") == "ada"
    assert tokens.caller("bearer  tb ") == "bob"


@pytest.mark.parametrize(
    "header", [None, "", "ta", "Basic ta", "Bearer", "Bearer ", "Bearer tA", "Bearer " + "t" * 9999]
)
def test_anything_else_is_nobody(header: str | None) -> None:
    assert Tokens({"ta": "ada"}).caller(header) is None


@PATIENT
@given(st.text())
def test_no_header_at_all_raises(header: str) -> None:
    assert Tokens({"a-token-nobody-guesses": "ada"}).caller(header) is None


def test_an_empty_token_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        Tokens({"": "ada"})


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer nope"}])
async def test_without_a_token_there_is_a_challenge_and_nothing_else(
    guarded: Running, header: dict[str, str]
) -> None:
    headers = {"a2a-version": "1.0", **header}
    for response in (
        await guarded.http.post(f"{guarded.url}/a2a", json={}, headers=headers),
        await guarded.http.get(f"{guarded.url}/rest/tasks", headers=headers),
        await guarded.http.get(f"{guarded.url}/executions", headers=headers),
        await guarded.http.get(f"{guarded.url}/no-such-path", headers=headers),
    ):
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert response.json()["code"] == "unauthenticated"


async def test_card_and_health_are_public(guarded: Running) -> None:
    assert (await guarded.http.get(f"{guarded.url}/healthz")).json()["status"] == "ok"
    card = await guarded.http.get(f"{guarded.url}/.well-known/agent-card.json")
    assert card.content == guarded.card.raw


async def test_a_wrong_token_is_an_auth_error_of_the_client(guarded: Running) -> None:
    with pytest.raises(AgentAuthError) as refused:
        await guarded.client(token="nope").send(message("hi"))

    assert refused.value.disposition == "final"


@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])
async def test_no_operation_tells_another_callers_task_from_none(
    guarded: Running, binding: str
) -> None:
    ada = guarded.client(binding=binding, token="ta")
    bob = guarded.client(binding=binding, token="tb")
    asked = await ada.send(message("ask", contextId="shared"), return_immediately=False)
    assert isinstance(asked, Task)
    errors = []
    for task_id in (asked.id, "no-such-task"):
        for call in (
            bob.get_task(task_id),
            bob.cancel_task(task_id),
            bob.send(message("Oslo", taskId=task_id)),
            anext(bob.subscribe(task_id)),
        ):
            with pytest.raises(TaskUnknownError) as refused:
                await call
            errors.append(str(refused.value).replace(task_id, "ID"))

    assert errors[:4] == errors[4:]
    assert await bob.list_tasks("shared") == []
    assert [task.id for task in await ada.list_tasks("shared")] == [asked.id]
    mine = {"authorization": "Bearer tb"}
    told = await guarded.http.get(f"{guarded.url}/executions", headers=mine)
    assert told.json()["executions"] == []
