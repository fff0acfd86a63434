from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from parley_wire.limits import StrictBody
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

pytestmark = pytest.mark.anyio


async def echo(request: Request) -> JSONResponse:
    return JSONResponse({"size": len(await request.body())})


app = Starlette(
    routes=[
        Route("/v1/x", echo, methods=["GET", "POST", "PUT"]),
        Route("/agent/a2a", echo, methods=["POST"]),
    ],
    middleware=[Middleware(StrictBody, max_bytes=100)],
)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def post(
    http: httpx.AsyncClient, path: str, content: Any, kind: str = "application/json"
) -> httpx.Response:
    return await http.post(path, content=content, headers={"content-type": kind})


async def test_a_good_body_arrives_whole(http: httpx.AsyncClient) -> None:
    body = json.dumps({"a": [1, 2.5, None]}).encode()

    assert (await post(http, "/v1/x", body)).json() == {"size": len(body)}
    assert (await post(http, "/v1/x", body, "application/a2a+json; charset=utf-8")).json() == {
        "size": len(body)
    }


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": NaN}',
        b'{"a": 1, "a": 2}',
        b"[" * 65 + b"]",
        b'{"a": "\\ud800"}',
        b"\xff\xfe",
        b"{'a': 1}",
        b"{} {}",
        b'{"a": 1e999}',
    ],
)
@pytest.mark.parametrize("kind", ["application/json", "APPLICATION/x+JSON"])
async def test_what_is_not_strict_json_is_a_problem(
    http: httpx.AsyncClient, body: bytes, kind: str
) -> None:
    response = await post(http, "/v1/x", body, kind)

    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "malformed_json"


async def test_a_body_that_says_it_is_too_large_is_refused_unread(http: httpx.AsyncClient) -> None:
    response = await post(http, "/v1/x", b"0" * 101, "text/plain")

    assert response.status_code == 413
    assert response.json()["limit"] == 100


async def test_a_body_that_grows_too_large_is_refused(http: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b"0" * 10

    response = await post(http, "/v1/x", endless(), "text/plain")

    assert response.status_code == 413


async def test_on_a_json_rpc_path_the_refusal_is_json_rpc(http: httpx.AsyncClient) -> None:
    malformed = await post(http, "/agent/a2a", b"{")
    large = await post(http, "/agent/a2a", b"0" * 101)

    assert malformed.status_code == 200
    assert malformed.json()["error"]["code"] == -32700
    assert large.status_code == 413
    assert large.json()["error"]["code"] == -32600


async def test_a_body_that_is_not_json_is_only_bounded(http: httpx.AsyncClient) -> None:
    assert (await post(http, "/v1/x", b"{NaN", "text/plain")).status_code == 200
    assert (await http.get("/v1/x")).status_code == 200
