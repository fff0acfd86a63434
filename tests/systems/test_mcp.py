"""The ERP as agents meet it: MCP over HTTP."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp.client import Client
from mcp.types import Tool
from parley_systems.erp.app import create_erp_app
from parley_systems.erp.ledger import Ledger
from parley_systems.erp.seed import load_seed
from parley_wire.auth import Tokens
from parley_wire.serving import Background

from tests.systems.parts import SAMPLES, Clock, call, refusal, sample

pytestmark = pytest.mark.anyio

DOCUMENT = sample("matching")
MCP_HEADERS = {"accept": "application/json, text/event-stream"}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


async def captured(erp: Client, name: str = "matching") -> dict[str, Any]:
    answer = await call(
        erp, "ap.invoice.capture", document=sample(name), idempotency_key=f"capture:{name}"
    )
    invoice: dict[str, Any] = answer["invoice"]
    return invoice


def rule(invoice: dict[str, Any], key: str = "rule") -> dict[str, str]:
    return {
        "invoice_id": invoice["data"]["id"],
        "expected_etag": invoice["etag"],
        "decided_by": "approver",
        "reason": "The price was agreed on the phone.",
        "idempotency_key": key,
    }


async def test_an_invoice_goes_from_document_to_posting(erp: Client) -> None:
    invoice = await captured(erp)
    duplicates = await call(erp, "ap.invoice.find_duplicates", invoice_id=invoice["data"]["id"])
    order = await call(erp, "ap.order.get", order_number="PO-1001")
    receipts = await call(erp, "ap.receipt.list", order_number="PO-1001")
    supplier = await call(erp, "ap.supplier.get", supplier_id="SUP-100")
    preview = await call(erp, "ap.invoice.post.preview", **rule(invoice))
    posted = await call(erp, "ap.invoice.post", **rule(invoice))

    assert duplicates["data"] == []
    assert order["source"] == "erp:ap.order.get/PO-1001"
    assert order["as_of"] == "2026-11-23T09:00:00.000Z"
    assert order["data"]["lines"][0]["unit_price"] == "100.00"
    assert [each["quantity"] for each in receipts["data"]] == ["10", "4"]
    assert supplier["data"]["bank_accounts"] == invoice["data"]["payee_accounts"]
    assert preview["data"] == {"allowed": True, "state_after": "posted", "problems": []}
    assert posted["status"] == "applied"
    assert posted["reversible_until"] is None
    assert posted["invoice"]["data"]["state"] == "posted"
    assert posted["invoice"]["data"]["reason"] == "The price was agreed on the phone."


async def test_every_result_fits_the_schema_that_its_tool_publishes(erp: Client) -> None:
    """The client validates structured content against the output schema, and refuses the rest."""
    listed = {tool.name: tool for tool in (await erp.list_tools()).tools}
    invoice = await captured(erp)

    for name, arguments in sorted(arguments_of(invoice).items()):
        result = await call(erp, name, **arguments)
        schema = listed[name].output_schema
        assert schema is not None
        assert set(result) == set(schema["properties"])
    assert set(listed) == {*arguments_of(invoice), "ap.invoice.block"}


def arguments_of(invoice: dict[str, Any]) -> dict[str, dict[str, str]]:
    invoice_id = invoice["data"]["id"]
    return {
        "ap.invoice.get": {"invoice_id": invoice_id},
        "ap.invoice.find_duplicates": {"invoice_id": invoice_id},
        "ap.order.get": {"order_number": "PO-1001"},
        "ap.receipt.list": {"order_number": "PO-1001"},
        "ap.supplier.get": {"supplier_id": "SUP-100"},
        "ap.invoice.post.preview": rule(invoice),
        "ap.invoice.block.preview": rule(invoice),
        "ap.invoice.capture": {"document": sample("tax-error"), "idempotency_key": "other"},
        "ap.invoice.post": rule(invoice),
    }


def rows(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {line for line in connection.iterdump() if line.startswith("INSERT")}


async def test_the_annotations_say_what_the_tools_do(erp: Client, tmp_path: Path) -> None:
    """Reads leave every row alone, additions keep all that was there, all may be sent twice."""
    path = tmp_path / "served.db"
    tools: list[Tool] = (await erp.list_tools()).tools
    arguments = arguments_of(await captured(erp))
    blocked = await captured(erp, "bank-changed")
    arguments["ap.invoice.block"] = rule(blocked, "block")

    for tool in sorted(tools, key=lambda each: not each.annotations.read_only_hint):  # type: ignore[union-attr]
        hints = tool.annotations
        assert hints is not None
        before = rows(path)
        await call(erp, tool.name, **arguments[tool.name])
        after = rows(path)
        await call(erp, tool.name, **arguments[tool.name])

        assert hints.read_only_hint is (after == before), tool.name
        # The sequence of effects is a counter, not an object of the business.
        lost = {row for row in before - after if "sqlite_sequence" not in row}
        assert hints.destructive_hint is bool(lost), tool.name
        assert hints.idempotent_hint is (rows(path) == after), tool.name
        assert hints.open_world_hint is False


async def test_every_write_needs_an_idempotency_key_and_every_ruling_an_etag(
    erp: Client,
) -> None:
    for tool in (await erp.list_tools()).tools:
        assert tool.annotations is not None
        required = tool.input_schema["required"]
        assert tool.input_schema["additionalProperties"] is False
        if not tool.annotations.read_only_hint:
            assert "idempotency_key" in required
        if tool.annotations.destructive_hint:
            assert "expected_etag" in required


async def test_a_preview_takes_the_arguments_of_its_write(erp: Client) -> None:
    schemas = {tool.name: tool.input_schema for tool in (await erp.list_tools()).tools}

    for name in ("ap.invoice.post", "ap.invoice.block"):
        assert schemas[f"{name}.preview"] == schemas[name]


@pytest.mark.parametrize(
    ("tool", "arguments", "code", "kind"),
    [
        ("ap.nothing", {}, "unknown_tool", "not_found"),
        ("ap.invoice.get", {"invoice_id": "inv-0"}, "unknown_invoice", "not_found"),
        ("ap.order.get", {"order_number": "PO-0"}, "unknown_order", "not_found"),
        ("ap.receipt.list", {"order_number": "PO-0"}, "unknown_order", "not_found"),
        ("ap.supplier.get", {"supplier_id": "SUP-0"}, "unknown_supplier", "not_found"),
        ("ap.order.get", {}, "invalid_arguments", "invalid"),
        ("ap.order.get", {"order_number": ""}, "invalid_arguments", "invalid"),
        ("ap.order.get", {"order_number": 7}, "invalid_arguments", "invalid"),
        ("ap.order.get", {"order_number": None}, "invalid_arguments", "invalid"),
        ("ap.order.get", {"order_number": "PO-1001", "x": 1}, "invalid_arguments", "invalid"),
        ("ap.order.get", {"order_number": "9" * 201}, "invalid_arguments", "invalid"),
        ("ap.invoice.capture", {"document": DOCUMENT}, "invalid_arguments", "invalid"),
        (
            "ap.invoice.capture",
            {"document": DOCUMENT, "idempotency_key": "a b"},
            "invalid_arguments",
            "invalid",
        ),
        (
            "ap.invoice.capture",
            {"document": "<!DOCTYPE a><a/>", "idempotency_key": "k"},
            "malformed_xml",
            "invalid",
        ),
        (
            "ap.invoice.capture",
            {"document": "<a/>", "idempotency_key": "k"},
            "unsupported_document",
            "unsupported",
        ),
        (
            "ap.invoice.capture",
            {"document": DOCUMENT.replace("2380.00", "1e3"), "idempotency_key": "k"},
            "invalid_amount",
            "invalid",
        ),
        (
            "ap.invoice.capture",
            {"document": f"<a>{'é' * 600_000}</a>", "idempotency_key": "k"},
            "document_too_large",
            "too_large",
        ),
    ],
)
async def test_a_refusal_is_data_with_a_code(
    erp: Client, tool: str, arguments: dict[str, Any], code: str, kind: str
) -> None:
    error = await refusal(erp, tool, **arguments)

    assert (error["code"], error["kind"], error["retryable"]) == (code, kind, False)
    assert len(error["message"]) < 500


async def test_conflicts_and_refused_postings_are_told_apart(erp: Client) -> None:
    invoice = await captured(erp)
    strange = await captured(erp, "bank-changed")
    stale = await refusal(
        erp, "ap.invoice.post", **{**rule(invoice), "expected_etag": strange["etag"]}
    )
    refused = await refusal(erp, "ap.invoice.post", **rule(strange, "strange"))
    await call(erp, "ap.invoice.post", **rule(invoice))
    twice = await refusal(erp, "ap.invoice.block", **rule(invoice, "later"))
    reused = await refusal(erp, "ap.invoice.block", **rule(invoice))

    assert (stale["code"], stale["kind"]) == ("stale_etag", "conflict")
    assert stale["facts"]["etag"] == invoice["etag"]
    assert (refused["code"], refused["kind"]) == ("posting_refused", "forbidden")
    assert refused["facts"]["problems"][0]["code"] == "bank_account_not_on_file"
    assert (twice["code"], twice["kind"]) == ("wrong_state", "conflict")
    assert (reused["code"], reused["kind"]) == ("idempotency_conflict", "conflict")


async def test_a_defect_shows_a_reference_and_no_trace(
    erp: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(sqlite3.connect(tmp_path / "served.db")) as connection:
        connection.execute("UPDATE orders SET content = 'secret rubbish'")
        connection.commit()

    error = await refusal(erp, "ap.order.get", order_number="PO-1001")

    assert (error["code"], error["kind"]) == ("internal", "internal")
    assert "rubbish" not in json.dumps(error)
    assert error["facts"]["reference"] in caplog.text


async def test_many_agents_may_call_at_once(erp_url: str) -> None:
    async def agent(number: int) -> str:
        async with Client(f"{erp_url}/mcp") as client:
            answer = await call(
                client, "ap.invoice.capture", document=DOCUMENT, idempotency_key=f"key-{number}"
            )
            return str(answer["status"])

    async with asyncio.timeout(60):
        statuses = await asyncio.gather(*(agent(number) for number in range(8)))

    assert sorted(statuses) == ["applied"] + ["unchanged"] * 7


async def test_the_effects_can_be_read_page_by_page(
    erp: Client, erp_url: str, http: httpx.AsyncClient
) -> None:
    invoice = await captured(erp)
    await call(erp, "ap.invoice.post", **rule(invoice))

    everything = (await http.get(f"{erp_url}/effects")).json()["effects"]
    of_one = (
        await http.get(f"{erp_url}/effects", params={"invoice_id": invoice["data"]["id"]})
    ).json()["effects"]
    page = (await http.get(f"{erp_url}/effects", params={"after": "1", "limit": "2"})).json()

    assert [each["tool"] for each in of_one] == ["ap.invoice.capture", "ap.invoice.post"]
    assert of_one[1]["idempotency_key"] == "rule"
    assert of_one[1]["by"] == "anonymous"
    assert everything[-2:] == of_one
    assert [each["seq"] for each in page["effects"]] == [2, 3]


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=1001", "limit=1e3", "after=²"])
async def test_a_page_that_cannot_be_meant_is_a_problem(
    erp_url: str, http: httpx.AsyncClient, query: str
) -> None:
    response = await http.get(f"{erp_url}/effects?{query}")

    assert response.status_code == 400
    assert response.json()["code"] == "invalid_arguments"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"jsonrpc": "2.0", "id": 1, "id": 2, "method": "tools/list"}', 200),
        (b'{"jsonrpc": "2.0", "id": NaN, "method": "tools/list"}', 200),
        (b"[" * 100, 200),
        (b"{", 200),
        (b'"' + b"x" * 4_194_304 + b'"', 413),
    ],
)
async def test_hostile_json_is_refused_before_the_sdk_sees_it(
    erp_url: str, http: httpx.AsyncClient, body: bytes, status: int
) -> None:
    response = await http.post(
        f"{erp_url}/mcp", content=body, headers={"content-type": "application/json", **MCP_HEADERS}
    )

    assert response.status_code == status
    assert response.json()["error"]["code"] in {-32700, -32600}


async def test_a_web_page_cannot_reach_the_erp_by_rebinding_its_name(
    erp_url: str, http: httpx.AsyncClient
) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}

    rebound = await http.post(
        f"{erp_url}/mcp", json=body, headers={"host": "evil.example:80", **MCP_HEADERS}
    )
    cross = await http.post(
        f"{erp_url}/mcp", json=body, headers={"origin": "https://evil.example", **MCP_HEADERS}
    )

    assert (rebound.status_code, cross.status_code) == (421, 403)


async def test_with_a_token_only_its_holder_gets_in(
    tmp_path: Path, clock: Clock, http: httpx.AsyncClient
) -> None:
    """As in a container: it listens on every address, and callers use the service's name."""
    app = create_erp_app(
        f"sqlite:///{tmp_path / 'guarded.db'}",
        host="0.0.0.0",
        tokens=Tokens({"mesh-secret": "mesh"}),
        seed=load_seed(SAMPLES),
        now=clock,
    )
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    bearer = {"authorization": "Bearer mesh-secret"}
    async with Background(app) as served:
        health = await http.get(f"{served.url}/healthz")
        refused = [
            await http.post(f"{served.url}/mcp", json=listing, headers=MCP_HEADERS),
            await http.get(f"{served.url}/effects"),
            await http.get(f"{served.url}/effects", headers={"authorization": "Bearer guess"}),
        ]
        effects = await http.get(f"{served.url}/effects", headers={"host": "erp:8430", **bearer})
        listed = await http.post(
            f"{served.url}/mcp", json=listing, headers={"host": "erp:8430", **bearer, **MCP_HEADERS}
        )

    assert health.json() == {"status": "ok"}
    assert [each.status_code for each in refused] == [401, 401, 401]
    assert effects.status_code == 200
    assert listed.status_code == 200
    assert len(listed.json()["result"]["tools"]) == 10


async def test_what_was_written_survives_a_restart(tmp_path: Path, clock: Clock) -> None:
    url = f"sqlite:///{tmp_path / 'kept.db'}"
    seed = load_seed(SAMPLES)
    served = Background(create_erp_app(url, seed=seed, now=clock))
    async with served, Client(f"{served.url}/mcp") as client:
        invoice = await captured(client)
        first = await call(client, "ap.invoice.post", **rule(invoice))
    served = Background(create_erp_app(url, seed=seed, now=clock))
    async with served, Client(f"{served.url}/mcp") as client:
        again = await call(client, "ap.invoice.post", **rule(invoice))
        order = await call(client, "ap.order.get", order_number="PO-1001")

    assert again == first
    assert order["data"]["lines"][0]["invoiced_quantity"] == "10"


async def test_a_tool_answers_what_the_ledger_answers(ledger: Ledger, erp: Client) -> None:
    over_mcp = await call(erp, "ap.order.get", order_number="PO-1001")

    assert over_mcp == (await ledger.order("PO-1001")).model_dump(mode="json")
