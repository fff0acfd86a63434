"""The ERP, through its MCP tools.

Each call is a session of its own over shared connections: a session of the SDK that could not reach
the server once is dead for good, and takes the task that opened it along. Nothing is believed before
it fits the records of this package.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolRequest, CallToolRequestParams, CallToolResult
from parley_wire.showing import shown_url
from parley_wire.tls import NO_TLS, Tls
from pydantic import TypeAdapter, ValidationError

from parley_agents.errors import SystemAnswerError, SystemRefusedError, SystemUnavailableError
from parley_agents.records import Contract, Invoice, Record

PROTOCOL: Final = "2026-07-28"
"""Of MCP: stateless, so that no call needs another one before it."""
PAUSES_S: Final = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0)
"""About 15 s altogether, a restart. Reads may be repeated; writes carry a key."""
CALL_TIMEOUT_S: Final = 30.0
MAX_ANSWER_BYTES: Final = 4_194_304

T = TypeVar("T")


class Applied(Contract):
    """What a write did."""

    effect_id: str
    status: Literal["applied", "unchanged"]
    reversible_until: str | None
    """UTC; None if there is no way back."""
    invoice: Record[Invoice]
    """As it is afterwards."""


class Erp:
    """One ERP. Open it with `async with` inside the event loop that calls it.

    Args:
        url: Of the ERP, without /mcp.
        token: Bearer token of the mesh, if it has one.
        timeout_s: Longest wait for one answer; it is not waited for twice.
        pauses_s: Before each further try while the ERP is away.
        tls: Says who is trusted besides those whom the system trusts.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout_s: float = CALL_TIMEOUT_S,
        pauses_s: Sequence[float] = PAUSES_S,
        tls: Tls = NO_TLS,
    ) -> None:
        self._tls = tls
        self._pauses_s = tuple(pauses_s)
        self._timeout_s = timeout_s
        self._url = url.rstrip("/") + "/mcp"
        self._token = token
        self._http: httpx2.AsyncClient | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._http = await self._stack.enter_async_context(
            httpx2.AsyncClient(
                headers={"authorization": f"Bearer {self._token}"} if self._token else {},
                timeout=httpx2.Timeout(self._timeout_s, connect=5.0),
                event_hooks={"response": [_refuse_large]},
                trust_env=False,
                verify=self._tls.client_context() if self._tls.trusts else True,
            )
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def read(self, form: type[T], tool: str, **arguments: str) -> Record[T]:
        """Return what the ERP says, with its etag and source.

        Args:
            form: Of the record's data; fields that it does not have are dropped.

        Raises:
            SystemRefusedError: If there is no such object, or the arguments are wrong.
            SystemUnavailableError: If the ERP does not answer.
            SystemAnswerError: If its answer is not such a record.
        """
        return _fitted(Record[form], tool, await self._call(tool, arguments))  # type: ignore[valid-type]

    async def write(self, tool: str, *, idempotency_key: str, **arguments: str) -> Applied:
        """Do something once: the same key with the same arguments returns the stored result.

        Raises:
            SystemRefusedError: If the ERP will not, e.g. because the invoice has changed.
            SystemUnavailableError: If the ERP does not answer; whether it was done is not known,
                and asking again with the same key is safe.
            SystemAnswerError: If its answer is not that of a write.
        """
        answer = await self._call(tool, {**arguments, "idempotency_key": idempotency_key})
        return _fitted(Applied, tool, answer)

    async def _call(self, tool: str, arguments: dict[str, str]) -> Any:
        for pause in self._pauses_s:
            try:
                return await self._call_once(tool, arguments)
            except _AwayError:
                await asyncio.sleep(pause)
        return await self._call_once(tool, arguments)

    async def _call_once(self, tool: str, arguments: dict[str, str]) -> Any:
        """Return the structured result of one call; raise what it says if it is an error."""
        try:
            async with asyncio.timeout(self._timeout_s):
                result = await self._exchange(tool, arguments)
        except TimeoutError as exc:
            raise SystemUnavailableError(
                f"the ERP did not answer {tool} within {self._timeout_s:g} s; try again later"
            ) from exc
        except MCPError as exc:
            raise SystemAnswerError(f"the ERP did not run {tool}: {exc.error.message}") from exc
        except ValidationError as exc:
            raise SystemAnswerError(f"the ERP's answer to {tool} is not one of MCP") from exc
        except BaseExceptionGroup as exc:
            if exc.split(_AnswerTooLargeError)[0] is not None:
                raise SystemAnswerError(
                    f"the ERP's answer to {tool} is larger than {MAX_ANSWER_BYTES} bytes"
                ) from exc
            if exc.split(httpx2.TransportError)[1] is not None:
                raise
            raise _AwayError(
                f"the ERP at {shown_url(self._url)} cannot be reached; try again later"
            ) from exc
        if result.is_error:
            raise _refusal(tool, result.structured_content)
        return result.structured_content

    async def _exchange(self, tool: str, arguments: dict[str, str]) -> CallToolResult:
        if self._http is None:
            raise RuntimeError("the connection to the ERP is not open; use `async with`")
        request = CallToolRequest(params=CallToolRequestParams(name=tool, arguments=arguments))
        session = Client(
            streamable_http_client(self._url, http_client=self._http), mode=PROTOCOL, cache=None
        )
        # What is raised inside the session leaves it in a group, whose parts may be a matter of
        # chance; so what the ERP said is raised outside. Only what ended the session comes through.
        said: MCPError | ValidationError
        async with session as client:
            try:
                # Not `call_tool`: in every session it would first ask for the list of all tools.
                return await client.session.send_request(request, CallToolResult)
            except (MCPError, ValidationError) as exc:
                said = exc
        raise said


class _AwayError(SystemUnavailableError):
    """Nothing, or nothing yet, was done: worth another try at once."""


class _AnswerTooLargeError(Exception):
    pass


async def _refuse_large(response: httpx2.Response) -> None:
    size = response.headers.get("content-length", "0")
    if not size.isdigit() or int(size) > MAX_ANSWER_BYTES:
        raise _AnswerTooLargeError


def _fitted(form: type[T], tool: str, answer: Any) -> T:
    try:
        return TypeAdapter(form).validate_python(
            answer, extra="ignore", by_alias=False, by_name=True
        )
    except ValidationError as exc:
        error = exc.errors(include_url=False, include_input=False)[0]
        place = "/".join(str(part) for part in error["loc"])
        raise SystemAnswerError(
            f"the ERP's answer to {tool} is not usable: {place}: {error['msg']}"
        ) from exc


def _refusal(tool: str, answer: Any) -> SystemRefusedError | SystemUnavailableError:
    error = answer.get("error") if isinstance(answer, dict) else None
    said: dict[str, Any] = error if isinstance(error, dict) else {}
    message = str(said.get("message") or f"the ERP refused {tool} without a reason")[:1000]
    if said.get("retryable") is True:
        return _AwayError(message)
    return SystemRefusedError(
        message, refusal=str(said.get("code", "")), sort=str(said.get("kind", "")), tool=tool
    )
