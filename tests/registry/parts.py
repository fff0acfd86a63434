"""A card server, a clock and waiting: what the tests of the registry are built from."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.cards.samples import a_card

CARD_PATH = "/.well-known/agent-card.json"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def forward(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class CardServer:
    """An agent that serves nothing but its card, and can misbehave."""

    def __init__(self, name: str = "Echo agent", **fields: Any) -> None:
        self.card: dict[str, Any] = copy.deepcopy(a_card() | {"name": name} | fields)
        self.mode = "card"
        self.elsewhere = False
        """Whether the card's interfaces are at another origin than the card."""
        self.asked = 0
        self.unchanged = 0
        """So often the answer was that the card is still the same."""
        self.authorization: set[str | None] = set()
        self.app = Starlette(routes=[Route("/{path:path}", self._answer)])

    async def _answer(self, request: Request) -> Response:
        if request.url.path != CARD_PATH:
            return Response("nothing here", status_code=404)
        self.asked += 1
        self.authorization.add(request.headers.get("authorization"))
        if not self.elsewhere:
            for interface in self.card.get("supportedInterfaces", []):
                if interface["url"].startswith("http"):
                    path = urlsplit(interface["url"]).path.lstrip("/")
                    interface["url"] = f"{request.base_url}{path}"
        answers: dict[str, Callable[[], Response]] = {
            "card": lambda: self._card(request),
            "gone": lambda: Response(status_code=404),
            "failing": lambda: Response("Traceback (most recent call last)", status_code=500),
            "redirect": lambda: Response(status_code=302, headers={"location": "/elsewhere"}),
            "html": lambda: Response("<html>hello</html>", media_type="text/html"),
            "duplicate": lambda: Response('{"name": "a", "name": "b"}'),
            "empty": lambda: Response(b""),
            "invalid": lambda: JSONResponse({"name": "incomplete"}),
            "huge": lambda: Response(b" " * 300_000 + json.dumps(self.card).encode()),
            "endless": lambda: StreamingResponse(_endless()),
        }
        return answers[self.mode]()

    def _card(self, request: Request) -> Response:
        raw = json.dumps(self.card, indent=2).encode()
        headers = {"etag": f'"{hashlib.sha256(raw).hexdigest()}"'}
        if request.headers.get("if-none-match") == headers["etag"]:
            self.unchanged += 1
            return Response(status_code=304, headers=headers)
        return Response(raw, headers=headers, media_type="application/json")


async def _endless() -> AsyncIterator[bytes]:
    while True:
        yield b" "
        await asyncio.sleep(0.02)


async def until(condition: Callable[[], Awaitable[bool]], *, within_s: float = 60) -> None:
    """Ask again and again until `condition` holds."""
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - it is in another process
            await asyncio.sleep(0.05)
