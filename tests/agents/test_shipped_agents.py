"""The three agents end to end: real ERP, real wire, the shipped samples."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from parley_agents.erp import Erp

from tests.agents.conftest import Served, said, sample

pytestmark = pytest.mark.anyio


async def gathered(documents: Served, name: str) -> dict[str, Any]:
    """Capture a sample and fetch everything that it is matched with."""
    captured = await documents.ask(
        "capture-invoice", {"document": sample(name)}, message_id=f"capture-{name}"
    )
    invoice = captured["invoice"]["data"]
    order = {"orderNumber": invoice["orderNumber"]}
    supplier = {"supplierId": invoice["supplierId"]}
    return {
        **captured,
        **await documents.ask("retrieve-order", order, message_id=f"order-{name}"),
        **await documents.ask("retrieve-receipts", order, message_id=f"receipts-{name}"),
        **await documents.ask("retrieve-supplier", supplier, message_id=f"supplier-{name}"),
    }


@pytest.mark.parametrize(
    ("name", "outcome", "rule"),
    [
        ("matching", "auto-approve", "all-checks-passed"),
        ("above-tolerance", "needs-approval", "unit-price"),
        ("quantity-over-receipt", "needs-approval", "receipt"),
        ("missing-order", "needs-approval", "order"),
        ("tax-error", "needs-approval", "tax"),
        ("bank-changed", "hold", "bank-account"),
        ("duplicate", "hold", "duplicate"),
        ("blocked-supplier", "hold", "supplier"),
    ],
)
async def test_each_sample_ends_as_its_table_says(
    documents_agent: Served, matching_agent: Served, name: str, outcome: str, rule: str
) -> None:
    request = await gathered(documents_agent, name)

    decision = await matching_agent.ask("match-invoice", request)

    assert (decision["outcome"], decision["rule"]) == (outcome, rule), decision["title"]
    assert decision["compared"]
    for check in decision["checks"]:
        for compared in check["compared"]:
            assert compared["source"].startswith(("erp:ap.", "policy:invoice-exception/"))


async def test_the_variance_of_a_price_above_tolerance_is_the_money_at_stake(
    documents_agent: Served, matching_agent: Served
) -> None:
    request = await gathered(documents_agent, "above-tolerance")

    decision = await matching_agent.ask("match-invoice", request)

    line = request["invoice"]["data"]["lines"][0]
    assert decision["variance"] == f"{float(line['quantity']) * 9.6:.2f}"
    assert decision["currency"] == "EUR"


async def test_a_matching_invoice_is_posted_once_however_often_the_message_arrives(
    documents_agent: Served, posting_agent: Served, http: httpx.AsyncClient, erp_url: str
) -> None:
    captured = await documents_agent.ask("capture-invoice", {"document": sample("matching")})
    request = {
        "invoiceId": captured["invoice"]["data"]["id"],
        "etag": captured["invoice"]["etag"],
        "decidedBy": "policy",
        "reason": "every check has passed",
    }

    posted = await posting_agent.ask("post-invoice", request, message_id="post-1")
    again = await posting_agent.ask("post-invoice", request, message_id="post-1")

    assert again == posted
    assert (posted["state"], posted["status"]) == ("posted", "applied")
    effects = (await http.get(f"{erp_url}/effects")).json()["effects"]
    mine = [effect for effect in effects if effect["invoice_id"] == request["invoiceId"]]
    assert [effect["tool"] for effect in mine] == ["ap.invoice.capture", "ap.invoice.post"]
    assert mine[1]["effect_id"] == posted["effectId"]
    assert mine[1]["decided_by"] == "policy"


async def test_an_invoice_that_changed_since_the_decision_is_not_posted(
    documents_agent: Served, posting_agent: Served
) -> None:
    captured = await documents_agent.ask("capture-invoice", {"document": sample("matching")})
    request = {
        "invoiceId": captured["invoice"]["data"]["id"],
        "etag": captured["invoice"]["etag"],
        "decidedBy": "approver",
        "reason": "not ours",
    }
    stale = {**request, "etag": "another"}
    other = await posting_agent.send("post-invoice", stale, message_id="post-1")
    blocked = await posting_agent.ask("block-invoice", request, message_id="block-1")
    late = await posting_agent.send("post-invoice", request, message_id="post-2")

    assert said(other)[0::2] == ("TASK_STATE_FAILED", "stale_etag")
    assert blocked["state"] == "blocked"
    assert said(late)[0::2] == ("TASK_STATE_FAILED", "wrong_state")


async def test_nobody_can_post_an_invoice_with_a_changed_bank_account(
    documents_agent: Served, posting_agent: Served
) -> None:
    captured = await documents_agent.ask("capture-invoice", {"document": sample("bank-changed")})
    request = {
        "invoiceId": captured["invoice"]["data"]["id"],
        "etag": captured["invoice"]["etag"],
        "decidedBy": "approver",
        "reason": "looks fine",
    }

    state, text, code = said(await posting_agent.send("post-invoice", request))

    assert (state, code) == ("TASK_STATE_FAILED", "posting_refused")
    assert "account" in text


async def test_the_same_document_again_is_the_same_invoice_in_its_present_state(
    documents_agent: Served, posting_agent: Served
) -> None:
    document = {"document": sample("matching")}
    first = await documents_agent.ask("capture-invoice", document, message_id="a")
    await posting_agent.ask(
        "post-invoice",
        {
            "invoiceId": first["invoice"]["data"]["id"],
            "etag": first["invoice"]["etag"],
            "decidedBy": "policy",
            "reason": "every check has passed",
        },
    )

    second = await documents_agent.ask("capture-invoice", document, message_id="b")

    assert second["invoice"]["data"]["id"] == first["invoice"]["data"]["id"]
    assert second["invoice"]["data"]["state"] == "posted"


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("not xml", "malformed_xml"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "malformed_xml"),
        ("<Order xmlns='urn:x'/>", "unsupported_document"),
    ],
)
async def test_a_hostile_document_fails_with_the_code_of_the_reader(
    documents_agent: Served, document: str, code: str
) -> None:
    state, text, said_code = said(
        await documents_agent.send("capture-invoice", {"document": document})
    )

    assert (state, said_code) == ("TASK_STATE_FAILED", code)
    assert text


async def test_an_amount_with_an_exponent_fails_before_anything_is_stored(
    documents_agent: Served, http: httpx.AsyncClient, erp_url: str
) -> None:
    before = (await http.get(f"{erp_url}/effects")).json()
    document = sample("matching").replace("2380.00</", "2.38e3</")
    assert document != sample("matching")

    state, _, code = said(await documents_agent.send("capture-invoice", {"document": document}))

    assert (state, code) == ("TASK_STATE_FAILED", "invalid_amount")
    assert (await http.get(f"{erp_url}/effects")).json() == before


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"document": ""},
        {"document": 7},
        {"document": "x", "more": 1},
        [],
        "text",
        None,
        {"doc": "x"},
    ],
)
async def test_a_request_that_does_not_fit_is_rejected_with_the_reason(
    lonely_agent: Served, data: Any
) -> None:
    state, text, code = said(await lonely_agent.send("capture-invoice", data))

    assert (state, code) == ("TASK_STATE_REJECTED", "invalid_input")
    assert "capture-invoice" in text


async def test_names_of_the_code_are_not_names_of_the_contract(lonely_agent: Served) -> None:
    state, _, code = said(await lonely_agent.send("retrieve-order", {"order_number": "PO-1001"}))

    assert (state, code) == ("TASK_STATE_REJECTED", "invalid_input")


@pytest.mark.parametrize(
    ("skill", "version", "code"),
    [
        ("no-such-skill", "1.0.0", "unknown_skill"),
        ("retrieve-order", "2.0.0", "unknown_version"),
        ("retrieve-order", "1.1.0", "unknown_version"),
        ("retrieve-order", "latest", "unknown_version"),
    ],
)
async def test_a_skill_or_version_that_is_not_offered_is_rejected(
    lonely_agent: Served, skill: str, version: str, code: str
) -> None:
    task = await lonely_agent.send(skill, {"orderNumber": None}, version=version)

    assert said(task)[0::2] == ("TASK_STATE_REJECTED", code)


async def test_what_the_erp_does_not_know_is_null_and_no_failure(documents_agent: Served) -> None:
    order = await documents_agent.ask("retrieve-order", {"orderNumber": "PO-9"}, message_id="1")
    none = await documents_agent.ask("retrieve-order", {"orderNumber": None}, message_id="2")
    receipts = await documents_agent.ask(
        "retrieve-receipts", {"orderNumber": "PO-9"}, message_id="3"
    )
    supplier = await documents_agent.ask("retrieve-supplier", {"supplierId": "S-9"}, message_id="4")

    assert (order, none) == ({"order": None}, {"order": None})
    assert (receipts, supplier) == ({"receipts": None}, {"supplier": None})


async def test_without_its_erp_an_agent_serves_and_fails_its_tasks_with_a_code(
    lonely_agent: Served,
) -> None:
    state, text, code = said(await lonely_agent.send("retrieve-order", {"orderNumber": "PO-1"}))

    assert (state, code) == ("TASK_STATE_FAILED", "system_unavailable")
    assert "try again later" in text


async def test_a_connection_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await Erp("http://127.0.0.1:1")._call_once("x", {})
