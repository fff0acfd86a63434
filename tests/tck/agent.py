"""`python -m tests.tck.agent PORT GRPC_PORT HOME [bare]`: the kit's agent, served by our facade.

Its profile is the kit's: anybody may call, webhooks may be on loopback, media types of parts are not
judged and message ids are not remembered, because the kit uses each of them for several messages.
`bare`: it does not stream, push or have an extended card, but requires an extension.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from parley_cards.card import load_card
from parley_wire.server import Options, Rules, create_agent_app
from parley_wire.serving import serve

from tests.tck.executor import TckExecutor

REQUIRED = "urn:a2a:tck:required-extension"
"""Whose absence from a request the kit expects to be refused."""
CAPABILITIES = ("streaming", "pushNotifications", "extendedAgentCard")


def card_json(port: int, grpc_port: int, *, bare: bool = False) -> dict[str, Any]:
    base = f"http://127.0.0.1:{port}"
    addresses = {
        "JSONRPC": f"{base}/a2a",
        "HTTP+JSON": f"{base}/rest",
        "GRPC": f"127.0.0.1:{grpc_port}",
    }
    return {
        "name": "TCK agent",
        "description": "Does what the compatibility kit asks of an agent.",
        "version": "1.0.0",
        "provider": {"organization": "Parley", "url": "https://example.com"},
        "supportedInterfaces": [
            {"url": url, "protocolBinding": binding, "protocolVersion": "1.0"}
            for binding, url in addresses.items()
        ],
        "capabilities": {
            **dict.fromkeys(CAPABILITIES, not bare),
            "extensions": [{"uri": REQUIRED, "required": True}] if bare else [],
        },
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "skills": [{"id": "tck", "name": "TCK", "description": "tests", "tags": ["tck"]}],
    }


def main(port: int, grpc_port: int, home: str, *, bare: bool = False) -> None:
    logging.basicConfig(level=logging.WARNING)
    card = load_card(card_json(port, grpc_port, bare=bare))
    app = create_agent_app(
        card,
        TckExecutor(),
        database_url=f"sqlite:///{home}/tck.db",
        options=Options(
            grpc=f"127.0.0.1:{grpc_port}",
            extended_card=card,
            webhooks=("127.0.0.1", "localhost"),
            rules=Rules(dedupe=False, input_modes=False),
        ),
    )
    serve(app, host="127.0.0.1", port=port, name="tck-agent")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], bare=sys.argv[4:] == ["bare"])
