"""Where agents are reached through the coordinator: `/agents/{name}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from parley_wire.server import card_route
from parley_wire.server.jsonrpc import JsonRpc
from parley_wire.server.rest import Rest
from starlette.routing import Route, Router

from parley_coordinator.web.a2a.relay import AgentEndpoint
from parley_coordinator.web.authentication import principal_in

if TYPE_CHECKING:
    from parley_cards.card import Card
    from starlette.types import Receive, Scope, Send

    from parley_coordinator.web.a2a.reach import Reach
    from parley_coordinator.web.ports import Line, Lines, PassedOn

_OURS: Final = frozenset(
    {
        "supportedInterfaces",
        "securitySchemes",
        "securityRequirements",
        "signatures",
        # Of A2A 0.3:
        "url",
        "preferredTransport",
        "additionalInterfaces",
        "protocolVersion",
        "security",
        "supportsAuthenticatedExtendedCard",
    }
)
"""What we say ourselves, or leave out: how the agent itself is reached and what it asks of us."""


class RelayedAgents:
    """ASGI app, mounted at `/agents/{name}`.

    Args:
        passed_on: Whose tasks there are.
    """

    def __init__(self, lines: Lines, passed_on: PassedOn, reach: Reach) -> None:
        self._lines = lines
        self._passed_on = passed_on
        self._reach = reach
        self._made: dict[str, tuple[str, Router]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises UnknownAgentError, and ParleyError if the registry cannot be asked."""
        name = scope["path_params"]["name"]
        line = await self._lines.to(name)
        digest, router = self._made.get(name, ("", None))
        if router is None or digest != line.card.digest:
            router = self._router(name, line)
            self._made[name] = (line.card.digest, router)
        await router(scope, receive, send)

    def _router(self, name: str, line: Line) -> Router:
        older = self._reach.older
        extensions = frozenset(
            each["uri"] for each in line.card.json["capabilities"].get("extensions") or []
        )

        async def rpc(scope: Scope, receive: Receive, send: Send) -> None:
            endpoint = AgentEndpoint(name, line.client, self._passed_on, principal_in(scope))
            await JsonRpc(endpoint, extensions=extensions, older=older)(scope, receive, send)

        async def rest(scope: Scope, receive: Receive, send: Send) -> None:
            endpoint = AgentEndpoint(name, line.client, self._passed_on, principal_in(scope))
            await Rest(endpoint, extensions=extensions, older=older)(scope, receive, send)

        return Router(
            routes=[
                card_route(relayed_card(line.card, name, self._reach), since=line.since),
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


def relayed_card(card: Card, name: str, reach: Reach) -> bytes:
    """Return the agent's card with our addresses and our authentication; its signatures are gone."""
    shown = {key: value for key, value in card.json.items() if key not in _OURS}
    skills = [
        {key: value for key, value in skill.items() if key not in _OURS}
        for skill in card.json["skills"]
    ]
    return reach.card({**shown, "skills": skills}, kind="agents", name=name, scope="agent:call")
