"""The agent card of a workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parley_cards.extensions import DEDUPE, DELEGATION, SKILL_CONTRACT

if TYPE_CHECKING:
    from parley_coordinator.web.a2a.reach import Reach
    from parley_coordinator.web.ports import Document


def card_bytes(document: Document, reach: Reach, *, pushes: bool) -> bytes:
    """Return the A2A 1.0 card of a workflow in canonical JSON.

    Args:
        pushes: Whether callers may have webhooks told.
    """
    return reach.card(
        _card(document, pushes=pushes), kind="workflows", name=document.name, scope="run:start"
    )


def _card(document: Document, *, pushes: bool) -> dict[str, Any]:
    title = document.title or document.name
    summary = document.summary or f"Runs the workflow {document.name}."
    return {
        "name": title,
        "description": summary,
        "version": document.version,
        "capabilities": {
            "streaming": True,
            "pushNotifications": pushes,
            "extendedAgentCard": False,
            "extensions": [
                {
                    "uri": SKILL_CONTRACT,
                    "description": "The JSON Schemas of the data part that goes in and comes out.",
                    "required": False,
                    "params": {"skills": {document.name: _contract(document)}},
                },
                {
                    "uri": DELEGATION,
                    "description": "Deadline, budget, ancestors and trace of a task are honoured.",
                    "required": False,
                },
                {
                    "uri": DEDUPE,
                    "description": "A message that arrives twice returns the task that it started.",
                    "required": False,
                },
            ],
        },
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
