"""Where the agents of the workflows are: `/workflows/{name}`, looked up with each request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from parley_cards.extensions import DEDUPE, DELEGATION, SKILL_CONTRACT
from parley_wire.server import card_route
from parley_wire.server.jsonrpc import JsonRpc
from parley_wire.server.rest import Rest
from starlette.routing import Route, Router

from parley_coordinator.web.a2a.card import card_bytes
from parley_coordinator.web.a2a.endpoint import WorkflowEndpoint
from parley_coordinator.web.authentication import principal_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from parley_coordinator.web.a2a.pushing import Push
    from parley_coordinator.web.a2a.reach import Reach
    from parley_coordinator.web.ports import Document, Inbox, Runs, Workflows

EXTENSIONS: Final = frozenset({DEDUPE, DELEGATION, SKILL_CONTRACT})


class WorkflowAgents:
    """ASGI app, mounted at `/workflows/{name}`.

    The routes of a workflow are made at its first request and again when another version becomes
    current.
    """

    def __init__(
        self,
        *,
        runs: Runs,
        workflows: Workflows,
        inbox: Inbox,
        push: Push,
        reach: Reach,
    ) -> None:
        self._runs = runs
        self._workflows = workflows
        self._inbox = inbox
        self._push = push
        self._reach = reach
        self._made: dict[str, tuple[str, Router]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises UnknownWorkflowError."""
        document = await self._workflows.document(scope["path_params"]["name"])
        digest, router = self._made.get(document.name, ("", None))
        if router is None or digest != document.digest:
            router = self._router(document)
            self._made[document.name] = (document.digest, router)
        await router(scope, receive, send)

    def _router(self, document: Document) -> Router:
        older = self._reach.older
        rpc = _Binding(self._endpoint, JsonRpc, document.name, older=older)
        return Router(
            routes=[
                card_route(card_bytes(document, self._reach, pushes=self._push.offered)),
                # Some clients put a slash behind every address.
                *(Route(path, rpc, methods=["POST"]) for path in ("/a2a", "/a2a/")),
                Route(
                    "/rest/{path:path}",
                    _Binding(self._endpoint, Rest, document.name, older=older),
                    methods=["GET", "POST", "DELETE"],
                ),
            ]
        )

    def _endpoint(self, workflow: str, scope: Scope) -> WorkflowEndpoint:
        return WorkflowEndpoint(
            workflow,
            runs=self._runs,
            inbox=self._inbox,
            push=self._push,
            principal=principal_in(scope),
            scope=scope,
        )


class _Binding:
    """One binding of one workflow; who calls makes the endpoint."""

    def __init__(
        self,
        endpoint: Callable[[str, Scope], WorkflowEndpoint],
        binding: type[JsonRpc | Rest],
        workflow: str,
        *,
        older: bool,
    ) -> None:
        self._older = older
        self._endpoint = endpoint
        self._binding = binding
        self._workflow = workflow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoint(self._workflow, scope)
        binding = self._binding(endpoint, extensions=EXTENSIONS, older=self._older)
        await binding(scope, receive, send)
