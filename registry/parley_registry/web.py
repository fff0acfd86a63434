"""The registry over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar

from parley_cards import strict_json
from parley_cards.a2a_form import http_url_problem
from parley_cards.findings import sentences
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from parley_registry.catalog import (
    DEFAULT_TTL_S,
    MAX_TTL_S,
    MIN_TTL_S,
    after_cursor,
    cursor_after,
)
from parley_registry.directory import Directory
from parley_registry.errors import InvalidRequestError
from parley_registry.records import Health
from parley_registry.store import Query

MAX_BODY_BYTES: Final = 16_384

Model = TypeVar("Model", bound=BaseModel)


def _callable_address(url: str) -> str:
    problem = http_url_problem(url)
    if problem:
        raise ValueError(problem)
    return url.rstrip("/")


Address = Annotated[str, Field(max_length=2048), AfterValidator(_callable_address)]
Ttl = Annotated[int, Field(ge=MIN_TTL_S, le=MAX_TTL_S)]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class RegisterBody(_Body):
    url: Address
    """Of the agent, or of its card."""
    ttl_s: Ttl = DEFAULT_TTL_S


class LeaseBody(_Body):
    ttl_s: Ttl = DEFAULT_TTL_S
    url: Address | None = None
    """Refuse, as if unknown, if the name is held by another address."""


class FindQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    skill: str = Field(default="", max_length=200)
    tag: str = Field(default="", max_length=200)
    health: Health | None = None
    limit: int = Field(default=50, ge=1, le=100)
    cursor: str = Field(default="", max_length=100)


class CardQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    digest: str | None = Field(default=None, pattern=r"^sha256:[0-9a-f]{64}$")


def routes() -> list[Route]:
    """Return the routes; they expect a Directory in `app.state.directory`."""
    return [
        Route("/healthz", healthz),
        Route("/v1/agents", register, methods=["POST"]),
        Route("/v1/agents", find),
        Route("/v1/agents/{name}", show),
        Route("/v1/agents/{name}", withdraw, methods=["DELETE"]),
        Route("/v1/agents/{name}/lease", renew, methods=["PUT"]),
        Route("/v1/agents/{name}/card", card),
    ]


async def healthz(_: Request) -> Response:
    return JSONResponse({"status": "ok", "service": "registry"})


async def register(request: Request) -> Response:
    body = await _body(request, RegisterBody)
    record, created = await _directory(request).register(body.url, ttl_s=body.ttl_s)
    headers = {"location": f"/v1/agents/{record.name}"} if created else None
    return JSONResponse(record.as_json(), status_code=201 if created else 200, headers=headers)


async def find(request: Request) -> Response:
    query = _query(request, FindQuery)
    found, last = await _directory(request).find(
        Query(
            skill=query.skill,
            tag=query.tag,
            health=query.health,
            limit=query.limit,
            after=after_cursor(query.cursor),
        )
    )
    return JSONResponse(
        {
            "agents": [record.as_json() for record in found],
            "nextCursor": cursor_after(last) if last else "",
        }
    )


async def show(request: Request) -> Response:
    return JSONResponse((await _directory(request).get(_name(request))).as_json())


async def renew(request: Request) -> Response:
    body = await _body(request, LeaseBody)
    record = await _directory(request).renew(_name(request), ttl_s=body.ttl_s, url=body.url)
    return JSONResponse(record.as_json())


async def withdraw(request: Request) -> Response:
    await _directory(request).withdraw(_name(request))
    return Response(status_code=204)


async def card(request: Request) -> Response:
    """Serve the bytes as they were fetched: a signature is over exactly these (A2A 1.0 8.4)."""
    digest = _query(request, CardQuery).digest
    raw, found = await _directory(request).card(_name(request), digest)
    age = "max-age=31536000, immutable" if digest else "no-cache"
    headers = {"etag": f'"{found}"', "cache-control": age}
    asked = request.headers.get("if-none-match", "")
    if f'"{found}"' in asked or asked.strip() == "*":
        return Response(status_code=304, headers=headers)
    return Response(raw, media_type="application/json", headers=headers)


def _directory(request: Request) -> Directory:
    directory: Directory = request.app.state.directory
    return directory


def _name(request: Request) -> str:
    return str(request.path_params["name"])


async def _body(request: Request, model: type[Model]) -> Model:
    raw = await request.body()
    value = strict_json.loads(raw, max_bytes=MAX_BODY_BYTES) if raw else {}
    return _validated(model, value, what="body")


def _query(request: Request, model: type[Model]) -> Model:
    pairs = request.query_params.multi_items()
    value: Mapping[str, Any] = dict(pairs)
    if len(value) != len(pairs):
        raise InvalidRequestError("a query parameter is given twice")
    return _validated(model, value, what="query")


def _validated(model: type[Model], value: object, *, what: str) -> Model:
    try:
        return model.model_validate(value)
    except ValidationError as exc:
        findings = sentences(exc, "")
        first = findings[0]
        raise InvalidRequestError(
            f"the {what} is not valid: {first.path or 'it'} {first.problem}",
            findings=[each._asdict() for each in findings],
        ) from exc
