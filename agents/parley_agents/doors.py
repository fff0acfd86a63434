"""Ways into an agent besides JSON-RPC and HTTP+JSON of A2A 1.0, as its operator opens and guards them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from parley_cards.card import Card, load_card
from parley_wire.tls import NO_TLS, Tls

if TYPE_CHECKING:
    from parley_cards.keys import SigningKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    grpc: str | None = None
    """`HOST:PORT` to listen on for gRPC."""
    webhooks: tuple[str, ...] | None = None
    """None: the agent does not push. `host` or `host:port` inside, besides public https addresses."""
    older: bool = False
    """Speak A2A 0.3 too."""
    tls: Tls = NO_TLS
    """Of every way in; and whom the agent trusts."""
    signer: SigningKey | None = None
    """Signs the cards."""


CLOSED: Final = Doors()


def with_doors(card: Card, doors: Doors, *, url: str) -> Card:
    """Return the card of an agent at `url` that says what is open.

    Raises:
        InvalidCardError: If the address is not valid.
    """
    if doors == CLOSED:
        return card
    value: dict[str, Any] = dict(card.json)
    interfaces = [*value["supportedInterfaces"]]
    base = url.rstrip("/")
    if doors.grpc is not None:
        host = urlsplit(base).hostname or ""
        shown = f"[{host}]" if ":" in host else host
        port = doors.grpc.rpartition(":")[2]
        # Without a scheme it would be taken for an address in the clear.
        scheme = "https://" if doors.tls.serves else ""
        interfaces.append(_interface(f"{scheme}{shown}:{port}", "GRPC", "1.0"))
    if doors.older:
        interfaces.append(_interface(f"{base}/a2a", "JSONRPC", "0.3"))
        interfaces.append(_interface(f"{base}/rest", "HTTP+JSON", "0.3"))
    value["supportedInterfaces"] = interfaces
    if doors.webhooks is not None:
        value["capabilities"] = {**value["capabilities"], "pushNotifications": True}
    return load_card(value)


def _interface(url: str, binding: str, version: str) -> dict[str, str]:
    return {"url": url, "protocolBinding": binding, "protocolVersion": version}
