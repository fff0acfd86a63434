"""`call: openapi`: an operation of a published document, called with named arguments."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import httpx
from parley_cards import strict_json
from parley_cards.errors import ParleyError

from parley_coordinator.protocols import http
from parley_coordinator.protocols.content import (
    FORM,
    as_json,
    body_of,
    encoded,
    headers_of,
    scalar,
    shown_uri,
    with_query,
)
from parley_coordinator.protocols.openapi_document import OpenApiOperation, operation_of
from parley_coordinator.protocols.openapi_parameters import (
    Parameter,
    cookie_value,
    header_value,
    path_of,
    path_value,
    query_of,
    query_pairs,
)
from parley_coordinator.protocols.outcome import LostError, misconfigured, unfit, unreachable
from parley_coordinator.protocols.outlet import address, host_of
from parley_coordinator.protocols.redaction import LARGE
from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_coordinator.workflow.source import read

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from parley_coordinator.protocols.outlet import Answer, Outlet
    from parley_coordinator.workflow.effects import Request

FRESH_FOR: Final = timedelta(seconds=60)
"""So long a document is used without asking whether it has changed."""
MAX_DOCUMENTS: Final = 64
_ACCEPT: Final = "application/json, application/yaml;q=0.9, */*;q=0.5"


@dataclass(frozen=True, slots=True)
class _Kept:
    document: Any
    etag: str
    until: datetime


class OpenApiDocuments:
    """Documents by their address, fetched without credentials and kept in memory."""

    def __init__(self, outlet: Outlet, *, now: Callable[[], datetime]) -> None:
        self._outlet = outlet
        self._now = now
        self._kept: dict[str, _Kept] = {}

    async def get(self, url: httpx.URL) -> Any:
        """Return the document at `url`, as JSON.

        Raises:
            WorkflowError: `communication`, if it cannot be had; `configuration`, if it is not usable.
        """
        known = self._kept.get(str(url))
        if known is not None and known.until > self._now():
            return known.document
        headers = {"accept": _ACCEPT}
        if known is not None and known.etag:
            headers["if-none-match"] = known.etag
        try:
            answer = await self._outlet.send("GET", url, headers=headers)
        except LostError as exc:
            raise unreachable(host_of(url), f"its OpenAPI document: {exc}") from exc
        if answer.status == 304 and known is not None:
            return self._keep(url, known.document, known.etag)
        if answer.status != 200:
            raise WorkflowError(
                Standard.COMMUNICATION,
                f"{host_of(url)} did not give its OpenAPI document",
                http.reason(answer.status),
                status=answer.status,
            )
        if len(answer.body) > LARGE:
            document = await asyncio.to_thread(_parsed, answer)
        else:
            document = _parsed(answer)
        return self._keep(url, document, answer.headers.get("etag", ""))

    def _keep(self, url: httpx.URL, document: Any, etag: str) -> Any:
        self._kept.pop(str(url), None)
        while len(self._kept) >= MAX_DOCUMENTS:
            self._kept.pop(next(iter(self._kept)))
        self._kept[str(url)] = _Kept(document, etag, self._now() + FRESH_FOR)
        return document


async def prepare(
    request: Request, outlet: Outlet, documents: OpenApiDocuments, key: str
) -> http.HttpRequest:
    """Find the operation and fill in its arguments.

    Raises:
        WorkflowError: `configuration`, `validation`; `communication` if the document is not there.
    """
    given = request.arguments
    url = address(given["document"])
    name = given["operationId"]
    if not isinstance(name, str):
        raise misconfigured("operationId must be text")
    operation = operation_of(await documents.get(url), name, url)
    message = filled(operation, given["parameters"])
    facts = {
        "protocol": "openapi",
        "operationId": name,
        "method": message.method,
        "uri": shown_uri(message.url),
    }
    return http.complete(message, request, outlet, key, facts=facts)


def filled(operation: OpenApiOperation, arguments: dict[str, Any]) -> http.Message:
    """Write the arguments of an operation into its request.

    An argument that is no parameter is a member of the body, where the body is an object; `body`, or in
    2.0 the name of the body parameter, is all of it.

    Raises:
        WorkflowError: `validation`, naming what is missing, or what the operation does not have.
    """
    left = {name: value for name, value in arguments.items() if value is not None}
    given: list[tuple[Parameter, Any]] = []
    missing = []
    for each in (*operation.parameters, *operation.fields):
        if each.name in left:
            given.append((each, left[each.name]))
        elif each.required:
            missing.append(each.name)
    taken = {each.name for each, _ in given}
    rest = {name: value for name, value in left.items() if name not in taken}
    body = _body(operation, rest, missing)
    if missing:
        raise unfit(f"missing: {', '.join(missing)}")
    headers = headers_of(
        {each.name: header_value(each, value) for each, value in given if each.where == "header"}
    )
    cookies = [cookie_value(each, value) for each, value in given if each.where == "cookie"]
    if cookies:
        headers["cookie"] = "; ".join(cookies)
    headers.setdefault("accept", "application/json, */*;q=0.5")
    content = _content(operation, given, body, headers)
    fields = set(map(id, operation.fields))
    query = query_of([(e, v) for e, v in given if e.where == "query" and id(e) not in fields])
    path = path_of(
        operation.path,
        {each.name: path_value(each, value) for each, value in given if each.where == "path"},
    )
    base = operation.base
    raw = base.raw_path.partition(b"?")[0].rstrip(b"/") + path.encode("ascii")
    return http.Message(
        method=operation.method,
        url=with_query(base.copy_with(raw_path=raw), query),
        headers=headers,
        content=content,
    )


def _body(operation: OpenApiOperation, rest: dict[str, Any], missing: list[str]) -> Any:
    """Return the value of the body; None if there is none."""
    body = operation.body
    if rest and (body is None or operation.fields):
        raise unfit(f"the operation has no parameter {', '.join(rest)[:200]}")
    if body is None or operation.fields:
        return None
    if body.name in rest:
        others = [name for name in rest if name != body.name]
        if others:
            raise unfit(f"beside {body.name!r} there are {', '.join(others)[:200]}")
        return rest[body.name]
    if not rest and body.required:
        missing.append(body.name)
    return rest or None


def _content(
    operation: OpenApiOperation,
    given: list[tuple[Parameter, Any]],
    body: Any,
    headers: dict[str, str],
) -> bytes | None:
    if operation.fields:
        headers["content-type"] = FORM
        names = set(map(id, operation.fields))
        pairs = (p for e, v in given if id(e) in names for p in query_pairs(e, v))
        return encoded(pairs).encode("ascii")
    if operation.body is None or body is None:
        return None
    headers |= headers_of({"content-type": operation.body.media_type})
    if operation.body.kind == "json":
        return as_json(body)
    if operation.body.kind == "text":
        return body_of(scalar(body, "the body"), headers)
    return body_of(body, headers)


def _parsed(answer: Answer) -> Any:
    who = host_of(answer.url)
    if answer.body.lstrip()[:1] == b"{":
        try:
            return strict_json.loads(answer.body, max_bytes=len(answer.body))
        except ParleyError as exc:
            raise misconfigured(
                f"the OpenAPI document of {who} is unusable: {exc.message}"
            ) from exc
    try:
        value, _ = read(answer.body, source=who, any_key=True)
    except ParleyError as exc:
        raise misconfigured(f"the OpenAPI document is unusable: {exc.message}") from exc
    return value
