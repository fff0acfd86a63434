"""OAuth 2.0 client credentials against a real token endpoint, and the two simpler schemes."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from parley_coordinator.workflow.errors import Standard
from parley_wire.serving import Background
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.coordinator.protocols.bench import Bench, Service, http_request

pytestmark = pytest.mark.anyio


@dataclass
class Login(Service):
    """A service that takes only the newest token which it has given out."""

    given: int = 0
    strict: bool = True
    path: str = "/oauth2/token"
    more: dict[str, Any] = field(default_factory=lambda: {"expires_in": 3600})
    url: str = ""

    def __post_init__(self) -> None:
        self.answer = self._login

    async def _login(self, request: Request) -> Response:
        if request.url.path == "/.well-known/openid-configuration":
            return JSONResponse({"issuer": self.url, "token_endpoint": f"{self.url}{self.path}"})
        if request.url.path == self.path:
            self.given += 1
            token = f"token-number-{self.given}"
            return JSONResponse({"access_token": token, "token_type": "Bearer", **self.more})
        if request.url.path == "/api":
            fresh = f"Bearer token-number-{self.given}"
            if self.strict and request.headers.get("authorization") != fresh:
                return Response(status_code=401)
            return JSONResponse({"said": request.headers.get("authorization")})
        return Response(status_code=404)

    def tokens(self) -> list[tuple[Request, bytes]]:
        return [
            (request, body)
            for request, body in zip(self.asked, self.bodies, strict=True)
            if request.url.path == self.path
        ]


@asynccontextmanager
async def served(login: Login) -> AsyncIterator[Login]:
    async with Background(login.app()) as found:
        login.url = found.url
        yield login


@pytest.fixture
async def login() -> AsyncIterator[Login]:
    async with served(Login()) as found:
        yield found


def oauth2(login: Login, **more: Any) -> dict[str, Any]:
    client = {"id": "client-7", "secret": "s3cret/+", "authentication": "client_secret_post"}
    return {
        "scheme": "oauth2",
        "authority": login.url,
        "endpoints": {"token": "/oauth2/token"},
        "client": {**client, **more.pop("client", {})},
        "request": {"encoding": "application/x-www-form-urlencoded"},
        "issuers": [],
        "scopes": [],
        "audiences": [],
        **more,
    }


def ask(login: Login, policy: dict[str, Any], place: str = "") -> Any:
    request = http_request(f"{login.url}/api", authentication=policy)
    return request if not place else _elsewhere(request, place)


def _elsewhere(request: Any, place: str) -> Any:
    return replace(request, place=replace(request.place, path=f"/do/0/{place}"))


async def test_a_token_is_fetched_once_and_used_until_it_expires(run: Bench, login: Login) -> None:
    policy = oauth2(login)

    await run.perform(ask(login, policy, "one"))
    await run.perform(ask(login, policy, "two"))
    assert login.given == 1

    run.clock.forward(timedelta(hours=1))
    await run.perform(ask(login, policy, "three"))
    assert login.given == 2


async def test_the_form_has_the_client_its_scopes_and_audiences(run: Bench, login: Login) -> None:
    policy = oauth2(login, scopes=["read", "write"], audiences=["a", "b"])

    await run.perform(ask(login, policy))

    ((request, body),) = login.tokens()
    assert "authorization" not in request.headers
    assert parse_qs(body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["read write"],
        "audience": ["a", "b"],
        "client_id": ["client-7"],
        "client_secret": ["s3cret/+"],
    }


async def test_the_client_may_authenticate_with_basic(run: Bench, login: Login) -> None:
    policy = oauth2(login, client={"authentication": "client_secret_basic"})

    await run.perform(ask(login, policy))

    ((request, body),) = login.tokens()
    expected = base64.b64encode(b"client-7:s3cret%2F%2B").decode()
    assert request.headers["authorization"] == f"Basic {expected}"
    assert b"secret" not in body


async def test_the_request_may_be_json(run: Bench, login: Login) -> None:
    policy = oauth2(
        login,
        request={"encoding": "application/json"},
        client={"authentication": "none", "secret": None},
    )

    await run.perform(ask(login, policy))

    ((_, body),) = login.tokens()
    assert json.loads(body) == {"grant_type": "client_credentials", "client_id": "client-7"}


async def test_a_token_that_is_refused_is_fetched_anew_once(run: Bench, login: Login) -> None:
    policy = oauth2(login)
    await run.perform(ask(login, policy, "one"))
    login.given += 1  # somebody revoked what we have

    answer = await run.perform(ask(login, policy, "two"))

    assert login.given == 3
    assert answer == {"said": "Bearer ***"}


async def test_a_new_token_that_is_refused_is_an_error(run: Bench, login: Login) -> None:
    async def refuse(request: Request) -> Response:
        if request.url.path == "/api":
            return Response(status_code=401)
        return await login._login(request)

    login.answer = refuse

    error = await run.failure(ask(login, oauth2(login)))

    assert (error.is_a(Standard.AUTHENTICATION), error.status) == (True, 401)
    assert login.given == 1


async def test_many_requests_at_once_fetch_one_token(run: Bench, login: Login) -> None:
    policy = oauth2(login)

    await asyncio.gather(*(run.perform(ask(login, policy, f"n{i}")) for i in range(8)))

    assert login.given == 1


async def test_an_authority_without_the_usual_endpoint_is_asked_where_it_is(
    run: Bench,
) -> None:
    async with served(Login(path="/elsewhere")) as login:
        await run.perform(ask(login, oauth2(login)))

        assert login.given == 1


async def test_metadata_of_another_issuer_are_not_believed(run: Bench) -> None:
    async with served(Login(path="/elsewhere")) as login:
        policy = oauth2(login, issuers=["https://login.example.com"])

        error = await run.failure(ask(login, policy))

        assert error.is_a(Standard.AUTHENTICATION)
        assert login.given == 0


@pytest.mark.parametrize(
    "answer",
    [
        JSONResponse({"error": "invalid_client", "error_description": "s3cret/+ is wrong"}, 401),
        JSONResponse({"access_token": "a b\r\nc"}),
        JSONResponse({"access_token": "abc", "token_type": "mac"}),
        JSONResponse(["no object"]),
        Response("<html>s3cret/+</html>", 500),
        Response(b"x" * 70_000),
    ],
)
async def test_no_token_is_an_error_that_tells_no_secret(
    run: Bench, login: Login, answer: Response
) -> None:
    async def reply(_: Request) -> Response:
        return answer

    login.answer = reply

    error = await run.failure(ask(login, oauth2(login)))

    assert (error.is_a(Standard.AUTHENTICATION), error.status) == (True, 401)
    assert "s3cret" not in str(error)
    assert "s3cret" not in await run.journaled()


async def test_a_token_endpoint_must_be_among_the_allowed_hosts(run: Bench, login: Login) -> None:
    policy = oauth2(login, authority="https://login.example.com")

    error = await run.failure(ask(login, policy))

    assert error.is_a(Standard.AUTHORIZATION)
    assert login.asked == []


async def test_a_bearer_token_and_a_password_are_sent_and_never_written_down(
    run: Bench, login: Login
) -> None:
    login.strict = False
    bearer = {"scheme": "bearer", "token": "bearer-token"}
    basic = {"scheme": "basic", "username": "ada", "password": "pa55word"}

    first = await run.perform(ask(login, bearer, "one"))
    second = await run.perform(ask(login, basic, "two"))

    assert (first, second) == ({"said": "Bearer ***"}, {"said": "Basic ***"})
    sent = [request.headers["authorization"] for request in login.asked]
    assert sent == ["Bearer bearer-token", "Basic YWRhOnBhNTV3b3Jk"]
