"""Operations of A2A over gRPC (A2A 1.0 10): bounded messages, deadlines, and errors of the one table."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import grpc
import grpc.aio
from a2a import types
from a2a.types.a2a_pb2_grpc import A2AServiceStub
from google.protobuf.json_format import Error as ProtoJsonError
from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as ProtobufMessage
from google.rpc import error_details_pb2, status_pb2

from parley_wire.agent_errors import (
    AgentConnectionLostError,
    AgentError,
    AgentProtocolError,
    AgentRefusedError,
    from_grpc,
)
from parley_wire.bindings import MAX_VALUES
from parley_wire.grpc_channels import GrpcAddress, GrpcChannels, NotConnectedError
from parley_wire.protojson import MISFITS, plain, values_in

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from parley_cards.card import Interface

REQUESTS: Final[dict[str, type[ProtobufMessage]]] = {
    "SendMessage": types.SendMessageRequest,
    "SendStreamingMessage": types.SendMessageRequest,
    "GetTask": types.GetTaskRequest,
    "ListTasks": types.ListTasksRequest,
    "CancelTask": types.CancelTaskRequest,
    "SubscribeToTask": types.SubscribeToTaskRequest,
    "CreateTaskPushNotificationConfig": types.TaskPushNotificationConfig,
    "GetTaskPushNotificationConfig": types.GetTaskPushNotificationConfigRequest,
    "ListTaskPushNotificationConfigs": types.ListTaskPushNotificationConfigsRequest,
    "DeleteTaskPushNotificationConfig": types.DeleteTaskPushNotificationConfigRequest,
    "GetExtendedAgentCard": types.GetExtendedAgentCardRequest,
}
_DETAILS: Final = "grpc-status-details-bin"
_LARGE_BYTES: Final = 131_072
"""A larger answer is converted in a thread, and its values are counted: some are of four bytes each."""


class GrpcTransport:
    """One interface of one agent. A `Transport`.

    Args:
        channels: Of the process; they close them.
        timeout_s: Of a call that does not stream.

    Raises:
        UnsupportedAgentError: If the interface has no address of gRPC.
    """

    def __init__(
        self,
        name: str,
        interface: Interface,
        headers: Mapping[str, str],
        channels: GrpcChannels,
        *,
        timeout_s: float,
        max_bytes: int,
    ) -> None:
        self._name = name
        self._address = GrpcAddress.of(interface.url)
        self._tenant = {"tenant": interface.tenant} if interface.tenant else {}
        self._metadata = tuple(headers.items())
        self._channels = channels
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        request = self._request(method, params)
        async with self._classed():
            operation = await self._operation(method)
            answer = await operation(request, metadata=self._metadata, timeout=self._timeout_s)
            return await self._plain(answer)

    async def stream(
        self,
        method: str,
        params: dict[str, Any],
        idle_timeout_s: float,
        *,
        to_end: bool = False,  # noqa: ARG002 - gRPC tells at once that a stream is over
    ) -> AsyncGenerator[Any]:
        request = self._request(method, params)
        seen = False
        async with self._classed():
            operation = await self._operation(method)
            call = operation(request, metadata=self._metadata)
            try:
                while True:
                    async with asyncio.timeout(idle_timeout_s):
                        response = await call.read()
                    if response is grpc.aio.EOF:
                        break
                    seen = True
                    yield await self._plain(response)
            finally:
                call.cancel()
        if not seen:
            raise AgentConnectionLostError(f"{self._name} ended the stream without an event")

    def _request(self, method: str, params: dict[str, Any]) -> ProtobufMessage:
        kind = REQUESTS.get(method)
        if kind is None:
            raise AgentRefusedError(
                f"A2A 1.0 has no operation {method[:80]}", a2a_code="UNSUPPORTED_OPERATION"
            )
        try:
            return ParseDict({**self._tenant, **params}, kind(), ignore_unknown_fields=True)
        except MISFITS as exc:
            # Our own words: they do not fit into protobuf, so nothing is sent.
            raise AgentRefusedError(
                f"nothing was sent to {self._name}: {str(exc)[:200]}", a2a_code="INVALID_PARAMS"
            ) from exc

    async def _plain(self, answer: ProtobufMessage) -> dict[str, Any]:
        if answer.ByteSize() <= _LARGE_BYTES:
            return self._read(answer)
        found = await asyncio.to_thread(self._read, answer)
        if await asyncio.to_thread(values_in, found) > MAX_VALUES:
            raise AgentProtocolError(f"{self._name} answered with more than {MAX_VALUES} values")
        return found

    def _read(self, answer: ProtobufMessage) -> dict[str, Any]:
        try:
            return plain(answer)
        except (ProtoJsonError, ValueError) as exc:
            # NaN, or a time that does not exist.
            raise AgentProtocolError(
                f"{self._name} answered with what JSON cannot say: {str(exc)[:200]}"
            ) from exc

    async def _operation(self, method: str) -> Callable[..., Any]:
        channel = await self._channels.ready(self._address, max_bytes=self._max_bytes)
        stub = A2AServiceStub(channel)  # type: ignore[no-untyped-call]
        operation: Callable[..., Any] = getattr(stub, method)
        return operation

    @asynccontextmanager
    async def _classed(self) -> AsyncGenerator[None]:
        try:
            yield
        except NotConnectedError as exc:
            raise from_grpc(
                self._name, "UNAVAILABLE", reason="", message=str(exc), connected=False
            ) from exc
        except TimeoutError as exc:
            raise AgentConnectionLostError(f"{self._name} was silent for too long") from exc
        except grpc.aio.AioRpcError as exc:
            raise self._failure(exc) from exc

    def _failure(self, exc: grpc.aio.AioRpcError) -> AgentError:
        told = _details(exc)
        status = exc.code().name
        if status == "RESOURCE_EXHAUSTED" and not told.any and not exc.trailing_metadata():
            # Nothing that the agent sent: our library found the answer too large.
            return AgentProtocolError(
                f"{self._name} answered with more than {self._max_bytes} bytes"
            )
        return from_grpc(
            self._name,
            status,
            reason=told.reason,
            message=exc.details() or "",
            retry_after_s=told.retry_after_s,
        )


class _Told(NamedTuple):
    """The google.rpc details of a failure."""

    any: bool = False
    reason: str = ""
    retry_after_s: float | None = None


def _details(exc: grpc.aio.AioRpcError) -> _Told:
    raw = next((value for key, value in exc.trailing_metadata() or () if key == _DETAILS), None)
    if not isinstance(raw, bytes):
        return _Told()
    try:
        details = status_pb2.Status.FromString(raw).details
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        reason, retry_after_s = "", None
        for detail in details:
            if detail.Unpack(info):
                reason = info.reason
            elif detail.Unpack(retry):
                retry_after_s = retry.retry_delay.ToTimedelta().total_seconds()
    except (DecodeError, OverflowError, ValueError):
        return _Told()
    return _Told(any=True, reason=reason, retry_after_s=retry_after_s)
