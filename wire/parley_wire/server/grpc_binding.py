"""The gRPC binding (A2A 1.0 10): the same operations, on the same log, with the same checks.

Requests become the JSON of the other bindings and results come back from it, so that nothing is looked
at twice in two ways. gRPC keeps to itself what it refuses before a handler runs: messages that are no
protobuf, or too long (RESOURCE_EXHAUSTED), and methods that A2A lacks (UNIMPLEMENTED).
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import grpc
import grpc.aio
from a2a.types import a2a_pb2, a2a_pb2_grpc
from a2a.utils.errors import A2A_ERROR_MAPPING, A2AError
from google.protobuf import empty_pb2
from google.protobuf.json_format import Error as ProtoJsonError
from google.protobuf.json_format import MessageToDict, Parse
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from parley_cards.errors import Kind, ParleyError

from parley_wire.auth import ANONYMOUS, Tokens
from parley_wire.errors import UnauthorizedError
from parley_wire.server.endpoint import (
    DEFAULT_LIMITS,
    Call,
    Endpoint,
    Limits,
    check_version,
    hidden,
    shared_extensions,
)
from parley_wire.server.forms import invalid

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

Context: TypeAlias = Any  # grpc.aio.ServicerContext, which has no types
_Result = TypeVar("_Result", bound=Message)
_DETAILS: Final = "grpc-status-details-bin"
_MAX_METADATA: Final = 32_768
_KINDS: Final = {
    Kind.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Kind.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    Kind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Kind.CONFLICT: grpc.StatusCode.ABORTED,
    Kind.TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.UNSUPPORTED: grpc.StatusCode.FAILED_PRECONDITION,
    Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Kind.BAD_GATEWAY: grpc.StatusCode.INTERNAL,
    Kind.TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    Kind.INTERNAL: grpc.StatusCode.INTERNAL,
}


class A2AServicer(a2a_pb2_grpc.A2AServiceServicer):
    """`lf.a2a.v1.A2AService` over an endpoint. The tenant of a request stays in its `params`.

    Args:
        tokens: None or empty: everybody is `anonymous`.
        extensions: URIs of the card; those that a request activates are echoed.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        tokens: Tokens | None,
        extensions: frozenset[str] = frozenset(),
    ) -> None:
        self._endpoint = endpoint
        self._tokens = tokens
        self._extensions = extensions

    async def SendMessage(  # noqa: N802 - the names are those of the service
        self, request: a2a_pb2.SendMessageRequest, context: Context
    ) -> a2a_pb2.SendMessageResponse:
        return await self._answer("SendMessage", request, context, a2a_pb2.SendMessageResponse())

    async def SendStreamingMessage(  # noqa: N802
        self, request: a2a_pb2.SendMessageRequest, context: Context
    ) -> AsyncGenerator[a2a_pb2.StreamResponse]:
        async for event in self._stream("SendStreamingMessage", request, context):
            yield event

    async def SubscribeToTask(  # noqa: N802
        self, request: a2a_pb2.SubscribeToTaskRequest, context: Context
    ) -> AsyncGenerator[a2a_pb2.StreamResponse]:
        async for event in self._stream("SubscribeToTask", request, context):
            yield event

    async def GetTask(self, request: a2a_pb2.GetTaskRequest, context: Context) -> a2a_pb2.Task:  # noqa: N802
        return await self._answer("GetTask", request, context, a2a_pb2.Task())

    async def ListTasks(  # noqa: N802
        self, request: a2a_pb2.ListTasksRequest, context: Context
    ) -> a2a_pb2.ListTasksResponse:
        return await self._answer("ListTasks", request, context, a2a_pb2.ListTasksResponse())

    async def CancelTask(  # noqa: N802
        self, request: a2a_pb2.CancelTaskRequest, context: Context
    ) -> a2a_pb2.Task:
        return await self._answer("CancelTask", request, context, a2a_pb2.Task())

    async def GetExtendedAgentCard(  # noqa: N802
        self, request: a2a_pb2.GetExtendedAgentCardRequest, context: Context
    ) -> a2a_pb2.AgentCard:
        return await self._answer("GetExtendedAgentCard", request, context, a2a_pb2.AgentCard())

    async def CreateTaskPushNotificationConfig(  # noqa: N802
        self, request: a2a_pb2.TaskPushNotificationConfig, context: Context
    ) -> a2a_pb2.TaskPushNotificationConfig:
        result = a2a_pb2.TaskPushNotificationConfig()
        return await self._answer("CreateTaskPushNotificationConfig", request, context, result)

    async def GetTaskPushNotificationConfig(  # noqa: N802
        self, request: a2a_pb2.GetTaskPushNotificationConfigRequest, context: Context
    ) -> a2a_pb2.TaskPushNotificationConfig:
        result = a2a_pb2.TaskPushNotificationConfig()
        return await self._answer("GetTaskPushNotificationConfig", request, context, result)

    async def ListTaskPushNotificationConfigs(  # noqa: N802
        self, request: a2a_pb2.ListTaskPushNotificationConfigsRequest, context: Context
    ) -> a2a_pb2.ListTaskPushNotificationConfigsResponse:
        result = a2a_pb2.ListTaskPushNotificationConfigsResponse()
        return await self._answer("ListTaskPushNotificationConfigs", request, context, result)

    async def DeleteTaskPushNotificationConfig(  # noqa: N802
        self, request: a2a_pb2.DeleteTaskPushNotificationConfigRequest, context: Context
    ) -> empty_pb2.Empty:
        result = empty_pb2.Empty()
        return await self._answer("DeleteTaskPushNotificationConfig", request, context, result)

    async def _answer(
        self, method: str, request: Message, context: Context, result: _Result
    ) -> _Result:
        try:
            call = self._admit(context)
            text = await self._endpoint.answer(method, _params(request), call)
            Parse(text, result, ignore_unknown_fields=True)
        except Exception as exc:  # noqa: BLE001 - process edge: every failure becomes a status
            await _abort(exc, context, doing=f"{method} over gRPC")
        await context.send_initial_metadata(self._echo(call))
        return result

    async def _stream(
        self, method: str, request: Message, context: Context
    ) -> AsyncGenerator[a2a_pb2.StreamResponse]:
        try:
            call = self._admit(context)
            async with aclosing(self._endpoint.stream(method, _params(request), call)) as events:
                begun = False
                async for batch in events:
                    if not begun:
                        begun = True
                        await context.send_initial_metadata(self._echo(call))
                    for text in batch.texts:
                        yield Parse(text, a2a_pb2.StreamResponse(), ignore_unknown_fields=True)
                    if batch.last:
                        break
        except Exception as exc:  # noqa: BLE001 - process edge: every failure becomes a status
            await _abort(exc, context, doing=f"{method} over gRPC")

    def _admit(self, context: Context) -> Call:
        """Raises: UnauthorizedError, VersionNotSupportedError."""
        headers: dict[str, str] = {}
        extensions: list[str] = []
        for name, value in context.invocation_metadata() or ():
            if isinstance(value, bytes):
                continue
            headers[name] = value
            if name == "a2a-extensions":
                extensions.extend(each.strip() for each in value.split(",") if each.strip())
        caller: str | None = ANONYMOUS
        if self._tokens:
            caller = self._tokens.caller(headers.get("authorization"))
            if caller is None:
                raise UnauthorizedError
        call = Call(
            caller=caller or ANONYMOUS,
            authenticated=bool(self._tokens),
            version=headers.get("a2a-version", "").strip(),
            extensions=frozenset(extensions),
            headers=headers,
        )
        check_version(call)
        return call

    def _echo(self, call: Call) -> tuple[tuple[str, str], ...]:
        active = shared_extensions(call, self._extensions)
        return (("a2a-extensions", active),) if active else ()


class GrpcServer:
    """Serves a servicer, in the clear like the HTTP bindings: TLS ends in front of both.

    Args:
        address: `HOST:PORT` to listen on.
    """

    def __init__(
        self, servicer: A2AServicer, address: str, *, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        ping_ms = int(limits.ping_s * 1000)
        self._server = grpc.aio.server(
            options=(
                ("grpc.max_receive_message_length", limits.body_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_metadata_size", _MAX_METADATA),
                ("grpc.so_reuseport", 0),
                ("grpc.keepalive_time_ms", ping_ms),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_ping_interval_without_data_ms", 5000),
            )
        )
        a2a_pb2_grpc.add_A2AServiceServicer_to_server(servicer, self._server)  # type: ignore[no-untyped-call]
        self.port = self._server.add_insecure_port(address)

    async def start(self) -> None:
        await self._server.start()

    async def stop(self, grace_s: float) -> None:
        """Take no new calls; end what runs after `grace_s`."""
        await self._server.stop(grace_s)


def _params(request: Message) -> dict[str, Any]:
    """Raises InvalidParamsError for what JSON cannot say: NaN, and times that do not exist."""
    try:
        params: dict[str, Any] = MessageToDict(request)
    except (ProtoJsonError, ValueError) as exc:
        raise invalid("params", f"cannot be read: {str(exc)[:300]}") from exc
    return params


async def _abort(error: Exception, context: Context, *, doing: str) -> None:
    """End a call with the status of A2A 1.0 5.4, and an ErrorInfo in its details."""
    if isinstance(error, ParleyError):
        code, reason, domain = _KINDS[error.kind], error.code.upper(), "parley"
        message = error.message
        facts = {key: str(value)[:1000] for key, value in error.facts.items()}
    else:
        shown = error if isinstance(error, A2AError) else hidden(error, doing)
        mapping = A2A_ERROR_MAPPING[type(shown)]
        code, reason = grpc.StatusCode[mapping.grpc_status], mapping.reason
        domain, facts, message = "a2a-protocol.org", {}, shown.message
    status = status_pb2.Status(code=code.value[0], message=message)
    info = error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=facts)
    status.details.add().Pack(info)
    for violation in _violations(error):
        status.details.add().Pack(violation)
    await context.abort(code, message, ((_DETAILS, status.SerializeToString()),))


def _violations(error: Exception) -> list[error_details_pb2.BadRequest]:
    data = error.data if isinstance(error, A2AError) else None
    found = data.get("errors") if isinstance(data, dict) else None
    if not found:
        return []
    fields = [
        error_details_pb2.BadRequest.FieldViolation(
            field=each["field"], description=each["message"]
        )
        for each in found
    ]
    return [error_details_pb2.BadRequest(field_violations=fields)]
