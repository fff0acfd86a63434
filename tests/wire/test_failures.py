"""Each row of the table of failures, as it comes off the wire."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from parley_cards.card import load_card
from parley_cards.errors import ParleyError
from parley_wire import failures
from parley_wire.agent_errors import (
    AgentBusyError,
    AgentError,
    from_grpc,
    from_jsonrpc,
    from_transport,
)
from parley_wire.client import AgentClient
from parley_wire.failures import Meaning
from parley_wire.http import open_http
from starlette.responses import JSONResponse, PlainTextResponse

from tests.wire.support import card_json, message
from tests.wire.test_client import agent_that, rpc_error

pytestmark = pytest.mark.anyio

HTTP_STATUSES = [
    (int(code.replace("xx", digits)), meaning)
    for code, meaning in failures.HTTP.items()
    for digits in (("07", "09", "18") if code.endswith("xx") else ("",))
]


async def failed(client: AgentClient) -> ParleyError:
    with pytest.raises(ParleyError) as raised:
        await client.send(message("hi"))
    return raised.value


@pytest.mark.parametrize(("status", "meaning"), HTTP_STATUSES)
async def test_every_status_of_http_has_its_meaning(status: int, meaning: Meaning) -> None:
    async with agent_that(lambda _: PlainTextResponse("<p>", status_code=status)) as client:
        error = await failed(client)

    assert (error.code, getattr(error, "disposition", "")) == (meaning, meaning.disposition)


@pytest.mark.parametrize(("code", "meaning"), failures.JSONRPC.items())
async def test_every_code_of_json_rpc_has_its_meaning(code: int, meaning: Meaning) -> None:
    async with agent_that(rpc_error(code)) as client:
        assert (await failed(client)).code == meaning


@pytest.mark.parametrize("code", [-32000, -32055, -32099, 7, 500])
async def test_an_unknown_code_is_no_refusal(code: int) -> None:
    async with agent_that(rpc_error(code)) as client:
        error = await failed(client)

    assert isinstance(error, AgentError)
    assert error.disposition == "uncertain"


@pytest.mark.parametrize(("reason", "meaning"), failures.A2A.items())
async def test_every_error_of_a2a_has_its_meaning_over_http(reason: str, meaning: Meaning) -> None:
    body = {"error": {"code": 400, "message": "no", "details": [{"reason": reason}]}}

    async with agent_that(
        lambda _: JSONResponse(body, status_code=400), binding="HTTP+JSON"
    ) as client:
        assert (await failed(client)).code == meaning


@pytest.mark.parametrize(("status", "meaning"), failures.GRPC.items())
def test_every_status_of_grpc_has_its_meaning(status: str, meaning: Meaning) -> None:
    error = from_grpc("vendor", status, message="no\nno")

    assert (error.code, error.disposition) == (meaning, meaning.disposition)
    assert error.message == "vendor: no no"


def test_a_reason_stays_on_the_line_that_it_is_logged_in() -> None:
    reason = "BROKEN\n2026-01-01 CRITICAL root: all is lost"
    error = {"code": -32603, "message": "no", "data": [{"reason": reason}]}
    for told in (from_grpc("Tester", "INTERNAL", reason=reason), from_jsonrpc("Tester", error)):
        assert told.facts["a2a_code"] == "BROKEN 2026-01-01 CRITICAL root: all is lost"


def test_without_a_connection_nothing_was_sent_over_grpc() -> None:
    assert from_grpc("vendor", "UNAVAILABLE", connected=False).code == Meaning.UNREACHABLE


@pytest.mark.parametrize(("name", "meaning"), failures.TRANSPORT.items())
def test_every_failure_of_the_transport_has_its_meaning(name: str, meaning: Meaning) -> None:
    assert from_transport("vendor", getattr(httpx, name)("broken")).code == meaning


def test_what_httpx_may_raise_besides_is_a_lost_answer() -> None:
    assert from_transport("vendor", httpx.WriteError("broken")).code == Meaning.LOST


@asynccontextmanager
async def server_that(*answer: bytes) -> AsyncIterator[AgentClient]:
    """A server that reads a request, writes bytes, and closes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.writelines(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, open_http() as http:
        yield AgentClient(load_card(card_json(f"http://127.0.0.1:{port}")), http)


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (b"", Meaning.LOST),
        (b"SSH-2.0-OpenSSH\r\n\r\n", Meaning.PROTOCOL),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", Meaning.LOST),
    ],
)
async def test_what_breaks_under_http_has_its_meaning(answer: bytes, meaning: Meaning) -> None:
    async with server_that(answer) as client:
        assert (await failed(client)).code == meaning


async def test_a_server_that_is_not_trusted_is_sent_nothing() -> None:
    heard = asyncio.Event()

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set()
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # without a certificate: no handshake
    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with server, open_http() as http:
        client = AgentClient(load_card(card_json(f"https://127.0.0.1:{port}")), http)
        error = await failed(client)

    assert error.code == Meaning.UNREACHABLE
    assert not heard.is_set()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "99999999"}, 300.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:09 GMT", "date": "DATE"}, 9.0),
        ({"retry-after": "Wed, 21 Oct 2026 09:28:00 GMT", "date": "DATE"}, 300.0),
        ({"retry-after": "Wed, 21 Oct 2020 07:28:00 GMT", "date": "DATE"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:09 GMT", "date": "today"}, None),
        ({"retry-after": "Wed, 99 Oct 2026 07:28:09 GMT", "date": "DATE"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({}, None),
    ],
)
async def test_retry_after_is_read_in_both_forms_and_capped(
    headers: dict[str, str], expected: float | None
) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = head.replace("DATE", "Wed, 21 Oct 2026 07:28:00 GMT")
    answer = f"HTTP/1.1 429 Busy\r\n{head}content-length: 0\r\n\r\n".encode()

    async with server_that(answer) as client:
        error = await failed(client)

    assert isinstance(error, AgentBusyError)
    assert error.retry_after_s == expected


@pytest.mark.parametrize("which", ["id", "contextId"])
@pytest.mark.parametrize("value", ["x" * 513, "a\nb", "\x1b[31m"])
async def test_an_id_that_cannot_be_kept_is_no_id(which: str, value: str) -> None:
    found = {"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}, which: value}
    body = {"jsonrpc": "2.0", "result": {"task": found}}

    async with agent_that(lambda asked: JSONResponse(body | {"id": asked["id"]})) as client:
        error = await failed(client)

    assert error.code == Meaning.PROTOCOL
    assert value not in error.message
