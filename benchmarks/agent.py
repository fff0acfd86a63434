"""The agent that both sides call: answers with what it got, with the server kit's full durability."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from parley_cards.card import load_card
from parley_cards.extensions import DEDUPE, SKILL_CONTRACT
from parley_wire.server import create_agent_app
from parley_wire.server.outcomes import Completed, DataArtifact
from parley_wire.serving import serve


def card(url: str) -> dict[str, Any]:
    contract = {
        "version": "1.0.0",
        "effect": "read",
        "idempotent": True,
        "input": {"type": "object"},
        "output": {"type": "object"},
    }
    return {
        "name": "echo",
        "description": "Answers with what it got.",
        "version": "1.0.0",
        "supportedInterfaces": [
            {"url": f"{url}/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
        ],
        "capabilities": {
            "streaming": True,
            "extensions": [
                {"uri": SKILL_CONTRACT, "params": {"skills": {"echo": contract}}},
                {"uri": DEDUPE},
            ],
        },
        "defaultInputModes": ["application/json"],
        "defaultOutputModes": ["application/json"],
        "skills": [{"id": "echo", "name": "Echo", "description": "Echoes.", "tags": ["bench"]}],
    }


class Echo:
    async def execute(self, request: Any) -> Completed:
        return Completed([DataArtifact(request.data)])


def main() -> None:
    port, home = int(sys.argv[1]), Path(sys.argv[2])
    app = create_agent_app(
        load_card(card(f"http://127.0.0.1:{port}")),
        Echo(),
        database_url=f"sqlite:///{home / 'echo.db'}",
    )
    serve(app, host="127.0.0.1", port=port, name="echo")


if __name__ == "__main__":
    main()
