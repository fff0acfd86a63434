"""The agent card of a workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parley_cards.canonical import canonical
from parley_cards.extensions import DEDUPE, SKILL_CONTRACT

if TYPE_CHECKING:
    from parley_coordinator.web.ports import Document


def card_bytes(document: Document, *, url: str) -> bytes:
    """Return the A2A 1.0 card of a workflow in canonical JSON.

    Args:
        url: Where the agent is; `/a2a` and `/rest` below it are its interfaces.
    """
    return canonical(_card(document, url))


def _card(document: Document, url: str) -> dict[str, Any]:
    title = document.title or document.name
    summary = document.summary or f"Runs the workflow {document.name}."
    return {
        "name": title,
        "description": summary,
        "version": document.version,
        "supportedInterfaces": [
            {"url": f"{url}/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
            {"url": f"{url}/rest", "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"},
        ],
        "capabilities": {
            "streaming": True,
            "pushNotifications": False,
            "extendedAgentCard": False,
            "extensions": [
                {
                    "uri": SKILL_CONTRACT,
                    "description": "The JSON Schemas of the data part that goes in and comes out.",
                    "required": False,
                    "params": {"skills": {document.name: _contract(document)}},
                },
                {
                    "uri": DEDUPE,
                    "description": "A message that arrives twice returns the task that it started.",
                    "required": False,
                },
            ],
        },
        "securitySchemes": {"bearer": {"httpAuthSecurityScheme": {"scheme": "Bearer"}}},
        # One scope is named: verifiers that drop empty values must not lose the requirement.
        "securityRequirements": [{"schemes": {"bearer": {"list": ["run:start"]}}}],
        "defaultInputModes": ["application/json"],
        "defaultOutputModes": ["application/json"],
        "skills": [
            {
                "id": document.name,
                "name": title,
                "description": summary,
                "tags": ["workflow"],
                "inputModes": ["application/json"],
                "outputModes": ["application/json"],
            }
        ],
    }


def _contract(document: Document) -> dict[str, Any]:
    contract: dict[str, Any] = {
        "version": document.version,
        "idempotent": True,
        "effect": "write",
    }
    if document.input_schema:
        contract["input"] = document.input_schema
    if document.output_schema:
        contract["output"] = document.output_schema
    return contract
