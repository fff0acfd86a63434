"""Questions to people: who may answer, what exactly is decided, and that it is decided once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from parley_coordinator.governance.access import Principal, Role
from parley_coordinator.inbox.inbox import Inbox
from parley_coordinator.store.opening import open_database

from tests.coordinator.world import CALL, world
from tests.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

ASK = """\
  - approve:
      metadata: {label: Approve the payment}
      call: human-task:1.0.0@parley
      with:
        title: '${ "Pay " + .amount + "?" }'
        candidates: ['role:approver', 'role:requester']
        excludeActors: ['${ $workflow.requestedBy }']
        outcomes: [approved, rejected]
        reason: above the limit
        summary: [{name: amount, value: '${ .amount }', source: input}]
        proposal: {action: pay, amount: '${ .amount }'}
        form:
          type: object
          properties: {costCentre: {type: string, minLength: 4}}
      timeout: {after: {seconds: 60}}
"""


async def test_a_person_decides_and_the_run_goes_on(tmp_path: Path) -> None:
    async with world(tmp_path, {"ask": ASK}) as mesh:
        run = await mesh.start("ask", {"amount": "120.00"})
        item = await mesh.item(run, role="approver")
        response = await mesh.decide(
            item, "approved", comment="fine", values={"costCentre": "4711"}
        )
        ended = await mesh.ended(run)

        assert response.status_code == 200, response.text
        assert item["title"] == "Pay 120.00?"
        assert item["summary"] == [{"name": "amount", "value": "120.00", "source": "input"}]
        assert item["excluded"] == ["requester"]
        assert ended["output"]["outcome"] == "approved"
        assert ended["output"]["by"] == "approver"
        assert ended["output"]["values"] == {"costCentre": "4711"}
        assert ended["output"]["digest"] == item["digest"]


async def test_who_requested_it_may_not_decide_it(tmp_path: Path) -> None:
    async with world(tmp_path, {"ask": ASK}) as mesh:
        run = await mesh.start("ask", {"amount": "1.00"})
        item = await mesh.item(run)
        requester = await mesh.decide(item, "approved", role="requester")
        operator = await mesh.decide(item, "approved", role="operator")
        auditor = await mesh.decide(item, "approved", role="auditor")
        after = await mesh.get(f"/v1/items/{item['id']}")

        assert (requester.status_code, requester.json()["code"]) == (403, "not_eligible")
        assert (operator.status_code, operator.json()["code"]) == (403, "not_eligible")
        assert (auditor.status_code, auditor.json()["code"]) == (403, "not_permitted")
        assert after["state"] == "ready"


async def test_a_decision_on_another_proposal_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path, {"ask": ASK}) as mesh:
        run = await mesh.start("ask", {"amount": "1.00"})
        other = await mesh.start("ask", {"amount": "1.00"})
        item, others = await mesh.item(run), await mesh.item(other)
        response = await mesh.decide({**item, "digest": others["digest"]}, "approved")

        assert others["digest"] != item["digest"]
        assert (response.status_code, response.json()["code"]) == (409, "stale_digest")
        assert response.json()["digest"] == item["digest"]


async def test_of_two_decisions_at_once_exactly_one_wins(tmp_path: Path) -> None:
    async with world(tmp_path, {"ask": ASK}) as mesh:
        run = await mesh.start("ask", {"amount": "1.00"})
        item = await mesh.item(run)
        answers = await asyncio.gather(
            *(mesh.decide(item, ("approved", "rejected")[n % 2]) for n in range(8))
        )
        ended = await mesh.ended(run)

        won = ended["output"]["outcome"]
        for answer in answers:
            if answer.status_code == 200:
                assert answer.json()["decision"]["outcome"] == won
            else:
                assert (answer.status_code, answer.json()["code"]) == (409, "already_decided")
                assert answer.json()["decidedBy"] == "approver"
        assert {a.status_code for a in answers} == {200, 409}


async def test_the_same_decision_sent_again_is_harmless(tmp_path: Path) -> None:
    async with world(tmp_path, {"ask": ASK}) as mesh:
        run = await mesh.start("ask", {"amount": "1.00"})
        item = await mesh.item(run)
        first = await mesh.decide(item, "rejected")
        again = await mesh.decide(item, "rejected")

        assert first.status_code == again.status_code == 200
        assert again.json()["decision"] == first.json()["decision"]


async def test_an_outcome_or_value_outside_the_form_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path, {"ask": ASK}) as mesh:
        run = await mesh.start("ask", {"amount": "1.00"})
        item = await mesh.item(run)
        outcome = await mesh.decide(item, "maybe")
        value = await mesh.decide(item, "approved", values={"costCentre": "1"})
        field = await mesh.decide(item, "approved", values={"isAdmin": True})

        assert outcome.json()["code"] == "invalid_decision"
        assert value.json()["problems"] == ["costCentre is too short"]
        assert field.json()["problems"] == ["isAdmin is not a field of this form"]
        assert {r.status_code for r in (outcome, value, field)} == {400}


async def test_silence_is_never_a_yes_and_a_late_decision_is_refused(tmp_path: Path) -> None:
    hasty = ASK.replace("seconds: 60", "seconds: 4")
    async with world(tmp_path, {"ask": hasty}) as mesh:
        run = await mesh.start("ask", {"amount": "1.00"})
        item = await mesh.item(run)
        ended = await mesh.ended(run)
        late = await mesh.decide(item, "approved")

        assert ended["state"] == "faulted"
        assert ended["error"]["type"].endswith("/timeout")
        assert (late.status_code, late.json()["code"]) == (409, "item_closed")


async def test_a_deadline_can_escalate_to_somebody_else(tmp_path: Path) -> None:
    escalating = """\
  - ask:
      metadata: {label: Ask, and escalate}
      try:
        - first:
            metadata: {label: Ask the approver}
            call: human-task:1.0.0@parley
            with: {title: 'Pay?', candidates: ['role:approver'], outcomes: [yes, no],
                   proposal: {action: pay}}
            timeout: {after: {milliseconds: 300}}
      catch:
        errors: {with: {type: 'https://serverlessworkflow.io/spec/1.0.0/errors/timeout'}}
        do:
          - second:
              metadata: {label: Ask the operator}
              call: human-task:1.0.0@parley
              with: {title: 'Pay after all?', candidates: ['role:operator'], outcomes: [yes, no],
                     proposal: {action: pay}}
              timeout: {after: {seconds: 60}}
"""
    async with world(tmp_path, {"ask": escalating}) as mesh:
        run = await mesh.start("ask", {})
        await mesh.item(run)

        async def second() -> dict[str, str]:
            while (item := await mesh.item(run))["title"] != "Pay after all?":
                pass
            return item

        item = await asyncio.wait_for(second(), 60)
        await mesh.decide(item, "no", role="operator")

        assert (await mesh.ended(run))["output"]["by"] == "operator"


async def test_an_agents_question_becomes_an_item_and_the_answer_reaches_its_task(
    tmp_path: Path,
) -> None:
    agent = ScriptedAgent()
    form = {"type": "object", "properties": {"centre": {"type": "string"}}, "required": ["centre"]}
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": "ask-form", "form": form})
        item = await mesh.item(run)
        await mesh.decide(item, "answer", values={"centre": "4711"})
        ended = await mesh.ended(run)

        assert item["kind"] == "input"
        assert item["summary"][0] == {
            "name": "question",
            "value": "which cost centre?",
            "source": "agent:vendor",
        }
        assert ended["output"] == {"answers": [{"centre": "4711"}]}
        assert agent.runs == 1


async def test_an_agent_may_ask_twice(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": "ask-twice"})
        first = await mesh.item(run)
        await mesh.decide(first, "answer", values={"text": "4711"})

        async def second() -> dict[str, str]:
            while (item := await mesh.item(run))["id"] == first["id"]:
                pass
            return item

        await mesh.decide(await asyncio.wait_for(second(), 60), "answer", values={"text": "Apollo"})

        assert (await mesh.ended(run))["output"] == {
            "answers": [{"text": "4711"}, {"text": "Apollo"}]
        }


@pytest.mark.parametrize(
    "hostile",
    [
        {"type": "object", "properties": {"x": {"type": "string", "pattern": "^(a+)+$"}}},
        {"type": "object", "properties": {"x": {"$ref": "http://127.0.0.1:1/x"}}},
        {"type": "object", "properties": {}, "required": [[]]},
        {"type": "object", "properties": {"x": {"type": "string", "format": []}}},
        {"type": "object", "properties": {"x": {"type": "string", "title": {"a": 1}}}},
        {"type": "object", "properties": {"x": {"type": "string", "enum": [[]]}}},
        {"type": "object", "properties": {str(n): {"type": "boolean"} for n in range(51)}},
    ],
)
async def test_a_form_that_cannot_be_shown_is_asked_as_text(
    tmp_path: Path, hostile: dict[str, Any]
) -> None:
    async with world(tmp_path, {"act": CALL}, ScriptedAgent()) as mesh:
        run = await mesh.start("act", {"do": "ask-form", "form": hostile})
        item = await mesh.item(run)

        assert list(item["form"]["properties"]) == ["text"]
        assert "cannot be shown" in item["reason"]


async def test_declining_an_agents_question_cancels_its_task(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": "ask"})
        item = await mesh.item(run)
        await mesh.decide(item, "decline", comment="not our invoice")
        ended = await mesh.ended(run)

        assert ended["error"]["title"] == "approver chose to decline"
        assert agent.cancelled == ["t-1"]


async def test_an_authorization_is_given_out_of_band(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": "auth"})
        item = await mesh.item(run)
        agent.finish_all()
        await mesh.decide(item, "done", role="operator")

        assert item["kind"] == "auth"
        assert item["form"]["properties"] == {}
        assert (await mesh.ended(run))["output"] == {"done": True}
        assert agent.answers == []


async def test_items_of_a_cancelled_run_are_withdrawn(tmp_path: Path) -> None:
    async with world(tmp_path, {"ask": ASK}) as mesh:
        run = await mesh.start("ask", {"amount": "1.00"})
        item = await mesh.item(run)
        await mesh.post(f"/v1/runs/{run}:cancel", {"reason": "test"})
        response = await mesh.decide(item, "approved")

        assert (response.status_code, response.json()["code"]) == (409, "item_closed")
        assert (await mesh.get(f"/v1/items/{item['id']}"))["state"] == "withdrawn"


async def test_strangers_see_neither_the_item_nor_the_run(tmp_path: Path) -> None:
    only_operators = ASK.replace("'role:approver', 'role:requester'", "'role:operator'")
    async with world(tmp_path, {"ask": only_operators}) as mesh:
        run = await mesh.start("ask", {"amount": "1.00"})
        item = await mesh.item(run)
        approver = {"authorization": f"Bearer {mesh.tokens['approver']}"}  # type: ignore[index]
        seen_item = await mesh.http.get(f"{mesh.url}/v1/items/{item['id']}", headers=approver)
        seen_run = await mesh.http.get(f"{mesh.url}/v1/runs/{run}", headers=approver)
        listed = await mesh.get("/v1/runs", role="approver")

        assert seen_item.status_code == seen_run.status_code == 404
        assert listed["runs"] == []


async def test_an_agents_question_that_nobody_answers_in_time_cancels_its_task(
    tmp_path: Path,
) -> None:
    agent = ScriptedAgent()
    hasty = CALL.replace("seconds: 60", "seconds: 4")
    async with world(tmp_path, {"act": hasty}, agent) as mesh:
        run = await mesh.run("act", {"do": "ask"})

        assert run["error"]["title"].startswith("nobody decided in time")
        assert agent.cancelled == ["t-1"]


async def test_an_agent_that_was_authorized_may_ask_something_else(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with world(tmp_path, {"act": CALL}, agent) as mesh:
        run = await mesh.start("act", {"do": "auth-then-ask"})
        auth = await mesh.item(run)
        agent.ask_all()
        await mesh.decide(auth, "done", role="operator")

        async def question() -> dict[str, Any]:
            while (item := await mesh.item(run))["kind"] != "input":
                pass
            return item

        item = await asyncio.wait_for(question(), 60)
        await mesh.decide(item, "answer", values={"text": "4711"})

        assert (await mesh.ended(run))["output"] == {"answers": [{"text": "4711"}]}
        assert (await mesh.get(f"/v1/items/{auth['id']}"))["state"] == "decided"


async def test_a_decision_whose_wake_up_was_lost_is_found_at_the_next_start(
    tmp_path: Path,
) -> None:
    """The process died between the decision's commit and the wake-up of the run."""

    async def lost(_: str) -> None:
        """Die here."""

    async with world(tmp_path, {"ask": ASK}) as mesh:
        run = await mesh.start("ask", {"amount": "1.00"})
        item = await mesh.item(run)
        database = open_database(f"sqlite:///{tmp_path / 'coordinator.db'}")
        inbox = Inbox(database, now=lambda: datetime.now(UTC), signal=lost)
        person = Principal(subject="approver", roles=frozenset({Role.APPROVER}))
        await inbox.decide(person, item["id"], outcome="approved", digest=item["digest"])
        await database.aclose()
    async with world(tmp_path, {"ask": ASK}) as mesh:
        assert (await mesh.ended(run))["output"]["outcome"] == "approved"
