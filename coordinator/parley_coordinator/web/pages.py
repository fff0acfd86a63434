"""The page of a workflow: what it does, for whoever is accountable for it. It works without scripts."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from parley_coordinator.errors import DiagramTooLargeError
from parley_coordinator.governance.access import Permission, require
from parley_coordinator.web import requests as q
from parley_coordinator.web.authentication import principal_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from parley_coordinator.web.ports import Document as AnyDocument
    from parley_coordinator.web.ports import Workflows
    from parley_coordinator.web.rendering import Rendered

_KEPT: Final = 64
"""So many documents stay rendered."""
_AT_ONCE: Final = 2
"""Documents that are rendered; it is Python, so more of them would only share one core."""
_HEADERS: Final = {
    "cache-control": "private, no-cache",
    "vary": "authorization",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


class WorkflowPages:
    """The endpoints, for whoever may `workflow:read`."""

    def __init__(self, workflows: Workflows) -> None:
        self._workflows = workflows
        self._rendered: dict[str, Rendered] = {}
        """By digest, the most recently used last."""
        self._under_way: dict[str, asyncio.Task[Rendered]] = {}
        """By digest: whoever else asks for the same waits for the same."""
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def routes(self) -> list[Route]:
        here = "/workflows/{name}"
        return [
            Route(here, self.page, methods=["GET"]),
            Route(f"{here}/diagram.svg", self.diagram, methods=["GET"]),
            Route(f"{here}/outline.txt", self.outline, methods=["GET"]),
            Route(f"{here}/document.json", self.document, methods=["GET"]),
        ]

    async def page(self, request: Request) -> Response:
        found = await self._of(request)
        return _answer(found.page, "text/html", _policy(found.page_style, found.svg_style))

    async def diagram(self, request: Request) -> Response:
        found = await self._of(request)
        if found.too_large:
            raise DiagramTooLargeError(found.too_large)
        return _answer(found.svg, "image/svg+xml", _policy(found.svg_style))

    async def outline(self, request: Request) -> Response:
        found = await self._of(request)
        return _answer(found.outline, "text/plain", _policy())

    async def document(self, request: Request) -> Response:
        document = await self._document(request)
        return JSONResponse(document.json, headers={**_HEADERS, "etag": f'"{document.digest}"'})

    async def _document(self, request: Request) -> AnyDocument:
        require(principal_of(request), Permission.WORKFLOW_READ)
        query = q.read_query(q.VersionQuery, request.query_params.multi_items())
        return await self._workflows.document(request.path_params["name"], query.version)

    async def _of(self, request: Request) -> Rendered:
        document = await self._document(request)
        found = self._rendered.pop(document.digest, None)
        if found is None:
            # Whoever gives up waiting does not stop it for the others.
            found = await asyncio.shield(self._rendering(document))
        self._rendered.pop(document.digest, None)
        self._rendered[document.digest] = found
        if len(self._rendered) > _KEPT:
            del self._rendered[next(iter(self._rendered))]
        return found

    def _rendering(self, document: AnyDocument) -> asyncio.Task[Rendered]:
        digest = document.digest
        if digest not in self._under_way:
            task = asyncio.create_task(self._apart(document.json))
            self._under_way[digest] = task
            task.add_done_callback(lambda _: self._under_way.pop(digest))
        return self._under_way[digest]

    async def _apart(self, json: dict[str, Any]) -> Rendered:
        """Render where it holds up nobody else: a large document takes some seconds."""
        async with self._slots:
            return await asyncio.to_thread(_rendered, json)


def _rendered(json: dict[str, Any]) -> Rendered:
    from parley_coordinator.web.rendering import render  # noqa: PLC0415 - see there

    return render(json)


def _answer(text: str, media_type: str, policy: str) -> Response:
    headers = {**_HEADERS, "content-security-policy": policy}
    return Response(text, media_type=f"{media_type}; charset=utf-8", headers=headers)


def _policy(*styles: str) -> str:
    """Allow these styles, and nothing else that is active or from elsewhere."""
    allowed = " ".join(f"'sha256-{_sha256(style)}'" for style in styles) or "'none'"
    return (
        f"default-src 'none'; style-src {allowed}; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    )


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
