"""The reference workflow, with scripted agents and people: every path, in milliseconds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from parley_cards.library import library_card, library_names
from parley_coordinator.delegation.catalog import AgentCatalog
from parley_coordinator.workflow.catalog import HUMAN_TASK_FUNCTION
from parley_coordinator.workflow.check import check
from parley_coordinator.workflow.document import Document, load_document
from parley_coordinator.workflow.effects import Call
from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_coordinator.workflow.expressions import body_of, is_expression
from parley_coordinator.workflow.schemas import problems
from parley_coordinator.workflow.shortcuts import compile_shortcut

from tests.coordinator.workflow.scripted import STARTED, Journal, Never, Script, run

pytestmark = pytest.mark.anyio

FILE = Path(__file__).parents[3] / "workflows" / "invoice-exception" / "workflow.yaml"
CATALOG = AgentCatalog([library_card(name, url="http://127.0.0.1:1") for name in library_names()])
XML = "<Invoice/>"


@pytest.fixture(scope="module")
def document() -> Document:
    return load_document(FILE.read_bytes(), source=FILE.name)


def record(data: Any, tool: str) -> dict[str, Any]:
    return {"data": data, "etag": '"2"', "source": f"erp:{tool}", "asOf": "2026-11-23T04:00:00Z"}


INVOICE = {
    "id": "inv-3f9c",
    "number": "R-2041",
    "kind": "invoice",
    "supplierId": "SUP-100",
    "supplierName": "Nordwind Bürobedarf GmbH",
    "currency": "EUR",
    "issueDate": "2026-11-02",
    "orderNumber": "PO-1001",
    "payeeIban": "DE02120300000000202051",
    "payeeAccounts": ["DE02120300000000202051"],
    "state": "captured",
    "lines": [],
    "charges": [],
    "totals": {
        "lines": "1000.00",
        "allowances": "0",
        "charges": "0",
        "net": "1000.00",
        "tax": "190.00",
        "gross": "1190.00",
        "prepaid": "0",
        "rounding": "0",
        "payable": "1190.00",
    },
}
COMPARED = [
    {"name": "total invoiced", "value": "1120.00", "source": "erp:ap.invoice.get/inv-3f9c"},
    {"name": "total ordered", "value": "1000.00", "source": "erp:ap.order.get/PO-1001"},
]


def verdict(outcome: str, rule: str) -> dict[str, Any]:
    title = f"The rule {rule} decides."
    return {
        "outcome": outcome,
        "rule": rule,
        "title": title,
        "approverRole": "approver",
        "checks": [
            {
                "rule": rule,
                "passed": outcome == "auto-approve",
                "title": title,
                "compared": COMPARED,
            }
        ],
        "compared": COMPARED,
        "variance": "120.00",
        "currency": "EUR",
        "policyVersion": "2026-11",
        "policyDigest": "sha256:" + "0" * 64,
    }


def written(call: Call, state: str) -> dict[str, Any]:
    return {
        "invoiceId": call.arguments["invoiceId"],
        "state": state,
        "effectId": f"effect-{state}",
        "status": "applied",
        "reversibleUntil": None,
    }


def decided(outcome: str) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "by": "approver",
        "at": "2026-11-23T10:00:00Z",
        "comment": "",
        "values": {},
        "digest": "sha256:" + "1" * 64,
        "item": "item-1",
    }


def mesh(outcome: str, rule: str = "total", *, people: Script | None = None) -> Script:
    """Agents that fit their cards; a call that does not fit is a failure of the test."""

    def agents(call: Call) -> Any:
        match call.function:
            case "capture-invoice":
                return {
                    "invoice": record(INVOICE, "ap.invoice.get/inv-3f9c"),
                    "duplicates": record([], "ap.invoice.find_duplicates/inv-3f9c"),
                }
            case "retrieve-order":
                return {"order": None}
            case "retrieve-receipts":
                return {"receipts": record([], "ap.receipt.list/PO-1001")}
            case "retrieve-supplier":
                return {"supplier": None}
            case "match-invoice":
                return verdict(outcome, rule)
            case "post-invoice":
                return written(call, "posted")
            case "block-invoice":
                return written(call, "blocked")
        assert people is not None, call.function
        return people(call)

    def script(call: Call) -> Any:
        known = [HUMAN_TASK_FUNCTION, *CATALOG.functions().get(call.function, [])]
        contract = next(each for each in known if each.name == call.function)
        assert problems(contract.input_schema or {}, call.arguments) == []
        output = agents(call)
        assert problems(contract.output_schema or {}, output) == []
        return output

    return script


def test_it_is_sound_with_the_agents_of_the_library(document: Document) -> None:
    assert check(document, CATALOG, file=FILE.name) == []


def test_none_of_its_expressions_needs_a_jq_program(document: Document) -> None:
    stack: list[Any] = [document.json]
    texts = []
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, str) and is_expression(value):
            texts.append(value)

    assert len(texts) > 40
    assert [text for text in texts if compile_shortcut(body_of(text)) is None] == []


async def test_an_invoice_within_policy_is_posted_without_a_person(document: Document) -> None:
    journal = Journal()

    output = await run(
        document,
        data={"invoice": XML},
        script=mesh("auto-approve", "all-checks-passed"),
        journal=journal,
    )

    assert output == {
        "invoice": "R-2041",
        "decision": "approve",
        "rule": "all-checks-passed",
        "decidedBy": "policy",
        "posting": {
            "invoiceId": "inv-3f9c",
            "state": "posted",
            "effectId": "effect-posted",
            "status": "applied",
            "reversibleUntil": None,
        },
    }
    assert "human-task" not in journal.functions()
    assert set(journal.performed.values()) == {1}
    chose = journal.at("/do/3/decide", "chose")
    assert chose is not None
    assert chose["operands"] == [{"name": "$context.verdict.outcome", "value": "auto-approve"}]


@pytest.mark.parametrize(
    ("outcome", "decision", "effect"),
    [
        ("needs-approval", "approve", "post-invoice"),
        ("needs-approval", "reject", "block-invoice"),
        ("hold", "approve", "post-invoice"),
        ("hold", "reject", "block-invoice"),
    ],
)
async def test_a_person_decides_on_exactly_what_happens_then(
    document: Document, outcome: str, decision: str, effect: str
) -> None:
    journal = Journal()

    output = await run(
        document,
        data={"invoice": XML},
        script=mesh(outcome, people=lambda _: decided(decision)),
        journal=journal,
        requested_by="requester",
    )

    question, last = journal.calls[-2:]
    assert question.function == "human-task"
    assert question.arguments["candidates"] == ["role:approver"]
    assert question.arguments["excludeActors"] == ["requester"]
    assert question.arguments["summary"][-2:] == COMPARED
    assert question.arguments["title"].startswith("HELD: ") is (outcome == "hold")
    proposal = question.arguments["proposal"]
    assert set(proposal["next"]) == set(question.arguments["outcomes"])
    assert proposal["facts"]["checks"][0]["compared"] == COMPARED
    assert question.deadline == STARTED + timedelta(days=3)
    assert last.function == effect
    assert {name: last.arguments[name] for name in proposal["arguments"]} == proposal["arguments"]
    assert (output["decision"], output["decidedBy"]) == (decision, "approver")


async def test_no_answer_is_asked_again_of_more_people_with_the_same_proposal(
    document: Document,
) -> None:
    asked: list[Call] = []

    def people(call: Call) -> Any:
        asked.append(call)
        if "ESCALATED" not in call.arguments["title"]:
            raise Never
        return decided("reject")

    output = await run(
        document, data={"invoice": XML}, script=mesh("needs-approval", people=people)
    )

    assert output["decision"] == "reject"
    assert asked[-1].arguments["candidates"] == ["role:approver", "role:operator"]
    assert asked[-1].arguments["proposal"] == asked[0].arguments["proposal"]


async def test_no_answer_at_all_is_an_error_and_never_an_approval(document: Document) -> None:
    journal = Journal()

    def people(_call: Call) -> Any:
        raise Never

    with pytest.raises(WorkflowError) as caught:
        await run(
            document,
            data={"invoice": XML},
            script=mesh("hold", people=people),
            journal=journal,
        )

    assert caught.value.is_a(Standard.TIMEOUT)
    assert journal.now == STARTED + timedelta(days=5)
    assert not {"post-invoice", "block-invoice"} & set(journal.functions())


async def test_an_outcome_that_nobody_foresaw_is_held(document: Document) -> None:
    """Past the check of the agent's output: the workflow itself denies by default."""
    journal = Journal()

    def script(call: Call) -> Any:
        output = mesh("hold", people=lambda _: decided("reject"))(call)
        return {**output, "outcome": "sure"} if call.function == "match-invoice" else output

    await run(document, data={"invoice": XML}, script=script, journal=journal)

    assert journal.functions()[-2:] == ["human-task", "block-invoice"]


@pytest.mark.parametrize(
    "function",
    [
        "capture-invoice",
        "retrieve-order",
        "retrieve-receipts",
        "retrieve-supplier",
        "match-invoice",
    ],
)
async def test_an_agent_that_cannot_be_reached_is_tried_again(
    document: Document, function: str
) -> None:
    journal = Journal()

    def script(call: Call) -> Any:
        if call.function == function and not call.place.attempt.endswith(".3"):
            raise WorkflowError(Standard.COMMUNICATION, "nobody there", status=503)
        return mesh("auto-approve")(call)

    output = await run(document, data={"invoice": XML}, script=script, journal=journal)

    assert output["posting"]["state"] == "posted"
    assert journal.functions().count(function) == 3
    assert len(journal.calls) == 8


async def test_the_posting_is_never_repeated(document: Document) -> None:
    journal = Journal()

    def script(call: Call) -> Any:
        if call.function == "post-invoice":
            raise WorkflowError(Standard.COMMUNICATION, "nobody there", status=503)
        return mesh("auto-approve")(call)

    with pytest.raises(WorkflowError) as caught:
        await run(document, data={"invoice": XML}, script=script, journal=journal)

    assert caught.value.instance == "/do/9/post"
    assert journal.functions().count("post-invoice") == 1


async def test_an_agent_that_failed_stops_the_run(document: Document) -> None:
    def script(call: Call) -> Any:
        if call.function == "capture-invoice":
            raise WorkflowError(Standard.RUNTIME, "documents answered FAILED", "malformed_xml: ...")
        return mesh("auto-approve")(call)

    with pytest.raises(WorkflowError) as caught:
        await run(document, data={"invoice": XML}, script=script)

    assert caught.value.title == "documents answered FAILED"


@pytest.mark.parametrize(
    "data", [None, {}, {"invoice": 1}, {"invoice": ""}, {"invoice": XML, "x": 1}]
)
def test_an_input_that_does_not_fit_is_told_before_anything_starts(
    document: Document, data: Any
) -> None:
    assert document.input_problems(data)
    assert not document.input_problems({"invoice": XML})
