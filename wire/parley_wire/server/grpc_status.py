"""Failures as gRPC statuses (A2A 1.0 5.4), with what google.rpc has to say about them."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import grpc
from a2a.utils.errors import A2A_ERROR_MAPPING, A2AError
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from parley_cards.errors import Kind, ParleyError

from parley_wire.problems import retry_after_s
from parley_wire.server.endpoint import hidden

Context: TypeAlias = Any  # grpc.aio.ServicerContext, which has no types
_DETAILS: Final = "grpc-status-details-bin"
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


async def abort(error: Exception, context: Context, *, doing: str) -> None:
    """End a call with the status of a failure, and an ErrorInfo in its details. Always raises."""
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
    wait_s = retry_after_s(error)
    if wait_s is not None:
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=wait_s)))
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
