from __future__ import annotations

from collections.abc import AsyncIterator
from typing import ClassVar

import httpx
import pytest
from parley_cards.errors import FACES, Kind, ParleyError
from parley_wire.problems import exception_handlers, problem_response
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

pytestmark = pytest.mark.anyio


class TeapotError(ParleyError):
    code: ClassVar[str] = "teapot"
    kind: ClassVar[Kind] = Kind.CONFLICT


async def foreseen(_: Request) -> Response:
    raise TeapotError("short and stout", handle="here", code="faked", status=1)


async def unforeseen(_: Request) -> Response:
    raise RuntimeError("password=hunter2")


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(
        routes=[Route("/foreseen", foreseen), Route("/unforeseen", unforeseen)],
        exception_handlers=exception_handlers(),
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_a_foreseen_failure_shows_its_sentence_code_and_facts(
    http: httpx.AsyncClient,
) -> None:
    response = await http.get("/foreseen")

    assert response.status_code == 409
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "urn:parley:error:teapot",
        "title": "Conflict",
        "status": 409,
        "detail": "short and stout",
        "code": "teapot",
        "handle": "here",
    }


async def test_an_unforeseen_failure_shows_a_reference_that_the_log_has(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    response = await http.get("/unforeseen")

    assert response.status_code == 500
    assert "hunter2" not in response.text
    assert response.json()["reference"] in caplog.text
    assert "hunter2" in caplog.text


async def test_what_starlette_refuses_is_a_problem_too(http: httpx.AsyncClient) -> None:
    missing, wrong = await http.get("/nothing"), await http.post("/foreseen")

    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert "GET" in wrong.headers["allow"]


@pytest.mark.parametrize("kind", list(Kind))
async def test_every_kind_has_its_face(kind: Kind) -> None:
    error = type("SomeError", (ParleyError,), {"kind": kind, "code": "some"})("lone \ud800")

    response = problem_response(error)

    assert response.status_code == FACES[kind].http
    assert ("www-authenticate" in response.headers) is (kind is Kind.UNAUTHENTICATED)
    assert ("retry-after" in response.headers) is (kind is Kind.UNAVAILABLE)
