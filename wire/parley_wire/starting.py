"""An app whose start may fail on purpose: that is told in one line, not as a defect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley_cards.errors import ParleyError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Starting:
    """Passes everything on to an app, and keeps the foreseen failure that its lifespan ends with."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.failure: ParleyError | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        failed: Message | None = None

        async def hold(message: Message) -> None:
            # Starlette says that it failed before it raises why.
            nonlocal failed
            if message["type"] == "lifespan.startup.failed":
                failed = message
            else:
                await send(message)

        try:
            await self._app(scope, receive, hold)
        except ParleyError as exc:
            if failed is None:
                raise
            self.failure = exc
            await send({"type": "lifespan.startup.failed", "message": ""})
        except BaseException:
            if failed is not None:
                await send(failed)
            raise
