"""Where agents are reached through the coordinator: `/agents/{name}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parley_wire.server import card_route
from parley_wire.server.jsonrpc import JsonRpc
from parley_wire.server.rest import Rest
from starlette.routing import Route, Router

from parley_coordinator.web.a2a.relay_card import relayed_card
from parley_coordinator.web.authentication import principal_in

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from parley_coordinator.web.a2a.relay import Relay
    from parley_coordinator.web.a2a.relay_ports import Line


class RelayedAgents:
    """ASGI app, mounted at `/agents/{name}`."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._made: dict[str, tuple[str, Router]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises UnknownAgentError, and ParleyError if the registry cannot be asked."""
        name = scope["path_params"]["name"]
        line = await self._relay.lines.to(name)
        digest, router = self._made.get(name, ("", None))
        if router is None or digest != line.card.digest:
            router = self._router(name, line)
            self._made[name] = (line.card.digest, router)
        await router(scope, receive, send)

    def _router(self, name: str, line: Line) -> Router:
        older = self._relay.reach.older
        extensions = frozenset(
            each["uri"] for each in line.card.json["capabilities"].get("extensions") or []
        )

        async def rpc(scope: Scope, receive: Receive, send: Send) -> None:
            endpoint = self._relay.endpoint(name, line, principal_in(scope))
            await JsonRpc(endpoint, extensions=extensions, older=older)(scope, receive, send)

        async def rest(scope: Scope, receive: Receive, send: Send) -> None:
            endpoint = self._relay.endpoint(name, line, principal_in(scope))
            await Rest(endpoint, extensions=extensions, older=older)(scope, receive, send)

        return Router(
            routes=[
                card_route(relayed_card(line.card.json, name, self._relay.reach), since=line.since),
                *(
                    Route(path, _App(rpc), methods=["POST"])
                    # Some clients put a slash behind every address.
                    for path in ("/a2a", "/a2a/")
                ),
                Route("/rest/{path:path}", _App(rest), methods=["GET", "POST", "DELETE"]),
            ]
        )


class _App:
    """An ASGI app that Starlette does not take for a function of a request."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)
