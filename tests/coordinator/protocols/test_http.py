"""`call: http`: what is sent, what of the answer comes back, and what goes wrong."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from parley_coordinator.protocols.outcome import identity
from parley_coordinator.workflow.errors import Standard
from parley_wire.serving import Background
from starlette.requests import Request
from starlette.responses import (
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)

from tests.coordinator.protocols.bench import PLACE, Bench, Service, http_request

pytestmark = pytest.mark.anyio


def answers(service: Service, response: Response) -> None:
    async def answer(_: Request) -> Response:
        return response

    service.answer = answer


async def test_a_get_returns_the_value_in_the_answer(run: Bench, url: str) -> None:
    answer = await run.perform(http_request(f"{url}/orders"))

    assert answer["path"] == "/orders"
    assert "idempotency-key" not in answer["headers"]
    assert await run.kinds() == ["intended", "observed"]


async def test_arrays_repeat_in_the_query_and_null_is_left_out(run: Bench, url: str) -> None:
    query = {"tag": ["a b", "ü&"], "page": 2, "open": True, "no": None}

    answer = await run.perform(http_request(f"{url}/orders?sort=up", query=query))

    assert answer["query"] == "sort=up&tag=a%20b&tag=%C3%BC%26&page=2&open=true"


@pytest.mark.parametrize(
    ("body", "headers", "kind", "sent"),
    [
        ({"a": [1, "ü"]}, {}, "application/json", '{"a":[1,"ü"]}'),
        ("plain", {}, "text/plain; charset=utf-8", "plain"),
        ("<a/>", {"Content-Type": "application/xml"}, "application/xml", "<a/>"),
        (
            {"a": "1 2", "b": [True, "x"]},
            {"content-type": "application/x-www-form-urlencoded"},
            "application/x-www-form-urlencoded",
            "a=1%202&b=true&b=x",
        ),
        (
            [1],
            {"content-type": "application/merge-patch+json"},
            "application/merge-patch+json",
            "[1]",
        ),
    ],
)
async def test_a_body_is_json_unless_it_is_text_or_its_type_says_otherwise(
    run: Bench, url: str, body: Any, headers: dict[str, str], kind: str, sent: str
) -> None:
    answer = await run.perform(http_request(url, "POST", body=body, headers=headers))

    assert answer["headers"]["content-type"] == kind
    assert answer["body"] == sent


async def test_a_write_carries_the_same_idempotency_key_whenever_it_is_sent(
    run: Bench, url: str
) -> None:
    answer = await run.perform(http_request(url, "POST", body={}))

    assert answer["headers"]["idempotency-key"] == identity("r-1", PLACE)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "elsewhere"},
        {"Content-Length": "0"},
        {"a b": "c"},
        {"x": "a\r\nb: c"},
        {"x": "café"},
        {"x": {"y": 1}},
        {"x": "1", "X": "2"},
    ],
)
async def test_headers_that_must_not_be_sent_are_refused_before_anything_leaves(
    run: Bench, url: str, service: Service, headers: dict[str, Any]
) -> None:
    error = await run.failure(http_request(url, headers=headers))

    assert error.is_a(Standard.CONFIGURATION)
    assert service.asked == []
    assert await run.kinds() == ["failed"]


async def test_text_is_kept_as_text_and_other_content_in_base64(
    run: Bench, url: str, service: Service
) -> None:
    answers(service, Response("grüße".encode("latin-1"), media_type="text/plain; charset=latin1"))
    assert await run.perform(http_request(url)) == "grüße"


async def test_content_that_is_no_text_comes_in_base64(
    run: Bench, url: str, service: Service
) -> None:
    answers(service, Response(b"\x89PNG", media_type="image/png"))
    assert await run.perform(http_request(url)) == base64.b64encode(b"\x89PNG").decode()


async def test_raw_is_the_body_in_base64_and_nothing_is_null(
    run: Bench, url: str, service: Service
) -> None:
    answers(service, Response(status_code=204))
    assert await run.perform(http_request(url, output="raw")) is None


async def test_the_whole_response_shows_no_secrets(run: Bench, url: str, service: Service) -> None:
    headers = {"set-cookie": "session=1234567", "etag": "e1"}
    answers(service, JSONResponse({"ok": True}, headers=headers))
    request = http_request(
        f"{url}/a?api_key=querysecret&page=1",
        "POST",
        output="response",
        headers={"X-Api-Key": "headersecret", "x-trace": "t1"},
        authentication={"scheme": "basic", "username": "ada", "password": "pa55word"},
    )

    answer = await run.perform(request)

    assert answer["statusCode"] == 200
    assert answer["content"] == {"ok": True}
    assert answer["headers"]["etag"] == "e1"
    assert answer["request"]["uri"] == f"{url}/a?api_key=***&page=1"
    assert answer["request"]["headers"]["x-trace"] == "t1"
    assert service.asked[0].headers["authorization"].startswith("Basic ")
    written = await run.journaled()
    for secret in (
        "querysecret",
        "headersecret",
        "pa55word",
        "session=1234567",
        "YWRhOnBhNTV3b3Jk",
    ):
        assert secret not in written


async def test_a_secret_that_comes_back_in_the_answer_is_hidden(run: Bench, url: str) -> None:
    run.secrets = ["s3cr3t/value"]

    answer = await run.perform(http_request(url, "POST", body={"echo": "my s3cr3t/value"}))

    assert json.loads(answer["body"]) == {"echo": "my ***"}
    assert "s3cr3t" not in await run.journaled()


@pytest.mark.parametrize("output", ["raw", "content"])
async def test_a_secret_in_an_answer_that_comes_in_base64_is_hidden(
    run: Bench, url: str, service: Service, output: str
) -> None:
    run.secrets = ["s3cr3t-value"]
    body = b"\x00s3cr3t-value\xff" + "s3cr3t-value".encode("utf-16-le")
    answers(service, Response(body, media_type="application/octet-stream"))

    answer = await run.perform(http_request(url, output=output))

    assert base64.b64decode(answer) == b"\x00***\xff" + "***".encode("utf-16-le")


async def test_a_secret_in_a_large_answer_is_hidden(run: Bench, url: str, service: Service) -> None:
    run.secrets = ["s3cr3t-value"]
    items = ["x" * 1_000] * 100
    answers(service, JSONResponse([*items, "s3cr3t-value"]))

    assert await run.perform(http_request(url)) == [*items, "***"]


@pytest.mark.parametrize("port", [0, 99_999])
async def test_a_port_that_is_none_is_refused_before_anything_leaves(run: Bench, port: int) -> None:
    error = await run.failure(http_request(f"http://127.0.0.1:{port}/", "POST"))

    assert error.is_a(Standard.CONFIGURATION)
    failed = await run.entry("failed")
    assert failed is not None
    assert failed["sent"] is False


async def test_a_status_outside_of_success_is_an_error_with_that_status(
    run: Bench, url: str, service: Service
) -> None:
    headers = {"retry-after": "30"}
    answers(service, PlainTextResponse("try\x07 later\nsecond line", 503, headers=headers))

    error = await run.failure(http_request(url))

    assert (error.is_a(Standard.COMMUNICATION), error.status) == (True, 503)
    assert error.title == "Service Unavailable"
    assert error.detail == "try later (Retry-After: 30)"
    assert error.instance == PLACE.path


async def test_a_secret_in_an_error_is_hidden(run: Bench, url: str, service: Service) -> None:
    run.secrets = ["hunter2-secret"]
    answers(service, PlainTextResponse("no hunter2-secret here", 400))

    error = await run.failure(http_request(url))

    assert error.detail == "no *** here"


async def test_json_that_is_none_is_an_unusable_answer(
    run: Bench, url: str, service: Service
) -> None:
    answers(service, Response(b'{"a": NaN}', media_type="application/json"))

    error = await run.failure(http_request(url, "POST"))

    assert (error.is_a(Standard.RUNTIME), error.status) == (True, 502)


async def test_an_answer_that_is_too_large_is_not_read_to_its_end(
    run: Bench, url: str, service: Service
) -> None:
    async def long() -> AsyncIterator[bytes]:
        for _ in range(128):
            yield b"x" * 65_536

    answers(service, StreamingResponse(long()))

    error = await run.failure(http_request(url))

    assert (error.is_a(Standard.RUNTIME), error.status) == (True, 502)


async def test_a_redirect_is_an_error_unless_the_document_wants_it(
    run: Bench, url: str, service: Service
) -> None:
    answers(service, RedirectResponse("/elsewhere"))

    error = await run.failure(http_request(url))

    assert error.status == 307
    assert len(service.asked) == 1


async def test_a_redirect_is_followed_and_a_see_other_becomes_a_get(
    run: Bench, url: str, service: Service
) -> None:
    async def answer(request: Request) -> Response:
        if request.url.path == "/first":
            return RedirectResponse("/second", 303)
        return JSONResponse({"method": request.method})

    service.answer = answer

    found = await run.perform(http_request(f"{url}/first", "POST", redirect=True, body={"a": 1}))

    assert found == {"method": "GET"}
    assert service.bodies == [b'{"a":1}', b""]
    assert "content-type" not in service.asked[1].headers


async def test_redirects_end_after_five(run: Bench, url: str, service: Service) -> None:
    answers(service, RedirectResponse("/again"))

    error = await run.failure(http_request(url, redirect=True))

    assert error.status == 502
    assert len(service.asked) == 6


async def test_only_what_the_content_needs_follows_a_redirect_to_another_origin(
    run: Bench, url: str, service: Service
) -> None:
    other = Service()
    async with Background(other.app()) as served:
        answers(service, RedirectResponse(f"{served.url}/target"))
        await run.perform(
            http_request(
                url,
                redirect=True,
                headers={"x-vault": "mine", "content-language": "de"},
                authentication={"scheme": "bearer", "token": "token-1"},
            )
        )

    assert service.asked[0].headers["authorization"] == "Bearer token-1"
    (received,) = other.asked
    assert received.headers["content-language"] == "de"
    assert "authorization" not in received.headers
    assert "x-vault" not in received.headers


async def test_nothing_is_sent_to_a_host_that_is_not_allowed(run: Bench) -> None:
    error = await run.failure(http_request("http://api.example.com/"))

    assert (error.is_a(Standard.AUTHORIZATION), error.status) == (True, 403)
    assert "PARLEY_EGRESS" in (error.detail or "")
    assert await run.entry("sent") is None


async def test_a_redirect_leads_to_no_host_that_is_not_allowed(
    run: Bench, url: str, service: Service
) -> None:
    answers(service, RedirectResponse("http://169.254.169.254/latest/meta-data"))

    error = await run.failure(http_request(url, redirect=True))

    assert error.is_a(Standard.AUTHORIZATION)


async def test_a_server_that_is_down_is_an_error_that_a_document_may_retry(run: Bench) -> None:
    away = Background(Service().app())
    async with away:
        pass

    error = await run.failure(http_request(away.url, "POST"))

    assert (error.is_a(Standard.COMMUNICATION), error.status) == (True, 503)


async def test_a_lost_answer_to_a_post_is_a_question_and_to_a_get_an_error(
    run: Bench, url: str, service: Service
) -> None:
    async def cut() -> AsyncIterator[bytes]:
        yield b'{"half":'
        raise ConnectionError("cut on purpose")

    answers(service, StreamingResponse(cut(), media_type="application/json"))

    wait = await run.parked(http_request(url, "POST", body={"pay": 1}))

    assert wait.kind == "item"
    asked = await run.entry("asked.1")
    assert asked is not None
    assert asked["kind"] == "incident"


async def test_a_lost_answer_to_a_get_is_an_error(run: Bench, url: str, service: Service) -> None:
    async def cut() -> AsyncIterator[bytes]:
        yield b'{"half":'
        raise ConnectionError("cut on purpose")

    answers(service, StreamingResponse(cut(), media_type="application/json"))

    error = await run.failure(http_request(url))

    assert (error.is_a(Standard.COMMUNICATION), error.status) == (True, 504)


async def test_a_deadline_that_passes_is_a_timeout(run: Bench, url: str, service: Service) -> None:
    released = asyncio.Event()

    async def answer(_: Request) -> Response:
        await released.wait()
        return Response()

    service.answer = answer
    deadline = run.clock() + timedelta(seconds=3)

    error = await run.failure(http_request(url, "POST", deadline=deadline))
    released.set()

    assert error.is_a(Standard.TIMEOUT)
    failed = await run.entry("failed")
    assert failed is not None
    assert failed["sent"] is True


async def test_nothing_is_sent_after_the_deadline(run: Bench, url: str, service: Service) -> None:
    deadline = run.clock() - timedelta(seconds=1)

    error = await run.failure(http_request(url, deadline=deadline))

    assert error.is_a(Standard.TIMEOUT)
    assert service.asked == []
