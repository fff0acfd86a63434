"""The client against agents that are broken, hostile or merely different."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from a2a.types import Message, Task, TaskState, TaskStatusUpdateEvent
from google.protobuf.json_format import ParseDict
from parley_cards.card import InvalidCardError, load_card
from parley_wire.agent_errors import (
    AgentAuthError,
    AgentBusyError,
    AgentConnectionLostError,
    AgentError,
    AgentProtocolError,
    AgentRefusedError,
    AgentServerError,
    AgentUnreachableError,
    TaskUnknownError,
)
from parley_wire.bindings import MAX_VALUES
from parley_wire.client import AgentClient, fetch_card
from parley_wire.errors import UnsupportedAgentError
from parley_wire.http import open_http
from parley_wire.serving import Background
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.wire.support import Running, card_json, message

pytestmark = pytest.mark.anyio

TASK = {"id": "t1", "contextId": "c1", "status": {"state": "TASK_STATE_COMPLETED"}}
Answer = Callable[[Any], Response]


@asynccontextmanager
async def agent_that(
    answer: Answer, *, binding: str = "JSONRPC", **options: Any
) -> AsyncIterator[AgentClient]:
    """An agent of somebody else: `answer` gets the JSON of the request (None if it has none)."""

    async def handle(request: Request) -> Response:
        body = await request.body()
        return answer(json.loads(body) if body else None)

    app = Starlette(routes=[Route("/{path:path}", handle, methods=["GET", "POST"])])
    async with Background(app) as served, open_http() as http:
        card = load_card(card_json(served.url, bindings=(binding,)))
        yield AgentClient(card, http, **options)


def result(value: Any, **fields: Any) -> Answer:
    return lambda body: JSONResponse({"jsonrpc": "2.0", "id": body["id"], "result": value} | fields)


def rpc_error(code: int, text: str = "no", **fields: Any) -> Answer:
    return lambda body: JSONResponse(
        {"jsonrpc": "2.0", "id": body["id"], "error": {"code": code, "message": text} | fields}
    )


def status(code: int, **options: Any) -> Answer:
    return lambda _: PlainTextResponse("<html>oops</html>", status_code=code, **options)


ANSWERS: list[tuple[Answer, type[AgentError], str]] = [
    (rpc_error(-32001), TaskUnknownError, "final"),
    (rpc_error(-32002), AgentRefusedError, "final"),
    (rpc_error(-32602), AgentRefusedError, "final"),
    (rpc_error(-32601), AgentRefusedError, "final"),
    (rpc_error(-31999), AgentServerError, "uncertain"),
    (rpc_error(-32603), AgentServerError, "uncertain"),
    (rpc_error(-32006), AgentServerError, "uncertain"),
    (rpc_error(-32050), AgentBusyError, "retry"),
    (rpc_error(-32043), AgentAuthError, "final"),
    (status(400), AgentRefusedError, "final"),
    (status(404), AgentRefusedError, "final"),
    (status(401), AgentAuthError, "final"),
    (status(403), AgentAuthError, "final"),
    (status(408), AgentServerError, "uncertain"),
    (status(429), AgentBusyError, "retry"),
    (status(503), AgentBusyError, "retry"),
    (status(500), AgentServerError, "uncertain"),
    (status(502), AgentServerError, "uncertain"),
    (status(504), AgentServerError, "uncertain"),
    (status(302, headers={"location": "http://x/"}), AgentProtocolError, "uncertain"),
    (status(200), AgentProtocolError, "uncertain"),
    (lambda _: JSONResponse([]), AgentProtocolError, "uncertain"),
    (lambda _: JSONResponse({"result": {"task": TASK}}), AgentProtocolError, "uncertain"),
    (lambda _: Response(b'{"a":NaN}'), AgentProtocolError, "uncertain"),
    (lambda _: Response(b"\xff"), AgentProtocolError, "uncertain"),
    (lambda _: Response(b""), AgentProtocolError, "uncertain"),
    (result({"task": TASK}, id=999), AgentProtocolError, "uncertain"),
    (result({"task": TASK}, id=True), AgentProtocolError, "uncertain"),
    (result(None), AgentProtocolError, "uncertain"),
    (result({}), AgentProtocolError, "uncertain"),
    (result({"task": TASK, "message": {}}), AgentProtocolError, "uncertain"),
    (result({"task": []}), AgentProtocolError, "uncertain"),
    (result({"task": {"status": {}}}), AgentProtocolError, "uncertain"),
    (result({"task": TASK | {"id": 7}}), AgentProtocolError, "uncertain"),
    (result({"task": TASK | {"artifacts": [1]}}), AgentProtocolError, "uncertain"),
    (result({"task": TASK | {"metadata": {"n": 10**350}}}), AgentProtocolError, "uncertain"),
    (
        lambda b: JSONResponse({"jsonrpc": "2.0", "id": b["id"], "error": 7}),
        AgentProtocolError,
        "uncertain",
    ),
]


@pytest.mark.parametrize(
    ("answer", "expected", "disposition"),
    [pytest.param(*each, id=str(number)) for number, each in enumerate(ANSWERS)],
)
@pytest.mark.parametrize("streaming", [False, True])
async def test_every_answer_has_its_class(
    answer: Answer, expected: type[AgentError], disposition: str, *, streaming: bool
) -> None:
    async with agent_that(answer) as client:
        if streaming:
            calling: Any = anext(client.send_streaming(message("hi")))
        else:
            calling = client.send(message("hi"))
        with pytest.raises(AgentError) as raised:
            await calling

    assert type(raised.value) is expected
    assert raised.value.disposition == disposition
    assert "html" not in raised.value.message


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (404, "TASK_NOT_FOUND", TaskUnknownError),
        (400, "TASK_NOT_CANCELABLE", AgentRefusedError),
        (500, "INTERNAL_ERROR", AgentServerError),
        (503, "ANY", AgentBusyError),
    ],
)
async def test_errors_of_the_rest_binding_keep_their_reason(
    code: int, reason: str, expected: type[AgentError]
) -> None:
    body = {"error": {"code": code, "message": "no", "details": [{"x": 1}, {"reason": reason}]}}

    async with agent_that(
        lambda _: JSONResponse(body, status_code=code), binding="HTTP+JSON"
    ) as client:
        with pytest.raises(AgentError) as raised:
            await client.get_task("a/../b")

    assert type(raised.value) is expected
    assert raised.value.facts["a2a_code"] == reason


async def test_a_busy_agent_says_for_how_long() -> None:
    for header, expected in (("7", 7.0), ("99999999", 300.0), ("soon", None), ("-1", None)):
        busy = status(503, headers={"retry-after": header})
        async with agent_that(busy) as client:
            with pytest.raises(AgentBusyError) as raised:
                await client.send(message("hi"))
        assert raised.value.retry_after_s == expected


async def test_the_words_of_an_agent_are_cut_and_cleaned() -> None:
    hostile = "\x1b[31mred\x1b[0m\nsecond\u202eline " + "x" * 5000

    async with agent_that(rpc_error(-32602, hostile)) as client:
        with pytest.raises(AgentRefusedError) as raised:
            await client.send(message("hi"))

    assert raised.value.message.isprintable()
    assert len(raised.value.message) < 600


async def test_an_agent_that_is_not_there_is_unreachable() -> None:
    async with Background(Starlette()) as served:
        url = served.url
    async with open_http() as http:
        client = AgentClient(load_card(card_json(url)), http)
        with pytest.raises(AgentUnreachableError) as raised:
            await client.send(message("hi"))

    assert raised.value.disposition == "retry"


async def test_an_answer_larger_than_allowed_is_refused() -> None:
    large = {"task": TASK | {"metadata": {"x": "y" * 5000}}}

    async with agent_that(result(large), max_bytes=2000) as client:
        with pytest.raises(AgentProtocolError, match="2000 bytes"):
            await client.send(message("hi"))


async def test_an_answer_of_more_values_than_anybody_could_read_in_time_is_refused() -> None:
    large = {"task": TASK | {"metadata": {"x": [1] * MAX_VALUES}}}

    async with agent_that(result(large)) as client:
        with pytest.raises(AgentProtocolError, match=f"{MAX_VALUES} values"):
            await client.send(message("hi"))


def stream_of(*chunks: str | bytes) -> Answer:
    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk.encode() if isinstance(chunk, str) else chunk

    return lambda _: StreamingResponse(body(), media_type="text/event-stream")


def event(value: Any, request_id: int = 1) -> str:
    return f"data: {json.dumps({'jsonrpc': '2.0', 'id': request_id, 'result': value})}\n\n"


WORKING = {"task": {"id": "t1", "contextId": "c1", "status": {"state": "TASK_STATE_WORKING"}}}


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        (["data: nonsense\n\n"], AgentProtocolError),
        (["data: {}\n\n"], AgentProtocolError),
        ([event({"surprise": {}})], AgentProtocolError),
        ([event({"statusUpdate": {"status": {}}})], AgentProtocolError),
        ([event(WORKING, request_id=5)], AgentProtocolError),
        (["data: " + "x" * 5000], AgentProtocolError),
        ([": ping\n\n"], AgentConnectionLostError),
        ([], AgentConnectionLostError),
        (
            ['data: {"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"no"}}\n\n'],
            AgentServerError,
        ),
    ],
)
@pytest.mark.parametrize("after_a_good_one", [False, True])
async def test_rubbish_in_a_stream_is_named(
    chunks: list[str], expected: type[AgentError], *, after_a_good_one: bool
) -> None:
    before = [event(WORKING)] if after_a_good_one else []
    async with agent_that(stream_of(*before, *chunks), max_bytes=4000) as client:
        stream = client.send_streaming(message("hi"))
        if after_a_good_one:
            assert isinstance(await anext(stream), Task)
        if after_a_good_one and expected is AgentConnectionLostError:
            assert [each async for each in stream] == []  # an early end is the caller's to judge
            return
        with pytest.raises(expected):
            await anext(stream)


async def test_a_stream_that_breaks_in_the_middle_is_a_lost_connection() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield event(WORKING).encode()
        raise ConnectionResetError

    answer: Answer = lambda _: StreamingResponse(body(), media_type="text/event-stream")  # noqa: E731
    async with agent_that(answer) as client:
        stream = client.send_streaming(message("hi"))
        assert isinstance(await anext(stream), Task)
        with pytest.raises(AgentConnectionLostError):
            await anext(stream)


async def test_what_comes_after_a_question_in_the_same_stream_is_not_lost() -> None:
    """Some agents keep the stream open while they wait (A2A 1.0 3.1.2 and 11.7 disagree)."""

    def update(state: str) -> str:
        status = {"taskId": "t1", "contextId": "c1", "status": {"state": state}}
        return event({"statusUpdate": status})

    more = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield (event(WORKING) + update("TASK_STATE_INPUT_REQUIRED")).encode()
        yield update("TASK_STATE_WORKING").encode()
        await more.wait()
        yield update("TASK_STATE_COMPLETED").encode()

    answer: Answer = lambda _: StreamingResponse(body(), media_type="text/event-stream")  # noqa: E731
    async with agent_that(answer) as client:
        states = []
        async for each in client.send_streaming(message("hi")):
            assert isinstance(each, Task | TaskStatusUpdateEvent)
            states.append(TaskState.Name(each.status.state))
            if len(states) == 3:
                more.set()

    assert states == [
        "TASK_STATE_WORKING",
        "TASK_STATE_INPUT_REQUIRED",
        "TASK_STATE_WORKING",
        "TASK_STATE_COMPLETED",
    ]


async def test_states_and_fields_of_a_later_version_do_not_break_it() -> None:
    later = TASK | {"generation": 7, "status": {"state": "TASK_STATE_PONDERING", "mood": "good"}}

    async with agent_that(result({"task": later, "generation": 7})) as client:
        task = await client.send(message("hi"))

    assert isinstance(task, Task)
    assert task.status.state == TaskState.TASK_STATE_UNSPECIFIED


async def test_an_answer_that_is_only_a_message_is_one() -> None:
    said = {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "hello"}]}

    async with agent_that(result({"message": said})) as client:
        sent = await client.send(message("hi"))
        streamed = [each async for each in client.send_streaming(message("hi"))]

    assert isinstance(sent, Message)
    assert streamed == [sent]


async def test_what_is_sent_is_what_a2a_asks_for() -> None:
    seen: list[Any] = []

    async def handle(request: Request) -> Response:
        seen.append((request.method, request.url.path, request.url.query, dict(request.headers)))
        return JSONResponse(TASK)

    app = Starlette(routes=[Route("/{path:path}", handle, methods=["GET", "POST"])])
    async with Background(app) as served, open_http() as http:
        described = card_json(served.url, bindings=("HTTP+JSON",))
        described["supportedInterfaces"][0]["tenant"] = "a/b"
        client = AgentClient(load_card(described), http, token="secret")
        await client.get_task("x/y")

    ((method, path, _, headers),) = seen
    assert (method, path) == ("GET", "/rest/a/b/tasks/x/y")
    assert headers["a2a-version"] == "1.0"
    assert headers["authorization"] == "Bearer secret"
    assert headers["a2a-extensions"] == "urn:parley:a2a:dedupe:v1"


async def test_messages_may_be_protobuf_or_json(agent: Running) -> None:
    data = {"n": 1, "amount": "1.00"}
    sent = message("hi", data=data)

    first = await agent.client().send(ParseDict(sent, Message()), return_immediately=False)
    second = await agent.client().send(sent, return_immediately=False)

    assert first == second


@pytest.mark.parametrize(
    "interfaces",
    [
        [("GRPC", "0.3")],
        [("JSONRPC", "0.2.5")],
        [("JSONRPC", "2.0"), ("HTTP+JSON", "1.1")],
        [("urn:custom", "1.0")],
    ],
)
async def test_an_agent_that_speaks_nothing_of_ours_is_unsupported(
    interfaces: list[tuple[str, str]],
) -> None:
    described = card_json("http://127.0.0.1:1")
    described["supportedInterfaces"] = [
        {"url": "http://127.0.0.1:1/", "protocolBinding": binding, "protocolVersion": version}
        for binding, version in interfaces
    ]
    async with open_http() as http:
        with pytest.raises(UnsupportedAgentError):
            AgentClient(load_card(described), http)


async def test_an_extension_that_is_required_and_unknown_is_unsupported() -> None:
    described = card_json("http://127.0.0.1:1")
    described["capabilities"]["extensions"] = [{"uri": "urn:strange", "required": True}]
    async with open_http() as http:
        with pytest.raises(UnsupportedAgentError, match="urn:strange"):
            AgentClient(load_card(described), http)


async def test_the_first_interface_that_we_speak_is_taken(agent: Running) -> None:
    described = card_json(agent.url)
    described["supportedInterfaces"].insert(
        0, {"url": "http://127.0.0.1:1", "protocolBinding": "JSONRPC", "protocolVersion": "2.0"}
    )

    task = await AgentClient(load_card(described), agent.http).send(message("hi"))

    assert isinstance(task, Task)


async def test_a_card_is_fetched_from_a_base_or_its_own_address(agent: Running) -> None:
    for url in (
        agent.url,
        agent.url + "/",
        agent.url + "/.well-known/agent-card.json",
    ):
        assert (await fetch_card(agent.http, url)).digest == agent.card.digest
    with pytest.raises(AgentRefusedError):
        await fetch_card(agent.http, agent.url + "/elsewhere")


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "ftp://x/", "file:///etc/passwd", "http://", "http://u:p@h/", "http://[::"],
)
async def test_what_is_no_address_of_an_agent_is_refused(url: str) -> None:
    async with open_http() as http:
        with pytest.raises(UnsupportedAgentError):
            await fetch_card(http, url)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda _: JSONResponse({"name": "x"}), InvalidCardError),
        (lambda _: PlainTextResponse("<html>"), InvalidCardError),
        (lambda _: Response(b"x" * 300_000), AgentProtocolError),
        (status(404), AgentRefusedError),
        (status(301, headers={"location": "/"}), AgentProtocolError),
    ],
    ids=["no-fields", "html", "too-large", "missing", "redirect"],
)
async def test_what_is_no_card_is_refused(answer: Answer, expected: type[Exception]) -> None:
    async def handle(_: Request) -> Response:
        return answer(None)

    app = Starlette(routes=[Route("/{path:path}", handle)])
    async with Background(app) as served, open_http() as http:
        with pytest.raises(expected):
            await fetch_card(http, served.url)


async def test_a_followed_stream_gives_its_connection_back() -> None:
    """Callers stop at the last event; the next call must not need a new connection."""
    ports: set[int] = set()

    async def handle(request: Request) -> Response:
        sent = await request.json()
        assert request.client is not None
        ports.add(request.client.port)

        async def body() -> AsyncIterator[bytes]:
            yield event({"task": TASK}, request_id=sent["id"]).encode()
            await asyncio.sleep(0.01)  # the end of the stream comes a moment after its last event

        return StreamingResponse(body(), media_type="text/event-stream")

    app = Starlette(routes=[Route("/a2a", handle, methods=["POST"])])
    async with Background(app) as served, open_http() as http:
        client = AgentClient(load_card(card_json(served.url)), http)
        for _ in range(5):
            async for each in client.send_streaming(message("hi")):
                assert isinstance(each, Task)
                break

    assert len(ports) == 1


async def test_any_other_httpx_client_will_do(agent: Running) -> None:
    async with httpx.AsyncClient() as http:
        client = AgentClient(agent.card, http)

        events = [each async for each in client.send_streaming(message("hi"))]

    assert len(events) == 3
