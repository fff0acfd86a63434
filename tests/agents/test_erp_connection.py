"""What an ERP may do to an agent that calls it: nothing that is not named."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from parley_agents.erp import MAX_ANSWER_BYTES, Erp
from parley_agents.errors import SystemAnswerError, SystemRefusedError, SystemUnavailableError
from parley_agents.records import Supplier
from parley_wire.serving import Background
from parley_wire.tls import NO_TLS, Tls
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from tests.ports import free_port
from tests.wire.certificates import Authority

pytestmark = pytest.mark.anyio

SUPPLIER = {
    "data": {
        "id": "SUP-1",
        "name": "Nordwind",
        "status": "active",
        "vat_id": None,
        "bank_accounts": [],
        "note": "a field of a later version",
    },
    "etag": "e1",
    "source": "erp:ap.supplier.get/SUP-1",
    "as_of": "2026-11-23T09:00:00Z",
    "ttl": 5,
}
PAUSES_S = (0.01, 0.02)
Answer = Callable[[Request, Any], Awaitable[Response]]


class ScriptedErp:
    """Answers each call as the test says, and counts them."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[Any] = []
        self.headers: list[dict[str, str]] = []

    @asynccontextmanager
    async def connected(
        self, *, token: str | None = None, tls: Tls = NO_TLS, trusted: Tls = NO_TLS
    ) -> AsyncIterator[Erp]:
        app = Starlette(routes=[Route("/mcp", self._mcp, methods=["POST"])])
        async with (
            Background(app, tls=tls) as served,
            Erp(served.url, token=token, timeout_s=2, pauses_s=PAUSES_S, tls=trusted) as erp,
        ):
            yield erp

    async def _mcp(self, request: Request) -> Response:
        body = await request.json()
        self.requests.append(body)
        self.headers.append(dict(request.headers))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request, body)


def result(structured: Any, *, is_error: bool = False) -> Answer:
    async def answer(_: Request, body: Any) -> Response:
        return JSONResponse(
            {
                "jsonrpc": "2.0",
                "id": body["id"],
                "result": {
                    "resultType": "complete",
                    "content": [{"type": "text", "text": json.dumps(structured)}],
                    "structuredContent": structured,
                    "isError": is_error,
                },
            }
        )

    return answer


def refusal(code: str, kind: str, *, retryable: bool = False) -> Answer:
    said = {"code": code, "kind": kind, "message": "it said no", "retryable": retryable}
    return result({"error": said}, is_error=True)


def plain(response: Response) -> Answer:
    async def answer(_: Request, __: Any) -> Response:
        return response

    return answer


async def ask(erp: Erp) -> Any:
    return await erp.read(Supplier, "ap.supplier.get", supplier_id="SUP-1")


async def test_a_record_is_read_with_its_source_and_unknown_fields_are_dropped() -> None:
    erp = ScriptedErp(result(SUPPLIER))

    async with erp.connected(token="secret") as connection:
        found = await ask(connection)

    assert (found.data.id, found.etag, found.source) == ("SUP-1", "e1", SUPPLIER["source"])
    assert found.model_dump(mode="json")["asOf"] == "2026-11-23T09:00:00Z"
    assert erp.headers[0]["authorization"] == "Bearer secret"
    assert erp.requests[0]["params"]["arguments"] == {"supplier_id": "SUP-1"}
    assert len(erp.requests) == 1


async def test_an_erp_that_speaks_tls_is_asked_if_it_can_be_verified(tmp_path: Path) -> None:
    erp, authority = ScriptedErp(result(SUPPLIER)), Authority()
    tls = Tls.of(authority.folder(tmp_path / "erp"))
    trusted = Tls.of(authority.folder(tmp_path / "agent", serves=False))

    async with erp.connected(tls=tls, trusted=trusted) as connection:
        assert (await ask(connection)).data.id == "SUP-1"
    async with erp.connected(tls=tls) as connection:
        with pytest.raises(SystemUnavailableError):
            await ask(connection)
    assert len(erp.requests) == 1


@pytest.mark.parametrize(
    "structured",
    [
        None,
        {},
        [],
        {**SUPPLIER, "data": None},
        {**SUPPLIER, "source": ""},
        {**SUPPLIER, "etag": 5},
        {**SUPPLIER, "data": {**SUPPLIER["data"], "id": ""}},  # type: ignore[dict-item]
        {**SUPPLIER, "data": {**SUPPLIER["data"], "bank_accounts": "DE1"}},  # type: ignore[dict-item]
        {**SUPPLIER, "data": {**SUPPLIER["data"], "bank_accounts": [1]}},  # type: ignore[dict-item]
    ],
)
async def test_an_answer_of_another_form_is_not_used(structured: Any) -> None:
    async with ScriptedErp(result(structured)).connected() as erp:
        with pytest.raises(SystemAnswerError, match=r"ap\.supplier\.get"):
            await ask(erp)


@pytest.mark.parametrize(
    "response",
    [
        HTMLResponse("<h1>It works!</h1>"),
        Response(b"{", media_type="application/json"),
        Response(b"[]", media_type="application/json"),
        JSONResponse({"title": "Unauthorized"}, status_code=401),
        JSONResponse({}, status_code=500),
        JSONResponse({"title": "Not Found"}, status_code=404),
        Response(status_code=202),
        Response(status_code=302, headers={"location": "http://127.0.0.1:9/"}),
        JSONResponse({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no"}}),
        Response(b" " * (MAX_ANSWER_BYTES + 1), media_type="application/json"),
    ],
    ids=["html", "cut", "list", "401", "500", "404", "202", "redirect", "error", "large"],
)
async def test_what_is_no_answer_of_an_erp_fails_with_a_code(response: Response) -> None:
    async with ScriptedErp(plain(response)).connected() as erp:
        with pytest.raises((SystemAnswerError, SystemUnavailableError)):
            await ask(erp)


async def test_a_refusal_keeps_the_code_of_the_system() -> None:
    async with ScriptedErp(refusal("stale_etag", "conflict")).connected() as erp:
        with pytest.raises(SystemRefusedError, match="it said no") as caught:
            await ask(erp)

    assert (caught.value.reported, caught.value.sort) == ("stale_etag", "conflict")


async def test_a_code_that_is_none_is_replaced() -> None:
    async with ScriptedErp(refusal("<b>No!</b>", "?")).connected() as erp:
        with pytest.raises(SystemRefusedError) as caught:
            await ask(erp)

    assert caught.value.reported == "system_refused"


async def test_a_refusal_without_a_reason_is_still_one() -> None:
    async with ScriptedErp(result({"error": "no"}, is_error=True)).connected() as erp:
        with pytest.raises(SystemRefusedError, match="without a reason"):
            await ask(erp)


async def test_a_system_that_is_busy_is_asked_again_with_the_same_key() -> None:
    erp = ScriptedErp(refusal("busy", "unavailable", retryable=True), refusal("no", "conflict"))

    async with erp.connected() as connection:
        with pytest.raises(SystemRefusedError):
            await connection.write("ap.invoice.post", idempotency_key="k", invoice_id="i")

    keys = [request["params"]["arguments"]["idempotency_key"] for request in erp.requests]
    assert keys == ["k", "k"]


async def test_a_system_that_stays_busy_is_given_up() -> None:
    erp = ScriptedErp(refusal("busy", "unavailable", retryable=True))

    async with erp.connected() as connection:
        with pytest.raises(SystemUnavailableError, match="it said no"):
            await ask(connection)

    assert len(erp.requests) == len(PAUSES_S) + 1


async def test_after_the_erp_was_away_the_same_connection_works_again() -> None:
    scripted = ScriptedErp(result(SUPPLIER))
    port = free_port()
    background = Background(port=port)
    background.app = Starlette(routes=[Route("/mcp", scripted._mcp, methods=["POST"])])
    async with Erp(background.url, pauses_s=PAUSES_S) as erp:
        async with background:
            await ask(erp)
        with pytest.raises(SystemUnavailableError):
            await ask(erp)

        app = Starlette(routes=[Route("/mcp", scripted._mcp, methods=["POST"])])
        async with Background(app, port=port):
            found = await ask(erp)

    assert found.data.id == "SUP-1"
