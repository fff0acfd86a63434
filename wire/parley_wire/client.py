"""Calling an agent of any vendor over A2A 1.0.

Every failure is one of `parley_wire.agent_errors`; what an agent sends is bounded, strict JSON and of
the shape that A2A names before the caller sees it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final, TypeAlias, cast

import httpx
from a2a.types import Message, Task, TaskArtifactUpdateEvent, TaskStatusUpdateEvent
from google.protobuf.json_format import MessageToDict
from parley_cards import strict_json
from parley_cards.card import MAX_CARD_BYTES, Card, load_card
from parley_cards.errors import ParleyError

from parley_wire.agent_errors import (
    AgentConnectionLostError,
    AgentError,
    AgentProtocolError,
    AgentUnreachableError,
    from_http,
)
from parley_wire.bindings import Binding, Request, binding_of
from parley_wire.errors import UnsupportedAgentError
from parley_wire.events import event_of, send_result, task_of, tasks_page
from parley_wire.http import CONNECT_TIMEOUT_S, exchange
from parley_wire.sse import SseParser

Event: TypeAlias = Task | Message | TaskStatusUpdateEvent | TaskArtifactUpdateEvent

MAX_BYTES: Final = 8 * 1_048_576
MAX_PAGES: Final = 20
PAGE_SIZE: Final = 50
CARD_PATH: Final = "/.well-known/agent-card.json"
_MAX_ERROR_BYTES: Final = 65_536
_LAST_WORD_S: Final = 0.05
"""How long a server may take to end a stream after its last event, to save its connection."""


class AgentClient:
    """One agent, addressed as its card says: the first interface that we speak.

    Args:
        card: JSONRPC or HTTP+JSON in version 1.0.
        http: From `open_http`; shared between clients, closed by its owner.
        token: Sent as bearer token, to this agent only.
        max_bytes: Of one response, or of one event of a stream.

    Raises:
        UnsupportedAgentError: If the card has no such interface, or requires an unknown extension.
    """

    def __init__(
        self,
        card: Card,
        http: httpx.AsyncClient,
        *,
        token: str | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.card = card
        self._name = card.name[:80]
        self._http = http
        self._max_bytes = max_bytes
        self._binding: Binding = binding_of(card, token=token)
        self._ids = itertools.count(1)

    async def send(
        self, message: Message | Mapping[str, Any], *, return_immediately: bool = True
    ) -> Task | Message:
        """Send one message.

        Args:
            message: As protobuf, or as the JSON of A2A, which saves two conversions.
            return_immediately: False waits until the task is terminal or interrupted.

        Raises:
            AgentError: See `parley_wire.agent_errors`.
        """
        params = {
            "message": _json(message),
            "configuration": {"returnImmediately": return_immediately},
        }
        return send_result(self._name, await self.call("SendMessage", params))

    def send_streaming(
        self, message: Message | Mapping[str, Any], *, idle_timeout_s: float = 60
    ) -> AsyncIterator[Event]:
        """Send one message and yield what happens, the task first.

        The task comes without history. Ends when the agent ends the stream, which may be before the task is terminal: subscribe again.

        Args:
            message: As protobuf, or as the JSON of A2A.
            idle_timeout_s: Longest silence, pings included.

        Raises:
            AgentError: See `parley_wire.agent_errors`; also in the middle of the stream.
        """
        params = {
            "message": _json(message),
            # We know what we said; without it the first event is small.
            "configuration": {"historyLength": 0},
        }
        return self.stream("SendStreamingMessage", params, idle_timeout_s)

    def subscribe(self, task_id: str, *, idle_timeout_s: float = 60) -> AsyncIterator[Event]:
        """Yield the task as it is now, and what happens to it from there; like `send_streaming`."""
        return self.stream("SubscribeToTask", {"id": task_id}, idle_timeout_s)

    async def get_task(self, task_id: str) -> Task:
        """Raises: TaskUnknownError, and the other AgentErrors."""
        return task_of(self._name, await self.call("GetTask", {"id": task_id}))

    async def list_tasks(self, context_id: str) -> list[Task]:
        """Return the tasks of a context with artifacts and history, newest first, 1000 at most."""
        found: list[Task] = []
        token = ""
        for _ in range(MAX_PAGES):
            params = {
                "contextId": context_id,
                "pageSize": PAGE_SIZE,
                "historyLength": 100,
                "includeArtifacts": True,
            }
            if token:
                params["pageToken"] = token
            tasks, token = tasks_page(self._name, await self.call("ListTasks", params))
            found.extend(tasks)
            if not token:
                break
        return found

    async def cancel_task(self, task_id: str) -> Task:
        """Raises: TaskUnknownError, AgentRefusedError with `TASK_NOT_CANCELABLE`, and the others."""
        return task_of(self._name, await self.call("CancelTask", {"id": task_id}))

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """Call any operation, named as in JSON-RPC; return its result as the agent wrote it.

        Raises:
            AgentError: See `parley_wire.agent_errors`.
            ValueError: The agent speaks HTTP+JSON only, where we know fewer operations.
        """
        request = self._binding.request(method, params, next(self._ids))
        async with _opened(self._name, self._http, request) as response:
            body = await _json_body(self._name, response, self._max_bytes)
        return self._binding.result(self._name, body, request.id)

    async def stream(
        self, method: str, params: dict[str, Any], idle_timeout_s: float = 60
    ) -> AsyncGenerator[Event]:
        """Call an operation that streams, and yield what comes.

        Raises:
            AgentError: See `parley_wire.agent_errors`; also in the middle of the stream.
        """
        request = self._binding.request(method, params, next(self._ids))
        silence = httpx.Timeout(idle_timeout_s, connect=CONNECT_TIMEOUT_S)
        seen = False
        async with _opened(self._name, self._http, request, silence) as response:
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "text/event-stream":
                # An error comes as plain JSON; so does the answer of an agent that cannot stream.
                body = await _json_body(self._name, response, self._max_bytes)
                yield event_of(self._name, self._binding.result(self._name, body, request.id))[0]
                return
            parser = SseParser(max_bytes=self._max_bytes)
            async with aclosing(_chunks(response)) as chunks:
                chunk = await anext(chunks, b"")
                while chunk:
                    following: bytes | None = None
                    found = self._fed(parser, chunk)
                    for place, data in enumerate(found, start=1):
                        event, resting = self._event(data, request)
                        if resting and place == len(found):
                            # Whoever stops here would cost us the connection: see the end first.
                            following = await _last_word(chunks)
                        seen = True
                        yield event
                    chunk = await anext(chunks, b"") if following is None else following
                self._fed(parser, b"")
        if not seen:
            raise AgentConnectionLostError(f"{self._name} ended the stream without an event")

    def _fed(self, parser: SseParser, chunk: bytes) -> list[bytes]:
        try:
            return parser.feed(chunk)
        except ParleyError as exc:
            raise AgentProtocolError(f"{self._name} sent an event that is too large") from exc

    def _event(self, data: bytes, request: Request) -> tuple[Event, bool]:
        body = _loads(self._name, data, self._max_bytes)
        return event_of(self._name, self._binding.result(self._name, body, request.id))


async def fetch_card(
    http: httpx.AsyncClient, base_or_card_url: str, *, max_bytes: int = MAX_CARD_BYTES
) -> Card:
    """Fetch and validate an agent's card. No token is sent: the address may be anybody's.

    Args:
        http: From `open_http`.
        base_or_card_url: Where the agent is, or its card (a path that ends in `.json`).
        max_bytes: Of the card.

    Raises:
        UnsupportedAgentError: If this is no http(s) address.
        InvalidCardError: If what is there is no card.
        AgentError: If there was no answer, or not a good one.
    """
    try:
        url = httpx.URL(base_or_card_url)
    except (httpx.InvalidURL, TypeError) as exc:
        raise UnsupportedAgentError(f"{base_or_card_url[:200]!r} is no address") from exc
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo:
        raise UnsupportedAgentError(
            f"{base_or_card_url[:200]!r} is no http(s) address of an agent; use http://HOST:PORT"
        )
    if not url.path.endswith(".json"):
        url = url.copy_with(path=url.path.rstrip("/") + CARD_PATH, query=None, fragment=None)
    name = f"the agent at {url.host}:{url.port or url.scheme}"
    request = Request("GET", str(url), {"accept": "application/json", "a2a-version": "1.0"}, None)
    async with _opened(name, http, request) as response:
        return load_card(await _body(name, response, max_bytes))


@asynccontextmanager
async def _opened(
    name: str, http: httpx.AsyncClient, request: Request, silence: httpx.Timeout | None = None
) -> AsyncGenerator[httpx.Response]:
    """Send a request and yield its 2xx response; classes every failure, also of reading it."""
    try:
        async with exchange(
            http,
            request.method,
            request.url,
            headers=request.headers,
            content=request.content,
            timeout=silence if silence is not None else http.timeout,
        ) as response:
            if not response.is_success:
                raise await _failure(name, response)
            yield response
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
        raise AgentUnreachableError(f"{name} could not be reached: {exc}") from exc
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as exc:
        raise UnsupportedAgentError(f"{name} has an address that cannot be used: {exc}") from exc
    except httpx.RemoteProtocolError as exc:
        raise AgentProtocolError(f"{name} did not answer in HTTP: {exc}") from exc
    except httpx.TransportError as exc:
        raise AgentConnectionLostError(f"the answer of {name} was lost: {exc}") from exc


async def _failure(name: str, response: httpx.Response) -> AgentError:
    try:
        body = strict_json.loads(await _body(name, response, _MAX_ERROR_BYTES))
    except (ParleyError, httpx.TransportError):
        body = None
    retry_after = response.headers.get("retry-after")
    return from_http(name, response.status_code, retry_after=retry_after, body=body)


async def _body(name: str, response: httpx.Response, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async with aclosing(_chunks(response)) as raw:
        async for chunk in raw:
            size += len(chunk)
            if size > max_bytes:
                raise AgentProtocolError(f"{name} answered with more than {max_bytes} bytes")
            chunks.append(chunk)
    return b"".join(chunks)


async def _json_body(name: str, response: httpx.Response, max_bytes: int) -> Any:
    return _loads(name, await _body(name, response, max_bytes), max_bytes)


def _loads(name: str, raw: bytes, max_bytes: int) -> Any:
    try:
        return strict_json.loads(raw, max_bytes=max_bytes)
    except ParleyError as exc:
        raise AgentProtocolError(f"{name} did not answer in JSON: {exc.message}") from exc


def _chunks(response: httpx.Response) -> AsyncGenerator[bytes]:
    return cast("AsyncGenerator[bytes]", response.aiter_raw())


async def _last_word(chunks: AsyncGenerator[bytes]) -> bytes:
    """Read on after the last event that is expected: mostly the end, which frees the connection."""
    try:
        async with asyncio.timeout(_LAST_WORD_S):
            return await anext(chunks, b"")
    except (TimeoutError, httpx.TransportError):
        return b""


def _json(message: Message | Mapping[str, Any]) -> Mapping[str, Any]:
    return MessageToDict(message) if isinstance(message, Message) else message


__all__ = ["AgentClient", "Event", "fetch_card"]
