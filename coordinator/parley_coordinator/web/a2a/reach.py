"""How agents that the coordinator serves are reached; the same for workflows and relayed agents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from parley_cards.canonical import canonical
from parley_cards.card import load_card
from parley_wire.server.older_card import with_older_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parley_cards.keys import SigningKey


@dataclass(frozen=True, slots=True)
class Reach:
    """What the cards say."""

    public_url: str
    grpc: str | None = None
    """Of the gRPC face: `HOST:PORT`, or `https://HOST:PORT`; None: there is none."""
    older: bool = False
    """Whether A2A 0.3 is spoken too."""
    signer: SigningKey | None = None
    """Signs what we say."""

    def card(self, card: dict[str, Any], *, kind: str, name: str, scope: str) -> bytes:
        """Return a card with our addresses and our authentication, in canonical JSON.

        Args:
            card: All but those.
            kind: `workflows` or `agents`.
            name: Of the workflow or agent.
            scope: The permission that it takes.
        """
        whole = {
            **card,
            "supportedInterfaces": [*self._interfaces(kind, name)],
            "securitySchemes": {"bearer": {"httpAuthSecurityScheme": {"scheme": "Bearer"}}},
            # One scope is named: verifiers that drop empty values must not lose the requirement.
            "securityRequirements": [{"schemes": {"bearer": {"list": [scope]}}}],
        }
        if self.older:
            whole = with_older_fields(load_card(canonical(whole))).json
        if self.signer is not None:
            # Imported when it is needed: cryptography costs a start 80 ms.
            from parley_cards.signatures import sign  # noqa: PLC0415

            whole = sign(whole, self.signer)
        return canonical(whole)

    def _interfaces(self, kind: str, name: str) -> Iterator[dict[str, Any]]:
        url = f"{self.public_url}/{kind}/{quote(name, safe='')}"
        paths = {"JSONRPC": f"{url}/a2a", "HTTP+JSON": f"{url}/rest"}
        for binding, address in paths.items():
            yield {"url": address, "protocolBinding": binding, "protocolVersion": "1.0"}
        if self.grpc is not None:
            yield {
                "url": self.grpc,
                "protocolBinding": "GRPC",
                "protocolVersion": "1.0",
                "tenant": f"{kind}/{name}",
            }
        if self.older:
            for binding, address in paths.items():
                yield {"url": address, "protocolBinding": binding, "protocolVersion": "0.3"}
