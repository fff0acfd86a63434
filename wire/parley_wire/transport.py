"""What we speak with agents, and which of it with this one.

================  =====================  ==============================================
protocolBinding   protocolVersion        module
================  =====================  ==============================================
JSONRPC           1.0                    bindings
HTTP+JSON         1.0                    bindings
GRPC              1.0                    grpc_transport
JSONRPC           0.3                    bindings_v03
HTTP+JSON         0.3                    bindings_v03
================  =====================  ==============================================

The first interface of the card that is in this table is taken (A2A 1.0 8.3.2).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Protocol

from parley_cards.extensions import DEDUPE, DELEGATION, FORM, SKILL_CONTRACT

from parley_wire.bindings import JsonRpc, Rest
from parley_wire.errors import UnsupportedAgentError
from parley_wire.http import grpc_channels
from parley_wire.http_transport import HttpTransport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import httpx
    from parley_cards.card import Card, Interface

KNOWN_EXTENSIONS: Final = frozenset({SKILL_CONTRACT, DELEGATION, FORM, DEDUPE})
DEFAULT_TIMEOUT_S: Final = 30.0
_CURRENT: Final = re.compile(r"1\.0(\.\d+)?", re.ASCII)
_OLDER: Final = re.compile(r"0\.3(\.\d+)?", re.ASCII)


class Transport(Protocol):
    """One interface of an agent. Methods, parameters and results are the JSON of A2A 1.0."""

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """Raises: AgentError."""
        ...

    def stream(
        self,
        method: str,
        params: dict[str, Any],
        idle_timeout_s: float,
        *,
        to_end: bool = False,
    ) -> AsyncGenerator[Any]:
        """Yield StreamResponses.

        Args:
            to_end: Stay while the task waits for its caller, as long as the agent lets us.

        Raises:
            AgentError: Also in the middle, and if there was none.
        """
        ...


def transport_of(
    card: Card,
    http: httpx.AsyncClient,
    *,
    token: str | None,
    max_bytes: int,
    extensions: frozenset[str] = frozenset(),
) -> Transport:
    """Choose the first interface of the card that we speak.

    Raises:
        UnsupportedAgentError: If there is none, or the card requires an extension unknown to us.
    """
    headers = _headers(card, token, KNOWN_EXTENSIONS | extensions)
    name = card.name[:80]
    for interface in card.interfaces:
        transport = _over(name, interface, headers, http, max_bytes)
        if transport is not None:
            return transport
    offered = [f"{each.binding} {each.protocol_version}" for each in card.interfaces]
    raise UnsupportedAgentError(
        f"{name} offers {', '.join(offered)[:200]};"
        " Parley speaks JSONRPC, HTTP+JSON and GRPC 1.0, and JSONRPC and HTTP+JSON 0.3",
        offered=offered,
    )


def _over(
    name: str,
    interface: Interface,
    headers: dict[str, str],
    http: httpx.AsyncClient,
    max_bytes: int,
) -> Transport | None:
    current = _CURRENT.fullmatch(interface.protocol_version) is not None
    older = _OLDER.fullmatch(interface.protocol_version) is not None
    if interface.binding == "GRPC" and current:
        return _over_grpc(name, interface, headers, http, max_bytes)
    if interface.binding not in {"JSONRPC", "HTTP+JSON"} or not (current or older):
        return None
    if current:
        binding_type = JsonRpc if interface.binding == "JSONRPC" else Rest
        binding = binding_type(interface, {**headers, "a2a-version": "1.0"})
        return HttpTransport(name, binding, http, max_bytes=max_bytes)
    # Imported when it is needed: it costs a start 100 ms.
    from parley_wire.bindings_v03 import JsonRpc03, Rest03  # noqa: PLC0415

    older_type = JsonRpc03 if interface.binding == "JSONRPC" else Rest03
    return HttpTransport(name, older_type(interface, headers), http, max_bytes=max_bytes)


def _over_grpc(
    name: str,
    interface: Interface,
    headers: dict[str, str],
    http: httpx.AsyncClient,
    max_bytes: int,
) -> Transport | None:
    channels = grpc_channels(http)
    if channels is None:
        return None
    from parley_wire.grpc_transport import GrpcTransport  # noqa: PLC0415 - as below

    return GrpcTransport(
        name,
        interface,
        {**headers, "a2a-version": "1.0"},
        channels,
        timeout_s=http.timeout.read or DEFAULT_TIMEOUT_S,
        max_bytes=max_bytes,
    )


def _headers(card: Card, token: str | None, known: frozenset[str]) -> dict[str, str]:
    extensions = card.json["capabilities"].get("extensions") or []
    unknown = [
        str(each["uri"])[:200]
        for each in extensions
        if each.get("required") and each["uri"] not in known
    ]
    if unknown:
        raise UnsupportedAgentError(
            f"{card.name[:80]} requires extensions that Parley does not speak: {', '.join(unknown)}",
            extensions=unknown,
        )
    headers: dict[str, str] = {}
    active = [each["uri"] for each in extensions if each["uri"] in known]
    if active:
        headers["a2a-extensions"] = ", ".join(active)
    if token:
        headers["authorization"] = f"Bearer {token}"
    return headers
