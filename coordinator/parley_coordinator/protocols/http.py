"""`call: http`: one request, its redirects, and what of the answer the document asks for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httpx

from parley_coordinator.protocols.content import (
    KEY,
    body_of,
    content_of,
    encoded,
    first_line,
    headers_of,
    pairs,
    raw_of,
    shown,
    shown_uri,
    with_query,
)
from parley_coordinator.protocols.outcome import misconfigured, told, unusable
from parley_coordinator.protocols.outlet import address, host_of, same_origin
from parley_coordinator.protocols.redaction import LARGE
from parley_coordinator.workflow.errors import Standard, WorkflowError

if TYPE_CHECKING:
    from parley_coordinator.protocols.outcome import Trail
    from parley_coordinator.protocols.outlet import Answer, Outlet
    from parley_coordinator.protocols.redaction import Redaction
    from parley_coordinator.workflow.effects import Request

SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))
IDEMPOTENT: Final = SAFE | {"PUT", "DELETE"}
"""Methods that may be sent twice (RFC 9110 9.2.2)."""
MAX_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_ANYWHERE: Final = frozenset(("accept", KEY))
"""What goes to another origin, beside `content-*`: nobody can tell which other headers are secrets."""
_BODY_HEADERS: Final = frozenset(("content-type", "content-encoding", "content-language"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An HTTP request, complete but for its credentials."""

    method: str
    url: httpx.URL
    headers: dict[str, str]
    """Names in lower case."""
    content: bytes | None = None


@dataclass(kw_only=True)
class HttpRequest:
    """Implements `outcome.Prepared` for one message."""

    outlet: Outlet
    message: Message
    authentication: dict[str, Any] | None
    output: str
    """`content`, `response` or `raw`."""
    redirect: bool
    facts: dict[str, Any]
    idempotent: bool
    traceable: bool = False
    who: str = field(init=False)

    def __post_init__(self) -> None:
        self.who = host_of(self.message.url)

    async def send(self, trail: Trail) -> Any:
        sent, answer = await self._followed()
        if not 200 <= answer.status < (400 if self.redirect else 300):
            raise _refused(answer, known=self.authentication is not None)
        hidden = trail.redaction()
        if len(answer.body) > LARGE:
            return await asyncio.to_thread(self._output, sent, answer, hidden)
        return self._output(sent, answer, hidden)

    async def cancel(self, trail: Trail) -> str:  # noqa: ARG002 - nothing to call back
        return "a request cannot be called back"

    def _output(self, sent: Message, answer: Answer, hidden: Redaction) -> Any:
        match self.output:
            case "raw":
                return raw_of(answer, hidden)
            case "content":
                return content_of(answer, host_of(sent.url), hidden)
        return {
            "request": {
                "method": sent.method,
                "uri": shown_uri(sent.url),
                "headers": shown(sent.headers),
            },
            "statusCode": answer.status,
            "headers": shown(dict(answer.headers)),
            "content": content_of(answer, host_of(sent.url), hidden),
        }

    async def _followed(self) -> tuple[Message, Answer]:
        """Send, and follow redirects if the document wants that; return what was sent last."""
        message, authentication = self.message, self.authentication
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self.outlet.send(
                message.method,
                message.url,
                headers=message.headers,
                content=message.content,
                authentication=authentication,
            )
            target = answer.headers.get("location", "")
            if not self.redirect or answer.status not in _REDIRECTS or not target:
                return message, answer
            following = redirected(message, answer.status, target)
            if not same_origin(message.url, following.url):
                authentication = None
            message = following
        raise unusable(self.who, f"more than {MAX_REDIRECTS} redirects")


def prepare(request: Request, outlet: Outlet, key: str) -> HttpRequest:
    """Check the arguments of a `call: http`.

    Args:
        key: Sent as `Idempotency-Key` with everything that writes, unless the document has its own.

    Raises:
        WorkflowError: `configuration`.
    """
    given = request.arguments
    headers = headers_of(given["headers"])
    content = body_of(given["body"], headers)
    method = given["method"]
    url = with_query(address(given["endpoint"]), encoded(pairs(given["query"], "the query")))
    return complete(
        Message(method=method, url=url, headers=headers, content=content),
        request,
        outlet,
        key,
        facts={"protocol": "http", "method": method, "uri": shown_uri(url)},
    )


def complete(
    message: Message, request: Request, outlet: Outlet, key: str, *, facts: dict[str, Any]
) -> HttpRequest:
    """Add what every message has."""
    if message.method == "CONNECT":
        raise misconfigured("CONNECT asks for a tunnel, not for an answer")
    headers = dict(message.headers)
    headers.setdefault("accept", "*/*")
    if message.method not in SAFE:
        headers.setdefault(KEY, key)
    idempotent = request.idempotent or message.method in IDEMPOTENT
    return HttpRequest(
        outlet=outlet,
        message=Message(
            method=message.method, url=message.url, headers=headers, content=message.content
        ),
        authentication=request.authentication,
        output=request.arguments["output"],
        redirect=request.arguments["redirect"],
        idempotent=idempotent,
        facts={**facts, "idempotent": idempotent, "headers": sorted(headers)},
    )


def redirected(message: Message, status: int, target: str) -> Message:
    """Return the request that follows a redirect (RFC 9110 15.4).

    Only headers about the content go to another origin, and nothing goes from https to http.

    Raises:
        WorkflowError: `communication`, with the status of the redirect.
    """
    try:
        url = message.url.join(target).copy_with(fragment=None)
    except (httpx.InvalidURL, ValueError):
        raise _not_followed(status, "the Location is no address") from None
    if url.userinfo:
        raise _not_followed(status, "the Location has a user in it")
    if message.url.scheme == "https" and url.scheme != "https":
        raise _not_followed(status, f"it leads from https to {told(url.scheme) or 'nowhere'}")
    headers = dict(message.headers)
    if not same_origin(message.url, url):
        headers = {
            name: value
            for name, value in headers.items()
            if name in _ANYWHERE or name.startswith("content-")
        }
    method, content = message.method, message.content
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, content = "GET", None
        headers = {n: v for n, v in headers.items() if n not in _BODY_HEADERS and n != KEY}
    return Message(method=method, url=url, headers=headers, content=content)


def _refused(answer: Answer, *, known: bool) -> WorkflowError:
    """Return the error of a status that is no success.

    Args:
        known: Credentials were sent: 401 says that they were not accepted.
    """
    detail = told(first_line(answer))
    later = answer.headers.get("retry-after")
    if later:
        detail = f"{detail} (Retry-After: {told(later, 40)})".strip()
    refused = answer.status == 401 and known
    kind = Standard.AUTHENTICATION if refused else Standard.COMMUNICATION
    return WorkflowError(kind, reason(answer.status), detail or None, status=answer.status)


def reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"HTTP status {status}"


def _not_followed(status: int, why: str) -> WorkflowError:
    title = "The redirect was not followed"
    return WorkflowError(Standard.COMMUNICATION, title, why, status=status)
