"""The gRPC binding (A2A 1.0 10): the same operations, on the same log, with the same checks.

Requests become the JSON of the other bindings and results come back from it, so that nothing is looked
at twice in two ways. Who calls is known before a request is read. gRPC keeps to itself what it refuses
before a handler runs: messages that are too long, calls that are too many at once (RESOURCE_EXHAUSTED), and
methods that A2A lacks (UNIMPLEMENTED).
"""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import grpc
import grpc.aio
from a2a.types import a2a_pb2, a2a_pb2_grpc
from google.protobuf import empty_pb2
from google.protobuf.json_format import Error as ProtoJsonError
from google.protobuf.json_format import MessageToDict, Parse
from google.protobuf.message import DecodeError, Message

from parley_wire.auth import ANONYMOUS, Tokens
from parley_wire.errors import CannotListenError, UnauthorizedError
from parley_wire.server.endpoint import (
    DEFAULT_LIMITS,
    Call,
    Endpoint,
    Limits,
    check_version,
    shared_extensions,
)
from parley_wire.server.forms import invalid
from parley_wire.server.grpc_status import Context, abort
from parley_wire.tls import NO_TLS, Tls

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable

Metadata: TypeAlias = "Iterable[tuple[str, Any]]"
_Result = TypeVar("_Result", bound=Message)
_MAX_METADATA: Final = 32_768


class A2AServicer(a2a_pb2_grpc.A2AServiceServicer):
    """`lf.a2a.v1.A2AService` over an endpoint. The tenant of a request stays in its `params`.

    Args:
        tokens: None or empty: everybody is `anonymous`.
        extensions: URIs of the card; those that a request activates are echoed.
        check: Looks at the Authorization of each call, and raises a ParleyError, if the endpoint itself
            knows who may call.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        tokens: Tokens | None,
        extensions: frozenset[str] = frozenset(),
        check: Callable[[str | None], object] | None = None,
    ) -> None:
        self._check = check
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
        async with self._framed(method, context) as call:
            text = await self._endpoint.answer(method, _params(request), call)
            Parse(text, result, ignore_unknown_fields=True)
            await context.send_initial_metadata(self._echo(call))
            return result

    async def _stream(
        self, method: str, request: Message, context: Context
    ) -> AsyncGenerator[a2a_pb2.StreamResponse]:
        async with (
            self._framed(method, context) as call,
            aclosing(self._endpoint.stream(method, _params(request), call)) as events,
        ):
            begun = False
            async for batch in events:
                if not begun:
                    begun = True
                    await context.send_initial_metadata(self._echo(call))
                for text in batch.texts:
                    yield Parse(text, a2a_pb2.StreamResponse(), ignore_unknown_fields=True)
                if batch.last:
                    break

    @asynccontextmanager
    async def _framed(self, method: str, context: Context) -> AsyncGenerator[Call]:
        """Say who calls, and end the call with a status if something goes wrong."""
        try:
            call = self._call(context)
            check_version(call)
            yield call
        except Exception as exc:  # noqa: BLE001 - process edge: every failure becomes a status
            await abort(exc, context, doing=f"{method} over gRPC")

    def admit(self, metadata: Metadata) -> None:
        """Return if somebody known calls; nothing of the request has been read then.

        Raises:
            ParleyError: If not.
        """
        authorization = _headers(metadata).get("authorization")
        if self._check is not None:
            self._check(authorization)
        if self._tokens and self._tokens.caller(authorization) is None:
            raise UnauthorizedError

    def _call(self, context: Context) -> Call:
        """Return what the metadata say. Who calls unknown does not get here."""
        metadata = context.invocation_metadata() or ()
        headers = _headers(metadata)
        named = [value for name, value in metadata if name == "a2a-extensions"]
        caller = self._tokens.caller(headers.get("authorization")) if self._tokens else ANONYMOUS
        if caller is None:
            raise UnauthorizedError
        return Call(
            caller=caller,
            authenticated=bool(self._tokens),
            version=headers.get("a2a-version", "").strip(),
            extensions=frozenset(
                word.strip() for value in named for word in value.split(",") if word.strip()
            ),
            headers=headers,
        )

    def _echo(self, call: Call) -> tuple[tuple[str, str], ...]:
        active = shared_extensions(call, self._extensions)
        return (("a2a-extensions", active),) if active else ()


class _Gatekeeper(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Turns away whom nobody knows when the metadata are there, before the request is.

    A request that is no protobuf becomes None: gRPC would show the exception, our servicer does not.
    """

    def __init__(self, admit: Callable[[Metadata], None]) -> None:
        self._admit = admit

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        try:
            self._admit(details.invocation_metadata or ())
        except Exception as exc:  # noqa: BLE001 - process edge: every failure becomes a status
            error = exc

            async def refuse(_: Any, context: Context) -> None:
                await abort(error, context, doing=f"{details.method} over gRPC")

            # Of this kind it asks for no message before it answers.
            return grpc.stream_stream_rpc_method_handler(refuse)
        handler = await continuation(details)
        if handler is None:
            return None
        return handler._replace(request_deserializer=_read(handler.request_deserializer))


class GrpcServer:
    """Serves a servicer; in the clear, if this process does so over HTTP too.

    Args:
        address: `HOST:PORT` to listen on.

    Raises:
        CannotListenError: If the port is taken.
    """

    def __init__(
        self,
        servicer: A2AServicer,
        address: str,
        *,
        limits: Limits = DEFAULT_LIMITS,
        tls: Tls = NO_TLS,
    ) -> None:
        ping_ms = int(limits.ping_s * 1000)
        self._server = grpc.aio.server(
            interceptors=(_Gatekeeper(servicer.admit),),
            maximum_concurrent_rpcs=limits.calls,
            options=(
                ("grpc.max_receive_message_length", limits.body_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_metadata_size", _MAX_METADATA),
                ("grpc.so_reuseport", 0),
                ("grpc.keepalive_time_ms", ping_ms),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_ping_interval_without_data_ms", 5000),
            ),
        )
        a2a_pb2_grpc.add_A2AServiceServicer_to_server(servicer, self._server)  # type: ignore[no-untyped-call]
        try:
            self.port = (
                self._server.add_secure_port(address, tls.grpc_server())
                if tls.serves
                else self._server.add_insecure_port(address)
            )
        except RuntimeError as exc:
            raise CannotListenError(address) from exc

    async def start(self) -> None:
        await self._server.start()

    async def stop(self, grace_s: float) -> None:
        """Take no new calls; end what runs after `grace_s`."""
        await self._server.stop(grace_s)


def _read(parse: Callable[[bytes], Message]) -> Callable[[bytes], Message | None]:
    def read(raw: bytes) -> Message | None:
        try:
            return parse(raw)
        except DecodeError:
            return None

    return read


def _headers(metadata: Metadata) -> dict[str, str]:
    """Return what is text; the last one of a name counts."""
    return {name: value for name, value in metadata if not isinstance(value, bytes)}


def _params(request: Message | None) -> dict[str, Any]:
    """Raises InvalidParamsError for what JSON cannot say: NaN, times that do not exist, no message."""
    if request is None:
        raise invalid("params", "are no message of this operation")
    try:
        params: dict[str, Any] = MessageToDict(request)
    except (ProtoJsonError, ValueError) as exc:
        raise invalid("params", f"cannot be read: {str(exc)[:300]}") from exc
    return params
