"""Errors as `application/problem+json` (RFC 9457), from the one table of kinds.

A foreseen failure shows its sentence, its stable `code` and its facts. Anything else shows a reference
that the log has too, and nothing of what happened inside.
"""

from __future__ import annotations

import json
import logging
import math
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from parley_cards.errors import Kind, ParleyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.websockets import WebSocket

ExceptionHandler: TypeAlias = Callable[[Request, Exception], Awaitable[Response]]

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 1
_RESERVED: Final = frozenset({"type", "title", "status", "detail", "code"})

_log = logging.getLogger(__name__)


def problem_response(error: ParleyError) -> Response:
    """Show a foreseen failure; 401 comes with its challenge, 503 with a Retry-After."""
    headers: dict[str, str] = {}
    if error.kind is Kind.UNAUTHENTICATED:
        headers["www-authenticate"] = 'Bearer realm="parley"'
    if error.kind is Kind.UNAVAILABLE:
        headers["retry-after"] = str(retry_after_s(error))
    return _problem(
        error.face.http, code=error.code, detail=error.message, facts=error.facts, headers=headers
    )


def retry_after_s(error: BaseException) -> int | None:
    """Return how long to leave alone what is not available; None for every other failure."""
    if not isinstance(error, ParleyError) or error.kind is not Kind.UNAVAILABLE:
        return None
    told = error.facts.get("retry_after_s")
    return RETRY_AFTER_S if told is None else max(math.ceil(told), RETRY_AFTER_S)


def exception_handlers() -> dict[Any, ExceptionHandler]:
    """Return what Starlette's `exception_handlers` takes: nothing leaves as HTML or as a trace."""
    return {ParleyError: _foreseen, HTTPException: _http, Exception: _unforeseen}


def log_defect(error: BaseException, *, doing: str) -> str:
    """Log an unforeseen failure with its trace; return the reference to show instead of it."""
    reference = secrets.token_hex(6)
    _log.error("%s failed, reference %s", doing, reference, exc_info=error)
    return reference


async def _foreseen(_: Request | WebSocket, exc: Exception) -> Response:
    if not isinstance(exc, ParleyError):  # Starlette calls by class
        raise exc
    return problem_response(exc)


async def _http(_: Request | WebSocket, exc: Exception) -> Response:
    if not isinstance(exc, HTTPException):
        raise exc
    status = HTTPStatus(exc.status_code)
    return _problem(
        exc.status_code,
        code=status.name.lower(),
        detail=exc.detail or status.phrase,
        facts={},
        headers=dict(exc.headers or {}),
    )


async def _unforeseen(request: Request | WebSocket, exc: Exception) -> Response:
    path = request.scope.get("path", "")
    reference = log_defect(exc, doing=f"{request.scope.get('method', '')} {path}")
    return _problem(
        500,
        code="internal",
        detail=f"something went wrong here; the log has it under {reference}",
        facts={"reference": reference},
        headers={},
    )


def _problem(
    status: int, *, code: str, detail: str, facts: Mapping[str, Any], headers: dict[str, str]
) -> Response:
    body = {
        "type": f"urn:parley:error:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        **{key: value for key, value in facts.items() if key not in _RESERVED},
    }
    return Response(
        json.dumps(body, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace"),
        status_code=status,
        headers=headers,
        media_type=MEDIA_TYPE,
    )
