"""A small valid card to vary in tests."""

from __future__ import annotations

import copy
from typing import Any

from parley_cards.extensions import DEDUPE, SKILL_CONTRACT

_CARD: dict[str, Any] = {
    "name": "Echo agent",
    "description": "Says back what it was told.",
    "version": "1.2.0",
    "supportedInterfaces": [
        {"url": "https://echo.example/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
        {"url": "localhost:50051", "protocolBinding": "GRPC", "protocolVersion": "1.0"},
    ],
    "capabilities": {
        "streaming": True,
        "extensions": [
            {
                "uri": SKILL_CONTRACT,
                "params": {
                    "skills": {
                        "echo": {
                            "version": "1.1.0",
                            "input": {
                                "type": "object",
                                "properties": {"text": {"type": "string"}},
                                "required": ["text"],
                            },
                            "output": {"type": "object"},
                            "idempotent": True,
                            "effect": "read",
                        }
                    }
                },
            },
            {"uri": DEDUPE},
        ],
    },
    "defaultInputModes": ["application/json"],
    "defaultOutputModes": ["application/json"],
    "skills": [
        {"id": "echo", "name": "Echo", "description": "Says it back.", "tags": ["test", "text"]},
        {"id": "shout", "name": "Shout", "description": "Says it back louder.", "tags": []},
    ],
}


def a_card() -> dict[str, Any]:
    """Return a fresh copy."""
    return copy.deepcopy(_CARD)


def contract_of(card: dict[str, Any], skill: str = "echo") -> dict[str, Any]:
    """Return the contract of one skill inside `card`, to be changed in place."""
    contract: dict[str, Any] = card["capabilities"]["extensions"][0]["params"]["skills"][skill]
    return contract
