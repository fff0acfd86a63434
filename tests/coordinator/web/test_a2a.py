"""The A2A face, spoken to by the SDK's own client."""

from __future__ import annotations

import dataclasses

import pytest
from a2a.types import (
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    SubscribeToTaskRequest,
)
from google.protobuf.json_format import MessageToDict
from parley_cards.card import load_card
from parley_coordinator.model import ItemKind

from tests.coordinator.web.a2a_client import (
    BINDINGS,
    CANCELED,
    COMPLETED,
    FAILED,
    INPUT_REQUIRED,
    agent,
    all_of,
    answered,
    data_of,
    message,
    one,
    rpc,
    said,
    waiting_task,
)
from tests.coordinator.web.serving import Served

pytestmark = pytest.mark.anyio


async def test_the_card_is_valid_and_cached(served: Served) -> None:
    async with served.http(None) as http:
        response = await http.get("/workflows/review/.well-known/agent-card.json")
        unchanged = await http.get(
            "/workflows/review/.well-known/agent-card.json",
            headers={"if-none-match": response.headers["etag"]},
        )
        unknown = await http.get("/workflows/nope/.well-known/agent-card.json")

    card = load_card(response.content)
    skill = card.skill("review")
    assert skill is not None
    assert skill.input_schema is not None
    assert card.streaming
    assert card.dedupes
    assert [each.binding for each in card.interfaces] == BINDINGS
    assert not response.headers["etag"].startswith("W/")
    assert unchanged.status_code == 304
    assert unknown.status_code == 404
    assert unknown.json()["code"] == "unknown_workflow"


@pytest.mark.parametrize("binding", BINDINGS)
async def test_what_needs_nobody_completes_with_an_artifact(served: Served, binding: str) -> None:
    async with agent(served, binding=binding, streaming=False) as client:
        task = await one(client.send_message(said({"amount": "7"})))

    assert task.status.state == COMPLETED
    assert data_of(task.artifacts[0].parts[0]) == {"approved": True}
    assert task.context_id == task.id


@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_run_waits_for_a_person_and_takes_the_answer(served: Served, binding: str) -> None:
    async with agent(served, binding=binding) as client:
        events = await all_of(client.send_message(said({"amount": "120.00"}, context="case-9")))
    task_id = events[0].task.id
    async with agent(served, "approver", binding=binding) as client:
        task = await client.get_task(GetTaskRequest(id=task_id))
        question = data_of(task.status.message.parts[1])
        answer = {"outcome": "approve", "digest": question["digest"], "comment": "seen"}
        events_after = await all_of(
            client.send_message(said(answer, message_id="m2", task=task_id, context="case-9"))
        )

    assert events[0].task.context_id == "case-9"
    assert events[-1].WhichOneof("payload") in ("task", "status_update")
    assert task.status.state == INPUT_REQUIRED
    assert task.status.message.parts[0].text == "Approve 120.00?"
    assert question["summary"] == [{"name": "amount", "value": "120.00", "source": "input"}]
    assert question["outcomes"] == ["approve", "reject"]
    assert question["schema"]["properties"]["digest"] == {"const": question["digest"]}
    assert question["schema"]["required"] == ["outcome", "digest"]
    assert events_after[0].WhichOneof("payload") == "task"
    final = events_after[-1]
    state = (
        final.task.status.state
        if final.WhichOneof("payload") == "task"
        else final.status_update.status.state
    )
    assert state == COMPLETED
    decision = served.memory.items["item-1"].decision
    assert decision is not None
    assert (decision.by, decision.comment) == ("approver", "seen")


async def test_the_requester_sees_that_others_are_asked_but_not_what(served: Served) -> None:
    task = await waiting_task(served)

    assert task.status.state == INPUT_REQUIRED
    assert len(task.status.message.parts) == 1
    assert "120" not in task.status.message.parts[0].text


@pytest.mark.parametrize("kind", [ItemKind.INPUT, ItemKind.AUTH])
async def test_a_text_answers_what_is_no_approval_and_again_is_harmless(
    served: Served, kind: ItemKind
) -> None:
    task = await waiting_task(served)
    items = served.memory.items
    items["item-1"] = dataclasses.replace(items["item-1"], kind=kind)
    words = said(" reject\n", message_id="m2", task=task.id)

    async with agent(served, "approver", streaming=False) as client:
        rejected = await one(client.send_message(words))
        again = await one(client.send_message(words))

    assert rejected.status.state == FAILED
    assert rejected.status.message.parts[0].text == "a person said no"
    assert MessageToDict(rejected.status.message.metadata)["code"] == "urn:test:refused"
    assert again == rejected
    assert [row.kind for row in served.memory.rows[task.id]].count("decided") == 1


async def test_the_same_message_again_is_the_same_task(served: Served) -> None:
    async with agent(served, streaming=False) as client:
        first = await one(client.send_message(said({"amount": "7"})))
        again = await one(client.send_message(said({"amount": "7"})))
    other = await rpc(served, "SendMessage", message())

    assert again.id == first.id
    assert len(served.memory.runs) == 1
    assert other["error"]["code"] == -32049


async def test_the_same_answer_again_is_harmless_also_after_the_end(served: Served) -> None:
    task = await waiting_task(served)
    answer = answered(served, task)

    first = await rpc(served, "SendMessage", answer, role="approver")
    again = await rpc(served, "SendMessage", answer, role="approver")

    assert first["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert again["result"] == first["result"]
    assert [row.kind for row in served.memory.rows[task.id]].count("decided") == 1


async def test_tasks_are_listed_by_state_and_context_in_pages(served: Served) -> None:
    async with agent(served, streaming=False) as client:
        for number, amount in enumerate(["1", "500", "2", "600"]):
            await one(
                client.send_message(
                    said({"amount": amount}, message_id=f"m{number}", context=f"c{number % 2}")
                )
            )
        every = await client.list_tasks(ListTasksRequest(page_size=3))
        rest = await client.list_tasks(
            ListTasksRequest(page_size=3, page_token=every.next_page_token)
        )
        asked = await client.list_tasks(ListTasksRequest(status=INPUT_REQUIRED))
        in_context = await client.list_tasks(
            ListTasksRequest(context_id="c0", include_artifacts=True)
        )

    assert [task.id for task in every.tasks] == ["run-4", "run-3", "run-2"]
    assert [task.id for task in rest.tasks] == ["run-1"]
    assert rest.next_page_token == ""
    assert [task.id for task in asked.tasks] == ["run-4", "run-2"]
    assert [task.id for task in in_context.tasks] == ["run-3", "run-1"]
    assert all(task.artifacts for task in in_context.tasks)
    assert not any(task.artifacts for task in every.tasks)


async def test_an_operator_cancels_a_task_once(served: Served) -> None:
    task = await waiting_task(served)

    async with agent(served, "operator") as client:
        cancelled = await client.cancel_task(CancelTaskRequest(id=task.id))
    again = await rpc(served, "CancelTask", {"id": task.id}, role="operator")
    not_allowed = await rpc(served, "CancelTask", {"id": task.id})

    assert cancelled.status.state == CANCELED
    assert again["error"]["code"] == -32002
    assert not_allowed["error"]["code"] == -32043


@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_subscriber_gets_the_task_then_every_change_to_the_end(
    served: Served, binding: str
) -> None:
    task = await waiting_task(served)
    seen: list[str] = []

    async with agent(served, "auditor", binding=binding) as watcher:
        stream = watcher.subscribe(SubscribeToTaskRequest(id=task.id))
        async for event in stream:
            kind = event.WhichOneof("payload")
            seen.append(str(kind))
            if kind == "task":
                await rpc(
                    served,
                    "SendMessage",
                    answered(served, task),
                    role="approver",
                )
            last = event

    assert seen[0] == "task"
    assert seen[-2:] == ["artifact_update", "status_update"]
    assert last.status_update.status.state == COMPLETED


async def test_a_closed_stream_does_not_disturb_another(served: Served) -> None:
    task = await waiting_task(served)
    async with agent(served, "auditor") as one_watcher, agent(served, "auditor") as other:
        closing = one_watcher.subscribe(SubscribeToTaskRequest(id=task.id))
        staying = other.subscribe(SubscribeToTaskRequest(id=task.id))
        await anext(closing)
        first = await anext(staying)
        await closing.aclose()  # type: ignore[attr-defined]
        await rpc(
            served,
            "SendMessage",
            answered(served, task),
            role="approver",
        )
        rest = await all_of(staying)

    assert first.task.id == task.id
    assert rest[-1].status_update.status.state == COMPLETED
