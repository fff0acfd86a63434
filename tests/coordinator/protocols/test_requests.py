"""The transaction around one request: what a crash, a person and a failed undo call make of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from parley_coordinator.protocols.outcome import identity
from parley_coordinator.workflow.effects import Request
from parley_coordinator.workflow.errors import Standard
from starlette.requests import Request as Received
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tests.coordinator.protocols.bench import PLACE, Bench, Service, http_request

pytestmark = pytest.mark.anyio


def post(url: str, **more: Any) -> Request:
    return http_request(url, "POST", body={"pay": 1}, **more)


async def crashed(run: Bench, request: Request) -> None:
    """Write what a process had written that died after the first byte."""
    method = request.arguments["method"]
    idempotent = request.idempotent or method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")
    body = {
        "title": "Ask",
        "who": "127.0.0.1",
        "protocol": "http",
        "method": method,
        "uri": request.arguments["endpoint"],
        "idempotent": idempotent,
        "traceable": False,
        "headers": [],
    }
    await run.write("intended", body)


async def test_what_leaves_is_in_the_journal_before_it_leaves(
    run: Bench, url: str, service: Service
) -> None:
    before: list[Any] = []

    async def answer(_: Received) -> Response:
        before.append(await run.entry("intended"))
        return JSONResponse({"id": 7})

    service.answer = answer

    await run.perform(post(f"{url}/pay?token=abcdef", headers={"x-trace": "value-1"}))

    assert before == [
        {
            "title": "Ask",
            "who": url.removeprefix("http://"),
            "protocol": "http",
            "method": "POST",
            "uri": f"{url}/pay?token=***",
            "idempotent": False,
            "headers": ["accept", "content-type", "idempotency-key", "x-trace"],
            "traceable": False,
        }
    ]
    assert "value-1" not in await run.journaled()


async def test_what_is_in_the_journal_is_not_asked_for_again(
    run: Bench, url: str, service: Service
) -> None:
    first = await run.perform(post(url))
    second = await run.perform(post(url))

    assert first == second
    assert len(service.asked) == 1


async def test_an_error_is_final_for_its_attempt(run: Bench, url: str, service: Service) -> None:
    async def answer(_: Received) -> Response:
        return PlainTextResponse("no", 500)

    service.answer = answer

    first = await run.failure(post(url))
    second = await run.failure(post(url))

    assert first.as_json() == second.as_json()
    assert len(service.asked) == 1


async def test_another_attempt_is_another_request_with_another_key(
    run: Bench, url: str, service: Service
) -> None:
    again = replace(PLACE, attempt="1.2")

    await run.perform(post(url))
    await run.perform(replace(post(url), place=again))

    keys = [request.headers["idempotency-key"] for request in service.asked]
    assert keys == [identity("r-1", PLACE), identity("r-1", again)]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
async def test_after_a_crash_what_is_idempotent_is_sent_again_with_the_same_key(
    run: Bench, url: str, service: Service, method: str
) -> None:
    request = http_request(url, method, output="response")
    await crashed(run, request)

    answer = await run.perform(request)

    assert answer["statusCode"] == 200
    if method in ("PUT", "DELETE"):
        assert service.asked[0].headers["idempotency-key"] == identity("r-1", PLACE)


async def test_after_a_crash_the_word_of_the_author_counts(
    run: Bench, url: str, service: Service
) -> None:
    request = post(url, idempotent=True)
    await crashed(run, request)

    await run.perform(request)

    assert len(service.asked) == 1


async def test_after_a_crash_a_post_is_a_question_whatever_the_deadline(
    run: Bench, url: str, service: Service
) -> None:
    request = post(url, deadline=run.clock() - timedelta(hours=1))
    await crashed(run, request)

    wait = await run.parked(request)

    assert wait.kind == "item"
    assert wait.until is None
    assert service.asked == []


async def test_an_operator_may_say_that_it_ran(run: Bench, url: str, service: Service) -> None:
    await crashed(run, post(url))
    await run.parked(post(url))
    await run.decide(1, "ran", result='{"id": 7}')

    assert await run.perform(post(url)) == {"id": 7}
    assert service.asked == []
    observed = await run.entry("observed")
    assert observed is not None
    assert observed["by"] == "olga"


async def test_an_operator_may_have_it_sent_again_after_the_deadline(
    run: Bench, url: str, service: Service
) -> None:
    request = post(url, deadline=run.clock() + timedelta(seconds=30))
    await crashed(run, request)
    await run.parked(request)
    run.clock.forward(timedelta(hours=1))
    await run.decide(1, "resend")

    await run.perform(request)

    assert [r.headers["idempotency-key"] for r in service.asked] == [identity("r-1", PLACE)]


async def test_a_crash_after_a_resend_is_the_next_question(run: Bench, url: str) -> None:
    await crashed(run, post(url))
    await run.parked(post(url))
    await run.decide(1, "resend")
    await run.write("resent.1", {})

    await run.parked(post(url))

    assert await run.entry("asked.2") is not None


async def test_an_operator_may_stop_it(run: Bench, url: str, service: Service) -> None:
    await crashed(run, post(url))
    await run.parked(post(url))
    await run.decide(1, "stop")

    error = await run.failure(post(url))

    assert error.is_a(Standard.AUTHORIZATION)
    assert service.asked == []


async def test_an_undo_call_that_fails_is_a_question_not_an_error(
    run: Bench, url: str, service: Service
) -> None:
    async def answer(_: Received) -> Response:
        return PlainTextResponse("no", 409)

    service.answer = answer
    request = post(url, compensates="/do/0/try/0/pay")

    assert (await run.parked(request)).kind == "item"
    asked = await run.entry("asked.1")
    assert asked is not None
    facts = {fact["name"]: fact["value"] for fact in asked["summary"]}
    assert facts["undoes"] == "/do/0/try/0/pay"
    assert "Conflict" in facts["why"]


async def test_an_undo_call_that_is_sent_again_has_another_key(
    run: Bench, url: str, service: Service
) -> None:
    async def answer(_: Received) -> Response:
        return PlainTextResponse("no", 409)

    service.answer = answer
    request = post(url, compensates="/do/0/try/0/pay")
    await run.parked(request)
    await run.decide(1, "resend")
    service.answer = None

    await run.perform(request)

    first, second = (r.headers["idempotency-key"] for r in service.asked)
    assert first != second
    assert await run.entry("observed") is not None


async def test_a_request_that_is_cut_short_is_known_to_have_left(
    run: Bench, url: str, service: Service
) -> None:
    arrived, released = asyncio.Event(), asyncio.Event()

    async def answer(_: Received) -> Response:
        arrived.set()
        await released.wait()
        return Response()

    service.answer = answer
    going = asyncio.create_task(run.perform(post(url)))
    await arrived.wait()
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    released.set()

    assert await run.kinds() == ["intended"]
    assert (await run.parked(post(url))).kind == "item"
    assert len(service.asked) == 1
