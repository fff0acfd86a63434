"""`POST /v1/push/{id}`: where agents tell that a task has gone on (A2A 1.0 4.3.3).

Who calls is known by the token of the webhook, not by an account, and before the body is read. The body
is a hint and no more: it can make a run look at its task, or leave it in peace.

============================================  ==========================================
a push                                        answer
============================================  ==========================================
with the token of an open webhook             204, also when it comes again
of a webhook whose step has ended             410: it is not to be sent again
without a token, or with another one          401 `push_token`
to an address that was never made             404 `unknown_push`
with more than 1 MiB                          413 `body_too_large`
============================================  ==========================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from parley_cards import strict_json
from parley_cards.errors import ParleyError
from parley_wire.limits import ClientGoneError, read_body
from parley_wire.problems import problem_response
from starlette.datastructures import Headers
from starlette.responses import Response

from parley_coordinator.errors import PushTokenError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PATH: Final = "/v1/push/"
TOKEN: Final = "x-a2a-notification-token"  # noqa: S105 - the name of a header
MAX_TOKEN: Final = 512
MAX_BYTES: Final = 1_048_576
ACTIVE: Final = frozenset({"TASK_STATE_SUBMITTED", "TASK_STATE_WORKING"})


class Webhook(Protocol):
    @property
    def spent(self) -> bool: ...


class Pushes(Protocol):
    """The webhooks; `parley_coordinator.engine.pushes` implements it."""

    async def known(self, webhook: str, token: str) -> Any:
        """Return the webhook that has this token.

        Raises:
            UnknownPushError, PushTokenError
        """
        ...

    async def wake(self, webhook: Any) -> None: ...


class PushReceiver:
    """ASGI middleware: answers what is below its path, and lets everything else pass."""

    def __init__(self, app: ASGIApp, *, pushes: Pushes) -> None:
        self._app = app
        self._pushes = pushes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PATH):
            await self._app(scope, receive, send)
            return
        if scope["method"] != "POST":
            await Response(status_code=405, headers={"allow": "POST"})(scope, receive, send)
            return
        try:
            answer = await self._taken(scope, receive)
        except ClientGoneError:
            return
        except ParleyError as exc:
            answer = problem_response(exc)
        await answer(scope, receive, send)

    async def _taken(self, scope: Scope, receive: Receive) -> Response:
        tokens = Headers(scope=scope).getlist(TOKEN)
        if len(tokens) != 1 or not 0 < len(tokens[0]) <= MAX_TOKEN:
            raise PushTokenError
        webhook = await self._pushes.known(scope["path"].removeprefix(PATH), tokens[0])
        if webhook.spent:
            return Response(status_code=410)
        body = await read_body(scope, receive, max_bytes=MAX_BYTES)
        if not still_works(body):
            await self._pushes.wake(webhook)
        return Response(status_code=204)


def still_works(body: bytes) -> bool:
    """Whether a body says plainly that there is nothing to look at yet; rubbish does not."""
    try:
        told = strict_json.loads(body, max_bytes=MAX_BYTES)
    except ParleyError:
        return False
    if not isinstance(told, dict):
        return False
    if "artifactUpdate" in told:
        return True
    about = told.get("statusUpdate", told.get("task"))
    status = about.get("status") if isinstance(about, dict) else None
    state = status.get("state") if isinstance(status, dict) else None
    return isinstance(state, str) and state in ACTIVE
