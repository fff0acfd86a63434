"""Our failures as errors of A2A: the ones that A2A names by its names, the others by `FACES`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from a2a.server.jsonrpc_models import JSONRPCError
from a2a.server.request_handlers.response_helpers import EXCEPTION_MAP
from a2a.utils.errors import (
    A2A_ERROR_MAPPING,
    A2A_ERROR_REASONS,
    JSON_RPC_ERROR_CODE_MAP,
    A2AError,
    ErrorMapping,
    InternalError,
    InvalidParamsError,
    TaskNotFoundError,
)
from parley_cards.errors import FACES, Kind, ParleyError
from parley_wire.problems import log_defect

from parley_coordinator.errors import UnknownRunError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

P = ParamSpec("P")
T = TypeVar("T")

_GRPC_NAMES: Final = {
    Kind.UNAUTHENTICATED: "UNAUTHENTICATED",
    Kind.FORBIDDEN: "PERMISSION_DENIED",
    Kind.NOT_FOUND: "NOT_FOUND",
    Kind.CONFLICT: "ABORTED",
    Kind.TOO_LARGE: "INVALID_ARGUMENT",
    Kind.UNSUPPORTED: "FAILED_PRECONDITION",
    Kind.UNAVAILABLE: "UNAVAILABLE",
    Kind.BAD_GATEWAY: "UNAVAILABLE",
    Kind.TIMEOUT: "DEADLINE_EXCEEDED",
}


def _error_type(kind: Kind) -> type[A2AError]:
    """Make the SDK's error class for a kind that A2A has no name for, and make it known there."""
    error_type = type(f"{kind.name.title().replace('_', '')}Error", (A2AError,), {})
    face = FACES[kind]
    JSON_RPC_ERROR_CODE_MAP[error_type] = face.jsonrpc
    A2A_ERROR_MAPPING[error_type] = ErrorMapping(face.http, _GRPC_NAMES[kind], kind.name)
    A2A_ERROR_REASONS[error_type] = kind.name
    EXCEPTION_MAP[error_type] = JSONRPCError
    return error_type


_TYPES: Final[dict[Kind, type[A2AError]]] = {kind: _error_type(kind) for kind in _GRPC_NAMES}


def as_a2a(error: ParleyError) -> A2AError:
    """Show a foreseen failure to an A2A client; its stable code is in the details."""
    details = {"code": error.code} | {
        key: value if isinstance(value, str) else str(value)
        for key, value in error.facts.items()
        if key != "errors"
    }
    if isinstance(error, UnknownRunError):
        return TaskNotFoundError("there is no such task", data={"code": error.code})
    if error.kind is Kind.INVALID:
        return InvalidParamsError(error.message, data=details)
    return _TYPES.get(error.kind, InternalError)(error.message, data=details)


def guarded(operation: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Let nothing but an A2A error out of an operation; what was not foreseen is a reference."""

    @functools.wraps(operation)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await operation(*args, **kwargs)
        except Exception as exc:
            raise _outward(exc, operation.__name__) from exc

    return run


def guarded_stream(
    operation: Callable[P, AsyncGenerator[T]],
) -> Callable[P, AsyncGenerator[T]]:
    """`guarded`, for an operation that streams."""

    @functools.wraps(operation)
    async def run(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[T]:
        events = operation(*args, **kwargs)
        try:
            async for event in events:
                yield event
        except Exception as exc:
            raise _outward(exc, operation.__name__) from exc
        finally:
            await events.aclose()

    return run


def _outward(error: Exception, doing: str) -> A2AError:
    if isinstance(error, A2AError):
        return error
    if isinstance(error, ParleyError):
        return as_a2a(error)
    reference = log_defect(error, doing=doing)
    data: dict[str, Any] = {"code": "internal", "reference": reference}
    return InternalError(f"something went wrong here; the log has it under {reference}", data=data)
